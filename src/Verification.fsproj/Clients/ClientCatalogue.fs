namespace Mqtt5.Verification

open Mqtt5

/// What became of a scenario, or of a rule that holds in all of them.
[<NoComparison>]
type ClientResult =
    {
        /// What is shown, with its statements.
        Subject: Probe
        /// How it ended.
        Outcome: ProbeOutcome
        /// What was seen.
        Exchanges: ProbeExchange[]
    }

/// All scenarios, and what they find together.
[<RequireQualifiedAccess>]
module ClientCatalogue =

    /// The scenarios.
    [<CompiledName("Scenarios")>]
    let scenarios: Lazy<ClientScenario[]> =
        lazy
            (Array.ofList (
                ClientPublishScenarios.all
                @ ClientReceiveScenarios.all
                @ ClientSessionScenarios.all
            ))

    let private of311 = lazy (Array.ofList (ClientLowering.all scenarios.Value))

    /// The scenarios of a version. MQTT 3.1 has none of its own.
    [<CompiledName("ScenariosIn")>]
    let scenariosIn (version: ProtocolVersion) : ClientScenario[] =
        if version.IsV5 then scenarios.Value else of311.Value

    // Tasks that are done for the rules that hold in all scenarios alone.
    let private more (version: ProtocolVersion) =
        [
            "publish"
            "publish qos=1 count=3"
            "subscribe topic=$share/verify/topic"
            "unsubscribe"
            "will"
            "will qos=1"
            "will qos=2"
            "login"

            if version.IsV5 then
                "request"
                "authenticate"
        ]

    /// The tasks that a program is to do once with a server that does nothing unusual, before some scenarios: those of the
    /// scenarios, and with all scenarios some more.
    [<CompiledName("TasksIn")>]
    let tasksIn (version: ProtocolVersion) (all: bool) (asked: ClientScenario[]) : ClientTask[] =
        Array.append
            (if all then
                 more version |> List.map ClientTask.parse |> Array.ofList
             else
                 [||])
            (asked |> Array.map _.Task)
        |> Array.distinctBy ClientTask.print

    /// Why a scenario is not applicable to a program that did so in the usual run of the task; absent: it is.
    [<CompiledName("Lacks")>]
    let lacks (scenario: ClientScenario) (usual: ClientRun) : string voption =
        let isMissing (pattern: PacketPattern) =
            usual.Packets
            |> Array.forall (fun packet -> (PacketPattern.matches Map.empty pattern packet).IsNone)

        match List.tryFind isMissing scenario.Usual with
        | Some pattern when usual.HasConnected ->
            ValueSome $"the program sends no {pattern} ({ClientTask.print scenario.Task})"
        | Some _ -> ValueSome $"the program did not connect ({ClientTask.print scenario.Task})"
        | None -> ValueNone

    let private subject version clauses title : Probe =
        { Clauses = clauses; Version = version; Title = title; Needs = []; Steps = [] }

    let private outcome verdict clauses line expected seen : ProbeOutcome =
        { Verdict = verdict; Clauses = clauses; Line = line; Expected = expected; Seen = seen }

    /// The result of a scenario that cannot be run, with the reason.
    [<CompiledName("NotApplicable")>]
    let notApplicable (scenario: ClientScenario) (reason: string) : ClientResult =
        {
            Subject = subject scenario.Version scenario.Clauses scenario.Title
            Outcome = outcome Verdict.NotApplicable [] "" reason ""
            Exchanges = [||]
        }

    /// The result of a run that has ended.
    [<CompiledName("ResultOf")>]
    let resultOf (scenario: ClientScenario) (run: ClientRun) : ClientResult =
        {
            Subject = subject scenario.Version scenario.Clauses scenario.Title
            Outcome =
                run.Outcome
                |> ValueOption.defaultValue (outcome Verdict.NotRun [] "" "it did not end" "")
            Exchanges = run.Exchanges
        }

    // The rules that a packet broke, each once, with the run where it was seen first.
    let private broken (runs: (struct (ClientScenario * ClientRun))[]) : ClientResult list =
        [
            for struct (scenario, run) in runs do
                // What the scenario itself failed for is not told again.
                let told =
                    match run.Outcome with
                    | ValueSome { Verdict = Verdict.Fail; Clauses = clauses } -> Set.ofList clauses
                    | _ -> Set.empty

                for finding in
                    run.Findings
                    |> Array.filter (fun one -> not (List.exists told.Contains one.Clauses)) do
                    {
                        Subject = subject run.Version finding.Clauses $"In all scenarios: {finding.Detail}"
                        Outcome =
                            outcome
                                Verdict.Fail
                                finding.Clauses
                                $"any packet; here: {scenario.Title}"
                                "no such packet"
                                (if finding.Seen = "" then
                                     finding.Detail
                                 else
                                     $"{finding.Seen}: {finding.Detail}")
                        Exchanges = run.Exchanges
                    }
        ]
        |> List.distinctBy (fun result -> result.Outcome.Clauses)

    /// What the rules of a version that hold for all packets found in some runs.
    [<CompiledName("RulesIn")>]
    let rulesIn (version: ProtocolVersion) (runs: (struct (ClientScenario * ClientRun))[]) : ClientResult[] =
        let failures = broken runs

        let failed =
            runs
            |> Seq.collect (fun (struct (_, run)) -> run.Findings)
            |> Seq.collect _.Clauses
            |> Set.ofSeq

        let shown = runs |> Array.collect (fun (struct (_, run)) -> run.Shown) |> Set.ofArray

        [|
            yield! failures

            for index, rule in List.indexed (ClientRules.allIn version) do
                match rule.Clauses |> List.filter (failed.Contains >> not) with
                | [] -> ()
                | kept when shown.Contains index ->
                    {
                        Subject = subject version kept rule.Title
                        Outcome = outcome Verdict.Pass [] "" "" ""
                        Exchanges = [||]
                    }
                | other ->
                    {
                        Subject = subject version other rule.Title
                        Outcome = outcome Verdict.NotApplicable [] "" rule.Missing ""
                        Exchanges = [||]
                    }
        |]
