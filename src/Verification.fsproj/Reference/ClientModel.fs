namespace Mqtt5.Verification

open System
open System.Collections.Generic
open Mqtt5

/// What an application asks a client for.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type ClientCall =
    /// A connection.
    | Connect
    /// To publish a message with this payload, which no other message has.
    | Publish of Payload: Bytes * QoS: QoS
    /// To subscribe.
    | Subscribe
    /// To unsubscribe.
    | Unsubscribe
    /// To end the connection.
    | Disconnect

// A call that was made.
type private Call = { Call: ClientCall; mutable IsSettled: bool; mutable IsCancelled: bool }

// A message that the client has under way.
type private Sending =
    {
        Payload: Bytes
        QoS: QoS
        Order: int
        mutable Connection: int
        // On how many connections its PUBLISH was sent.
        mutable Connections: int
        mutable PubrecReceived: bool
        mutable PubrelConnection: int
    }

// A message that the client has received and not finished.
type private Incoming = { Payload: Bytes; QoS: QoS; mutable IsDelivered: bool; mutable PubrecSent: bool }

[<AllowNullLiteral>]
type private ClientLink(number: int) =
    member _.Number = number
    member val Connect: Connect voption = ValueNone with get, set
    member val Connack: Connack voption = ValueNone with get, set
    member val HasSentDisconnect = false with get, set
    member val LastSent: Instant = 0L<ms> with get, set
    member val LastOrder = 0 with get, set
    member val Open = HashSet<uint16>()
    member val Requests = HashSet<uint16>()
    member val ToPuback = Queue<uint16>()
    member val ToPubrec = Queue<uint16>()
    member val ToPubcomp = List<uint16>()
    member val ToPubrel = Queue<uint16>()
    member val Aliases = Dictionary<uint16, string>()

/// A naive client that watches another one: it is told what went over the wire and what happened between client and
/// application, and says what the standard does not allow. It shares no code with the machines of the core. Every
/// message has to have a payload of its own. Not thread-safe.
[<Sealed; AllowNullLiteral(false)>]
type ClientModel(name: string) =
    let violations = List<Violation>()
    let calls = Dictionary<Ticket, Call>()
    let sending = Dictionary<uint16, Sending>()
    let incoming = Dictionary<uint16, Incoming>()
    // How an exchange ended, by payload.
    let outcomes = Dictionary<Bytes, ReasonCode>()
    let sentOnce = HashSet<Bytes>()
    let mutable order = 0
    let mutable link: ClientLink = null
    let mutable now: Instant = 0L<ms>
    // A PUBLISH that arrived and has to be delivered before anything else happens.
    let mutable undelivered: Publish voption = ValueNone
    // Whether the clock jumped, or the process stood still, since the last packet.
    let mutable isInterrupted = false

    let violate clause expected seen =
        violations.Add { At = now; Client = name; Clause = clause; Expected = expected; Seen = seen }

    let limitsOf (link: ClientLink) =
        match link.Connack with
        | ValueSome connack -> connack.Properties
        | ValueNone -> ConnackProperties.Empty

    let checkKeepAlive () =
        match link with
        | null -> ()
        | link ->
            match link.Connect, link.Connack with
            | ValueSome connect, ValueSome connack ->
                let seconds = connack.Properties.ServerKeepAlive |> ValueOption.defaultValue connect.KeepAlive

                let allowed = int64 seconds * 1_000L<ms>

                if seconds > 0us<s> && not isInterrupted && now - link.LastSent > allowed then
                    violate
                        "MQTT-3.1.2-20"
                        $"a packet every {seconds} seconds"
                        $"silence since {link.LastSent}"
            | _ -> ()

    let checkDelivered () =
        match undelivered with
        | ValueSome publish when publish.Delivery.QoS <> QoS.AtLeastOnce ->
            undelivered <- ValueNone

            violate
                "4.3"
                "a received message is handed to the application"
                $"{publish.Payload.Length} bytes are not"
        | _ -> undelivered <- ValueNone

    let sentPublish (publish: Publish) =
        let properties = limitsOf link
        let qos = publish.Delivery.QoS

        match publish.Topic with
        | TopicReference.Name _ -> ()
        | TopicReference.NameAndAlias(name, alias) ->
            link.Aliases[alias.Value] <- name.Text

            if alias.Value > (properties.TopicAliasMaximum |> ValueOption.defaultValue 0us) then
                violate "MQTT-3.2.2-17" "no Topic Alias above the maximum" $"{alias.Value}"
        | TopicReference.Alias alias ->
            if not (link.Aliases.ContainsKey alias.Value) then
                violate "3.3.2.3.4" "a Topic Alias that was set on this connection" $"{alias.Value}"

        if qos > (properties.MaximumQoS |> ValueOption.defaultValue QoS.ExactlyOnce) then
            violate "MQTT-3.2.2-11" "no QoS above the Maximum QoS" $"QoS {byte qos}"

        sentOnce.Add publish.Payload |> ignore

        match publish.Delivery.PacketId with
        | ValueNone -> ()
        | ValueSome id ->
            let id = id.Value

            match sending.TryGetValue id with
            | true, known when publish.Delivery.IsDup && known.Payload.Equals publish.Payload ->
                if known.Connection = link.Number then
                    violate "MQTT-4.4.0-1" "nothing sent again on the same connection" $"{id}"

                if known.PubrecReceived then
                    violate "MQTT-4.3.3-6" "no PUBLISH again after PUBREL" $"{id}"

                if known.Order < link.LastOrder then
                    violate "MQTT-4.6.0-1" "messages sent again in their order" $"{id} after a later one"

                known.Connection <- link.Number
                known.Connections <- known.Connections + 1
                link.LastOrder <- max link.LastOrder known.Order
            | true, _ -> violate "MQTT-2.2.1-3" "an identifier that is not in use" $"PUBLISH {id}"
            | _ ->
                if link.Requests.Contains id then
                    violate "MQTT-2.2.1-3" "an identifier that is not in use" $"PUBLISH {id}"

                if publish.Delivery.IsDup then
                    violate "MQTT-3.3.1-1" "DUP 0 for a message that was not sent before" $"DUP 1 with {id}"

                order <- order + 1
                link.LastOrder <- order

                sending[id] <-
                    {
                        Payload = publish.Payload
                        QoS = qos
                        Order = order
                        Connection = link.Number
                        Connections = 1
                        PubrecReceived = false
                        PubrelConnection = 0
                    }

            link.Open.Add id |> ignore
            let most = properties.ReceiveMaximum |> ValueOption.defaultValue 65_535us

            if link.Open.Count > int most then
                violate "MQTT-3.3.4-7" $"at most {most} messages under way" $"{link.Open.Count}"

    let sentRequest (kind: string) (id: uint16) =
        if sending.ContainsKey id || not (link.Requests.Add id) then
            violate "MQTT-2.2.1-3" "an identifier that is not in use" $"{kind} {id}"

    let sentInOrder (queue: Queue<uint16>) clause (kind: string) (id: uint16) =
        if queue.Count > 0 && queue.Peek() = id then
            queue.Dequeue() |> ignore
        elif queue.Contains id then
            violate clause $"{kind} {queue.Peek()} first" $"{kind} {id}"
        else
            violate "MQTT-2.2.1-5" $"no {kind} without a cause" $"{kind} {id}"

    let sentPubrel (packet: Acknowledgement) =
        let id = packet.PacketId.Value

        match sending.TryGetValue id with
        | true, known when known.PubrecReceived ->
            // Again after a reconnect, or for a PUBREC of this connection.
            if link.ToPubrel.Contains id then
                sentInOrder link.ToPubrel "MQTT-4.6.0-4" "PUBREL" id
            elif known.PubrelConnection = link.Number then
                violate "MQTT-4.4.0-1" "one PUBREL on a connection" $"PUBREL {id}"

            known.PubrelConnection <- link.Number
        | _ ->
            if packet.Outcome.Reason = ReasonCode.Success then
                violate "MQTT-4.3.3-4" "PUBREL after a PUBREC of success" $"PUBREL {id}"

    let sent (packet: Packet) =
        checkKeepAlive ()
        isInterrupted <- false
        link.LastSent <- now

        if link.HasSentDisconnect then
            violate "MQTT-3.14.4-1" "nothing after DISCONNECT" $"{packet.Type}"

        match packet with
        | Packet.Connect connect ->
            if link.Connect.IsSome then
                violate "MQTT-3.1.0-2" "one CONNECT" "another one"

            link.Connect <- ValueSome connect
        | _ when link.Connect.IsNone -> violate "MQTT-3.1.0-1" "CONNECT first" $"{packet.Type}"
        | Packet.Publish publish -> sentPublish publish
        | Packet.Subscribe packet -> sentRequest "SUBSCRIBE" packet.PacketId.Value
        | Packet.Unsubscribe packet -> sentRequest "UNSUBSCRIBE" packet.PacketId.Value
        | Packet.Puback packet ->
            sentInOrder link.ToPuback "MQTT-4.6.0-2" "PUBACK" packet.PacketId.Value
            incoming.Remove packet.PacketId.Value |> ignore
        | Packet.Pubrec packet ->
            sentInOrder link.ToPubrec "MQTT-4.6.0-3" "PUBREC" packet.PacketId.Value

            if byte packet.Outcome.Reason >= 0x80uy then
                incoming.Remove packet.PacketId.Value |> ignore
            else
                match incoming.TryGetValue packet.PacketId.Value with
                | true, held -> held.PubrecSent <- true
                | _ -> ()
        | Packet.Pubcomp packet ->
            if not (link.ToPubcomp.Remove packet.PacketId.Value) then
                violate "MQTT-4.3.3-11" "PUBCOMP as the answer to a PUBREL" $"{packet.PacketId}"

            incoming.Remove packet.PacketId.Value |> ignore
        | Packet.Pubrel packet -> sentPubrel packet
        | Packet.Disconnect _ -> link.HasSentDisconnect <- true
        | _ -> ()

        // [MQTT-3.2.2-15]
        match (limitsOf link).MaximumPacketSize with
        | ValueSome most when uint32 (Encode.size packet) > most ->
            violate "MQTT-3.2.2-15" $"no packet above {most} bytes" $"{packet.Type}"
        | _ -> ()

    let finished (id: uint16) (reason: ReasonCode) =
        match sending.TryGetValue id with
        | true, known ->
            sending.Remove id |> ignore
            outcomes[known.Payload] <- reason
        | _ -> ()

        link.Open.Remove id |> ignore

    let incomingOf (publish: Publish) =
        {
            Payload = publish.Payload
            QoS = publish.Delivery.QoS
            IsDelivered = false
            PubrecSent = false
        }

    let receivedPublish (publish: Publish) =
        match publish.Delivery.PacketId with
        | ValueNone -> undelivered <- ValueSome publish
        | ValueSome id when publish.Delivery.QoS = QoS.AtLeastOnce ->
            link.ToPuback.Enqueue id.Value
            incoming[id.Value] <- incomingOf publish
        | ValueSome id ->
            if not (link.ToPubrec.Contains id.Value) then
                link.ToPubrec.Enqueue id.Value

            match incoming.TryGetValue id.Value with
            | true, held when held.QoS = QoS.ExactlyOnce && held.Payload.Equals publish.Payload -> ()
            // The server has made a new session meanwhile, with a CONNACK that was lost. The client sees that unless the
            // message is like one that is sent again [MQTT-3.3.1-1].
            | true, held ->
                incoming[id.Value] <- incomingOf publish

                if held.QoS <> QoS.ExactlyOnce || not publish.Delivery.IsDup then
                    undelivered <- ValueSome publish
            | _ ->
                incoming[id.Value] <- incomingOf publish
                undelivered <- ValueSome publish

    let receivedConnack (connack: Connack) =
        link.Connack <- ValueSome connack
        // A client that waits for CONNACK sends nothing; the intervals are counted from here.
        link.LastSent <- now

        // [MQTT-3.2.2-5]
        if byte connack.Reason < 0x80uy && not connack.SessionPresent then
            sending.Clear()
            incoming.Clear()

    let received (packet: Packet) =
        match packet with
        | Packet.Connack connack -> receivedConnack connack
        | Packet.Publish publish -> receivedPublish publish
        | Packet.Puback packet -> finished packet.PacketId.Value packet.Outcome.Reason
        | Packet.Pubrec packet ->
            let id = packet.PacketId.Value

            if byte packet.Outcome.Reason >= 0x80uy then
                finished id packet.Outcome.Reason
            else
                match sending.TryGetValue id with
                | true, known ->
                    known.PubrecReceived <- true
                    link.ToPubrel.Enqueue id
                | _ -> ()
        | Packet.Pubcomp packet -> finished packet.PacketId.Value ReasonCode.Success
        | Packet.Pubrel packet -> link.ToPubcomp.Add packet.PacketId.Value
        | Packet.Suback packet
        | Packet.Unsuback packet -> link.Requests.Remove packet.PacketId.Value |> ignore
        | _ -> ()

    let settledPublish (payload: Bytes) (qos: QoS) (reason: ReasonCode) =
        if qos = QoS.AtMostOnce then
            if not (sentOnce.Contains payload) then
                violate "4.3.1" "success after the message was sent" "success before"
        else
            match outcomes.TryGetValue payload with
            | true, outcome when (byte outcome >= 0x80uy) <> (byte reason >= 0x80uy) ->
                violate "4.3.2" $"the application is told {outcome}" $"{reason}"
            | true, _ -> ()
            | _ -> violate "4.3.2" "the application is told what was answered" $"{reason} without an answer"

    /// The rules that were broken so far.
    member _.Violations: IReadOnlyList<Violation> = violations

    /// Something happened at the client's end of a connection.
    member _.Observe(at: Instant, connection: int, what: Observed) : unit =
        now <- at
        checkDelivered ()

        match what with
        | Observed.Opened -> link <- ClientLink(connection, LastSent = at)
        | Observed.Closed -> link <- null
        | Observed.Sent packet when not (isNull link) -> sent packet
        | Observed.Received packet when not (isNull link) -> received packet
        | _ -> ()

    /// The application asked for something. The ticket names the call; it is used once.
    member _.Called(at: Instant, ticket: Ticket, call: ClientCall) : unit =
        now <- at
        calls[ticket] <- { Call = call; IsSettled = false; IsCancelled = false }

    /// The application no longer waits.
    member _.Cancelled(at: Instant, ticket: Ticket) : unit =
        now <- at

        match calls.TryGetValue ticket with
        | true, call -> call.IsCancelled <- true
        | _ -> ()

    /// A call was settled. The reason code is that of the answer; absent: there was none.
    member _.Settled(at: Instant, ticket: Ticket, reason: ReasonCode voption) : unit =
        now <- at

        match calls.TryGetValue ticket with
        | true, call ->
            if call.IsSettled then
                violate "calls" "every call settles once" $"call {ticket} settles again"

            call.IsSettled <- true

            match call.Call, reason with
            | ClientCall.Publish(payload, qos), ValueSome reason -> settledPublish payload qos reason
            | _ -> ()
        | _ -> violate "calls" "only calls that were made settle" $"call {ticket}"

    /// A call was settled because it cannot succeed. A message with which five connections ended is not sent again: before
    /// MQTT 5 a server cannot say that it does not take it.
    member this.Rejected(at: Instant, ticket: Ticket) : unit =
        this.Settled(at, ticket, ValueNone)

        match calls.TryGetValue ticket with
        | true, { Call = ClientCall.Publish(payload, _) } ->
            for KeyValue(id, known) in Seq.toArray sending do
                if known.Payload.Equals payload && known.Connections >= 5 then
                    sending.Remove id |> ignore
        | _ -> ()

    /// A message was handed to the application.
    member _.Delivered(at: Instant, publish: Publish) : unit =
        now <- at
        undelivered <- ValueNone

        match publish.Delivery.PacketId with
        | ValueNone -> ()
        | ValueSome id ->
            match incoming.TryGetValue id.Value with
            | true, held when held.IsDelivered && held.QoS = QoS.ExactlyOnce ->
                violate "MQTT-4.3.3-10" "a message of QoS 2 is handed over once" $"{id} again"
            | true, held -> held.IsDelivered <- true
            | _ -> violate "4.3" "only messages that were received are handed over" $"{id}"

    /// The clock jumped, or the process stood still: the next packet may be late.
    member _.Interrupted() : unit = isInterrupted <- true

    /// The process ended and nothing of it is left: its waiting calls are gone as well.
    member _.Crashed() : unit =
        sending.Clear()
        incoming.Clear()
        calls.Clear()
        undelivered <- ValueNone
        link <- null

    /// There was time for everything. Gives all violations.
    member _.Finish(at: Instant) : IReadOnlyList<Violation> =
        now <- at
        checkDelivered ()

        for KeyValue(ticket, call) in calls do
            if not call.IsSettled then
                let cancelled = if call.IsCancelled then "cancelled " else ""
                violate "calls" "every call settles" $"{cancelled}call {ticket} ({call.Call}) does not"

        match link with
        | null -> ()
        | link when
            link.Connack.IsSome
            && byte link.Connack.Value.Reason < 0x80uy
            && not link.HasSentDisconnect
            ->
            checkKeepAlive ()

            for KeyValue(id, message) in sending do
                if message.Connection <> link.Number && not message.PubrecReceived then
                    violate "MQTT-4.4.0-1" "every unfinished PUBLISH sent again" $"{id} is not"
                elif message.PubrecReceived && message.PubrelConnection <> link.Number then
                    violate "MQTT-4.4.0-1" "every unfinished PUBREL sent again" $"{id} is not"

            if link.ToPuback.Count + link.ToPubrec.Count + link.ToPubcomp.Count > 0 then
                violate "MQTT-4.3.2-4" "an answer to every PUBLISH and PUBREL" "some are missing"
        | _ -> ()

        violations
