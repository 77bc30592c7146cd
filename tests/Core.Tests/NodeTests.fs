/// The node over the host of the simulation: what a single machine cannot show.
module Mqtt5.Tests.NodeTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes
open Mqtt5.Verification

let private stepped event state =
    let struct (state, effects) = ServerSession.step 0L<ms> event state
    struct (state, [ for effect in effects -> effect ])

let private attached (change: Connect -> Connect) =
    let attachment =
        {
            Connection = ConnectionId 1L
            Protocol = Protocol.V5
            Connect = change (connectPacket "a")
            Assigned = false
            SessionPresent = false
            Authentication = ValueNone
            UserName = ValueSome "anna"
            AuthenticatedUntil = ValueNone
        }

    let state = ServerState.create (SessionId 1L) (ClientId.Of "a") BrokerSettings.Default
    let struct (state, _) = stepped (ServerEvent.Attach attachment) state
    state

let private scram data : Authentication =
    { Method = Utf8String.Of "SCRAM"; Data = ValueSome(Secret(Bytes.OfText data)) }

let private auth reason : Packet =
    Packet.Auth
        {
            Reason = reason
            Authentication = scram "proof"
            ReasonString = ValueNone
            UserProperties = UserProperties.Empty
        }

let private withScram (connect: Connect) =
    { connect with
        KeepAlive = 10us<s>
        Properties = { connect.Properties with Authentication = ValueSome(scram "first") }
    }

// A CONNECT arrives on a new connection: what its reading waits for, once the authenticator has decided.
let private arriving (world: World) (connect: Connect) : struct (Link * Pause) =
    let link = world.Open()
    let bytes: byte[] = Array.zeroCreate (Encode.size (Packet.Connect connect))
    Encode.write (Packet.Connect connect) (System.Span bytes) |> ignore

    let pause =
        world.Host.Run(fun turn ->
            let mutable buffer = System.Buffers.ReadOnlySequence<byte> bytes
            Node.received turn link.Connection &buffer)

    match pause with
    | Pause.Authenticator packet ->
        let result = AuthenticationResults.ofJudgement (world.Judge packet)
        struct (link, world.Host.Run(fun turn -> Node.authenticated turn link.Connection result))
    | other -> struct (link, other)

// What the clients see of five messages that a client publishes in one read, and what the sessions keep of them.
type private Seen =
    {
        Acknowledged: Packet list
        First: Map<string, Packet list>
        Kept: Map<string, StoredSession>
        FromChanges: Map<string, StoredSession>
        // After some acknowledgments, a lost connection, and two more messages.
        Later: Map<string, Packet list>
        KeptLater: Map<string, StoredSession>
    }

let private storedOf (state: ServerState) = Durability.project DurabilityLaws.clock (DurableState.Of state)

let private publishedTogether (qos: int) (byRun: bool) : Seen =
    let world = world ()
    world.Host.ShowsDeliveries <- false
    let sound = world.Host.Became
    let changed = System.Collections.Generic.Dictionary<SessionId, StoredSession>()

    world.Host.Became <-
        fun session before after ->
            sound session before after
            let before = DurableState.Of before
            let after = DurableState.Of after

            let stored =
                match changed.TryGetValue session.Id with
                | true, known -> known
                | _ -> StoredSession.Empty

            changed[session.Id] <-
                DurabilityLaws.changesBetween before after
                |> Seq.fold (fun stored change -> Durability.apply change stored) stored

    let kept most name =
        connectWith
            world
            (keeping 60u (connectPacket name)
             |> withProperties (fun properties -> { properties with ReceiveMaximum = most }))
        |> fst

    let receivers =
        Map.ofList
            [
                "few under way", kept (ValueSome 2us) "few"
                "QoS 0", kept ValueNone "zero"
                "away", kept ValueNone "away"
                "resuming", kept ValueNone "resuming"
            ]

    for KeyValue(name, link) in receivers do
        subscribe world link "t" (if name = "QoS 0" then 0 else qos)

    world.Drop receivers["away"]
    let publisher = connect world "p"

    let publish ids =
        let bytes =
            [|
                for id in ids do
                    let delivery =
                        if qos = 1 then
                            Delivery.AtLeastOnce(PacketId.Of id, false)
                        else
                            Delivery.ExactlyOnce(PacketId.Of id, false)

                    let packet = Packet.Publish(publishPacket delivery "t" $"{id}")

                    match Encode.toBytes ClientToServer packet with
                    | Ok bytes -> yield! bytes
                    | Error fault -> failtest $"{fault}"
            |]

        // A host that sees messages gets each by a step.
        world.Host.ShowsMessages <- not byRun
        world.SendBytes(publisher, bytes)

    let inboxes () = receivers |> Map.map (fun _ link -> readAll link)
    let states () = receivers |> Map.map (fun _ link -> world.Machines[link.Session])
    publish [ 1us; 2us; 3us; 7us; 4us ]
    let acknowledged = readAll publisher
    let first = inboxes ()
    let kept = states () |> Map.map (fun _ state -> storedOf state)
    let fromChanges = receivers |> Map.map (fun _ link -> changed[link.Session])

    if qos = 1 then
        world.Send(receivers["few under way"], Packet.Puback(ack 1us ReasonCode.Success))
    else
        world.Send(receivers["few under way"], Packet.Pubrec(ack 1us ReasonCode.Success))
        world.Send(receivers["few under way"], Packet.Pubcomp(ack 1us ReasonCode.Success))

    world.Drop receivers["resuming"]
    let resumed, _ = connectWith world (keeping 60u (connectPacket "resuming"))
    publish [ 5us; 6us ]
    let later = inboxes () |> Map.add "resuming" (readAll resumed)

    {
        Acknowledged = acknowledged
        First = first
        Kept = kept
        FromChanges = fromChanges
        Later = later
        KeptLater = states () |> Map.map (fun _ state -> storedOf state)
    }

let private messagesOf (packets: Packet list) =
    [
        for packet in packets do
            match packet with
            | Packet.Publish publish ->
                let isRepeated =
                    match publish.Delivery with
                    | Delivery.AtLeastOnce(_, dup)
                    | Delivery.ExactlyOnce(_, dup) -> dup
                    | Delivery.AtMostOnce -> false

                struct (textOf publish.Payload, idOf publish, isRepeated)
            | Packet.Pubrel _ -> ()
            | other -> failtest $"{other.Type}"
    ]

// The rules of an application that fails.
type private FailingPermissions() =
    inherit ClientPermissions()

    override _.MayPublish _ = true
    override _.MaySubscribe _ = true
    override _.MayReceive _ = invalidOp "the rules cannot be read"

// A client with a Will, and one that subscribes to it.
let private watchedWill world =
    let watcher = connect world "w"
    subscribe world watcher "gone" 1

    let leaving, _ =
        connectWith world { keeping 60u (connectPacket "a") with Will = ValueSome(will "gone" "x") }

    watcher, leaving

let tests =
    testList
        "Node"
        [
            testCase
                "a turn in which the routing of QoS 2 fails goes on without holding what follows"
                (fun () ->
                    let world = world ()
                    let receiver = connect world "b"
                    subscribe world receiver "t" 2
                    let sender = connect world "a"
                    world.Host.Sessions[receiver.Session].Permissions <- FailingPermissions()

                    let publish =
                        Packet.Publish(publishPacket (Delivery.ExactlyOnce(PacketId.Of 1us, false)) "t" "x")

                    let bytes: byte[] = Array.zeroCreate (Encode.size publish)
                    Encode.write publish (System.Span bytes) |> ignore
                    let turn = world.Host.Rent()

                    let failure =
                        Expect.throwsC
                            (fun () ->
                                let mutable buffer = System.Buffers.ReadOnlySequence<byte> bytes
                                Node.received turn sender.Connection &buffer |> ignore)
                            id

                    Expect.equal failure.Message "the rules cannot be read" "the failure of the application"
                    Expect.isFalse turn.IsExactlyOnce "whether copies wait until they are durable")

            yield!
                [ 1; 2 ]
                |> List.map (fun qos ->
                    testCase
                        $"messages of QoS {qos} that go by a run are kept and sent as those that go by steps"
                        (fun () ->
                            let byRun = publishedTogether qos true
                            let bySteps = publishedTogether qos false

                            // What a client would see of a run that does not go through the session.
                            Expect.equal
                                byRun.Acknowledged
                                [
                                    let packet = if qos = 1 then Packet.Puback else Packet.Pubrec

                                    for id in [ 1us; 2us; 3us; 7us; 4us ] ->
                                        packet { PacketId = PacketId.Of id; Outcome = Outcome.Omitted }
                                ]
                                "each is acknowledged, in order"

                            Expect.equal
                                (messagesOf byRun.First["few under way"])
                                [ struct ("1", 1us, false); struct ("2", 2us, false) ]
                                "no more than the Receive Maximum are under way"

                            Expect.equal
                                (messagesOf byRun.Later["few under way"])
                                [ struct ("3", 3us, false) ]
                                "its PUBACK makes room for one"

                            let payloads = [ "1"; "2"; "3"; "7"; "4" ]

                            Expect.equal
                                (messagesOf byRun.First["resuming"])
                                [
                                    for index, payload in List.indexed payloads ->
                                        struct (payload, uint16 index + 1us, false)
                                ]
                                "all are sent"

                            Expect.equal
                                (messagesOf byRun.Later["resuming"])
                                [
                                    for index, payload in List.indexed payloads do
                                        struct (payload, uint16 index + 1us, true)
                                    struct ("5", 6us, false)
                                    struct ("6", 7us, false)
                                ]
                                "and again on the next connection, under their identifiers, before newer ones"

                            Expect.equal
                                byRun.Kept["away"].Messages.Count
                                5
                                "a client that is away finds them"

                            Expect.equal byRun.FromChanges byRun.Kept "the changes say what is kept"
                            Expect.equal byRun bySteps "in no respect otherwise than by steps"))

            testCase "a client that ends its earlier session is read after its earlier connection" (fun () ->
                // By Clean Start, and because the earlier session ends with its connection.
                for expiry, clean in [ 60u, true; 0u, false ] do
                    let world = world ()
                    let earlier, _ = connectWith world (keeping expiry (connectPacket "a"))

                    let struct (link, _) = arriving world { connectPacket "a" with CleanStart = clean }

                    match world.Host.Run(fun turn -> Node.drained turn link.Connection) with
                    | Pause.EarlierEnd connection ->
                        Expect.isTrue
                            (obj.ReferenceEquals(connection, earlier.Connection))
                            "the earlier connection"
                    | other -> failtest $"{other} with Session Expiry {expiry}, Clean Start {clean}")

            clause
                [ "MQTT-3.14.4-3" ]
                "a CONNECT between DISCONNECT and its entry in the ledger publishes no Will"
                (fun () ->
                    let world = world ()
                    let watcher, leaving = watchedWill world
                    let session = world.Host.Sessions[leaving.Session]
                    let mutable found = ValueNone

                    // Once the session has dealt with DISCONNECT, before anything else is done about it.
                    world.Host.Gates.Preempt <-
                        fun () ->
                            if found.IsNone && not session.State.IsConnected then
                                found <-
                                    ValueSome(arriving world { connectPacket "a" with CleanStart = true })

                    world.Send(leaving, Packet.Disconnect Outcome.Omitted)

                    match found with
                    | ValueSome(struct (link, Pause.EarlierInput connection)) ->
                        Expect.isTrue (obj.ReferenceEquals(connection, leaving.Connection)) "it waits for it"
                        world.Host.Run(fun turn -> Node.drained turn link.Connection) |> ignore
                    | other -> failtest $"{other}"

                    Expect.isEmpty (arrived watcher) "no Will")

            clause
                [ "MQTT-3.14.4-3"; "MQTT3-3.14.4-3" ]
                "a DISCONNECT that is read just before the claim of the next connection cancels the Will"
                (fun () ->
                    for clean in [ true; false ] do
                        let world = world ()
                        let watcher, leaving = watchedWill world
                        let session = world.Host.Sessions[leaving.Session]
                        // Its DISCONNECT has not arrived.
                        let struct (link, pause) =
                            arriving world { keeping 60u (connectPacket "a") with CleanStart = clean }

                        match pause with
                        | Pause.EarlierInput _ -> ()
                        | other -> failtest $"{other}"

                        let mutable isClaimed = false

                        // Once the session has dealt with DISCONNECT, and before the ledger is told.
                        world.Host.Gates.Preempt <-
                            fun () ->
                                if not isClaimed && not session.State.IsConnected then
                                    isClaimed <- true

                                    world.Host.Run(fun turn -> Node.drained turn link.Connection) |> ignore

                        world.Send(leaving, Packet.Disconnect Outcome.Omitted)
                        Expect.isTrue isClaimed "the claim came in between"
                        Expect.isEmpty (arrived watcher) "no Will"

                        Expect.equal
                            (link.Session = leaving.Session)
                            (not clean)
                            "the session goes on, or does not"

                        match Broker.tryFind link.Session world.Broker with
                        | ValueSome entry ->
                            Expect.equal entry.Connection link.Id "the new connection has it"
                        | ValueNone -> failtest "there is a session")

            testCase "while the authenticator decides, the client is not silent" (fun () ->
                let state = attached withScram
                Expect.equal (ServerState.deadline 0L<ms> state) (ValueSome 15_000L<ms>) "its Keep Alive"
                let event = ServerEvent.Received(ConnectionId 1L, auth ReasonCode.ReAuthenticate)
                let struct (judging, _) = stepped event state
                Expect.equal (ServerState.deadline 0L<ms> judging) ValueNone "nothing is read from it"

                let struct (late, effects) = ServerSession.step 60_000L<ms> (ServerEvent.Tick 0L<ms>) judging

                Expect.equal effects.Count 0 "it is not cut"

                let struct (after, _) =
                    ServerSession.step
                        60_000L<ms>
                        (ServerEvent.Judged(
                            ConnectionId 1L,
                            Judgement.Accepted(ValueSome(scram "done"), ValueNone)
                        ))
                        late

                Expect.equal
                    (ServerState.deadline 0L<ms> after)
                    (ValueSome 75_000L<ms>)
                    "its time begins with the decision")

            testCase "a client that authenticates again keeps its name" (fun () ->
                let connection = (attached withScram).Connection.Value

                let rejudged (name: string | null) =
                    Authenticating.rejudge
                        connection
                        {
                            Reason = ReasonCode.Success
                            Data = System.Nullable()
                            UserName = name
                            ExpiresAt = System.Nullable()
                        }

                match rejudged "anna", rejudged null, rejudged "bob" with
                | (Judgement.Accepted _, false),
                  (Judgement.Accepted _, false),
                  (Judgement.Refused reason, true) ->
                    Expect.equal reason ReasonCode.NotAuthorized "another name"
                | _ -> failtest "the same name, none, and another one")

            testCase
                "a message for a shared subscription goes to another member if the first one ends while it is routed"
                (fun () ->
                    // Which of the two it is for is not said, so each of them ends once.
                    for ending in [ "b"; "c" ] do
                        let world = world ()
                        let own = connect world "a"
                        subscribe world own "t" 1
                        let members = Map.ofList [ for name in [ "b"; "c" ] -> name, connect world name ]

                        for link in members.Values do
                            subscribe world link "$share/g/t" 1

                        let gates = world.Host.Gates
                        let session = members[ending].Session

                        // Between the collection of the targets and the delivery to the first.
                        gates.Preempt <-
                            fun () ->
                                gates.Preempt <- ignore
                                world.Remove(session, ReasonCode.AdministrativeAction)

                        let message =
                            { SystemTopics.message { Topic = TopicName.Of "t"; Value = "1" } with
                                QoS = QoS.AtLeastOnce
                                Retain = false
                            }

                        world.Route message |> ignore
                        Expect.equal (arrived own).Length 1 "the other subscription"

                        for KeyValue(name, link) in members do
                            if name <> ending then
                                Expect.equal (arrived link).Length 1 $"{name}, as {ending} has ended")

            testCase "a message that expires while it waits is dropped once, ticket or no ticket" (fun () ->
                for showsDeliveries in [ true; false ] do
                    let why = ResizeArray<Fault>()

                    let world =
                        World(
                            BrokerSettings.Default,
                            everything,
                            fun happening ->
                                match happening with
                                | MessageDropped(_, _, fault) -> why.Add fault
                                | _ -> ()
                        )

                    world.Host.ShowsDeliveries <- showsDeliveries
                    let link = connectKept world "a"
                    subscribe world link "t" 1
                    world.Drop link

                    let message =
                        { SystemTopics.message { Topic = TopicName.Of "t"; Value = "1" } with
                            QoS = QoS.AtLeastOnce
                            Retain = false
                            ExpiresAt = ValueSome(world.Now + 1_000L<ms>)
                        }

                    world.Route message |> ignore
                    Expect.equal why.Count 0 "it waits"
                    world.Advance 3_000L<ms>
                    Expect.equal (why |> Seq.map _.Detail |> Seq.toList) [ "it expired" ] "told once")

            clause [ "MQTT-3.10.4-2" ] "an UNSUBSCRIBE ends the retained messages that wait" (fun () ->
                let settings = withLimits (fun limits -> { limits with QueuedMessages = 0 })
                let world = worldWith settings
                let publisher = connect world "p"

                for topic in [ "a/1"; "a/2" ] do
                    let publish = publishPacket (Delivery.AtLeastOnce(PacketId.Of 1us, false)) topic "x"
                    world.Send(publisher, Packet.Publish { publish with Retain = true })

                let link, _ =
                    connectWith
                        world
                        (connectPacket "a"
                         |> withProperties (fun properties ->
                             { properties with ReceiveMaximum = ValueSome 1us }))

                subscribe world link "a/+" 1
                Expect.equal world.Machines[link.Session].Retained.Length 1 "one waits"
                world.Send(link, Packet.Unsubscribe(unsubscribePacket 7us [ "a/+" ]))
                Expect.isEmpty world.Machines[link.Session].Retained "none does"
                readAll link |> ignore
                world.Send(link, Packet.Puback(ack 1us ReasonCode.Success))
                Expect.isEmpty (readAll link) "nothing more comes")

            clause
                [ "MQTT-3.1.4-3" ]
                "a Will of the earlier connection does not reach that connection"
                (fun () ->
                    let world = world ()

                    let dying, _ =
                        connectWith
                            world
                            { keeping 60u (connectPacket "a") with Will = ValueSome(will "w" "gone") }

                    subscribe world dying "w" 1
                    readAll dying |> ignore
                    let link, connack = connectWith world (keeping 60u (connectPacket "a"))
                    Expect.isTrue connack.SessionPresent "the same session"

                    let isPublish packet =
                        match packet with
                        | Packet.Publish _ -> true
                        | _ -> false

                    Expect.isFalse (readAll dying |> List.exists isPublish) "not on the dying connection"
                    Expect.isTrue (readAll link |> List.exists isPublish) "but on the new one")

            testCase "a session belongs to the user who made it" (fun () ->
                let claim owner isTrusted connect : ClaimRequest =
                    {
                        ClientId = ClientId.Of "a"
                        Assigned = false
                        Owner = owner
                        Address = ValueNone
                        IsTrusted = isTrusted
                        IsCharged = false
                        Connect = connect
                    }

                let admit owner isTrusted broker =
                    Broker.admit 0L<ms> (claim owner isTrusted (keeping 60u (connectPacket "a"))) broker

                let broker = Broker.create 0L<ms> (HashSeed.Of(1UL, 2UL)) BrokerSettings.Default

                match admit (ValueSome "anna") false broker with
                | broker, Ok first ->
                    Expect.equal first.Epoch 1L "the first claim"

                    match admit (ValueSome "bob") false broker with
                    | _, Error why -> Expect.equal why.Reason ReasonCode.NotAuthorized "another user"
                    | _ -> failtest "refused"

                    match admit ValueNone false broker with
                    | _, Error why -> Expect.equal why.Reason ReasonCode.NotAuthorized "nobody"
                    | _ -> failtest "refused"

                    match admit ValueNone true broker with
                    | broker, Ok trusted ->
                        Expect.equal trusted.Epoch 2L "the second claim"

                        Expect.equal
                            (Broker.tryFind trusted.Session broker).Value.Owner
                            (ValueSome "anna")
                            "it stays hers"
                    | _ -> failtest "trusted"
                | _ -> failtest "admitted")
        ]
