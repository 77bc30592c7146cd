namespace Mqtt5.Verification

open System
open System.Buffers
open Mqtt5
open Mqtt5.Verification

/// Starts and steps runs of probes.
[<RequireQualifiedAccess; CompilationRepresentation(CompilationRepresentationFlags.ModuleSuffix)>]
module ProbeRun =

    let private newConnection version =
        {
            Version = version
            Buffer = [||]
            Offset = 0L
            Inbox = []
            IsOpen = false
            HasEnded = false
            IsNameless = false
            Watch = PacketWatch.start
        }

    /// A run of a probe; nothing has happened yet.
    [<CompiledName("Start")>]
    let start (settings: ProbeSettings) (probe: Probe) (now: int64<ms>) : ProbeRun =
        {
            Settings = settings
            Version = probe.Version
            Spoken = Map.empty
            Steps = probe.Steps
            Clauses = probe.Clauses
            Connections = Map.empty
            Names = Map.empty
            Since = now
            Now = now
            Log = []
            ClientIds = Set.empty
            RetainedTopics = Set.empty
            Result = ValueNone
            Due = now
        }

    let private log client kind text (run: ProbeRun) =
        { run with
            Log =
                ({ At = run.Now; Client = client; Kind = kind; Text = text }: ProbeExchange)
                :: run.Log
        }

    let private finish outcome (run: ProbeRun) = { run with Result = ValueSome outcome }

    let private ended verdict reason (run: ProbeRun) =
        finish { Verdict = verdict; Clauses = []; Line = ""; Expected = reason; Seen = "" } run

    let private failed clauses line expected seen (run: ProbeRun) =
        finish
            {
                Verdict = Verdict.Fail
                Clauses = clauses
                Line = line
                Expected = expected
                Seen = seen
            }
            run

    let private currentLine (run: ProbeRun) =
        match run.Steps with
        | step :: _ -> step.Line
        | [] -> ""

    let private expandPattern (run: ProbeRun) (pattern: PacketPattern) =
        { pattern with
            Conditions = List.map (ProbeText.expandPrefixes run.Settings) pattern.Conditions
        }

    let private note (packet: Packet) (run: ProbeRun) =
        match packet with
        | Packet.Connect connect ->
            let run =
                match connect.ClientId, connect.Properties.SessionExpiryInterval with
                | ValueSome id, ValueSome expiry when expiry > 0u<s> ->
                    { run with ClientIds = Set.add id.Text run.ClientIds }
                | _ -> run

            match connect.Will with
            | ValueSome will when will.Retain ->
                { run with RetainedTopics = Set.add will.Topic.Text run.RetainedTopics }
            | _ -> run
        | Packet.Publish { Retain = true; Topic = topic } ->
            match topic with
            | TopicReference.Name name
            | TopicReference.NameAndAlias(name, _) ->
                { run with RetainedTopics = Set.add name.Text run.RetainedTopics }
            | TopicReference.Alias _ -> run
        | _ -> run

    let private versionOf client (run: ProbeRun) =
        Map.tryFind client run.Spoken |> Option.defaultValue run.Version

    let private connectionOf client (run: ProbeRun) =
        match Map.tryFind client run.Connections with
        | Some connection -> connection
        | None -> newConnection (versionOf client run)

    let private withConnection client connection (run: ProbeRun) =
        { run with Connections = Map.add client connection run.Connections }

    let private malformed client (fault: Fault) (seen: string) (run: ProbeRun) =
        let clauses =
            if Statements.exists fault.Clause then
                [ fault.Clause ]
            else
                run.Clauses

        log client ExchangeKind.Receiving seen run
        |> failed clauses (currentLine run) $"a well-formed packet: {fault.Detail} [{fault.Clause}]" seen

    // What a rule of MQTT 5 is called in the version of a connection.
    let private counterparts (connection: ProbeConnection) (clauses: string list) (run: ProbeRun) =
        match List.collect (Statements.counterpartsIn connection.Version) clauses with
        | [] -> run.Clauses
        | clauses -> clauses

    let private arrive client (frame: ReadOnlyMemory<byte>) (run: ProbeRun) =
        let connection = connectionOf client run
        let most = Spec.MaximumPacketBytes

        match Grammar.parseIn connection.Version Direction.ServerToClient most connection.Offset frame with
        | Error fault -> malformed client fault (Convert.ToHexString frame.Span) run
        | Ok packet ->
            let struct (watch, topic, breach) = PacketWatch.received packet frame.Length connection.Watch

            let shown = Notation.printRedacted packet
            let notation = Notation.print packet

            let notation =
                match topic with
                | ValueSome topic -> $"{notation} topic=\"{topic}\""
                | ValueNone -> notation

            let arrived = { Type = notation.Split(' ', 2)[0]; Notation = notation; Shown = shown }

            let run =
                match packet with
                | Packet.Connack { Properties = { AssignedClientIdentifier = ValueSome id } } when
                    connection.IsNameless
                    ->
                    { run with ClientIds = Set.add id.Text run.ClientIds }
                | _ -> run

            let run =
                log client ExchangeKind.Receiving shown run
                |> withConnection
                    client
                    { connection with
                        Watch = watch
                        IsNameless = connection.IsNameless && not packet.IsConnack
                        Inbox = connection.Inbox @ [ arrived ]
                        Offset = connection.Offset + int64 frame.Length
                    }

            match breach with
            | ValueSome breach ->
                let clauses = counterparts connection breach.Clauses run
                failed clauses (currentLine run) breach.Expected shown run
            | ValueNone -> run

    let rec private takeFrames client (run: ProbeRun) =
        let connection = connectionOf client run

        if run.Result.IsSome || connection.Buffer.Length = 0 then
            run
        else
            let input = ReadOnlySequence<byte> connection.Buffer

            let most = Spec.MaximumPacketBytes

            match Framer.nextIn connection.Version Direction.ServerToClient most connection.Offset input with
            | Incomplete -> run
            | Broken fault -> malformed client fault (Convert.ToHexString connection.Buffer) run
            | Frame length ->
                let frame = ReadOnlyMemory(connection.Buffer, 0, length)

                run
                |> withConnection client { connection with Buffer = Array.skip length connection.Buffer }
                |> arrive client frame
                |> takeFrames client

    // Bytes that need not be packets of this version.
    let private isShutting client (run: ProbeRun) =
        match run.Steps with
        | { Client = shutting; Action = Shuts _ } :: _ -> shutting = client
        | _ -> false

    let private accept (input: ProbeInput) (run: ProbeRun) =
        // What comes for a connection that the probe is done with is of no interest.
        let known client continuation =
            match Map.tryFind client run.Connections with
            | Some connection -> continuation connection
            | None -> run

        match input with
        | Tick -> run
        | Opened client ->
            known client (fun connection -> withConnection client { connection with IsOpen = true } run)
        | NotOpened(client, why) ->
            known client (fun _ -> ended Verdict.NotRun $"no connection could be opened: {why}" run)
        | Violated(client, clause, expected, seen) ->
            let clauses = counterparts (connectionOf client run) [ clause ] run
            failed clauses (currentLine run) expected seen run
        | Received(client, bytes) when isShutting client run ->
            known client (fun connection ->
                log client ExchangeKind.Receiving $"{bytes}" run
                |> withConnection
                    client
                    { connection with Buffer = Array.append connection.Buffer (bytes.ToArray()) })
        | Received(client, bytes) ->
            known client (fun connection ->
                run
                |> withConnection
                    client
                    { connection with Buffer = Array.append connection.Buffer (bytes.ToArray()) }
                |> takeFrames client)
        | Closed client ->
            known client (fun connection ->
                if connection.HasEnded then
                    run
                else
                    log client ExchangeKind.Closing "" run
                    |> withConnection client { connection with HasEnded = true })

    // What a step comes to.
    [<NoComparison>]
    type private Progress =
        | Done of ProbeRun * ProbeDemand list
        | Waiting of until: int64<ms>
        | Over of ProbeRun

    let private seenOn (connection: ProbeConnection) =
        match connection.Inbox with
        | [] when connection.HasEnded -> "the connection was closed"
        | [] -> "nothing"
        | inbox ->
            let packets = inbox |> List.truncate 5 |> List.map _.Shown

            String.Join("; ", packets)
            + (if connection.HasEnded then "; then the connection was closed" else "")

    let private send (step: ProbeStep) (demand: ProbeDemand) (text: string) packet (run: ProbeRun) =
        let connection = connectionOf step.Client run

        if not connection.IsOpen then
            if Map.containsKey step.Client run.Connections then
                Waiting(run.Since + run.Settings.Patience * 2L)
            else
                let run =
                    log step.Client ExchangeKind.Opening "" run
                    |> withConnection step.Client connection
                // The step itself comes again when the connection is open.
                Done({ run with Steps = step :: run.Steps }, [ Open step.Client ])
        else
            let connection =
                match packet with
                | ValueSome packet ->
                    { connection with
                        Watch = PacketWatch.sent packet connection.Watch
                        IsNameless =
                            match packet with
                            // Before MQTT 5 nothing ends the session of a connection that is open.
                            | Packet.Connect connect -> connection.Version.IsV5 && Removal.isNameless connect
                            | _ -> connection.IsNameless
                    }
                | ValueNone -> connection

            let run =
                log step.Client ExchangeKind.Sending text run
                |> withConnection step.Client connection

            let run =
                match packet with
                | ValueSome packet -> note packet run
                | ValueNone -> run

            Done(run, (if connection.HasEnded then [] else [ demand ]))

    let private sendPacket (step: ProbeStep) (text: string) (run: ProbeRun) =
        match ProbeText.expandScram run.Settings run.Names text with
        | Error expected -> Over(ended Verdict.NotRun $"the challenge of the server has no {expected}" run)
        | Ok text ->
            let text = ProbeText.expand run.Settings run.Names text

            match Notation.parse text with
            | Error fault -> Over(ended Verdict.NotRun $"'{text}' cannot be read: {fault}" run)
            | Ok packet ->
                let version = (connectionOf step.Client run).Version

                match ProbeText.lowered version packet with
                | ValueNone ->
                    let name = (Spec.version version).Name
                    Over(ended Verdict.NotRun $"'{text}' cannot be said in {name}" run)
                | ValueSome packet ->
                    let packet = ProbeText.withCredentials run.Settings packet

                    match Encode.toBytesIn version Direction.ClientToServer packet with
                    | Error fault -> Over(ended Verdict.NotRun $"'{text}' cannot be sent: {fault}" run)
                    | Ok bytes ->
                        let demand = Write(step.Client, Bytes.OfArray bytes)
                        let shown = Notation.printRedactedIn version packet
                        send step demand shown (ValueSome packet) run

    let private take (step: ProbeStep) index names (run: ProbeRun) =
        let connection = connectionOf step.Client run

        Done(
            { run with Names = names }
            |> withConnection step.Client { connection with Inbox = List.removeAt index connection.Inbox },
            []
        )

    let private clausesOf (step: ProbeStep) (run: ProbeRun) =
        if step.Clauses.IsEmpty then run.Clauses else step.Clauses

    let private fail (step: ProbeStep) (expected: string) (run: ProbeRun) =
        let seen = seenOn (connectionOf step.Client run)
        Over(failed (clausesOf step run) step.Line expected seen run)

    let private patienceEnd (run: ProbeRun) = run.Since + run.Settings.Patience

    // Takes the first packet that a choice admits and the pattern fits, or waits for it.
    let private expect (step: ProbeStep) (pattern: PacketPattern) isAdmitted takes (run: ProbeRun) =
        let pattern = expandPattern run pattern
        let inbox = (connectionOf step.Client run).Inbox

        let admitted = inbox |> List.indexed |> List.filter (fun (_, one) -> isAdmitted inbox one)

        let found =
            admitted
            |> List.tryPick (fun (index, one) ->
                match PacketPattern.matches run.Names pattern one.Notation with
                | ValueSome names -> Some(index, names)
                | ValueNone -> None)

        match found with
        | Some(index, names) when takes -> take step index names run
        | Some _ -> Done(run, [])
        | None when (connectionOf step.Client run).HasEnded || run.Now >= patienceEnd run ->
            fail step $"{pattern}" run
        | None -> Waiting(patienceEnd run)

    let private isFirstOfType (inbox: Arrived list) (one: Arrived) =
        obj.ReferenceEquals(List.find (fun other -> other.Type = one.Type) inbox, one)

    let private expectNext (step: ProbeStep) (pattern: PacketPattern) (run: ProbeRun) =
        let inbox = (connectionOf step.Client run).Inbox

        // A packet of the type that does not fit decides it at once.
        match List.tryFind (fun one -> one.Type = pattern.Type) inbox with
        | Some one when (PacketPattern.matches run.Names (expandPattern run pattern) one.Notation).IsNone ->
            fail step $"{expandPattern run pattern}" run
        | _ -> expect step pattern isFirstOfType true run

    let private expectFirst (step: ProbeStep) (pattern: PacketPattern) (run: ProbeRun) =
        match (connectionOf step.Client run).Inbox with
        | one :: _ when (PacketPattern.matches run.Names (expandPattern run pattern) one.Notation).IsNone ->
            fail step $"{expandPattern run pattern} before any other packet" run
        | _ -> expect step pattern (fun inbox one -> obj.ReferenceEquals(List.head inbox, one)) true run

    let private forget (step: ProbeStep) (run: ProbeRun) =
        Done({ run with Connections = Map.remove step.Client run.Connections }, [ Close step.Client ])

    // The server closes, at most after one packet of this type with one of these reasons.
    let private closes
        (step: ProbeStep)
        (packet: string)
        (reasons: ReasonCode list)
        alternative
        (patience: int64<ms>)
        (run: ProbeRun)
        =
        let connection = connectionOf step.Client run

        let codes =
            if reasons.IsEmpty then
                "error"
            else
                String.Join("|", reasons |> List.map Notation.printReason)

        let last = PacketPattern.parse $"{packet} rc={codes}"
        // Before MQTT 5 a server has no DISCONNECT.
        let isWordless = packet = "DISCONNECT" && not connection.Version.IsV5

        let isAllowed (inbox: Arrived list) =
            match inbox with
            | [] -> true
            | [ one ] when not isWordless -> (PacketPattern.matches run.Names last one.Notation).IsSome
            | _ -> false

        let otherwise =
            match alternative with
            | ValueSome pattern -> $", or {expandPattern run pattern}"
            | ValueNone -> ""

        let expected =
            if isWordless then
                $"the connection closed{otherwise}"
            else
                $"the connection closed, at most after {last}{otherwise}"

        let isAlternative (one: Arrived) =
            match alternative with
            | ValueSome pattern ->
                (PacketPattern.matches run.Names (expandPattern run pattern) one.Notation).IsSome
            | ValueNone -> false

        if List.exists isAlternative connection.Inbox then Done(run, [])
        elif not (isAllowed connection.Inbox) then fail step expected run
        elif connection.HasEnded then forget step run
        elif run.Now >= run.Since + patience then fail step expected run
        else Waiting(run.Since + patience)

    // Where the server says nothing about what it should not have been sent.
    let private notices (step: ProbeStep) reasons (run: ProbeRun) =
        let connection = connectionOf step.Client run

        if
            connection.HasEnded
            || List.exists (fun one -> one.Type = "DISCONNECT") connection.Inbox
        then
            closes step "DISCONNECT" reasons ValueNone run.Settings.Patience run
        elif run.Now >= patienceEnd run then
            let reason =
                if connection.Version.IsV5 then
                    "the server does not check this; section 4.13.1 leaves open how much it checks"
                else
                    "the server does not check this; section 4.8 leaves open how much it checks"

            Over(ended Verdict.NotApplicable reason run)
        else
            Waiting(patienceEnd run)

    let private shuts (step: ProbeStep) (answers: string list) (run: ProbeRun) =
        let connection = connectionOf step.Client run
        let sent = Convert.ToHexString connection.Buffer

        let isSent (answer: string) =
            let pattern = answer.Replace("*", ".*")
            Text.RegularExpressions.Regex.IsMatch(sent, $"^{pattern}$")

        let expected =
            match answers with
            | [] -> "the connection closed"
            | answers -> $"""{String.Join(" or ", answers)}, then the connection closed"""

        let failWith seen = Over(failed (clausesOf step run) step.Line expected seen run)

        if connection.HasEnded then
            if answers.IsEmpty || List.exists isSent answers then
                forget step run
            else
                failWith (
                    if sent = "" then
                        "the connection was closed"
                    else
                        $"{sent}; then the connection was closed"
                )
        elif run.Now >= patienceEnd run then
            failWith (if sent = "" then seenOn connection else sent)
        else
            Waiting(patienceEnd run)

    let private perform (step: ProbeStep) (run: ProbeRun) =
        let connection = connectionOf step.Client run

        match step.Action with
        | Speak version -> Done({ run with Spoken = Map.add step.Client version run.Spoken }, [])
        | ProbeAction.Send text -> sendPacket step text run
        | SendRaw template ->
            let text = ProbeText.expand run.Settings run.Names template
            send step (Write(step.Client, Bytes.OfArray(RawBytes.parse text))) text ValueNone run
        | SendText text -> send step (WriteText(step.Client, text)) $"the text \"{text}\"" ValueNone run
        | Expect pattern -> expect step pattern (fun _ _ -> true) true run
        | Await pattern -> expect step pattern (fun _ _ -> true) false run
        | ExpectNext pattern -> expectNext step pattern run
        | ExpectFirst pattern -> expectFirst step pattern run
        | ExpectOnly pattern ->
            match connection.Inbox with
            | [ one ] when (PacketPattern.matches run.Names (expandPattern run pattern) one.Notation).IsSome ->
                take step 0 run.Names run
            | _ -> fail step "nothing else" run
        | ExpectNone pattern ->
            let pattern = expandPattern run pattern

            let isSuch (one: Arrived) = (PacketPattern.matches run.Names pattern one.Notation).IsSome

            if List.exists isSuch connection.Inbox then
                fail step $"no {pattern}" run
            else
                Done(run, [])
        | Ends(reasons, alternative, within) ->
            let patience = ValueOption.defaultValue run.Settings.Patience within
            closes step "DISCONNECT" reasons alternative patience run
        | Notices reasons -> notices step reasons run
        | Shuts answers -> shuts step answers run
        | Refused reasons -> closes step "CONNACK sp=0" reasons ValueNone run.Settings.Patience run
        | StaysOpen ->
            if connection.HasEnded then
                fail step "the connection open" run
            else
                Done(run, [])
        | Leave -> forget step (log step.Client ExchangeKind.Leaving "" run)
        | Pause time ->
            if run.Now >= run.Since + time then
                Done(run, [])
            else
                Waiting(run.Since + time)
        | UnlessClosed reason ->
            if connection.HasEnded then
                Over(ended Verdict.NotApplicable reason run)
            else
                Done(run, [])
        | Unless(pattern, verdict, reason) ->
            match List.tryFind (fun one -> one.Type = pattern.Type) connection.Inbox with
            | Some one ->
                match PacketPattern.matches run.Names (expandPattern run pattern) one.Notation with
                | ValueSome _ -> Over(ended verdict $"{reason}: {one.Shown}" run)
                | ValueNone -> Done(run, [])
            | None when connection.HasEnded || run.Now >= patienceEnd run -> Done(run, [])
            | None -> Waiting(patienceEnd run)

    let rec private advance
        (demands: ProbeDemand list)
        (run: ProbeRun)
        : struct (ProbeRun * ProbeDemand list) =
        match run.Result, run.Steps with
        | ValueSome _, _ -> struct (run, demands)
        | ValueNone, [] -> advance demands (ended Verdict.Pass "" run)
        | ValueNone, step :: rest ->
            match perform step { run with Steps = rest } with
            | Done(next, more) -> advance (demands @ more) { next with Since = run.Now }
            | Waiting until when until > run.Now -> struct ({ run with Due = until }, demands)
            | Waiting _ -> advance demands (ended Verdict.NotRun "the connection was not opened in time" run)
            | Over next -> struct ({ next with Steps = run.Steps }, demands)

    /// Takes in what happened at this time, and tells what is to be done. Nothing is, once there is an outcome.
    [<CompiledName("Step")>]
    let step (run: ProbeRun) (now: int64<ms>) (input: ProbeInput) : struct (ProbeRun * ProbeDemand list) =
        if run.Result.IsSome then
            struct (run, [])
        else
            { run with Now = now } |> accept input |> advance []

    /// What is to be sent on connections that are still open, to end sessions that have no name yet.
    [<CompiledName("Farewell")>]
    let farewell (run: ProbeRun) : ProbeDemand list =
        [
            for KeyValue(client, connection) in run.Connections do
                if connection.IsNameless && connection.IsOpen && not connection.HasEnded then
                    Write(client, Removal.farewell)
        ]

    /// What is to be sent, on a connection for each, to remove the sessions and retained messages that a run left.
    [<CompiledName("CleanUp")>]
    let cleanUp (run: ProbeRun) : Bytes[] =
        Removal.packets run.Version run.Settings run.ClientIds run.RetainedTopics

/// A run of a probe that can be played.
[<Sealed; AllowNullLiteral(false)>]
type ProbePlay(settings: ProbeSettings, probe: Probe) =
    let mutable run = ProbeRun.start settings probe 0L<ms>

    /// How far it has come.
    member _.Run = run

    interface IPlay with
        member _.Step(now, input) =
            let struct (next, demands) = ProbeRun.step run now input
            run <- next
            demands

        member _.IsOver = run.Outcome.IsSome
        member _.Deadline = run.Deadline
        member _.Farewell() = ProbeRun.farewell run
        member _.CleanUp() = ProbeRun.cleanUp run
