/// Many clients, random interleavings, losses and takeovers, against the reference broker.
module Mqtt5.Tests.BrokerWorldTests

open System.Collections.Generic
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.BrokerReference

type Operation =
    | Connect of client: int * clean: bool * keeps: bool * receiveMaximum: uint16 * aliases: uint16
    | Disconnect of client: int
    | Drop of client: int
    /// From now on nothing that the client sends arrives.
    | Mute of client: int
    | Publish of client: int * topic: int * qos: int * retain: bool
    | Clear of client: int * topic: int
    | Subscribe of client: int * filter: int * qos: int * options: int
    | Unsubscribe of client: int * filter: int
    | Read of client: int * packets: int
    | Wait of seconds: int
    /// The connection of the client takes no more data, or takes it again.
    | Congest of client: int * full: bool

let private topics = [| "a"; "a/b"; "a/b/c"; "x/b"; "locked/b"; "mine/b" |]

let private filters =
    [| "a"; "a/b"; "a/+"; "#"; "+/b"; "a/#"; "locked/b"; "$share/g/#"; "$share/g/a/+"; "$share/h/+/b" |]

let private clientCount = 4

// Client 3 may not publish to mine/#, and only client 0 gets locked/#.
let private grants: AccessGrant[] =
    let grant subject allows scope pattern : AccessGrant =
        { Subject = subject; Allows = allows; Scope = scope; Pattern = pattern }

    [|
        grant AccessSubject.Everyone true AccessScope.All "#"
        grant (AccessSubject.Client "c1") false AccessScope.Subscribe "locked/#"
        grant (AccessSubject.Client "c2") false AccessScope.Subscribe "locked/b"
        grant (AccessSubject.Client "c3") false AccessScope.Subscribe "locked/+"
        grant (AccessSubject.Client "c3") false AccessScope.Publish "mine/#"
    |]

let private operation: Gen<Operation> =
    let client = Gen.choose (0, clientCount - 1)

    Gen.frequency
        [
            3,
            gen {
                let! who = client
                let! clean = Gen.frequency [ 4, Gen.constant false; 1, Gen.constant true ]
                let! keeps = Gen.frequency [ 3, Gen.constant true; 1, Gen.constant false ]
                let! receiveMaximum = Gen.elements [ 1us; 2us; 65_535us ]
                let! aliases = Gen.elements [ 0us; 1us; 5us ]
                return Connect(who, clean, keeps, receiveMaximum, aliases)
            }
            1, Gen.map Disconnect client
            1, Gen.map Drop client
            1, Gen.map Mute client
            10,
            gen {
                let! who = client
                let! topic = Gen.choose (0, topics.Length - 1)
                let! qos = Gen.choose (0, 2)
                let! retain = Gen.frequency [ 5, Gen.constant false; 1, Gen.constant true ]
                return Publish(who, topic, qos, retain)
            }
            1, Gen.map2 (fun who topic -> Clear(who, topic)) client (Gen.choose (0, topics.Length - 1))
            6,
            gen {
                let! who = client
                let! filter = Gen.choose (0, filters.Length - 1)
                let! qos = Gen.choose (0, 2)
                let! options = Gen.choose (0, 15)
                return Subscribe(who, filter, qos, options)
            }
            1,
            Gen.map2 (fun who filter -> Unsubscribe(who, filter)) client (Gen.choose (0, filters.Length - 1))
            8, Gen.map2 (fun who packets -> Read(who, packets)) client (Gen.choose (1, 6))
            1, Gen.map Wait (Gen.elements [ 1; 5; 15 ])
            2, Gen.map2 (fun who full -> Congest(who, full)) client (Gen.elements [ true; false ])
        ]

/// A run: what the clients do, in this order.
[<StructuredFormatDisplay("{Operations}")>]
type Run = { Operations: Operation list }

type Runs =
    static member Run() : Arbitrary<Run> =
        let run =
            gen {
                let! size = Gen.choose (5, 60)
                let! operations = Gen.listOfLength size operation

                // Most runs begin with everybody connected, so that much happens in few operations.
                let! first =
                    Gen.frequency
                        [
                            3,
                            [ 0 .. clientCount - 1 ]
                            |> List.map (fun who -> Connect(who, false, true, 3us, 2us))
                            |> Gen.constant
                            1, Gen.constant []
                        ]

                return { Operations = first @ operations }
            }

        // Halves first, then one operation less.
        let shrink (run: Run) =
            let operations = run.Operations
            let half = operations.Length / 2

            seq {
                if operations.Length > 3 then
                    yield { Operations = List.take half operations }
                    yield { Operations = List.skip half operations }

                for index in 0 .. operations.Length - 1 do
                    yield { Operations = List.removeAt index operations }
            }

        Arb.fromGenShrink (run, shrink)

type private Received = { Payload: string; Topic: string; QoS: QoS; Retain: bool; Identifiers: uint32 list }

type private Exchange = { Id: uint16; Packet: Publish; mutable Released: bool }

/// A client that keeps to the rules and loses what the network loses.
type private Client(name: string, world: World, logs: Dictionary<SessionId, List<Received>>) =
    let mutable link: Link voption = ValueNone
    let mutable nextId = 0us
    let unacknowledged = List<Exchange>()
    let held = HashSet<uint16>()
    let aliases = Dictionary<uint16, string>()
    let mutable ready = false

    member _.Link = link
    member val Finished = List<string>()

    member private _.Send packet =
        match link with
        | ValueSome link -> world.Send(link, packet)
        | ValueNone -> ()

    member _.IsOpen =
        match link with
        | ValueSome link -> link.IsOpen
        | ValueNone -> false

    member _.Arrives =
        match link with
        | ValueSome link -> link.IsOpen && link.Arrives
        | ValueNone -> false

    member this.Connect(clean, keeps, receiveMaximum: uint16, aliasMaximum: uint16) =
        // A new link; what stands in the inbox of the old one is never read.
        let opened = world.Open()
        link <- ValueSome opened
        ready <- false
        aliases.Clear()

        let connect = connectPacket name

        let connect =
            { connect with
                CleanStart = clean
                Properties =
                    { connect.Properties with
                        SessionExpiryInterval = if keeps then ValueSome 10u<s> else ValueNone
                        ReceiveMaximum = ValueSome receiveMaximum
                        TopicAliasMaximum = ValueSome aliasMaximum
                    }
            }

        this.Send(Packet.Connect connect)
        // The CONNACK may get lost with the link; until it is read the client does nothing.
        this.Read 1

    member _.Drop() =
        match link with
        | ValueSome link -> world.Drop link
        | ValueNone -> ()

    member _.Congest(full: bool) =
        match link with
        | ValueSome link -> world.Step(link.Session, ServerEvent.Congested(link.Id, full))
        | ValueNone -> ()

    member _.Mute() =
        match link with
        | ValueSome link -> link.Arrives <- false
        | ValueNone -> ()

    member this.Disconnect() =
        this.Send(Packet.Disconnect Outcome.Omitted)

        // Without it arriving, the client closes all the same.
        match link with
        | ValueSome link -> world.Drop link
        | ValueNone -> ()

    member private _.NextId() =
        nextId <- if nextId = 65_535us then 1us else nextId + 1us
        nextId

    member this.Publish(topic: string, payload: string, qos: int, retain: bool) =
        if ready && this.IsOpen then
            let make delivery = { publishPacket delivery topic payload with Retain = retain }

            match qos with
            | 0 -> this.Send(Packet.Publish(make Delivery.AtMostOnce))
            | _ when unacknowledged.Count >= 5 -> ()
            | _ ->
                let id = this.NextId()

                let delivery =
                    if qos = 1 then
                        Delivery.AtLeastOnce(PacketId.Of id, false)
                    else
                        Delivery.ExactlyOnce(PacketId.Of id, false)

                unacknowledged.Add { Id = id; Packet = make delivery; Released = false }

                this.Send(Packet.Publish(make delivery))

    member this.Subscribe(filter: string, qos: int, options: int, identifier: uint32) =
        if ready && this.IsOpen then
            let options =
                {
                    MaximumQoS = LanguagePrimitives.EnumOfValue(byte qos)
                    NoLocal = options &&& 1 = 1 && not (filter.StartsWith "$share")
                    RetainAsPublished = options &&& 2 = 2
                    RetainHandling = LanguagePrimitives.EnumOfValue(byte ((options >>> 2) % 3))
                }

            let packet = subscribePacket (this.NextId()) [ filter, options ]

            this.Send(
                Packet.Subscribe
                    { packet with
                        Properties = { packet.Properties with SubscriptionIdentifier = ValueSome identifier }
                    }
            )

    member this.Unsubscribe(filter: string) =
        if ready && this.IsOpen then
            this.Send(Packet.Unsubscribe(unsubscribePacket (this.NextId()) [ filter ]))

    member private this.Resume(present: bool) =
        ready <- true

        if not present then
            held.Clear()
            unacknowledged.Clear()
        else
            for exchange in Seq.toArray unacknowledged do
                if exchange.Released then
                    this.Send(Packet.Pubrel(ack exchange.Id ReasonCode.Success))
                else
                    let delivery =
                        match exchange.Packet.Delivery with
                        | Delivery.AtLeastOnce(id, _) -> Delivery.AtLeastOnce(id, true)
                        | Delivery.ExactlyOnce(id, _) -> Delivery.ExactlyOnce(id, true)
                        | other -> other

                    this.Send(Packet.Publish { exchange.Packet with Delivery = delivery })

    member private _.Finish(id: uint16) = unacknowledged.RemoveAll(fun exchange -> exchange.Id = id) |> ignore

    member private this.Take(session: SessionId, publish: Publish) =
        let topic =
            match publish.Topic with
            | TopicReference.Name name -> name.Text
            | TopicReference.NameAndAlias(name, alias) ->
                aliases[alias.Value] <- name.Text
                name.Text
            | TopicReference.Alias alias -> aliases[alias.Value]

        let log () =
            logs[session].Add
                {
                    Payload = textOf publish.Payload
                    Topic = topic
                    QoS = publish.Delivery.QoS
                    Retain = publish.Retain
                    Identifiers = publish.Properties.SubscriptionIdentifiers |> Seq.sort |> Seq.toList
                }

        match publish.Delivery with
        | Delivery.AtMostOnce -> log ()
        | Delivery.AtLeastOnce(id, _) ->
            log ()
            this.Send(Packet.Puback(ack id.Value ReasonCode.Success))
        | Delivery.ExactlyOnce(id, _) ->
            if held.Add id.Value then
                log ()

            this.Send(Packet.Pubrec(ack id.Value ReasonCode.Success))

    member this.Read(count: int) =
        match link with
        | ValueNone -> ()
        | ValueSome link ->
            let mutable left = count

            while left > 0 && link.Inbox.Count > 0 do
                left <- left - 1

                match link.Inbox.Dequeue() with
                | Packet.Connack connack ->
                    Expect.equal connack.Reason ReasonCode.Success "the client is accepted"
                    this.Resume connack.SessionPresent
                | Packet.Publish publish -> this.Take(link.Session, publish)
                | Packet.Puback acknowledgement -> this.Finish acknowledgement.PacketId.Value
                | Packet.Pubrec acknowledgement ->
                    let id = acknowledgement.PacketId.Value

                    if byte acknowledgement.Outcome.Reason >= 0x80uy then
                        this.Finish id
                    else
                        for exchange in unacknowledged do
                            if exchange.Id = id then
                                exchange.Released <- true

                        this.Send(Packet.Pubrel(ack id ReasonCode.Success))
                | Packet.Pubrel acknowledgement ->
                    held.Remove acknowledgement.PacketId.Value |> ignore
                    this.Send(Packet.Pubcomp(ack acknowledgement.PacketId.Value ReasonCode.Success))
                | Packet.Pubcomp acknowledgement ->
                    for exchange in unacknowledged do
                        if exchange.Id = acknowledgement.PacketId.Value then
                            this.Finished.Add(textOf exchange.Packet.Payload)

                    this.Finish acknowledgement.PacketId.Value
                | Packet.Disconnect outcome ->
                    Expect.equal
                        outcome.Reason
                        ReasonCode.SessionTakenOver
                        "only a takeover ends a connection"
                | _ -> ()

    member _.Pending =
        unacknowledged.Count
        + (match link with
           | ValueSome link -> link.Inbox.Count
           | ValueNone -> 0)

let private settings =
    { BrokerSettings.Default with
        Limits = { BrokerLimits.Default with ReceiveMaximum = 5us; InFlightMessages = 3us }
    }

// Order is promised for what is not shared. It counts the first copy of what came again, and leaves out what the
// publisher itself sent again, since that stands at two places in the order.
let private checkOrder (session: SessionId) (reference: Reference) (log: List<Received>) =
    let isShared received =
        received.Identifiers
        |> List.exists (fun identifier -> (snd reference.Owners[identifier]).IsShared)

    let numbers = Dictionary<struct (string * string * QoS * QoS), int>()

    let firsts =
        log
        |> Seq.filter (fun received -> not (isShared received) && reference.Accepted[received.Payload] = 1)
        |> Seq.distinctBy (fun received -> received.Payload, received.Topic, received.QoS)

    for received in firsts do
        // Retained messages that a subscription brings are older than what went before.
        if not received.Retain && received.Payload.Contains ':' then
            let parts = received.Payload.Split ':'

            let published =
                reference.Expected session
                |> Seq.find (fun expected -> expected.Payload = received.Payload)

            let key = struct (parts[0], received.Topic, published.Published, received.QoS)
            let number = int parts[1]

            match numbers.TryGetValue key with
            | true, earlier ->
                Expect.isGreaterThan
                    number
                    earlier
                    $"messages of one publisher, topic and QoS keep their order (session {session})"
            | _ -> ()

            numbers[key] <- number

let private run (strategy: SharedStrategy) (operations: Operation list) =
    let reference = Reference grants
    let logs = Dictionary<SessionId, List<Received>>()
    let alive = HashSet<SessionId>()

    let happened happening =
        match happening with
        | SessionBegan(session, client) ->
            reference.Began(session, client)
            logs[session] <- List()
            alive.Add session |> ignore
        | SessionEnded session ->
            reference.Ended session
            alive.Remove session |> ignore
        | Subscribed(session, request, codes) -> reference.Subscribed(session, request, codes)
        | Unsubscribed(session, request, cut) -> reference.Unsubscribed(session, request, cut)
        | MessageDropped(session, message, _) ->
            // Nothing is full, nothing expires, nothing is too large: only QoS 0 is ever dropped.
            Expect.equal message.QoS QoS.AtMostOnce $"only QoS 0 is dropped (session {session})"
        | Accepted(session, message) ->
            Expect.isTrue
                (allowed grants true reference.Clients[session] message.Topic.Text)
                "access rules allow what is accepted"
        | _ -> ()

    let world = World({ settings with SharedStrategy = strategy }, grants, happened)

    // The reference hears of a message before it is routed: at the first forwarding or at its acceptance.
    let clients = Array.init clientCount (fun index -> Client($"c{index}", world, logs))
    let mutable sequence = 0
    let mutable identifier = 0u

    world.BeforeRoute <-
        fun message ->
            reference.Accept(
                message.Publisher,
                message.Topic.Text,
                textOf message.Payload,
                message.QoS,
                message.Retain
            )

    for operation in operations do
        match operation with
        | Connect(client, clean, keeps, receiveMaximum, aliases) ->
            clients[client].Connect(clean, keeps, receiveMaximum, aliases)
        | Disconnect client -> clients[client].Disconnect()
        | Drop client -> clients[client].Drop()
        | Mute client -> clients[client].Mute()
        | Publish(client, topic, qos, retain) ->
            sequence <- sequence + 1
            clients[client].Publish(topics[topic], $"{client}:{sequence}", qos, retain)
        | Clear(client, topic) -> clients[client].Publish(topics[topic], "", 1, true)
        | Subscribe(client, filter, qos, options) ->
            identifier <- identifier + 1u
            clients[client].Subscribe(filters[filter], qos, options, identifier)
        | Unsubscribe(client, filter) -> clients[client].Unsubscribe filters[filter]
        | Read(client, packets) -> clients[client].Read packets
        | Congest(client, full) -> clients[client].Congest full
        | Wait seconds -> world.Advance(int64 seconds * 1_000L<ms>)

    // Everybody comes back, and everything is read.
    for client in clients do
        if not client.Arrives then
            client.Connect(false, true, 65_535us, 5us)

        client.Congest false

    let mutable rounds = 0

    while rounds < 200 && clients |> Array.exists (fun client -> client.Pending > 0) do
        rounds <- rounds + 1

        for client in clients do
            client.Read 1_000

    Expect.isLessThan rounds 200 "all exchanges come to their end"

    for KeyValue(session, log) in logs do
        checkOrder session reference log

        // Nothing arrives without a subscription, or against the access rules.
        for received in log do
            Expect.isTrue
                (allowed grants false reference.Clients[session] received.Topic)
                "access rules allow what is delivered"

            let own =
                reference.Expected session
                |> Seq.exists (fun expected ->
                    expected.Payload = received.Payload
                    && expected.Topic = received.Topic
                    && expected.QoS = received.QoS
                    && expected.Retain = received.Retain
                    && expected.Identifiers = received.Identifiers)

            let shared () =
                match received.Identifiers with
                | [ identifier ] ->
                    let owner, filter = reference.Owners[identifier]

                    owner = session
                    && filter.IsShared
                    && Topic.matches filter (TopicName.Of received.Topic)
                    && reference.Shared
                       |> Seq.exists (fun message ->
                           message.SharedPayload = received.Payload && message.GroupFilter = filter.Text)
                | _ -> false

            Expect.isTrue (own || shared ()) $"a subscription caused the delivery of {received}"

        for expected in reference.Expected session |> Seq.distinct do
            let count =
                log
                |> Seq.filter (fun received ->
                    expected.Payload = received.Payload
                    && expected.Topic = received.Topic
                    && expected.QoS = received.QoS
                    && expected.Identifiers = received.Identifiers)
                |> Seq.length

            let copies =
                reference.Expected session
                |> Seq.filter (fun other ->
                    expected.Payload = other.Payload
                    && expected.Topic = other.Topic
                    && expected.QoS = other.QoS
                    && expected.Identifiers = other.Identifiers)
                |> Seq.length

            if expected.QoS <> QoS.AtLeastOnce then
                Expect.isLessThanOrEqual count copies $"no copy of {expected} too many"

            if alive.Contains session && expected.Certain && expected.Payload <> "" then
                Expect.isGreaterThanOrEqual count 1 $"{expected} arrives at session {session}"

    for message in reference.Shared do
        if message.SharedPayload <> "" then
            let receivers =
                logs
                |> Seq.collect (fun (KeyValue(session, log)) ->
                    log
                    |> Seq.filter (fun received ->
                        received.Payload = message.SharedPayload
                        && (match received.Identifiers with
                            | [ identifier ] ->
                                (snd reference.Owners[identifier]).Text = message.GroupFilter
                            | _ -> false))
                    |> Seq.map (fun received -> session, received))
                |> Seq.toList

            let accepted = reference.Accepted[message.SharedPayload]

            if receivers |> List.forall (fun (_, received) -> received.QoS <> QoS.AtLeastOnce) then
                Expect.isLessThanOrEqual receivers.Length accepted "one member gets a shared message, once"

            if
                message.Unbroken
                && message.AllGranted
                && message.SharedPublished = QoS.AtLeastOnce
            then
                let mayAll =
                    [ 0 .. clientCount - 1 ]
                    |> List.forall (fun client -> allowed grants false $"c{client}" message.SharedTopic)

                if mayAll then
                    Expect.isNonEmpty receivers "a shared message of QoS 1 is not lost while somebody is left"

    for client in clients do
        for payload in client.Finished do
            if payload <> "" && reference.Accepted.ContainsKey payload then
                Expect.equal reference.Accepted[payload] 1 "a message of QoS 2 is accepted once"

let private config = { Clauses.config with arbitrary = [ typeof<Runs> ] }

let tests =
    testList
        "BrokerWorld"
        [
            testPropertyWithConfig config "many clients get what the reference broker says" (fun (one: Run) ->
                run SharedStrategy.RoundRobin one.Operations)
            testPropertyWithConfig config "so they do when the least busy member is chosen" (fun (one: Run) ->
                run SharedStrategy.LeastInFlight one.Operations)
        ]
