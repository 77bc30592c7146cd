/// What a session keeps, and its changes: the laws over random steps.
module Mqtt5.Tests.DurabilityRuns

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses

/// What happens to a session of a server. Small numbers choose among what there is.
type SessionEvent =
    | Connect of expiry: uint32 * receiveMaximum: uint16
    | Lose
    | Leave of expiry: uint32 voption
    | Forward of qos: int * expires: int * ticket: bool * shared: bool
    | ForwardRun of qos: int * count: int
    | Puback of which: int
    | AckRun of kind: PacketType * count: int
    | Pubrec of which: int * reason: ReasonCode
    | Pubcomp of which: int
    | Publish of qos: int * id: int * dup: bool
    | Decide of which: int * reason: ReasonCode
    | Pubrel of id: int
    | Congest of bool
    | Pass of seconds: int
    | End

let private event =
    let which = Gen.choose (0, 5)
    let id = Gen.choose (1, 6)
    let expiry = Gen.elements [ 0u; 60u; 60u; 60u ]

    Gen.frequency
        [
            4,
            Gen.map2 (fun expiry most -> Connect(expiry, most)) expiry (Gen.elements [ 1us; 2us; 4us; 30us ])
            2, Gen.constant Lose
            1, Gen.map Leave (Gen.elements [ ValueNone; ValueNone; ValueSome 0u; ValueSome 5u ])
            10,
            gen {
                let! qos = Gen.elements [ 0; 1; 1; 2; 2 ]
                let! expires = Gen.elements [ -1; -1; 0; 1; 3 ]
                let! ticket = Gen.elements [ true; false ]
                let! shared = Gen.elements [ true; false ]
                return Forward(qos, expires, ticket, shared)
            }
            2, Gen.map2 (fun qos count -> ForwardRun(qos, count)) (Gen.choose (1, 2)) (Gen.choose (1, 8))
            4, Gen.map Puback which
            4,
            Gen.map2
                (fun kind count -> AckRun(kind, count))
                (Gen.elements [ PacketType.Puback; PacketType.Pubrec; PacketType.Pubrel; PacketType.Pubcomp ])
                (Gen.choose (1, 8))
            4,
            Gen.map2
                (fun which reason -> Pubrec(which, reason))
                which
                (Gen.elements [ ReasonCode.Success; ReasonCode.Success; ReasonCode.QuotaExceeded ])
            3, Gen.map Pubcomp which
            5,
            Gen.map3
                (fun qos id dup -> Publish(qos, id, dup))
                (Gen.choose (1, 2))
                id
                (Gen.elements [ true; false ])
            4,
            Gen.map2
                (fun which reason -> Decide(which, reason))
                which
                (Gen.elements [ ReasonCode.Success; ReasonCode.Success; ReasonCode.NotAuthorized ])
            3, Gen.map Pubrel id
            2, Gen.map Congest (Gen.elements [ true; false ])
            3, Gen.map Pass (Gen.elements [ 0; 1; 2 ])
        ]

let settings whenFull queuesQoS0 : BrokerSettings =
    { BrokerSettings.Default with
        WhenQueueFull = whenFull
        QueuesQoS0 = queuesQoS0
        Limits = { BrokerLimits.Default with QueuedMessages = 12; QueuedBytes = 400L }
    }

let outgoing qos ticket expiresAt number : Outgoing =
    {
        Topic = TopicName.Of "t"
        Payload = Bytes.OfText(string<int> number)
        QoS = LanguagePrimitives.EnumOfValue(byte<int> qos)
        Retain = false
        Properties = PublishProperties.Empty
        ExpiresAt = expiresAt
        Ticket = Ticket ticket
    }

let connectPacket expiry receiveMaximum : Mqtt5.Connect =
    {
        CleanStart = false
        KeepAlive = 0us<s>
        Properties =
            { ConnectProperties.Empty with
                SessionExpiryInterval = ValueSome(expiry * 1u<s>)
                ReceiveMaximum = ValueSome receiveMaximum
            }
        ClientId = ValueSome(ClientId.Of "a")
        Will = ValueNone
        UserName = ValueNone
        Password = ValueNone
    }

let attachment connection connect : Attachment =
    {
        Connection = connection
        Protocol = Protocol.V5
        Connect = connect
        Assigned = false
        SessionPresent = (connection <> ConnectionId 1L)
        Authentication = ValueNone
        UserName = ValueNone
        AuthenticatedUntil = ValueNone
    }

let shared: SharedDelivery =
    { Filter = TopicFilter.Of "$share/g/t"; QoS = QoS.ExactlyOnce; Retain = true }

// Identifiers under way at this stage.
let under stage (state: ServerState) =
    PacketIdMap.fold
        (fun ids id exchange ->
            match exchange with
            | Exchange.Message(Stage = other) when other = stage -> id :: ids
            | _ -> ids)
        []
        state.Outbound.InFlight
    |> List.rev
    |> List.toArray

let pick which (items: 'T[]) = if items.Length = 0 then None else Some items[which % items.Length]

/// A session to which things happen, and which is checked after each.
type private Subject(settings: BrokerSettings) =
    let mutable state = ServerState.create (SessionId 1L) (ClientId.Of "a") settings
    let mutable now: Instant = 1_000L<ms>
    let mutable connection = ConnectionId.None
    let mutable number = 0
    let tokens = ResizeArray<DeliveryToken>()

    let next () =
        number <- number + 1
        number

    let become (after: ServerState) =
        let before = state
        state <- after
        Expect.equal (ServerState.sound after) ValueNone "the state is sound"
        DurabilityLaws.server before after

    let step event =
        let struct (after, effects) = ServerSession.step now event state

        for effect in effects do
            match effect with
            | Deliver(_, token) when not token.IsNone -> tokens.Add token
            | _ -> ()

        become after

    let ack kind id reason = step (ServerEvent.ReceivedAck(connection, kind, id, reason))

    member _.State = state

    member _.Do(event: SessionEvent) =
        match event with
        | Connect(expiry, receiveMaximum) ->
            let next = connection.Next
            step (ServerEvent.TakeOver next)
            connection <- next
            step (ServerEvent.Attach(attachment next (connectPacket expiry receiveMaximum)))
        | Lose -> step (ServerEvent.TransportClosed(connection, Cause.TransportFailed "gone"))
        | Leave expiry ->
            let properties =
                { DisconnectProperties.Empty with
                    SessionExpiryInterval = ValueOption.map (fun seconds -> seconds * 1u<s>) expiry
                }

            let packet = Packet.Disconnect(Outcome.Full(ReasonCode.Success, properties))
            step (ServerEvent.Received(connection, packet))
        | Forward(qos, expires, hasTicket, isShared) ->
            let number = next ()

            let expiresAt =
                if expires < 0 then
                    ValueNone
                else
                    ValueSome(now + int64 expires * 1_000L<ms>)

            let message = outgoing qos (if hasTicket then int64 number else 0L) expiresAt number
            let shared = if isShared && hasTicket then ValueSome shared else ValueNone
            step (ServerEvent.Forward(message, shared, 1_000_000L))
        | ForwardRun(qos, count) ->
            let messages = [| for _ in 1..count -> outgoing qos 0L ValueNone (next ()) |]
            let run = SessionRunsTests.runOf messages
            let struct (after, _) = SessionRuns.send now 1_000_000L run (run.Copies messages[0].Topic) state
            become after
        | Puback which ->
            match pick which (under Stage.AwaitPuback state) with
            | Some id -> ack PacketType.Puback id ReasonCode.Success
            | None -> ()
        | AckRun(kind, count) ->
            let ids =
                match kind with
                | PacketType.Puback -> under Stage.AwaitPuback state
                | PacketType.Pubrec -> under Stage.AwaitPubrec state
                | PacketType.Pubcomp -> under Stage.AwaitPubcomp state
                | _ -> [| 1us .. 6us |]
                |> Array.truncate count

            let struct (after, _) = SessionRuns.acknowledged now connection kind ids ids.Length state
            become after
        | Pubrec(which, reason) ->
            match pick which (under Stage.AwaitPubrec state) with
            | Some id -> ack PacketType.Pubrec id reason
            | None -> ()
        | Pubcomp which ->
            match pick which (under Stage.AwaitPubcomp state) with
            | Some id -> ack PacketType.Pubcomp id ReasonCode.Success
            | None -> ()
        | Publish(qos, id, dup) ->
            let id = PacketId.Of(uint16 id)

            let publish: Mqtt5.Publish =
                {
                    Delivery =
                        if qos = 1 then
                            Delivery.AtLeastOnce(id, dup)
                        else
                            Delivery.ExactlyOnce(id, dup)
                    Retain = false
                    Topic = TopicReference.Name(TopicName.Of "t")
                    Properties = PublishProperties.Empty
                    Payload = Bytes.Empty
                }

            step (ServerEvent.Received(connection, Packet.Publish publish))
        | Decide(which, reason) ->
            match pick which (tokens.ToArray()) with
            | Some token ->
                tokens.Remove token |> ignore
                step (ServerEvent.Acknowledge(token, reason))
            | None -> ()
        | Pubrel id -> ack PacketType.Pubrel (uint16 id) ReasonCode.Success
        | Congest isCongested -> step (ServerEvent.Congested(connection, isCongested))
        | Pass seconds ->
            now <- now + int64 seconds * 1_000L<ms>
            step (ServerEvent.Tick now)
        | End -> step (ServerEvent.End ReasonCode.AdministrativeAction)

let sessions =
    testPropertyWithConfig
        config
        "what a session keeps is the fold of the changes of its steps"
        (Prop.forAll
            (Arb.fromGen (
                Gen.zip3
                    (Gen.listOf event)
                    (Gen.elements [ WhenFull.DropOldest; WhenFull.Refuse ])
                    (Gen.elements [ true; false ])
            ))
            (fun (events, whenFull, queuesQoS0) ->
                let subject = Subject(settings whenFull queuesQoS0)
                let start = DurableState.Of subject.State
                let mutable stored = Durability.project DurabilityLaws.clock start

                for event in events do
                    let before = DurableState.Of subject.State
                    subject.Do event
                    let after = DurableState.Of subject.State
                    // Several steps between two states that are stored come to the same.
                    stored <- DurabilityLaws.fold (DurabilityLaws.changesBetween before after) stored

                DurabilityLaws.session start (DurableState.Of subject.State)
                let expected = Durability.project DurabilityLaws.clock (DurableState.Of subject.State)
                Expect.equal stored expected "the fold over all steps"
                subject.Do End

                Expect.equal
                    (Durability.project DurabilityLaws.clock (DurableState.Of subject.State))
                    StoredSession.Empty
                    "the end"))

/// What happens to a sending half, of a client as well.
type SendingEvent =
    | Enqueue of qos: int * expires: int
    | Send of qos: int
    | Answer of which: int
    | Refuse of which: int
    | Request
    | Resume of receiveMaximum: uint16 * refuses: int
    | Disconnected
    | SessionLost
    | Discard
    | Congestion
    | Relief of bytes: int
    | DropOldest
    | Expire of seconds: int
    | Cancel of ticket: int
    | Abandon

let private sendingEvent =
    let qos = Gen.elements [ 0; 1; 1; 2 ]

    Gen.frequency
        [
            6, Gen.map2 (fun qos expires -> Enqueue(qos, expires)) qos (Gen.elements [ -1; -1; 1; 2 ])
            6, Gen.map Send qos
            6, Gen.map Answer (Gen.choose (0, 5))
            1, Gen.map Refuse (Gen.choose (0, 5))
            1, Gen.constant Request
            4,
            Gen.map2
                (fun most refuses -> Resume(most, refuses))
                (Gen.elements [ 1us; 3us; 20us ])
                (Gen.choose (0, 9))
            2, Gen.constant Disconnected
            1, Gen.constant SessionLost
            1, Gen.constant Discard
            1, Gen.constant Congestion
            1, Gen.map Relief (Gen.choose (1, 60))
            2, Gen.constant DropOldest
            2, Gen.map Expire (Gen.choose (0, 2))
            3, Gen.map Cancel (Gen.choose (1, 20))
            1, Gen.constant Abandon
        ]

let private happen (now: Instant) (number: int) (event: SendingEvent) (state: Outbound) : Outbound =
    let message qos expires =
        outgoing
            qos
            (int64 number)
            (if expires < 0 then
                 ValueNone
             else
                 ValueSome(now + int64 expires * 1_000L<ms>))
            number

    let answer which reason =
        let exchanges =
            PacketIdMap.fold
                (fun list id exchange ->
                    match exchange with
                    | Exchange.Message(Stage = stage) -> struct (id, stage) :: list
                    | Exchange.Request _ -> list)
                []
                state.InFlight

        match pick which (List.toArray exchanges) with
        | None -> state
        | Some(struct (id, stage)) ->
            let kind =
                match stage with
                | Stage.AwaitPuback -> PacketType.Puback
                | Stage.AwaitPubrec -> PacketType.Pubrec
                | Stage.AwaitPubcomp -> PacketType.Pubcomp

            match Outbound.acknowledged now kind id reason ValueNone state with
            | Ok(struct (next, _)) -> next
            | Error fault -> failtest fault.Detail

    let first struct (next, _) = next

    match event with
    | Enqueue(qos, expires) when qos > 0 || not state.IsOnline || state.IsCongested ->
        Outbound.enqueue (message qos expires) state
    | Enqueue(qos, _)
    | Send qos -> first (Outbound.publish now (message qos -1) state)
    | Answer which -> answer which ReasonCode.Success
    | Refuse which -> answer which ReasonCode.QuotaExceeded
    | Request when state.IsOnline -> first (Outbound.reserve PacketType.Suback (Ticket(int64 number)) state)
    | Resume(most, refuses) when not state.IsOnline ->
        // Some are not deliverable on the new connection.
        let refuse (message: Outgoing) =
            if message.Payload.Length > 0 && int message.Payload.Span[0] % 10 = refuses then
                ValueSome Admission.tooLarge
            else
                ValueNone

        first (
            Outbound.resumed now most Spec.MaximumPacketBytes (OutboundTopicAliases.Empty 0us) refuse state
        )
    | Disconnected -> first (Outbound.connectionLost state)
    // The client gets to know of it before it sends anything.
    | SessionLost when not state.IsOnline -> Outbound.sessionLost state
    | Discard when not state.IsOnline -> Outbound.discarded state
    | Congestion -> Outbound.congested state
    | Relief bytes -> first (Outbound.uncongested now (int64 bytes) state)
    | DropOldest -> first (Outbound.dropOldest state)
    | Expire _ -> first (Outbound.expire now state)
    | Cancel ticket -> first (Outbound.cancel (Ticket(int64 ticket)) state)
    | Abandon -> first (Outbound.abandon state)
    | _ -> state

let halves =
    testPropertyWithConfig
        config
        "what a sending half keeps is the fold of its changes, whatever happens to it"
        (Prop.forAll (Arb.fromGen (Gen.listOf sendingEvent)) (fun (events: SendingEvent list) ->
            let kept (outbound: Outbound) : DurableState =
                { DurableState.Nothing with Outbound = outbound; IsKept = true }

            let mutable state = Outbound.empty
            let mutable now: Instant = 0L<ms>
            let mutable number = 0

            for event in events do
                number <- number + 1

                match event with
                | Expire seconds -> now <- now + int64 seconds * 1_000L<ms>
                | _ -> ()

                let before = state
                state <- happen now number event state
                Expect.equal (Outbound.sound state) ValueNone "the state is sound"
                DurabilityLaws.session (kept before) (kept state)))
