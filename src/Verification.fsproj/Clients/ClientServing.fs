namespace Mqtt5.Verification

open System
open System.Buffers
open Mqtt5
open Mqtt5.Verification

[<NoComparison>]
type internal ClientArrived = { Type: string; Notation: string }

[<NoComparison>]
type internal ClientConnection =
    {
        Buffer: byte[]
        Offset: int64
        Inbox: ClientArrived list
        HasEnded: bool
        // After bytes behind which no packet can be found.
        IsLost: bool
        Connect: Connect voption
        Limits: ConnackProperties voption
        IsResumed: bool
        // When the client sent DISCONNECT, until it was reported that it did not close.
        LeavesSince: int64<ms> voption
    }

/// A run of a scenario: a server as a state that changes with what a client does, and says what is answered. Pure.
[<NoComparison>]
type ClientRun =
    internal
        {
            Settings: ScenarioSettings
            Scenario: ClientScenario
            Steps: ClientStep list
            Connections: Map<int, ClientConnection>
            // The connection that the steps are about.
            Stage: int
            Names: Map<string, string>
            Since: int64<ms>
            Now: int64<ms>
            ChangedAt: int64<ms>
            // When the latest connection was opened.
            OpenedAt: int64<ms>
            Log: ProbeExchange list
            Lines: string list
            Exit: (struct (int * string)) voption
            Connack: string
            Held: Set<string>
            Monitor: MonitorState
            Found: ClientFinding list
            Rules: Set<int>
            KeptBelow: Set<string>
            Sent: string list
            Published: Set<uint16>
            HasSentRaw: bool
            Result: ProbeOutcome voption
            Due: int64<ms>
        }

    /// When the run wants to be told that time has passed, on the clock that it was started with.
    member this.Deadline = this.Due

    /// How it ended; absent: it has not.
    member this.Outcome = this.Result

    /// What was seen so far, in order.
    member this.Exchanges: ProbeExchange[] = this.Log |> List.rev |> Array.ofList

    /// The rules of <c>ClientRules</c> and others that the client broke in any packet, in order.
    member this.Findings: ClientFinding[] = this.Found |> List.rev |> Array.ofList

    /// The places in <c>ClientRules.allIn</c> of the rules that any packet was about.
    member this.Shown: int[] = Array.ofSeq this.Rules

    /// The statements about the transport below that were seen to be kept.
    member this.KeptByTransport: string[] = Array.ofSeq this.KeptBelow

    /// The packets that the client sent, in notation, in order.
    member this.Packets: string[] = this.Sent |> List.rev |> Array.ofList

    /// The version that the client speaks.
    member this.Version = this.Scenario.Version

    /// Whether the program connected at all.
    member this.HasConnected = not this.Connections.IsEmpty

// What a server does on the connections of a run: it takes packets in, notes what they break, and answers as one without
// limits would, unless the scenario says otherwise.
module internal ClientServing =

    // How long a client may take to close its connection after its DISCONNECT.
    let ClosingTime = 2_000L<ms>

    // How long nothing has to happen before a program is taken to have nothing more to do.
    let QuietTime = 700L<ms>

    // How long a message that must not be printed is waited for.
    let PrintTime = 500L<ms>

    let newConnection: ClientConnection =
        {
            Buffer = [||]
            Offset = 0L
            Inbox = []
            HasEnded = false
            IsLost = false
            Connect = ValueNone
            Limits = ValueNone
            IsResumed = false
            LeavesSince = ValueNone
        }

    let log number kind text (run: ClientRun) =
        { run with
            Log =
                ({ At = run.Now; Client = $"c{number}"; Kind = kind; Text = text }: ProbeExchange)
                :: run.Log
        }

    let finish outcome (run: ClientRun) = { run with Result = ValueSome outcome }

    let ended verdict reason (run: ClientRun) =
        finish { Verdict = verdict; Clauses = []; Line = ""; Expected = reason; Seen = "" } run

    let connectionOf number (run: ClientRun) =
        Map.tryFind number run.Connections |> Option.defaultValue newConnection

    let withConnection number connection (run: ClientRun) =
        { run with Connections = Map.add number connection run.Connections }

    let find finding (run: ClientRun) = { run with Found = finding :: run.Found }

    // What a packet of the client, or its absence, breaks as the monitor sees it.
    let report (violations: ProtocolViolation[]) (shown: string) (one: ClientPacket) (run: ClientRun) =
        violations
        |> Array.filter (fun violation -> violation.Direction = ClientToServer)
        |> Array.fold
            (fun (run: ClientRun) violation ->
                match ClientRules.relatedIn run.Version violation.Clause one with
                | [] -> run
                // The monitor does not know what raw bytes ask for.
                | _ when violation.Clause = "MQTT-2.2.1-5" && run.HasSentRaw -> run
                | clauses ->
                    find
                        {
                            Clauses = clauses
                            Detail = violation.Detail
                            Seen = if violation.Packet = PacketType.Reserved then "" else shown
                        }
                        run)
            run

    let packetOf number (packet: Packet) (connection: ClientConnection) (run: ClientRun) : ClientPacket =
        {
            Packet = packet
            Connection = number
            Connect = connection.Connect
            Limits = connection.Limits
            IsResumed = connection.IsResumed
            Published = run.Published
        }

    let private encoded version (packet: Packet) : Result<struct (Packet * byte[]), Fault> =
        // What the version has no bytes for is left out.
        let packet = Lowering.lower version ServerToClient packet |> ValueOption.defaultValue packet

        Encode.toBytesIn version ServerToClient packet
        |> Result.map (fun bytes -> struct (packet, bytes))

    let transmit number (packet: Packet) (run: ClientRun) : struct (ClientRun * ClientDemand list) =
        match encoded run.Version packet with
        | Error fault ->
            struct (ended Verdict.NotRun $"'{Notation.printRedacted packet}' cannot be sent: {fault}" run, [])
        | Ok(struct (packet, bytes)) ->
            let struct (monitor, violations) =
                ProtocolMonitor.watch
                    run.Version
                    run.Now
                    number
                    ServerToClient
                    bytes.Length
                    packet
                    run.Monitor

            let connection = connectionOf number run

            let connection =
                match packet with
                | Packet.Connack connack when byte connack.Reason < 0x80uy ->
                    { connection with
                        Limits = ValueSome connack.Properties
                        IsResumed = connack.SessionPresent
                    }
                | _ -> connection

            let run =
                { run with Monitor = monitor }
                |> log number ExchangeKind.Receiving (Notation.printRedactedIn run.Version packet)
                |> withConnection number connection
                |> report violations "" (packetOf number packet connection run)

            struct (run,
                    (if connection.HasEnded then
                         []
                     else
                         [ ClientDemand.Write(number, Bytes.OfArray bytes) ]))

    let transmitText number (text: string) (run: ClientRun) =
        match Notation.parse text with
        | Ok packet -> transmit number packet run
        | Error fault -> struct (ended Verdict.NotRun $"'{text}' cannot be read: {fault}" run, [])

    // The CONNACK to a CONNECT: what the scenario says, with what this CONNECT asks for besides.
    let accepting number (connect: Connect) (run: ClientRun) =
        match Notation.parse ("CONNACK " + run.Connack) with
        | Ok(Packet.Connack connack) ->
            let properties = connack.Properties

            let assigned =
                if
                    run.Version.IsV5
                    && connect.ClientId.IsNone
                    && properties.AssignedClientIdentifier.IsNone
                then
                    ValueSome(Utf8String.Of $"assigned-{number}")
                else
                    properties.AssignedClientIdentifier

            let authentication =
                match connect.Properties.Authentication with
                | ValueSome asked -> ValueSome { asked with Data = ValueNone }
                | ValueNone -> ValueNone

            transmit
                number
                (Packet.Connack
                    { connack with
                        SessionPresent = connack.SessionPresent && not connect.CleanStart
                        Properties =
                            { properties with
                                AssignedClientIdentifier = assigned
                                Authentication = authentication
                            }
                    })
                run
        | _ -> struct (ended Verdict.NotRun $"'CONNACK {run.Connack}' cannot be read" run, [])

    // What a server without limits answers.
    let answer number (packet: Packet) (run: ClientRun) : struct (ClientRun * ClientDemand list) =
        let isHeld = run.Held.Contains (Spec.packet packet.Type).Name
        let text (answer: string) = transmitText number answer run

        match packet with
        | _ when isHeld -> struct (run, [])
        | Packet.Connect connect -> accepting number connect run
        | Packet.Publish publish ->
            match publish.Delivery.PacketId with
            | ValueNone -> struct (run, [])
            | ValueSome id when publish.Delivery.QoS = QoS.AtLeastOnce -> text $"PUBACK id={id}"
            | ValueSome id -> text $"PUBREC id={id}"
        | Packet.Pubrec one when byte one.Outcome.Reason < 0x80uy -> text $"PUBREL id={one.PacketId}"
        | Packet.Pubrel one -> text $"PUBCOMP id={one.PacketId}"
        | Packet.Subscribe one ->
            let granted =
                one.Subscriptions
                |> Seq.map (fun subscription ->
                    match subscription.Options.MaximumQoS with
                    | QoS.AtMostOnce -> "Success"
                    | qos -> $"GrantedQoS{int qos}")
                |> String.concat ", "

            text $"SUBACK id={one.PacketId} codes[{granted}]"
        | Packet.Unsubscribe one ->
            let codes = one.Filters |> Seq.map (fun _ -> "Success") |> String.concat ", "
            text $"UNSUBACK id={one.PacketId} codes[{codes}]"
        | Packet.Pingreq -> text "PINGRESP"
        | _ -> struct (run, [])

    // Between a CONNECT with an Authentication Method and CONNACK.
    let isEarly (packet: Packet) (connection: ClientConnection) =
        match connection.Connect with
        | ValueSome connect when connect.Properties.Authentication.IsSome && connection.Limits.IsNone ->
            packet.Type <> PacketType.Auth && packet.Type <> PacketType.Disconnect
        | _ -> false

    // Where one statement of MQTT 3.1.1 stands for a field and another for all of them.
    let private clausesOf (fault: Fault) =
        match fault.Clause with
        | "MQTT-3.3.1-2" -> [ fault.Clause; "MQTT-4.3.1-1" ]
        | "MQTT3-3.3.1-2" -> [ fault.Clause; "MQTT3-4.3.1-1" ]
        // What a server answers to it, and what binds the client.
        | "MQTT3-3.1.3-8" -> [ "MQTT3-3.1.3-7" ]
        | "MQTT3-3.1.2-11" when fault.Detail.StartsWith "a Will QoS" -> [ fault.Clause; "MQTT3-3.1.2-13" ]
        | "MQTT3-3.1.2-11" when fault.Detail.StartsWith "Will Retain" -> [ fault.Clause; "MQTT3-3.1.2-15" ]
        | clause -> [ clause ]

    let arrive number (packet: Packet) (size: int) (run: ClientRun) =
        let connection = connectionOf number run
        let shown = Notation.printRedactedIn run.Version packet
        let notation = Notation.print packet

        let struct (monitor, violations) =
            ProtocolMonitor.watch run.Version run.Now number ClientToServer size packet run.Monitor

        let run =
            if isEarly packet connection then
                find
                    {
                        Clauses = [ "MQTT-3.1.2-30" ]
                        Detail =
                            "only AUTH and DISCONNECT may come before CONNACK, because CONNECT has an Authentication Method"
                        Seen = shown
                    }
                    run
            else
                run

        let next =
            { connection with
                Offset = connection.Offset + int64 size
                Inbox =
                    connection.Inbox
                    @ [ { Type = (Spec.packet packet.Type).Name; Notation = notation } ]
                Connect =
                    match packet with
                    | Packet.Connect connect when connection.Connect.IsNone -> ValueSome connect
                    | _ -> connection.Connect
                LeavesSince =
                    if packet.Type = PacketType.Disconnect then
                        ValueSome run.Now
                    else
                        connection.LeavesSince
            }

        let one = packetOf number packet next run

        let about =
            ClientRules.allIn run.Version
            |> List.indexed
            |> List.choose (fun (index, rule) -> if rule.IsAbout one then Some index else None)

        { run with
            Monitor = monitor
            Sent = notation :: run.Sent
            Published =
                match packet with
                | Packet.Publish publish when publish.Delivery.PacketId.IsSome ->
                    run.Published.Add publish.Delivery.PacketId.Value.Value
                | _ -> run.Published
            Rules = Set.union run.Rules (Set.ofList about)
        }
        |> log number ExchangeKind.Sending shown
        |> withConnection number next
        |> report violations shown one
        |> answer number packet

    let malformed number (fault: Fault) (bytes: ReadOnlyMemory<byte>) (run: ClientRun) =
        // A secret may stand anywhere in bytes that are no packet.
        let seen =
            if
                bytes.Span[0] >>> 4 = byte PacketType.Connect
                || bytes.Span[0] >>> 4 = byte PacketType.Auth
            then
                $"{bytes.Length} bytes that may hold a secret"
            else
                Convert.ToHexString bytes.Span

        log number ExchangeKind.Sending seen run
        |> find
            {
                Clauses = clausesOf fault
                Detail = $"no well-formed packet: {fault.Detail}"
                Seen = seen
            }

    let rec takeFrames number (demands: ClientDemand list) (run: ClientRun) =
        let connection = connectionOf number run

        if connection.Buffer.Length = 0 || connection.IsLost then
            struct (run, demands)
        else
            let input = ReadOnlySequence<byte> connection.Buffer

            match
                Framer.nextIn run.Version ClientToServer Spec.MaximumPacketBytes connection.Offset input
            with
            | Incomplete -> struct (run, demands)
            | Broken fault ->
                let run = malformed number fault (ReadOnlyMemory connection.Buffer) run
                struct (withConnection number { connection with IsLost = true } run, demands)
            | Frame length ->
                let frame = ReadOnlyMemory(connection.Buffer, 0, length)
                let rest = { connection with Buffer = Array.skip length connection.Buffer }
                let run = withConnection number rest run

                match
                    Grammar.parseIn run.Version ClientToServer Spec.MaximumPacketBytes connection.Offset frame
                with
                | Ok packet ->
                    let struct (run, more) = arrive number packet length run
                    takeFrames number (demands @ more) run
                | Error fault ->
                    malformed number fault frame run
                    |> withConnection
                        number
                        { rest with
                            Offset = rest.Offset + int64 length
                            // What follows another version of the protocol cannot be read.
                            IsLost = fault.Reason = ReasonCode.UnsupportedProtocolVersion
                        }
                    |> takeFrames number demands

    let accept (input: ClientInput) (run: ClientRun) : struct (ClientRun * ClientDemand list) =
        let changed = { run with ChangedAt = run.Now }

        match input with
        | ClientInput.Tick -> struct (run, [])
        | ClientInput.Connected number ->
            let next =
                log number ExchangeKind.Opening "" { changed with OpenedAt = run.Now }
                |> withConnection number newConnection

            struct (next, [])
        | ClientInput.Received(number, bytes) when not (connectionOf number run).HasEnded ->
            let connection = connectionOf number run
            let buffer = Array.append connection.Buffer (bytes.ToArray())

            changed
            |> withConnection number { connection with Buffer = buffer }
            |> takeFrames number []
        | ClientInput.Closed number when not (connectionOf number run).HasEnded ->
            let connection = connectionOf number run

            let next =
                { changed with Monitor = ProtocolMonitor.closed number run.Monitor }
                |> log number ExchangeKind.Leaving ""
                |> withConnection number { connection with HasEnded = true; LeavesSince = ValueNone }

            struct (next, [])
        | ClientInput.Received _
        | ClientInput.Closed _ -> struct (run, [])
        | ClientInput.Violated(_, clause, detail) ->
            let clauses = Statements.clientCounterpartsIn run.Version clause
            struct (find { Clauses = clauses; Detail = detail; Seen = "" } changed, [])
        | ClientInput.Kept clause -> struct ({ changed with KeptBelow = run.KeptBelow.Add clause }, [])
        | ClientInput.Printed line -> struct ({ changed with Lines = line :: run.Lines }, [])
        | ClientInput.Exited(code, complaint) ->
            struct ({ changed with Exit = ValueSome(struct (code, complaint)) }, [])
