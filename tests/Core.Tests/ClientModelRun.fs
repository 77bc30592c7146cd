/// Drives a client with its naive model at its side, and turns bytes into commands for it.
module Mqtt5.Tests.ClientModelRun

open System
open System.Collections.Generic
open Expecto
open Mqtt5
open Mqtt5.Tests.ClientModel

type Transport =
    | Closed
    | Opening
    /// Open, and not a byte was sent.
    | Fresh
    | Open

let private hashSeed = HashSeed.Of(1UL, 2UL)

let private method' = Utf8String.Of "m"

let private authentication: Authentication = { Method = method'; Data = ValueNone }

let private nameOf (settlement: Settlement) =
    match settlement with
    | Settlement.Connected _ -> "connected"
    | Settlement.Published _ -> "published"
    | Settlement.Answered _ -> "answered"
    | Settlement.Authenticated _ -> "authenticated"
    | Settlement.Rejected fault -> $"rejected for {fault.Field}"
    | Settlement.Expired -> "expired"
    | Settlement.Cancelled -> "cancelled"
    | Settlement.QueueFull -> "queue full"
    | Settlement.Ended _ -> "ended"

/// What happens once: an event, what it led to, and whether the model agrees.
type Run(settings: ClientSettings, withMethod: bool) =
    let mutable state = ClientState.create 42UL hashSeed settings
    let mutable now: Instant = 0L<ms>
    let mutable lastSent: Instant = 0L<ms>
    let mutable transport = Closed
    let mutable wasConnected = false
    // A CONNECT was sent and no CONNACK came: the server may have begun a new session.
    let mutable inDoubt = false
    let mutable cleanStart = false
    let mutable ticket = 0L
    let mutable fingerprint = 14695981039346656037UL
    let mutable expected = ValueNone
    let mutable delivery = NoDelivery
    let sending = SendingModel()
    let receiving = ReceivingModel()
    let messages = List<Message>()
    let outstanding = HashSet<int64>()
    let tokens = List<DeliveryToken>([ DeliveryToken.None; DeliveryToken 65_537L ])
    let pubrels = List<struct (uint16 * ReasonCode)>()
    let sentAcks = List<struct (PacketType * uint16 * ReasonCode)>()
    let mutable challenged = false
    let mutable silent = -1
    let seen = HashSet<string>()

    let mix (value: int64) = fingerprint <- (fingerprint ^^^ uint64 value) * 1099511628211UL

    let byTicket (ticket: Ticket) =
        messages
        |> Seq.tryFindBack (fun one -> ticket.IsCall && one.Ticket = ticket.Value)

    let settled (ticket: Ticket) =
        mix ticket.Value

        Expect.isTrue
            (outstanding.Remove ticket.Value)
            $"ticket {ticket} settles once, and a call waits for it"

    let settledWith ticket (settlement: Settlement) =
        seen.Add(nameOf settlement) |> ignore
        let message = byTicket ticket
        settled ticket

        match settlement, message with
        | Settlement.Cancelled, Some message ->
            seen.Add "a message is cancelled" |> ignore
            message.Ticket <- 0L
            sending.Waiting.Remove message |> ignore
        | Settlement.Expired, Some message ->
            Expect.isLessThanOrEqual message.ExpiresAt.Value now "it has expired"
            Expect.isTrue (sending.Waiting.Contains message) "it was not sent"
            sending.Forget message
        | (Settlement.QueueFull | Settlement.Rejected _), Some message -> sending.Forget message
        | Settlement.Published(reason, _), Some message ->
            Expect.equal expected (ValueSome(struct (message, reason))) "the answer of the server"
            expected <- ValueNone
        | Settlement.Published _, None -> failtest "nothing was published with this ticket"
        | _ -> ()

    let opened (packet: Packet) =
        Expect.equal transport Fresh "[MQTT-3.1.0-1] CONNECT is first, and only first"

        match packet with
        | Packet.Connect connect -> cleanStart <- connect.CleanStart
        | _ -> failtest "[MQTT-3.1.0-1] the first packet is CONNECT"

        transport <- Open

    let sent (packet: Packet) =
        let bytes = encoded packet
        lastSent <- now

        for one in bytes do
            mix (int64 one)

        match packet with
        | Packet.Connect _ -> opened packet
        | _ -> Expect.equal transport Open "[MQTT-3.14.4-1] a packet needs an open connection"

        match packet with
        | Packet.Publish publish ->
            sending.Published(now, publish) |> ignore

            if publish.Delivery.IsDup then
                seen.Add $"{publish.Delivery.QoS} again" |> ignore

            if publish.Topic.IsAlias then
                seen.Add "an alias" |> ignore
        | Packet.Subscribe packet ->
            sending.Request(packet.PacketId.Value, PacketType.Suback, packet.Subscriptions.Count)
        | Packet.Unsubscribe packet ->
            sending.Request(packet.PacketId.Value, PacketType.Unsuback, packet.Filters.Count)
        | Packet.Disconnect _ -> transport <- Fresh
        | Packet.Auth _ -> Expect.isTrue withMethod "[MQTT-4.12.0-7] AUTH needs a method"
        | _ -> ()

    let did (effect: Effect) =
        match effect with
        | Effect.Nothing -> failtest "an effect without meaning"
        | Effect.Send packet -> sent packet
        | Effect.SendMessage(message, id, alias, isNamed) ->
            sent (Packet.Publish(Outgoing.toPublish id alias isNamed message))
        | Effect.SendAck(kind, id, reason) ->
            Expect.equal transport Open "an acknowledgement needs an open connection"
            seen.Add $"{kind} {reason}" |> ignore
            lastSent <- now
            mix (int64 id)

            if kind = PacketType.Pubrel then
                pubrels.Add(struct (id, reason))
            else
                sentAcks.Add(struct (kind, id, reason))
        | Effect.Deliver(Packet.Publish publish, token) ->
            Expect.equal delivery Delivery "a message that is due"
            Expect.isTrue publish.Topic.IsName "with its topic in full"

            if not token.IsNone then
                receiving.Delivered token
                tokens.Add token

            delivery <- NoDelivery
        | Effect.Deliver _ -> failtest "only messages are handed over"
        | Effect.Settle(ticket, reason) ->
            match byTicket ticket with
            | Some message when message.QoS <> QoS.AtMostOnce ->
                Expect.equal expected (ValueSome(struct (message, reason))) "the answer of the server"
                expected <- ValueNone
            | _ -> ()

            settled ticket
        | Effect.SettleWith(ticket, settlement) -> settledWith ticket settlement
        | Effect.OpenTransport _ ->
            Expect.equal transport Closed "one transport at a time"
            transport <- Opening
        | Effect.CloseTransport ->
            Expect.notEqual transport Closed "a transport is closed once"
            transport <- Closed
        | Effect.Challenge _ -> challenged <- true
        | Effect.Notify(Notice.Undeliverable(message, _)) ->
            seen.Add "undeliverable" |> ignore
            sending.Forget messages[numberOf message.Payload]
        | Effect.Notify(Notice.Resubscribed _) -> seen.Add "resubscribed" |> ignore
        | Effect.Notify _ -> ()
        | Effect.Serve _
        | Effect.SendFrames _
        | Effect.SendRun _
        | Effect.SendAcks _ -> failtest "a client has no task of a server"

    // Messages that no call waits for are dropped without a report, when they expire or there is no room for them.
    let dropSilent () =
        let kept = HashSet<int>()

        for message in state.Outbound.Waiting do
            kept.Add(numberOf message.Payload) |> ignore

        sending.Waiting.RemoveAll(fun one ->
            not (kept.Contains one.Number)
            && one.Ticket = 0L
            && (one.Number = silent
                || settings.Queue.WhenFull = WhenFull.DropOldest
                || one.QoS = QoS.AtMostOnce && not settings.Queue.KeepQoS0 && not state.IsConnected
                || one.ExpiresAt.IsSome && one.ExpiresAt.Value <= now))
        |> ignore

        Expect.sequenceEqual
            (state.Outbound.Waiting |> Seq.map (fun message -> numberOf message.Payload))
            (sending.Waiting |> Seq.map _.Number)
            "the messages that wait"

    member _.State = state

    /// What happened at least once, so that a test can show that runs go everywhere.
    member _.Seen = seen
    member _.Now = now
    member _.Sending = sending
    member _.Receiving = receiving
    member _.Tokens = tokens
    member _.Fingerprint = fingerprint
    member _.Outstanding = outstanding
    member _.LastTicket = ticket
    member _.CleanStart = cleanStart
    member _.IsChallenged = challenged

    member _.Advance(by: int64<ms>) = now <- now + by

    member _.NewTicket() =
        ticket <- ticket + 1L
        outstanding.Add ticket |> ignore
        ticket

    /// A step with the expectation, if any, that the connection ends with it.
    member private _.Step(event: ClientEvent, breach: bool) =
        let connectedBefore = state.IsConnected
        let endedBefore = state.Phase.IsEnded
        let idle = state.Phase.IsEnded || state.Phase.IsIdle
        let connectingBefore = state.Phase.IsConnecting

        let refused =
            match event with
            | ClientEvent.Received(Packet.Connack connack) -> byte connack.Reason >= 0x80uy
            | _ -> false

        let struct (next, effects) = ClientSession.step now event state
        state <- next

        if idle && state.Phase.IsOpening then
            wasConnected <- false

        if
            connectingBefore
            && not (state.Phase.IsConnecting || state.IsConnected || refused)
        then
            inDoubt <- true

        if not connectedBefore && state.IsConnected then
            match event with
            | ClientEvent.Received(Packet.Connack connack) ->
                let p = connack.Properties
                let window = p.ReceiveMaximum |> ValueOption.defaultValue 65_535us |> int

                let aliases =
                    p.TopicAliasMaximum
                    |> ValueOption.defaultValue 0us
                    |> min settings.TopicAliasLimit

                sending.Opened(window, aliases, connack.SessionPresent, wasConnected)

                for id in sending.TakePubrelsDue() do
                    pubrels.Add(struct (id, ReasonCode.Success))

                let ours = settings.Properties.ReceiveMaximum |> ValueOption.defaultValue 65_535us
                receiving.Opened(int ours, connack.SessionPresent, inDoubt)
                wasConnected <- true
                inDoubt <- false
            | _ -> failtest "only CONNACK opens a connection"

        // The PUBRELs that are due stand in the list until they are sent.
        let due = pubrels.ToArray()
        pubrels.Clear()

        for effect in effects do
            did effect

        Expect.sequenceEqual pubrels due "[MQTT-4.3.3-4] the PUBRELs that are due"

        Expect.sequenceEqual
            sentAcks
            (receiving.TakeAcks())
            "[MQTT-4.6.0-2] the acknowledgements that are due"

        pubrels.Clear()
        sentAcks.Clear()

        match expected with
        | ValueSome(struct (message: Message, _)) when message.Ticket > 0L ->
            failtest "the holder of an acknowledged message is told"
        | _ -> expected <- ValueNone

        Expect.notEqual delivery Delivery "a message that arrives is handed over"
        delivery <- NoDelivery

        if breach then
            Expect.isFalse state.IsConnected "the breach ends the connection"

        if connectedBefore && not state.IsConnected then
            sending.Lost()
            receiving.Lost()

        if not state.Phase.IsConnecting && not state.Phase.IsConnected then
            challenged <- false

        if state.Phase.IsEnded && not endedBefore then
            sending.Ended()

        match ClientState.sound state with
        | ValueSome breach -> failtest breach
        | ValueNone -> ()

        match state.Phase with
        | ClientPhase.Idle
        | ClientPhase.Ended
        | ClientPhase.Waiting _ -> Expect.equal transport Closed "no transport between connections"
        | ClientPhase.Opening _ -> Expect.equal transport Opening "a transport is being opened"
        | ClientPhase.Connecting _
        | ClientPhase.Connected -> Expect.equal transport Open "there is a transport"

        if state.Phase.IsEnded then
            Expect.isEmpty outstanding "nobody waits for a client that has ended"

        dropSilent ()

        if state.Outbound.IsCongested then
            seen.Add "congested" |> ignore
        elif state.Progress.Careful > 0 then
            seen.Add "one at a time" |> ignore
        else
            Expect.isTrue (sending.IsIdle now) "what may be sent is sent"

    member this.Do(event: ClientEvent) = this.Step(event, false)

    member this.Start() = this.Do(ClientEvent.Start(Ticket(this.NewTicket())))

    member this.OpenTransport() =
        if state.Phase.IsOpening then
            transport <- Fresh

        this.Do(
            ClientEvent.TransportOpened
                { Credentials.None with
                    Authentication = if withMethod then ValueSome authentication else ValueNone
                }
        )

    member this.CloseTransport() =
        transport <- Closed
        this.Do(ClientEvent.TransportClosed(Cause.TransportFailed "gone"))

    member this.Connack(connack: Connack) =
        let properties =
            { connack.Properties with
                Authentication = if withMethod then ValueSome authentication else ValueNone
            }

        let breach = connack.SessionPresent && cleanStart
        this.Step(ClientEvent.Received(Packet.Connack { connack with Properties = properties }), breach)

    member this.Publish(topic: string, qos: QoS, retain: bool, lifetime: uint32 voption, unwatched: bool) =
        let ticket = if unwatched then 0L else this.NewTicket()

        let expiresAt = lifetime |> ValueOption.map (fun seconds -> now + int64 seconds * 1_000L<ms>)

        let message =
            {
                Number = messages.Count
                Topic = topic
                QoS = qos
                Ticket = ticket
                ExpiresAt = expiresAt
            }

        messages.Add message
        silent <- if ticket = 0L then message.Number else -1

        if not state.Phase.IsEnded then
            sending.Waiting.Add message

        this.Do(
            ClientEvent.Publish
                {
                    Topic = TopicName.Of topic
                    Payload = Bytes.OfArray(BitConverter.GetBytes message.Number)
                    QoS = qos
                    Retain = retain
                    Properties =
                        { PublishProperties.Empty with
                            MessageExpiryInterval =
                                lifetime |> ValueOption.map LanguagePrimitives.UInt32WithMeasure<s>
                        }
                    ExpiresAt = expiresAt
                    Ticket = Ticket ticket
                }
        )

    /// PUBACK, PUBREC or PUBCOMP of the server.
    member this.Acknowledged(kind: PacketType, id: uint16, reason: ReasonCode, asPacket: bool) =
        let mutable breach = false

        if state.IsConnected then
            let struct (pubrel, fault, over) = sending.Acknowledged(kind, id, reason)
            breach <- fault
            pubrel |> ValueOption.iter (fun reason -> pubrels.Add(struct (id, reason)))

            let reason =
                if kind = PacketType.Pubcomp && reason = ReasonCode.PacketIdentifierNotFound then
                    ReasonCode.Success
                else
                    reason

            expected <- over |> ValueOption.map (fun message -> struct (message, reason))

        if asPacket then
            let packet =
                {
                    PacketId = PacketId.Of id
                    Outcome = Outcome.Full(reason, AcknowledgementProperties.Empty)
                }

            let packet =
                match kind with
                | PacketType.Puback -> Packet.Puback packet
                | PacketType.Pubrec -> Packet.Pubrec packet
                | _ -> Packet.Pubcomp packet

            this.Step(ClientEvent.Received packet, breach)
        else
            this.Step(ClientEvent.ReceivedAck(kind, id, reason), breach)

    member this.Released(id: uint16) =
        let breach = state.IsConnected && receiving.Released id
        this.Step(ClientEvent.ReceivedAck(PacketType.Pubrel, id, ReasonCode.Success), breach)

    member this.Arrives(id: uint16, qos: QoS, dup: bool) =
        if state.IsConnected then
            delivery <-
                if qos = QoS.AtMostOnce then
                    Delivery
                else
                    receiving.Arrived(id, qos, dup)

        let breach = delivery = Fault

        if breach then
            delivery <- NoDelivery

        let id = PacketId.Of id

        let publish =
            {
                Delivery =
                    match qos with
                    | QoS.AtMostOnce -> Mqtt5.Delivery.AtMostOnce
                    | QoS.AtLeastOnce -> Mqtt5.Delivery.AtLeastOnce(id, dup)
                    | _ -> Mqtt5.Delivery.ExactlyOnce(id, dup)
                Retain = false
                Topic = TopicReference.Name(TopicName.Of "from/server")
                Properties = PublishProperties.Empty
                Payload = Bytes.Empty
            }

        this.Step(ClientEvent.Received(Packet.Publish publish), breach)

    member this.Acknowledge(token: DeliveryToken, reason: ReasonCode) =
        // A client has fewer codes than a server [MQTT-3.4.2-1].
        let sent =
            if reason = ReasonCode.NoMatchingSubscribers then
                ReasonCode.Success
            else
                reason

        receiving.Acknowledged(token, sent)
        this.Do(ClientEvent.Acknowledge(token, reason))

    /// The server answers a request, with a number of reason codes that may be wrong.
    member this.Answer(id: uint16, kind: PacketType, reasons: ReasonCode[], breach: bool) =
        let answer: SubscriptionAcknowledgement =
            {
                PacketId = PacketId.Of id
                Properties = AcknowledgementProperties.Empty
                Reasons = ReasonCodeList.Of reasons
            }

        // The request may have been abandoned, so a wrong number need not be noticed.
        if not breach then
            sending.Requests.Remove id |> ignore

        let packet =
            if kind = PacketType.Suback then
                Packet.Suback answer
            else
                Packet.Unsuback answer

        this.Do(ClientEvent.Received packet)

        if breach && state.IsConnected then
            sending.Requests.Remove id |> ignore

    member this.Breach(event: ClientEvent) = this.Step(event, state.IsConnected)

    member this.AnswerChallenge() =
        challenged <- false
        this.Do(ClientEvent.Answer authentication)

    member this.GiveUp() =
        this.Do(ClientEvent.GiveUp { Part = FailedPart.Authenticator; Detail = "no"; Origin = null })

    member this.Reauthenticate() =
        this.Do(ClientEvent.Reauthenticate(authentication, Ticket(this.NewTicket())))

    member this.Disconnect() = this.Do(ClientEvent.Disconnect(Outcome.Omitted, Ticket(this.NewTicket())))
