namespace Mqtt5.Verification

open System.Collections.Generic
open Mqtt5

/// Judges the packets of MQTT connections from between the two ends, as a proxy or a capture sees them. Each packet
/// is judged by what its sender had to know when it sent it: what came from the other end before. So no end is blamed
/// for packets that crossed on the way. It says nothing of what cannot be seen from there, such as to whom a message
/// is to be delivered. All functions are pure; times are in milliseconds on one clock and never go back.
[<RequireQualifiedAccess>]
module ProtocolMonitor =

    // How long a client that sends before it has read the CONNACK may take to read it.
    [<Literal>]
    let private ReadingMilliseconds = 1_000L<ms>

    // What the way and the timer of an end may add to a Keep Alive.
    [<Literal>]
    let private GraceMilliseconds = 1_000L<ms>

    let private unlimited = System.UInt32.MaxValue

    let private opened now version : Watched =
        {
            Version = version
            Connect = ValueNone
            Accepted = ValueNone
            IsRefused = false
            IsResumed = false
            Client =
                ExchangeRules.sender ClientToServer System.UInt16.MaxValue System.UInt16.MaxValue unlimited
            Server = ExchangeRules.sender ServerToClient System.UInt16.MaxValue 0us unlimited
            Requests = Map.empty
            NextOrder = 0L
            PingsOpen = 0
            LastFromClient = now
            SilenceReported = 0
            LimitsFrom = now
            HasSentEarly = false
        }

    let private orElse (value: 'T) (option: 'T voption) =
        match option with
        | ValueSome given -> given
        | ValueNone -> value

    let private clientIdOf (one: Watched) =
        match one.Connect with
        | ValueSome { ClientId = ValueSome id } -> ValueSome id.Text
        | _ ->
            match one.Accepted with
            | ValueSome { Properties = { AssignedClientIdentifier = ValueSome id } } -> ValueSome id.Text
            | _ -> ValueNone

    let private connectSeen (findings: List<Finding>) (packet: Connect) (one: Watched) =
        if one.Connect.IsSome then
            findings.Add { By = ClientToServer; Clause = "MQTT-3.1.0-2"; Detail = "CONNECT was sent before" }
            one
        else
            let properties = packet.Properties

            { one with
                Connect = ValueSome packet
                // Until CONNACK says otherwise a session may go on.
                IsResumed = not packet.CleanStart
                Server =
                    ExchangeRules.sender
                        ServerToClient
                        (orElse System.UInt16.MaxValue properties.ReceiveMaximum)
                        (orElse 0us properties.TopicAliasMaximum)
                        (orElse unlimited properties.MaximumPacketSize)
            }

    let private accepted now (memory: Memory voption) (packet: Connack) (one: Watched) =
        let properties = packet.Properties

        let client =
            { one.Client with
                ReceiveMaximum = int (orElse System.UInt16.MaxValue properties.ReceiveMaximum)
                MaximumPacketBytes = orElse unlimited properties.MaximumPacketSize
                Aliases =
                    // What was set before the maximum was known stays out of its judgement.
                    if one.HasSentEarly then
                        one.Client.Aliases
                    else
                        InboundTopicAliases.Empty(ClientToServer, orElse 0us properties.TopicAliasMaximum)
            }

        let one =
            { one with
                Accepted = ValueSome packet
                // MQTT 3.1 does not tell, so a session may go on unless the client asked for a new one.
                IsResumed = packet.SessionPresent || (one.Version.IsV31 && one.IsResumed)
                Client = client
                LimitsFrom = if one.HasSentEarly then now + ReadingMilliseconds else now
            }

        match memory with
        | ValueSome memory when one.IsResumed ->
            { one with
                Client = ExchangeRules.resumed memory.OfClient one.Client
                Server = ExchangeRules.resumed memory.OfServer one.Server
            }
        | _ -> one

    let private connackSeen
        now
        (findings: List<Finding>)
        (sessions: Map<string, Memory>)
        (packet: Connack)
        (one: Watched)
        =
        match one.Connect with
        | ValueNone -> one
        | ValueSome _ when one.Accepted.IsSome || one.IsRefused ->
            findings.Add { By = ServerToClient; Clause = "MQTT-3.2.0-2"; Detail = "CONNACK was sent before" }
            one
        | ValueSome connect ->
            ConnectionRules.connack findings connect packet

            if byte packet.Reason >= 0x80uy then
                { one with IsRefused = true }
            else
                let memory =
                    match connect.ClientId with
                    | ValueSome id ->
                        match sessions.TryGetValue id.Text with
                        | true, memory -> ValueSome memory
                        | _ -> ValueNone
                    | ValueNone -> ValueNone

                accepted now memory packet one

    // The limits of CONNACK, once the client has had the time to read them.
    let private limitsOf now (one: Watched) =
        match one.Accepted with
        | ValueSome connack when now >= one.LimitsFrom -> ValueSome connack.Properties
        | _ -> ValueNone

    let private senderOf direction (one: Watched) =
        if direction = ClientToServer then one.Client else one.Server

    let private withSender (sender: Sender) (one: Watched) =
        if sender.Direction = ClientToServer then
            { one with Client = sender }
        else
            { one with Server = sender }

    let private publishSeen now (findings: List<Finding>) direction (packet: Publish) (one: Watched) =
        if direction = ClientToServer then
            match limitsOf now one with
            | ValueSome limits -> ConnectionRules.publish findings limits packet
            | ValueNone -> ()

        let sender = ConnectionRules.alias findings packet.Topic (senderOf direction one)

        match packet.Delivery.PacketId with
        | ValueNone -> withSender sender one
        | ValueSome id ->
            let isRequestOpen = direction = ClientToServer && one.Requests.ContainsKey id.Value

            let sender =
                ExchangeRules.published
                    findings
                    one.IsResumed
                    one.NextOrder
                    id.Value
                    packet.Delivery.QoS
                    packet.Delivery.IsDup
                    isRequestOpen
                    sender

            { withSender sender one with NextOrder = one.NextOrder + 1L }

    // Before MQTT 5 a client may send a request again while it waits for the answer [MQTT3-2.3.1-3].
    let private isSentAgain (id: PacketId) answer filters (one: Watched) =
        not one.Version.IsV5
        && (match one.Requests.TryGetValue id.Value with
            | true, open' -> open'.Answer = answer && open'.Filters = filters
            | _ -> false)

    let private requested (findings: List<Finding>) (id: PacketId) answer filters (one: Watched) =
        if
            not (isSentAgain id answer filters one)
            && (one.Requests.ContainsKey id.Value || one.Client.Flights.ContainsKey id.Value)
        then
            findings.Add
                {
                    By = ClientToServer
                    Clause = "MQTT-2.2.1-3"
                    Detail = $"Packet Identifier {id} is in use"
                }

        { one with Requests = one.Requests.Add(id.Value, { Answer = answer; Filters = filters }) }

    let private answered
        (findings: List<Finding>)
        answer
        (packet: SubscriptionAcknowledgement)
        (one: Watched)
        =
        let report clause detail = findings.Add { By = ServerToClient; Clause = clause; Detail = detail }

        match one.Requests.TryGetValue packet.PacketId.Value with
        | true, request when request.Answer = answer ->
            // Before MQTT 5 an UNSUBACK has no codes.
            let hasCodes = one.Version.IsV5 || answer = PacketType.Suback

            if hasCodes && request.Filters <> packet.Reasons.Count then
                // [MQTT-3.8.4-6] [MQTT-3.11.3-2]
                report
                    (if answer = PacketType.Suback then "MQTT-3.8.4-6" else "MQTT-3.11.3-2")
                    $"{packet.Reasons.Count} reason codes answer {request.Filters} Topic Filters"

            { one with Requests = one.Requests.Remove packet.PacketId.Value }
        | _ ->
            // [MQTT-2.2.1-6] [MQTT-3.8.4-2] [MQTT-3.10.4-5]
            report
                (if answer = PacketType.Suback then "MQTT-3.8.4-2" else "MQTT-3.10.4-5")
                $"Packet Identifier {packet.PacketId}: no request waits for this answer"

            one

    // Who may send what before CONNECT, between CONNECT and CONNACK, and after the end.
    let private phase (findings: List<Finding>) direction (packet: Packet) (one: Watched) =
        let report clause detail = findings.Add { By = direction; Clause = clause; Detail = detail }

        let kind = packet.Type

        if (senderOf direction one).HasDisconnected then
            report "MQTT-3.14.4-1" "a packet after DISCONNECT"

        if direction = ClientToServer then
            if one.Connect.IsNone && kind <> PacketType.Connect then
                report "MQTT-3.1.0-1" "the first packet of a client is CONNECT"
        elif one.Connect.IsNone then
            report "MQTT-3.2.0-1" "a packet before CONNECT"
        elif one.IsRefused && kind <> PacketType.Connack then
            report "MQTT-3.2.2-7" "a packet after the CONNACK that refused the connection"
        elif one.Accepted.IsNone && kind = PacketType.Disconnect then
            report "MQTT-3.14.0-1" "DISCONNECT before a CONNACK of success"
        elif one.Accepted.IsNone && kind <> PacketType.Connack && kind <> PacketType.Auth then
            report "MQTT-3.2.0-1" "a packet before CONNACK"

    let private disconnectSeen
        (findings: List<Finding>)
        direction
        (packet: Outcome<DisconnectProperties>)
        (one: Watched)
        =
        let asked =
            match one.Connect with
            | ValueSome connect -> orElse 0u<s> connect.Properties.SessionExpiryInterval
            | ValueNone -> 0u<s>

        match packet.Properties with
        | ValueSome { SessionExpiryInterval = ValueSome expiry } when
            direction = ClientToServer && asked = 0u<s> && expiry <> 0u<s>
            ->
            findings.Add
                {
                    By = ClientToServer
                    Clause = "3.14.2.2.2"
                    Detail = "a Session Expiry Interval above 0, and that of CONNECT was 0"
                }
        | _ -> ()

        withSender { senderOf direction one with HasDisconnected = true } one

    let private pingresp (findings: List<Finding>) (one: Watched) =
        if one.PingsOpen = 0 then
            findings.Add { By = ServerToClient; Clause = "3.13"; Detail = "no PINGREQ waits for it" }
            one
        else
            { one with PingsOpen = one.PingsOpen - 1 }

    let private judged now (findings: List<Finding>) sessions direction (packet: Packet) (one: Watched) =
        let own = senderOf direction one
        let peer = senderOf (ExchangeRules.other direction) one
        // Before CONNACK it is not known whether the session is resumed.
        let isResumed = one.IsResumed

        let isFailure (packet: Acknowledgement) = byte packet.Outcome.Reason >= 0x80uy

        match packet with
        | Packet.Connect packet -> connectSeen findings packet one
        | Packet.Connack packet -> connackSeen now findings sessions packet one
        | Packet.Publish packet -> publishSeen now findings direction packet one
        | Packet.Puback packet ->
            withSender (ExchangeRules.acknowledged findings isResumed packet.PacketId.Value peer) one
        | Packet.Pubrec packet ->
            let peer =
                ExchangeRules.received
                    findings
                    isResumed
                    one.NextOrder
                    packet.PacketId.Value
                    (isFailure packet)
                    peer

            { withSender peer one with NextOrder = one.NextOrder + 1L }
        | Packet.Pubrel packet ->
            withSender
                (ExchangeRules.released findings isResumed (isFailure packet) packet.PacketId.Value own)
                one
        | Packet.Pubcomp packet ->
            withSender
                (ExchangeRules.completed findings isResumed (isFailure packet) packet.PacketId.Value peer)
                one
        | Packet.Subscribe packet ->
            match limitsOf now one with
            | ValueSome limits -> ConnectionRules.subscribe findings limits packet
            | ValueNone -> ()

            requested findings packet.PacketId PacketType.Suback packet.Subscriptions.Count one
        | Packet.Unsubscribe packet ->
            requested findings packet.PacketId PacketType.Unsuback packet.Filters.Count one
        | Packet.Suback packet -> answered findings PacketType.Suback packet one
        | Packet.Unsuback packet -> answered findings PacketType.Unsuback packet one
        | Packet.Pingreq -> { one with PingsOpen = one.PingsOpen + 1 }
        | Packet.Pingresp -> pingresp findings one
        | Packet.Disconnect packet -> disconnectSeen findings direction packet one
        | Packet.Auth packet ->
            match one.Connect with
            | ValueSome connect -> ConnectionRules.auth findings direction connect packet
            | ValueNone -> ()

            one

    let private violations now connection kind (findings: List<Finding>) : ProtocolViolation[] =
        if findings.Count = 0 then
            [||]
        else
            findings.ToArray()
            |> Array.map (fun finding ->
                {
                    At = now
                    Connection = connection
                    Direction = finding.By
                    Packet = kind
                    Clause = finding.Clause
                    Detail = finding.Detail
                })

    let private find now version connection (state: MonitorState) =
        match state.Connections.TryGetValue connection with
        | true, one -> { one with Version = version }
        | _ -> opened now version

    // The statement of a version that a violation of one of MQTT 5 breaks. Before MQTT 5 a packet may be sent again on a
    // connection that stays, and what no statement of the version forbids is no violation.
    let private clauseOf (version: ProtocolVersion) direction (clause: string) : string voption =
        if version.IsV5 then
            ValueSome clause
        elif clause = "MQTT-4.4.0-1" then
            ValueNone
        elif not (clause.StartsWith "MQTT-") then
            ValueSome(Spec.clauseIn version clause)
        else
            let ofServers = Statements.counterpartsIn version clause

            // Some rules about clients are told as what a server does when they are broken.
            let counterparts =
                if direction = ClientToServer then
                    Statements.clientCounterpartsIn version clause @ ofServers
                else
                    ofServers

            match counterparts with
            | first :: _ -> ValueSome first
            | [] -> ValueNone

    let private inVersion version (violations: ProtocolViolation[]) =
        violations
        |> Array.choose (fun one ->
            match clauseOf version one.Direction one.Clause with
            | ValueSome clause -> Some { one with Clause = clause }
            | ValueNone -> None)

    let private aliveSeen now direction (one: Watched) =
        if direction = ClientToServer then
            { one with
                LastFromClient = now
                SilenceReported = 0
                HasSentEarly = one.HasSentEarly || (one.Connect.IsSome && one.Accepted.IsNone)
            }
        else
            one

    // As stepIn, with the statements of MQTT 5.
    let internal watch
        (version: ProtocolVersion)
        (now: Instant)
        (connection: int)
        (direction: Direction)
        (packetBytes: int)
        (packet: Packet)
        (state: MonitorState)
        : struct (MonitorState * ProtocolViolation[]) =
        let findings = List<Finding>()
        let one = find now version connection state
        phase findings direction packet one

        // The limits of CONNACK bind a client that has read it; CONNECT itself is from before.
        if direction = ServerToClient || (limitsOf now one).IsSome then
            ConnectionRules.size findings packetBytes (senderOf direction one)

        match one.Connect with
        | ValueSome connect when direction = ServerToClient ->
            ConnectionRules.problemInformation findings connect packet
        | _ -> ()

        let one = judged now findings state.Sessions direction packet (aliveSeen now direction one)

        struct ({ state with Connections = state.Connections.Add(connection, one) },
                violations now connection packet.Type findings)

    /// Takes a packet that passed on a connection of this version, of this many bytes on the wire, and gives the rules that it
    /// broke. Connections have numbers of the caller's choice; one that was not seen before begins. MQTT 3.1 has no numbered
    /// statements; those of 3.1.1 are cited.
    [<CompiledName("StepIn")>]
    let stepIn
        (version: ProtocolVersion)
        (now: Instant)
        (connection: int)
        (direction: Direction)
        (packetBytes: int)
        (packet: Packet)
        (state: MonitorState)
        : struct (MonitorState * ProtocolViolation[]) =
        let struct (state, violations) = watch version now connection direction packetBytes packet state
        struct (state, inVersion version violations)

    /// As <c>stepIn</c>, of MQTT 5.
    [<CompiledName("Step")>]
    let step now connection direction packetBytes packet state =
        stepIn ProtocolVersion.V5 now connection direction packetBytes packet state

    /// Takes bytes that are no packet, with what the framer or the grammar found.
    [<CompiledName("Malformed")>]
    let malformed
        (now: Instant)
        (connection: int)
        (direction: Direction)
        (packet: PacketType)
        (clause: string)
        (detail: string)
        (state: MonitorState)
        : struct (MonitorState * ProtocolViolation[]) =
        let findings = List<Finding>()
        findings.Add { By = direction; Clause = clause; Detail = detail }

        let version =
            match state.Connections.TryGetValue connection with
            | true, one -> one.Version
            | _ -> ProtocolVersion.V5

        let one = aliveSeen now direction (find now version connection state)

        struct ({ state with Connections = state.Connections.Add(connection, one) },
                violations now connection packet findings)

    // The Keep Alive in force, in milliseconds; none where it is off or does not apply.
    let private keepAlive (one: Watched) : Instant voption =
        match one.Connect, one.Accepted with
        | ValueSome connect, ValueSome connack when
            not one.Client.HasDisconnected && not one.Server.HasDisconnected
            ->
            // [MQTT-3.1.2-21] [MQTT-3.2.2-21] [MQTT-3.2.2-22]
            match orElse connect.KeepAlive connack.Properties.ServerKeepAlive with
            | 0us<s> -> ValueNone
            | seconds -> ValueSome(int64 seconds * 1_000L<ms>)
        | _ -> ValueNone

    let private silence now (findings: List<Finding>) (one: Watched) =
        match keepAlive one with
        | ValueNone -> one
        | ValueSome keepAlive ->
            let silent = now - one.LastFromClient

            if one.SilenceReported = 0 && silent > keepAlive + GraceMilliseconds then
                findings.Add
                    {
                        By = ClientToServer
                        Clause = "MQTT-3.1.2-20"
                        Detail = $"no packet for {silent} ms, and the Keep Alive is {keepAlive} ms"
                    }

                { one with SilenceReported = 1 }
            elif one.SilenceReported = 1 && silent > keepAlive * 3L / 2L + 2L * GraceMilliseconds then
                findings.Add
                    {
                        By = ServerToClient
                        Clause = "MQTT-3.1.2-22"
                        Detail = $"the connection is open after {silent} ms without a packet of the client"
                    }

                { one with SilenceReported = 2 }
            else
                one

    /// Says what is overdue on open connections: a packet of the client within its Keep Alive, and the end of the
    /// connection after one and a half times that. Both have a second of grace. To be called about once a second.
    [<CompiledName("Tick")>]
    let tick (now: Instant) (state: MonitorState) : struct (MonitorState * ProtocolViolation[]) =
        let mutable state = state
        let found = List<ProtocolViolation>()

        for KeyValue(connection, one) in state.Connections do
            let findings = List<Finding>()
            let next = silence now findings one

            if next.SilenceReported <> one.SilenceReported then
                state <- { state with Connections = state.Connections.Add(connection, next) }
                found.AddRange(inVersion one.Version (violations now connection PacketType.Reserved findings))

        struct (state, found.ToArray())

    /// Takes the end of a connection. What is under way is kept for the session's next connection.
    [<CompiledName("Closed")>]
    let closed (connection: int) (state: MonitorState) : MonitorState =
        match state.Connections.TryGetValue connection with
        | true, one ->
            let connections = state.Connections.Remove connection

            match clientIdOf one with
            | ValueSome id when one.Accepted.IsSome ->
                let memory = { OfClient = one.Client.Flights; OfServer = one.Server.Flights }

                let sessions =
                    if memory.OfClient.IsEmpty && memory.OfServer.IsEmpty then
                        state.Sessions.Remove id
                    else
                        state.Sessions.Add(id, memory)

                { Connections = connections; Sessions = sessions }
            | _ -> { state with Connections = connections }
        | _ -> state
