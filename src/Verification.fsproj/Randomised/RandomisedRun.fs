namespace Mqtt5.Verification

open System
open System.Buffers
open System.Collections.Generic
open Mqtt5

// What a run waits for.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type private RandomisedWait =
    | Nothing
    // The connection and CONNACK of a client.
    | Connack of RandomisedClient
    // The server closes after DISCONNECT.
    | Close of RandomisedClient * until: int64<ms>
    // The quota of a client.
    | Quota of RandomisedClient * Publish
    | Time of until: int64<ms>
    // Everything that is due comes; then what comes before the answer to PINGREQ.
    | Quiet of hasPinged: bool
    // What must not come has some time to come.
    | End of until: int64<ms>

/// A run of a randomised session: it plays the clients of a script, which acknowledge all by themselves, and the naive
/// model of a broker judges what the server does. It fails with the first statement that was broken. Not thread-safe.
[<Sealed; AllowNullLiteral(false)>]
type RandomisedRun(settings: ProbeSettings, script: RandomisedScript) =
    let model = BrokerModel BrokerFreedom.Default
    let demands = List<ProbeDemand>()
    let log = List<ProbeExchange>()
    let clients = Dictionary<string, RandomisedClient>()
    // All connections by name, until they are closed.
    let connections = Dictionary<string, RandomisedConnection>()
    // Those that were taken over.
    let overtaken = List<RandomisedConnection>()
    let mutable clientIds = Set.empty
    let mutable retained = Set.empty
    let mutable now = 0L<ms>
    let mutable next = 0
    // The last quiet, after all steps, has begun.
    let mutable isEnding = false
    let mutable wait = RandomisedWait.Nothing
    // When the latest step began, or something came.
    let mutable since = 0L<ms>
    let mutable outcome: ProbeOutcome voption = ValueNone

    // How long the server may take to close after DISCONNECT; it need not at all.
    let farewell = 300L<ms>
    // How much earlier and later than the Keep Alive says a server may close. The standard has no tolerance; some servers
    // look only now and then.
    let keepAliveSlack = 700L<ms>
    let keepAliveLateness = 10_000L<ms>
    // How long what must not come is waited for.
    let linger = 250L<ms>

    // No run lasts longer, whatever still comes.
    let longest = 60_000L<ms>

    let line () = if next > 0 then $"{script.Steps[next - 1]}" else ""

    let finish verdict clauses expected seen =
        if outcome.IsNone then
            outcome <-
                ValueSome
                    {
                        Verdict = verdict
                        Clauses = clauses
                        Line = if verdict = Verdict.Fail then line () else ""
                        Expected = expected
                        Seen = seen
                    }

    let fail (clause: string) expected seen = finish Verdict.Fail [ clause ] expected seen

    let judge (violations: IReadOnlyList<Violation>) =
        if violations.Count > 0 then
            let first = violations[0]
            fail first.Clause $"{first.Client}: {first.Expected}" first.Seen

    let note kind text (connection: RandomisedConnection) =
        log.Add { At = now; Client = connection.Name; Kind = kind; Text = text }

    let observe (connection: RandomisedConnection) what =
        model.Observe(now, connection.Client, connection.Number, what)

    let send (connection: RandomisedConnection) (packet: Packet) =
        match Encode.toBytes Direction.ClientToServer packet with
        | Error fault -> finish Verdict.NotRun [] $"{line ()} cannot be sent: {fault}" ""
        | Ok bytes ->
            note ExchangeKind.Sending (Notation.printRedacted packet) connection
            connection.LastSent <- now
            observe connection (Observed.Sent packet)
            demands.Add(ProbeDemand.Write(connection.Name, Bytes.OfArray bytes))

    let clientOf name =
        match clients.TryGetValue name with
        | true, client -> client
        | _ ->
            let client = RandomisedClient(name, send)
            clients[name] <- client
            client

    // With the prefixes of topics and Client Identifiers.
    let expand (packet: Packet) : Packet =
        match Notation.parse (ProbeText.expandPrefixes settings (Notation.print packet)) with
        | Ok packet -> packet
        | Error fault -> invalidOp $"{packet} cannot be expanded: {fault}"

    let forget (connection: RandomisedConnection) =
        if connections.Remove connection.Name then
            overtaken.Remove connection |> ignore
            demands.Add(ProbeDemand.Close connection.Name)

    // The client is done with its connection.
    let leave (connection: RandomisedConnection) isComplete =
        if not connection.HasEnded then
            connection.HasEnded <- true
            note ExchangeKind.Leaving "" connection

        observe connection Observed.Closed
        observe connection (Observed.LostByBroker isComplete)
        forget connection

    let connect (client: RandomisedClient) (connect: Connect) =
        let old = client.Connection
        let connection = client.NewConnection()

        match expand (Packet.Connect connect) |> ProbeText.withCredentials settings with
        | Packet.Connect packet ->
            let packet =
                { packet with
                    ClientId = if packet.ClientId.IsSome then packet.ClientId else client.AssignedId
                }

            connection.Connect <- ValueSome packet

            packet.ClientId
            |> ValueOption.iter (fun id -> clientIds <- Set.add id.Text clientIds)

            match packet.Will with
            | ValueSome will when will.Retain -> retained <- Set.add will.Topic.Text retained
            | _ -> ()
        | _ -> ()

        if not (isNull old) && connections.ContainsKey old.Name then
            overtaken.Add old

        connections[connection.Name] <- connection
        note ExchangeKind.Opening "" connection
        demands.Add(ProbeDemand.Open connection.Name)
        wait <- RandomisedWait.Connack client

    let opened (connection: RandomisedConnection) =
        connection.IsOpen <- true
        observe connection Observed.Opened
        send connection (Packet.Connect connection.Connect.Value)

        // [MQTT-3.1.4-3]
        for old in overtaken do
            if old.Client = connection.Client then
                observe old (Observed.LostByBroker false)

    let topicOf (publish: Publish) =
        match publish.Topic with
        | TopicReference.Name name
        | TopicReference.NameAndAlias(name, _) -> name.Text
        | TopicReference.Alias _ -> ""

    let publish (client: RandomisedClient) (publish: Publish) =
        if publish.Retain then
            retained <- Set.add (topicOf publish) retained

        client.Publish publish

    let disconnect (client: RandomisedClient) (outcome: Outcome<DisconnectProperties>) =
        send client.Connection (Packet.Disconnect outcome)

        // A Will may come from now on.
        if outcome.Reason <> ReasonCode.Success then
            observe client.Connection (Observed.LostByBroker true)

        wait <- RandomisedWait.Close(client, now + farewell)

    // Subscribes, gives up filters, publishes.
    let request (client: RandomisedClient) (packet: Packet) =
        match expand packet with
        | Packet.Subscribe packet -> client.Subscribe packet
        | Packet.Unsubscribe packet -> client.Unsubscribe packet
        | Packet.Publish packet -> wait <- RandomisedWait.Quota(client, packet)
        | _ -> ()

    // What is lost beyond the quota could not be sent again at once.
    let lose (client: RandomisedClient) (packet: Publish) =
        match expand (Packet.Publish packet) with
        | Packet.Publish packet when client.MayPublish packet ->
            if packet.Retain then
                retained <- Set.add (topicOf packet) retained

            client.Lose packet
        | _ -> ()

        leave client.Connection false

    let perform (step: RandomisedStep) =
        let online action =
            let client = clientOf step.Client

            if client.IsConnected then
                action client

        match step.Action with
        | RandomisedAction.Connect packet -> connect (clientOf step.Client) packet
        | RandomisedAction.Subscribe packet -> online (fun client -> request client (Packet.Subscribe packet))
        | RandomisedAction.Unsubscribe packet ->
            online (fun client -> request client (Packet.Unsubscribe packet))
        | RandomisedAction.Publish packet -> online (fun client -> request client (Packet.Publish packet))
        | RandomisedAction.Lose packet -> online (fun client -> lose client packet)
        | RandomisedAction.Disconnect outcome -> online (fun client -> disconnect client outcome)
        | RandomisedAction.Leave -> online (fun client -> leave client.Connection false)
        | RandomisedAction.Hold -> online (fun client -> client.Hold())
        | RandomisedAction.GoOn -> online (fun client -> client.GoOn())
        | RandomisedAction.Refuse -> online (fun client -> client.Refuse())
        | RandomisedAction.Wait duration -> wait <- RandomisedWait.Time(now + duration)
        | RandomisedAction.Quiet -> wait <- RandomisedWait.Quiet false

    let answered (client: RandomisedClient) (connack: Connack) =
        let connection = client.Connection

        if byte connack.Reason < 0x80uy then
            client.Accepted connack

            client.AssignedId
            |> ValueOption.iter (fun id -> clientIds <- Set.add id.Text clientIds)
        elif
            connack.Reason = ReasonCode.ClientIdentifierNotValid
            && connection.Connect.Value.ClientId.IsNone
        then
            // The server assigns none, as it may [MQTT-3.1.3-8]: this client stays away.
            connection.HasEnded <- true
            observe connection Observed.Closed
            forget connection
            wait <- RandomisedWait.Nothing
        else
            match ServerReasons.ofConnack connection.Connect.Value connack.Reason with
            | ValueSome(struct (clause, expected)) ->
                fail clause $"{client.Name}: {expected}" $"CONNACK {connack.Reason}"
            | ValueNone -> finish Verdict.NotRun [] $"the server refused a usual CONNECT: {connack.Reason}" ""

    // When the server may end a connection on which nothing came.
    let silentEnd (connection: RandomisedConnection) =
        connection.LastSent + int64 connection.KeepAlive * 1_500L<ms>

    let hasKeepAlive (connection: RandomisedConnection) =
        connection.HasConnack && connection.KeepAlive > 0us<s>

    // Clocks differ, and what the client sent was under way.
    let isSilent (connection: RandomisedConnection) =
        hasKeepAlive connection && now >= silentEnd connection - keepAliveSlack

    // Of a client that says nothing the Will may come before the end of its connection does.
    let noteSilence (publish: Publish) =
        for client in clients.Values do
            let connection = client.Connection

            if not (isNull connection || connection.HasEnded) && isSilent connection then
                match connection.Connect.Value.Will with
                | ValueSome will when will.Payload = publish.Payload ->
                    observe connection (Observed.LostByBroker true)
                | _ -> ()

    let received (connection: RandomisedConnection) (packet: Packet) =
        let client = clientOf connection.Client
        note ExchangeKind.Receiving (Notation.printRedacted packet) connection

        match packet with
        | Packet.Publish publish -> noteSilence publish
        | _ -> ()

        // What comes on a connection that was taken over comes again on the next.
        if obj.ReferenceEquals(client.Connection, connection) then
            observe connection (Observed.Received packet)
            judge model.Violations

            match packet, wait with
            | Packet.Connack connack, RandomisedWait.Connack waiting when
                obj.ReferenceEquals(waiting, client) && not connection.HasConnack
                ->
                answered client connack
            | Packet.Disconnect disconnect, _ -> connection.DisconnectReason <- ValueSome disconnect.Reason
            | _ ->
                let isLeaving =
                    match wait with
                    | RandomisedWait.Close(leaving, _) -> obj.ReferenceEquals(leaving, client)
                    | _ -> false

                client.Received(packet, not isLeaving)
        else
            match packet with
            | _ when connection.DisconnectReason.IsSome ->
                fail "MQTT-3.14.4-1" $"{connection.Name}: nothing after DISCONNECT" $"{packet.Type}"
            | Packet.Disconnect disconnect -> connection.DisconnectReason <- ValueSome disconnect.Reason
            | _ -> ()

    let broken (connection: RandomisedConnection) (fault: Fault) (bytes: ReadOnlySpan<byte>) =
        let seen = Convert.ToHexString bytes
        note ExchangeKind.Receiving seen connection
        fail fault.Clause $"a well-formed packet: {fault.Detail}" seen

    let rec takeFrames (connection: RandomisedConnection) =
        if outcome.IsNone && connection.Buffer.Length > 0 then
            let input = ReadOnlySequence<byte> connection.Buffer

            match Framer.next Direction.ServerToClient Spec.MaximumPacketBytes connection.Offset input with
            | Incomplete -> ()
            | Broken fault -> broken connection fault (ReadOnlySpan connection.Buffer)
            | Frame length ->
                let frame = ReadOnlyMemory(connection.Buffer, 0, length)
                connection.Buffer <- Array.skip length connection.Buffer

                match
                    Grammar.parse Direction.ServerToClient Spec.MaximumPacketBytes connection.Offset frame
                with
                | Error fault -> broken connection fault frame.Span
                | Ok packet ->
                    connection.Offset <- connection.Offset + int64 length
                    received connection packet
                    takeFrames connection

    // The server has closed a connection, and it was not asked to. Without a reason nothing can be said: it may lack what
    // it needs, and need not say so (section 4.13.2).
    let lost (connection: RandomisedConnection) =
        if isSilent connection then
            leave connection true
        else
            let broken =
                connection.DisconnectReason
                |> ValueOption.bind (ServerReasons.ofDisconnect connection.Connack)

            match broken, connection.DisconnectReason with
            | ValueSome(struct (clause, expected)), ValueSome reason ->
                fail clause $"{connection.Client}: {expected}" $"DISCONNECT {reason}"
            | _, ValueSome reason ->
                finish Verdict.NotRun [] $"the server ended the connection of {connection.Name}: {reason}" ""
            | _ ->
                finish
                    Verdict.NotRun
                    []
                    $"the server closed the connection of {connection.Name} without a word"
                    ""

    // A client whose connection should have been closed [MQTT-3.1.2-22].
    let overdue () =
        clients.Values
        |> Seq.tryFind (fun client ->
            client.IsConnected
            && hasKeepAlive client.Connection
            && now > silentEnd client.Connection)

    let closed (connection: RandomisedConnection) =
        if not connection.HasEnded then
            connection.HasEnded <- true
            note ExchangeKind.Closing "" connection

            if overtaken.Contains connection then
                observe connection Observed.Closed
                forget connection
            else
                match wait with
                | RandomisedWait.Close(client, _) when client.Name = connection.Client ->
                    leave connection true
                    wait <- RandomisedWait.Nothing
                | _ -> lost connection

    let accept (input: ProbeInput) =
        let known name action =
            match connections.TryGetValue name with
            | true, connection ->
                since <- now
                action connection
            | _ -> ()

        match input with
        | ProbeInput.Tick -> ()
        | ProbeInput.Opened name -> known name opened
        | ProbeInput.NotOpened(name, why) ->
            known name (fun _ -> finish Verdict.NotRun [] $"no connection could be opened: {why}" "")
        | ProbeInput.Violated(_, clause, expected, seen) -> fail clause expected seen
        | ProbeInput.Received(name, bytes) ->
            known name (fun connection ->
                connection.Buffer <- Array.append connection.Buffer (bytes.ToArray())
                takeFrames connection)
        | ProbeInput.Closed name -> known name closed

    let patienceEnd () = since + settings.Patience

    // Something did not come in time.
    let missing what =
        judge (model.Finish now)
        finish Verdict.NotRun [] $"{what}, and the model does not know which statement says so" ""

    let begin' next =
        since <- now
        wait <- next

    // Begins a quiet time: no acknowledgment is held back.
    let quieten () =
        for client in clients.Values do
            if client.IsConnected then
                client.GoOn()

    // When to look again; nothing: at once.
    let look () : int64<ms> voption =
        match wait with
        | RandomisedWait.Nothing ->
            if next < script.Steps.Length then
                let step = script.Steps[next]
                next <- next + 1
                since <- now

                if step.Action.IsQuiet then
                    quieten ()

                perform step
            elif isEnding then
                begin' (RandomisedWait.End(now + linger))
            else
                isEnding <- true
                quieten ()
                begin' (RandomisedWait.Quiet false)

            ValueNone
        | RandomisedWait.Connack client when client.IsConnected ->
            begin' RandomisedWait.Nothing
            ValueNone
        | RandomisedWait.Connack client when now >= patienceEnd () ->
            fail "MQTT-3.1.4-5" $"{client.Name}: CONNACK" "nothing"
            ValueNone
        | RandomisedWait.Connack _ -> ValueSome(patienceEnd ())
        | RandomisedWait.Close(client, until) when now >= until ->
            leave client.Connection false
            begin' RandomisedWait.Nothing
            ValueNone
        | RandomisedWait.Close(_, until) -> ValueSome until
        | RandomisedWait.Quota(client, _) when not client.IsConnected ->
            begin' RandomisedWait.Nothing
            ValueNone
        | RandomisedWait.Quota(client, packet) when client.MayPublish packet ->
            publish client packet
            begin' RandomisedWait.Nothing
            ValueNone
        | RandomisedWait.Quota _ when now >= patienceEnd () ->
            missing "the acknowledgement of a PUBLISH did not come"
            ValueNone
        | RandomisedWait.Quota _ -> ValueSome(patienceEnd ())
        | RandomisedWait.Time until when now >= until ->
            match overdue () with
            | None ->
                begin' RandomisedWait.Nothing
                ValueNone
            | Some client when now < silentEnd client.Connection + keepAliveLateness ->
                ValueSome(silentEnd client.Connection + keepAliveLateness)
            | Some client ->
                fail
                    "MQTT-3.1.2-22"
                    $"{client.Name}: the connection closed after one and a half times its Keep Alive"
                    "it is open"

                ValueNone
        | RandomisedWait.Time until -> ValueSome until
        | RandomisedWait.Quiet hasPinged when model.IsSettled && overtaken.Count = 0 ->
            if hasPinged then
                model.Settle()
                begin' RandomisedWait.Nothing
            else
                for client in clients.Values do
                    if client.IsConnected then
                        client.Ping()

                begin' (RandomisedWait.Quiet true)

            ValueNone
        | RandomisedWait.Quiet _ when now >= patienceEnd () ->
            if overtaken.Count > 0 then
                fail
                    "MQTT-3.1.4-3"
                    $"{overtaken[0].Name}: the connection closed, as {overtaken[0].Client} has another"
                    "it is open"
            else
                match clients.Values |> Seq.tryFind (fun one -> one.IsConnected && one.Pings > 0) with
                | Some client -> fail "MQTT-3.12.4-1" $"{client.Name}: PINGRESP" "nothing"
                | None -> missing "not all was finished"

            ValueNone
        | RandomisedWait.Quiet _ -> ValueSome(patienceEnd ())
        | RandomisedWait.End until when now >= until && not model.IsSettled && now < longest ->
            // A packet arrived that was not known to be due.
            begin' (RandomisedWait.Quiet false)
            ValueNone
        | RandomisedWait.End until when now >= until ->
            judge (model.Finish now)
            finish Verdict.Pass [] "" ""
            ValueNone
        | RandomisedWait.End until -> ValueSome until

    let mutable deadline = 0L<ms>

    /// How it ended; absent: it has not. A failure has one statement, or a section of the standard where none has a
    /// number.
    member _.Outcome = outcome

    /// What was seen so far, in order. The second connection of client <c>a</c> is <c>a2</c>.
    member _.Exchanges: ProbeExchange[] = log.ToArray()

    interface IPlay with
        member _.Step(time, input) =
            demands.Clear()

            if outcome.IsNone then
                now <- time
                accept input
                let mutable going = true

                while going && outcome.IsNone do
                    match look () with
                    | ValueSome time ->
                        deadline <- time
                        going <- false
                    | ValueNone -> ()

            List.ofSeq demands

        member _.IsOver = outcome.IsSome
        member _.Deadline = deadline

        member _.Farewell() =
            [
                for connection in connections.Values do
                    if
                        connection.IsOpen
                        && not (connection.HasConnack || connection.HasEnded)
                        && connection.Connect |> ValueOption.exists Removal.isNameless
                    then
                        ProbeDemand.Write(connection.Name, Removal.farewell)
            ]

        member _.CleanUp() = Removal.packets ProtocolVersion.V5 settings clientIds retained
