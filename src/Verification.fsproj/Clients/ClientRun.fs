namespace Mqtt5.Verification

open System
open Mqtt5
open Mqtt5.Verification
open Mqtt5.Verification.ClientServing

/// Starts and steps runs of scenarios.
[<RequireQualifiedAccess; CompilationRepresentation(CompilationRepresentationFlags.ModuleSuffix)>]
module ClientRun =

    /// A run of a scenario; the program is to be started now.
    [<CompiledName("Start")>]
    let start (settings: ScenarioSettings) (scenario: ClientScenario) (now: int64<ms>) : ClientRun =
        {
            Settings = settings
            Scenario = scenario
            Steps = scenario.Steps
            Connections = Map.empty
            Stage = 1
            Names = Map.empty
            Since = now
            Now = now
            ChangedAt = now
            OpenedAt = now
            Log = []
            Lines = []
            Exit = ValueNone
            Connack = ""
            Held = Set.empty
            Monitor = MonitorState.Empty
            Found = []
            Rules = Set.empty
            KeptBelow = Set.empty
            Sent = []
            Published = Set.empty
            HasSentRaw = false
            Result = ValueNone
            Due = now
        }

    // What is overdue: a packet within the Keep Alive, or the end of a connection after DISCONNECT.
    let private overdue (run: ClientRun) =
        let struct (monitor, violations) = ProtocolMonitor.tick run.Now run.Monitor

        let run =
            violations
            |> Array.fold
                (fun run violation ->
                    let connection = connectionOf violation.Connection run

                    report
                        [| violation |]
                        ""
                        (packetOf violation.Connection Packet.Pingreq connection run)
                        run)
                { run with Monitor = monitor }

        run.Connections
        |> Map.fold
            (fun run number connection ->
                match connection.LeavesSince with
                | ValueSome since when run.Now > since + ClosingTime ->
                    run
                    |> withConnection number { connection with LeavesSince = ValueNone }
                    |> find
                        {
                            Clauses = Statements.clientCounterpartsIn run.Version "MQTT-3.14.4-2"
                            Detail = $"the connection is open {ClosingTime} ms after DISCONNECT"
                            Seen = ""
                        }
                | _ -> run)
            run

    // What a step comes to.
    [<NoComparison>]
    type private Progress =
        | Done of ClientRun * ClientDemand list
        | Waiting of until: int64<ms>
        | Over of ClientRun

    let private isGone (run: ClientRun) =
        run.Exit.IsSome && run.Connections |> Map.forall (fun _ one -> one.HasEnded)

    let private endOfProgram (run: ClientRun) =
        match run.Exit with
        | ValueSome(struct (code, "")) -> $"; the program ended with exit code {code}"
        | ValueSome(struct (code, complaint)) -> $"; the program ended with exit code {code}: {complaint}"
        | ValueNone -> ""

    let private seen (run: ClientRun) =
        let connection = connectionOf run.Stage run

        let packets =
            match connection.Inbox with
            | [] when not (run.Connections.ContainsKey run.Stage) -> "no connection"
            | [] -> "nothing"
            | inbox ->
                // CONNECT is not shown: it can hold a password.
                inbox
                |> List.map (fun one -> if one.Type = "CONNECT" then "CONNECT" else one.Notation)
                |> List.truncate 6
                |> String.concat "; "

        packets
        + (if connection.HasEnded then "; then the connection was closed" else "")
        + endOfProgram run

    let private fail (step: ClientStep) (expected: string) (run: ClientRun) =
        Over(
            finish
                {
                    Verdict = Verdict.Fail
                    Clauses = (if step.Clauses.IsEmpty then run.Scenario.Clauses else step.Clauses)
                    Line = step.Line
                    Expected = expected
                    Seen = seen run
                }
                run
        )

    let private absent (what: string) (run: ClientRun) =
        if run.HasConnected then
            Over(ended Verdict.NotApplicable $"the program {what}{endOfProgram run}" run)
        else
            Over(ended Verdict.NotRun $"the program did not connect{endOfProgram run}" run)

    let private deadline (run: ClientRun) =
        if run.HasConnected then
            max run.Since run.OpenedAt + run.Settings.Patience
        else
            run.Since + run.Settings.StartPatience

    // Whether what a step waits for cannot come any more.
    let private isTooLate (run: ClientRun) =
        isGone run || (connectionOf run.Stage run).HasEnded || run.Now >= deadline run

    let private expand (names: Map<string, string>) (text: string) =
        names
        |> Map.toList
        |> List.sortByDescending (fun (name, _) -> name.Length)
        |> List.fold (fun (text: string) (name, value) -> text.Replace(name, value)) text

    let private show (pattern: PacketPattern) (run: ClientRun) = expand run.Names $"{pattern}"

    let private expect (pattern: PacketPattern) otherwise (run: ClientRun) =
        let connection = connectionOf run.Stage run

        let found =
            connection.Inbox
            |> List.indexed
            |> List.tryPick (fun (index, one) ->
                match PacketPattern.matches run.Names pattern one.Notation with
                | ValueSome names -> Some(index, names)
                | ValueNone -> None)

        match found with
        | Some(index, names) ->
            let rest = { connection with Inbox = List.removeAt index connection.Inbox }
            Done({ run with Names = names } |> withConnection run.Stage rest, [])
        | None when isTooLate run -> otherwise run
        | None -> Waiting(deadline run)

    // The first connection from this one on whose session outlives it.
    let rec private sessionFrom (number: int) (run: ClientRun) =
        match (connectionOf number run).Connect with
        | ValueSome connect when not connect.CleanStart -> ValueSome number
        | ValueSome _ when run.Connections.ContainsKey(number + 1) -> sessionFrom (number + 1) run
        | _ -> ValueNone

    let private printed (text: string) (run: ClientRun) =
        run.Lines |> List.filter _.Contains(text) |> List.length

    // A slow program may take longer between CONNACK and what it is started for.
    let private quietTime (run: ClientRun) =
        match run.Sent with
        | []
        | [ _ ] -> max QuietTime run.Settings.Patience
        | latest :: _ when latest.StartsWith("CONNECT", StringComparison.Ordinal) ->
            max QuietTime run.Settings.Patience
        | _ -> QuietTime

    let private perform (step: ClientStep) (run: ClientRun) : Progress =
        let connection = connectionOf run.Stage run

        match step.Action with
        | Reply text ->
            let struct (next, demands) = transmitText run.Stage (expand run.Names text) run
            Done(next, demands)
        | ReplyRaw template ->
            let bytes = RawBytes.parse (expand run.Names template)

            Done(
                log
                    run.Stage
                    ExchangeKind.Receiving
                    (Convert.ToHexString bytes)
                    { run with HasSentRaw = true },
                [ ClientDemand.Write(run.Stage, Bytes.OfArray bytes) ]
            )
        | ReplyText text ->
            Done(
                log run.Stage ExchangeKind.Receiving $"the text frame '{text}'" run,
                [ ClientDemand.WriteText(run.Stage, text) ]
            )
        | Accept fields -> Done({ run with Connack = fields }, [])
        | Hold packet -> Done({ run with Held = run.Held.Add packet }, [])
        | Serve packet -> Done({ run with Held = run.Held.Remove packet }, [])
        | Wants pattern -> expect pattern (absent $"sent no {show pattern run}") run
        | Gets pattern -> expect pattern (fail step (show pattern run)) run
        | GetsNext pattern ->
            match connection.Inbox |> List.tryFind (fun one -> one.Type = pattern.Type) with
            | Some one when (PacketPattern.matches run.Names pattern one.Notation).IsNone ->
                fail step (show pattern run) run
            | _ -> expect pattern (absent $"sent no {show pattern run}") run
        | Lacks(time, pattern) ->
            let isThere (one: ClientArrived) = (PacketPattern.matches run.Names pattern one.Notation).IsSome

            if List.exists isThere connection.Inbox then
                fail step $"no {show pattern run}" run
            elif isGone run || run.Now >= run.Since + time then
                Done(run, [])
            else
                Waiting(run.Since + time)
        | InSession ->
            match sessionFrom run.Stage run with
            | ValueSome number -> Done({ run with Stage = number }, [])
            | ValueNone when isGone run || run.Now >= deadline run -> absent "sent no CONNECT clean=0" run
            | ValueNone -> Waiting(deadline run)
        | OverWebSocket ->
            if run.KeptBelow.IsEmpty then
                absent "opened no WebSocket" run
            else
                Done(run, [])
        | Ends ->
            if connection.HasEnded then
                Done(run, [])
            elif run.Now >= deadline run then
                fail step "the connection closed by the client" run
            else
                Waiting(deadline run)
        | IsOpen ->
            if connection.HasEnded then
                fail step "the connection open" run
            else
                Done(run, [])
        | Drop ->
            Done(
                { run with Monitor = ProtocolMonitor.closed run.Stage run.Monitor }
                |> log run.Stage ExchangeKind.Closing ""
                |> withConnection run.Stage { connection with HasEnded = true; LeavesSince = ValueNone },
                [ ClientDemand.Close run.Stage ]
            )
        | Again ->
            let latest =
                if run.Connections.IsEmpty then
                    0
                else
                    Map.maxKeyValue run.Connections |> fst

            if latest > run.Stage then
                Done({ run with Stage = latest }, [])
            elif run.Exit.IsSome || run.Now >= run.Since + run.Settings.StartPatience then
                absent "did not connect again" run
            else
                Waiting(run.Since + run.Settings.StartPatience)
        | Shows text ->
            if printed text run > 0 then
                Done(run, [])
            elif run.Exit.IsSome || run.Now >= deadline run then
                absent $"did not print '{text}'" run
            else
                Waiting(deadline run)
        | Printed(times, text) ->
            let count = printed text run
            let expected = $"'{text}' printed {times} times, not {count} times"

            if count > times then
                fail step expected run
            elif run.Now < run.Since + PrintTime && run.Exit.IsNone then
                Waiting(run.Since + PrintTime)
            elif count = times then
                Done(run, [])
            else
                fail step expected run
        | Wait time ->
            if run.Now >= run.Since + time then
                Done(run, [])
            else
                Waiting(run.Since + time)
        | Idle ->
            let isLeaving =
                run.Connections
                |> Map.exists (fun _ one -> one.LeavesSince.IsSome && not one.HasEnded)

            if isGone run then
                Done(run, [])
            elif not run.HasConnected then
                if run.Now >= deadline run then
                    absent "did not connect" run
                else
                    Waiting(deadline run)
            elif isLeaving || run.Now < run.ChangedAt + quietTime run then
                Waiting(max (run.ChangedAt + quietTime run) (run.Now + 100L<ms>))
            else
                Done(run, [])

    let rec private advance (demands: ClientDemand list) (run: ClientRun) =
        match run.Result, run.Steps with
        | ValueSome _, _ -> struct (run, demands)
        | ValueNone, [] when not run.HasConnected ->
            advance demands (ended Verdict.NotRun $"the program did not connect{endOfProgram run}" run)
        | ValueNone, [] -> advance demands (ended Verdict.Pass "" run)
        | ValueNone, step :: rest ->
            match perform step run with
            | Done(next, more) -> advance (demands @ more) { next with Steps = rest; Since = run.Now }
            | Waiting until -> struct ({ run with Due = max until (run.Now + 1L<ms>) }, demands)
            | Over next -> struct (next, demands)

    /// Takes in what happened at this time, and tells what is to be done. Nothing is, once there is an outcome. To be called
    /// at the deadline, and about once a second.
    [<CompiledName("Step")>]
    let step
        (run: ClientRun)
        (now: int64<ms>)
        (input: ClientInput)
        : struct (ClientRun * ClientDemand array) =
        if run.Result.IsSome then
            struct (run, [||])
        else
            let struct (next, demands) = { run with Now = now } |> accept input
            let struct (next, all) = next |> overdue |> advance demands
            struct (next, Array.ofList all)
