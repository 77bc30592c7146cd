/// Steps of a session for many packets at once come to what a step for each comes to.
module Mqtt5.Tests.SessionRunsTests

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.SessionCostTests

// What a client sees and what the sending half is afterwards, for a session that is stepped for each message and each
// acknowledgment, and for one that takes them in runs.
[<RequireQualifiedAccess>]
type private Traffic =
    | Forward of Count: int
    | Acknowledged of Kind: PacketType * Count: int * Skip: int
    | Unknown of Kind: PacketType
    | Congested of bool

let private sentBy (effects: Effects) =
    [
        for effect in effects do
            match effect with
            | SendMessage(message, id, _, _) -> struct (id, message.Payload)
            | SendRun(run, count, first) ->
                for index in 0 .. count - 1 do
                    struct (first + uint16 index, run.Copy(index).Payload)
            | Send(Packet.Publish publish) -> struct (publish.Delivery.PacketId.Value.Value, publish.Payload)
            | SendAck(kind, id, reason) -> struct (id, Bytes.OfText $"{kind} {reason}")
            | SendAcks(kind, ids, first, count, reason) ->
                for index in first .. first + count - 1 do
                    struct (ids[index], Bytes.OfText $"{kind} {reason}")
            | _ -> ()
    ]

// PUBREL may leave before or after the messages that an acknowledgment made room for.
let private inEachOrder sent =
    sent
    |> List.partition (fun (struct (_, payload: Bytes)) ->
        (System.Text.Encoding.UTF8.GetString payload.Span).StartsWith("Pub", StringComparison.Ordinal))

let private singly (event: ServerEvent) (state: ServerState) =
    let struct (state, effects) = ServerSession.step now event state
    struct (state, sentBy effects)

let private ackOf kind id = ServerEvent.ReceivedAck(ConnectionId 1L, kind, id, ReasonCode.Success)

let private forwardOf message = ServerEvent.Forward(message, ValueNone, Int64.MaxValue)

let private eachStepped (events: ServerEvent list) state =
    ((struct (state, [])), events)
    ||> List.fold (fun (struct (state, sent)) event ->
        let struct (state, more) = singly event state
        struct (state, sent @ more))

// Adds PUBLISH packets, side by side.
let private fill (run: PublishRun) (packets: Packet list) =
    let frame packet =
        match Encode.toBytes ClientToServer packet with
        | Ok bytes -> bytes
        | Error fault -> failtest fault.Detail

    let frames = packets |> List.map frame
    let bytes = Array.concat frames
    let mutable at = 0

    for frame in frames do
        let mutable view = PublishView()
        let memory = ReadOnlyMemory<byte>(bytes, at, bytes.Length - at)
        Expect.isTrue (FastPath.tryPublish ClientToServer (memory.Slice(0, frame.Length)).Span &view) "plain"
        Expect.isTrue (run.TryAdd(ProtocolVersion.V5, memory, frame.Length, &view)) "it belongs to the run"
        at <- at + frame.Length

/// The messages as one run of PUBLISH packets, side by side.
let runOf (messages: Outgoing[]) : PublishRun =
    let run = PublishRun()

    fill
        run
        [
            for index in 0 .. messages.Length - 1 ->
                Packet.Publish(Outgoing.toPublish (uint16 index + 1us) 0us true messages[index])
        ]

    run

let private forwardedAsRun (messages: Outgoing[]) state =
    let run = runOf messages

    let struct (after, effects) =
        SessionRuns.send now Int64.MaxValue run (run.Copies messages[0].Topic) state

    struct (after, sentBy effects)

let private acknowledgedAsRun kind (ids: uint16[]) state =
    let struct (after, effects) = SessionRuns.acknowledged now (ConnectionId 1L) kind ids ids.Length state
    struct (after, sentBy effects)

let private idsOf (state: ServerState) =
    PacketIdMap.fold (fun ids id _ -> id :: ids) [] state.Outbound.InFlight
    |> List.rev
    |> List.toArray

let private idsAt stage (state: ServerState) =
    idsOf state
    |> Array.filter (fun id ->
        match PacketIdMap.tryFind id state.Outbound.InFlight with
        | ValueSome(Exchange.Message(Stage = other)) -> other = stage
        | _ -> false)

// At QoS 1 a PUBACK, whatever was chosen.
let private dueTo qos kind =
    match qos, kind with
    | QoS.AtLeastOnce, _ -> struct (PacketType.Puback, Stage.AwaitPuback)
    | _, PacketType.Pubrec -> struct (kind, Stage.AwaitPubrec)
    | _ -> struct (kind, Stage.AwaitPubcomp)

let private traffic =
    let kind = Gen.elements [ PacketType.Pubrec; PacketType.Pubcomp ]

    Gen.oneof
        [
            Gen.map Traffic.Forward (Gen.choose (1, 30))
            Gen.map3
                (fun kind count skip -> Traffic.Acknowledged(kind, count, skip))
                kind
                (Gen.choose (1, 30))
                (Gen.choose (0, 2))
            Gen.map Traffic.Unknown kind
            Gen.map Traffic.Congested (Gen.elements [ true; false; false ])
        ]

let private running =
    testPropertyWithConfig
        config
        "runs of messages and of acknowledgments come to what steps come to"
        (Prop.forAll
            (Arb.fromGen (
                Gen.zip3
                    (Gen.choose (1, 40))
                    (Gen.elements [ QoS.AtLeastOnce; QoS.ExactlyOnce ])
                    (Gen.listOf traffic)
            ))
            (fun (receiveMaximum, qos, operations) ->
                let mutable stepped = server (ValueSome(uint16 receiveMaximum))
                let mutable run = stepped
                let mutable number = 0

                for operation in operations do
                    let after =
                        match operation with
                        | Traffic.Forward count ->
                            let messages =
                                [|
                                    for index in 1..count ->
                                        { outgoing qos 0L with
                                            Payload = Bytes.OfText(string (number + index))
                                        }
                                |]

                            number <- number + count
                            let struct (after, sent) = forwardedAsRun messages run
                            run <- after

                            let struct (after, expected) =
                                eachStepped [ for message in messages -> forwardOf message ] stepped

                            Expect.equal (inEachOrder sent) (inEachOrder expected) "what is sent"
                            after
                        | Traffic.Acknowledged(kind, _, _)
                        | Traffic.Unknown kind ->
                            let struct (kind, stage) = dueTo qos kind
                            let due = idsAt stage stepped

                            let ids =
                                match operation with
                                | Traffic.Acknowledged(_, count, skip) ->
                                    due |> Array.skip (min skip due.Length) |> Array.truncate count
                                | _ -> [| 65_000us; yield! Array.truncate 1 due; 65_001us |]

                            let struct (after, sent) = acknowledgedAsRun kind ids run
                            run <- after

                            let struct (after, expected) =
                                eachStepped [ for id in ids -> ackOf kind id ] stepped

                            Expect.equal (inEachOrder sent) (inEachOrder expected) "what is sent"
                            after
                        | Traffic.Congested isCongested ->
                            let event = ServerEvent.Congested(ConnectionId 1L, isCongested)
                            let struct (after, sent) = singly event run
                            run <- after
                            let struct (after, expected) = singly event stepped
                            Expect.equal (inEachOrder sent) (inEachOrder expected) "what is sent"
                            after

                    stepped <- after
                    Expect.equal (ServerState.sound run) ValueNone "it is sound"
                    Expect.equal run.Outbound.Quota stepped.Outbound.Quota "the quota"
                    Expect.equal run.Outbound.LastId stepped.Outbound.LastId "the last identifier"
                    Expect.equal run.Outbound.NextOrder stepped.Outbound.NextOrder "the order"
                    Expect.sequenceEqual (idsOf run) (idsOf stepped) "what is under way"

                    let waiting (state: ServerState) =
                        [ for message in state.Outbound.Waiting -> message.Payload ]

                    Expect.equal (waiting run) (waiting stepped) "what waits"))

// What a client sends to the receiving half.
[<RequireQualifiedAccess>]
type private Sending =
    // PUBLISH of QoS 2 under these identifiers, which ascend.
    | Publishes of Ids: int list
    // The same; they are acknowledged when the client has connected again.
    | Interrupted of Ids: int list
    | Pubrels of Ids: int list

let private heldOf (state: ServerState) =
    PacketIdMap.fold
        (fun held id (one: Held) -> struct (id, one.Receipt, one.Counted) :: held)
        []
        state.Inbound.Held

let private reconnected (state: ServerState) =
    { state with
        Inbound = Inbound.connectionOpened 20us (Inbound.connectionLost state.Inbound)
    }

let private exactlyOnce id =
    Packet.Publish(Outgoing.toPublish (uint16 id) 0us true (outgoing QoS.ExactlyOnce 0L))

// Takes a PUBLISH by a step; there is no token where it is not a new message.
let private arrived id (state: ServerState) =
    let struct (state, effects) =
        ServerSession.step now (ServerEvent.Received(ConnectionId 1L, exactlyOnce id)) state

    let mutable given = DeliveryToken.None

    for effect in effects do
        match effect with
        | Deliver(_, token) -> given <- token
        | _ -> ()

    struct (state, sentBy effects, given)

let private accepted token state = singly (ServerEvent.Acknowledge(token, ReasonCode.Success)) state

// Each PUBLISH by a step, and acknowledged before the next one.
let private arrivedBySteps ids state =
    ((struct (state, [])), ids)
    ||> List.fold (fun (struct (state, sent)) id ->
        let struct (state, answer, token) = arrived id state

        if token.IsNone then
            struct (state, sent @ answer)
        else
            let struct (state, more) = accepted token state
            struct (state, sent @ answer @ more))

let private interruptedBySteps ids state =
    let struct (state, sent, tokens) =
        ((struct (state, [], [])), ids)
        ||> List.fold (fun (struct (state, sent, tokens)) id ->
            let struct (state, answer, token) = arrived id state
            struct (state, sent @ answer, tokens @ [ token ]))

    ((struct (reconnected state, sent)), tokens)
    ||> List.fold (fun (struct (state, sent)) token ->
        let struct (state, more) = accepted token state
        struct (state, sent @ more))

// As a run, unless it needs steps.
let private arrivedAsRun ids between bySteps state =
    let run = PublishRun()
    fill run [ for id in ids -> exactlyOnce id ]

    match SessionRuns.receive (ConnectionId 1L) run state with
    | struct (_, token) when token.IsNone -> bySteps ids state
    | struct (entered, first) ->
        let struct (after, effects) =
            SessionRuns.acknowledgeReceived run first ReasonCode.Success (between entered)

        struct (after, sentBy effects)

let private receiving =
    let ids = Gen.map (List.distinct >> List.sort) (Gen.nonEmptyListOf (Gen.choose (1, 12)))

    let sending =
        Gen.frequency
            [
                4, Gen.map Sending.Publishes ids
                1, Gen.map Sending.Interrupted ids
                4, Gen.map Sending.Pubrels ids
            ]

    testPropertyWithConfig
        config
        "runs of QoS 2 and of PUBREL that arrive come to what steps come to"
        (Prop.forAll (Arb.fromGen (Gen.listOf sending)) (fun operations ->
            let mutable stepped = reconnected (server ValueNone)
            let mutable run = stepped

            for operation in operations do
                let struct (next, sent), struct (expectedNext, expected) =
                    match operation with
                    | Sending.Publishes ids ->
                        arrivedAsRun ids id arrivedBySteps run, arrivedBySteps ids stepped
                    | Sending.Interrupted ids ->
                        arrivedAsRun ids reconnected interruptedBySteps run, interruptedBySteps ids stepped
                    | Sending.Pubrels ids ->
                        let ids = [| for id in ids -> uint16 id |]

                        acknowledgedAsRun PacketType.Pubrel ids run,
                        eachStepped [ for id in ids -> ackOf PacketType.Pubrel id ] stepped

                run <- next
                stepped <- expectedNext
                Expect.equal sent expected "what is sent"
                Expect.equal (ServerState.sound run) ValueNone "it is sound"
                Expect.equal run.Inbound.Open stepped.Inbound.Open "how many are open"
                Expect.equal run.Inbound.Allowance stepped.Inbound.Allowance "the allowance"
                Expect.equal (heldOf run) (heldOf stepped) "what is held"))

let private dropping =
    testCase "a message of a shared subscription that a run pushes out of the queue is forgotten" (fun () ->
        let start = server (ValueSome 1us)

        let settings =
            { start.Settings with
                WhenQueueFull = WhenFull.DropOldest
                Limits = { start.Settings.Limits with QueuedMessages = 2 }
            }

        let shared = { Filter = TopicFilter.Of "$share/g/#"; QoS = QoS.AtLeastOnce; Retain = false }

        let forward ticket shared state =
            let message = outgoing QoS.AtLeastOnce ticket

            let struct (state, _) =
                ServerSession.step now (ServerEvent.Forward(message, shared, Int64.MaxValue)) state

            state

        let waiting =
            { start with Context.Settings = settings }
            |> forward 0L ValueNone
            |> forward 7L (ValueSome shared)

        Expect.isTrue (waiting.Shared.ContainsKey 7L) "it waits"

        let struct (after, _) = forwardedAsRun [| for _ in 1..2 -> outgoing QoS.AtLeastOnce 0L |] waiting

        Expect.isFalse
            (after.Outbound.Waiting |> Seq.exists (fun message -> message.Ticket = Ticket 7L))
            "it waits no more"

        Expect.isTrue after.Shared.IsEmpty "nor is it kept otherwise")

let tests = testList "SessionRuns" [ running; receiving; dropping ]
