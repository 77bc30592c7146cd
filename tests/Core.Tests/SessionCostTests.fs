/// What a message costs in the machines, in bytes, and the ways past them that make it cheap.
module Mqtt5.Tests.SessionCostTests

open System
open System.Collections.Generic
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses

let private now = 1_000L<ms>

let private connack: Connack =
    {
        SessionPresent = false
        Reason = ReasonCode.Success
        Properties = ConnackProperties.Empty
    }

// What the application brings is not part of the cost.
let private topic = TopicName.Of "plant/7/temp"
let private payload = Bytes.OfText "21.5"

let private outgoing qos ticket : Outgoing =
    {
        Topic = topic
        Payload = payload
        QoS = qos
        Retain = false
        Properties = PublishProperties.Empty
        ExpiresAt = ValueNone
        Ticket = ticket
    }

let private client () =
    let mutable state = ClientState.create 1UL (HashSeed.Of(1UL, 2UL)) ClientSettings.Default

    for event in [ Start 1L; TransportOpened Credentials.None; Received(Packet.Connack connack) ] do
        let struct (next, _) = ClientSession.step now event state
        state <- next

    state

let private server receiveMaximum =
    let connect: Connect =
        {
            CleanStart = true
            KeepAlive = 0us<s>
            Properties = { ConnectProperties.Empty with ReceiveMaximum = receiveMaximum }
            ClientId = ValueSome(ClientId.Of "a")
            Will = ValueNone
            UserName = ValueNone
            Password = ValueNone
        }

    let attachment =
        {
            Connection = 1L
            Protocol = Protocol.V5
            Connect = connect
            Assigned = false
            SessionPresent = false
            Authentication = ValueNone
            UserName = ValueNone
            AuthenticatedUntil = ValueNone
        }

    let struct (state, _) =
        ServerSession.step
            now
            (ServerEvent.Attach attachment)
            (ServerState.create 1L (ClientId.Of "a") BrokerSettings.Default)

    state

// Sends messages with this many under way, acknowledged in order, and gives the bytes that one allocates.
let private bytesOfOne window (state: 'State) send acknowledge =
    let underWay = Queue<uint16>()
    let mutable state: 'State = state

    let run count =
        for ticket in 2..count do
            let struct (next, id) = send (int64 ticket) state
            state <- next
            underWay.Enqueue id

            if underWay.Count = window then
                state <- acknowledge (underWay.Dequeue()) state

    run 2_000
    let messages = 20_000
    let before = GC.GetAllocatedBytesForCurrentThread()
    run messages
    float (GC.GetAllocatedBytesForCurrentThread() - before) / float messages

let private costs =
    testSequenced
    <| testList
        "the bytes of a message"
        [
            for window, bound in [ 1, 430.0; 64, 410.0 ] do
                testCase $"a client at QoS 1 with {window} under way" (fun () ->
                    let bytes =
                        bytesOfOne
                            window
                            (client ())
                            (fun ticket state ->
                                let message = outgoing QoS.AtLeastOnce ticket
                                let struct (state, _) = ClientSession.step now (Publish message) state
                                struct (state, state.Outbound.LastId))
                            (fun id state ->
                                let event = ReceivedAck(PacketType.Puback, id, ReasonCode.Success)
                                let struct (state, _) = ClientSession.step now event state
                                state)

                    Expect.isLessThan bytes bound "bytes a message")

            testCase "a session of a server that gets messages at QoS 1 with 64 under way" (fun () ->
                let bytes =
                    bytesOfOne
                        64
                        (server ValueNone)
                        (fun ticket state ->
                            let event =
                                ServerEvent.Forward(outgoing QoS.AtLeastOnce ticket, ValueNone, 1_000_000L)

                            let struct (state, _) = ServerSession.step now event state
                            struct (state, state.Outbound.LastId))
                        (fun id state ->
                            let event =
                                ServerEvent.ReceivedAck(1L, PacketType.Puback, id, ReasonCode.Success)

                            let struct (state, _) = ServerSession.step now event state
                            state)

                Expect.isLessThan bytes 460.0 "bytes a message")
        ]

let private messages =
    gen {
        let! qos = Gen.elements [ QoS.AtMostOnce; QoS.AtLeastOnce; QoS.ExactlyOnce ]
        let! retain = Gen.elements [ false; true ]
        let! payload = Gen.choose (0, 300)
        let! alias = Gen.elements [ 0us; 1us; 0x1234us ]
        let! isNamed = Gen.elements [ false; true ]
        let! hasContentType = Gen.elements [ false; true ]

        let properties =
            if hasContentType then
                { PublishProperties.Empty with ContentType = ValueSome(Utf8String.Of "text/plain") }
            else
                PublishProperties.Empty

        let message =
            { outgoing qos 7L with
                Retain = retain
                Payload = Bytes.OfArray(Array.replicate payload 0xA5uy)
                Properties = properties
            }

        return struct (message, alias, isNamed || alias = 0us)
    }

let private writing =
    testPropertyWithConfig
        config
        "a message is written as its PUBLISH is"
        (Prop.forAll (Arb.fromGen messages) (fun (struct (message, alias, isNamed)) ->
            let id = if message.QoS = QoS.AtMostOnce then 0us else 0xABCDus
            let packet = Packet.Publish(Outgoing.toPublish id alias isNamed message)
            let bytes = Array.replicate (Outgoing.size alias isNamed message + 20) 0uy
            let written = Outgoing.write id alias isNamed message (Span bytes)

            match Encode.toBytes ServerToClient packet with
            | Ok expected -> Expect.sequenceEqual bytes[.. written - 1] expected "the bytes"
            | Error fault -> failtest fault.Detail

            Expect.equal written (Outgoing.size alias isNamed message) "the size"))

let private mayPass (id: uint16) (state: ServerState) =
    let packet = Packet.Publish(Outgoing.toPublish id 0us true (outgoing QoS.AtLeastOnce 0L))

    match Encode.toBytes ClientToServer packet with
    | Error fault -> failtest fault.Detail
    | Ok bytes ->
        let mutable view = PublishView()

        Expect.isTrue (FastPath.tryPublish ClientToServer (ReadOnlySpan bytes) &view) "a plain PUBLISH"

        SessionRuns.way 1L &view state = PublishWay.Run

let private publishes (id: uint16) (state: ServerState) =
    let packet = Packet.Publish(Outgoing.toPublish id 0us true (outgoing QoS.AtLeastOnce 0L))
    ServerSession.step now (ServerEvent.Received(1L, packet)) state

let private passing =
    testList
        "the way of QoS 1 past the session"
        [
            clause [ "MQTT-4.3.2-4" ] "is open where arrival and acknowledgement change nothing" (fun () ->
                let state = server ValueNone
                Expect.isTrue (mayPass 7us state) "nothing is in the way"
                let struct (held, effects) = publishes 7us state

                let token =
                    match effects[0] with
                    | Deliver(_, token) -> token
                    | _ -> failtest "the message is handed over"

                let struct (after, answer) =
                    ServerSession.step now (ServerEvent.Acknowledge(token, ReasonCode.Success)) held

                match answer[0] with
                | SendAck(PacketType.Puback, 7us, ReasonCode.Success) -> ()
                | _ -> failtest "PUBACK"

                Expect.isTrue after.Inbound.Held.IsEmpty "nothing is held"
                Expect.isTrue after.Inbound.PubackOrder.IsEmpty "nothing is due"
                Expect.equal after.Inbound.Open state.Inbound.Open "as many are open"
                Expect.isTrue (Object.ReferenceEquals(after.Outbound, state.Outbound)) "the sending half"
                Expect.isTrue (Object.ReferenceEquals(after.Context, state.Context)) "all else"
                Expect.isTrue (mayPass 7us after) "and again")

            clause [ "MQTT-4.6.0-2" ] "is closed while an acknowledgement is due" (fun () ->
                let struct (held, _) = publishes 7us (server ValueNone)
                Expect.isFalse (mayPass 7us held) "the identifier is in use"
                Expect.isFalse (mayPass 8us held) "its PUBACK would overtake")

            testCase "is closed without the connection" (fun () ->
                let state = server ValueNone
                let cause = Cause.TransportFailed "gone"

                let struct (lost, _) = ServerSession.step now (ServerEvent.TransportClosed(1L, cause)) state

                let pubacks connection state =
                    (SessionRuns.acknowledge connection (PublishRun()) 0 1 ReasonCode.Success state).Count

                Expect.equal (pubacks 1L state) 1 "it is there"
                Expect.equal (pubacks 2L state) 0 "another one"
                Expect.isFalse (mayPass 7us lost) "it is gone"
                Expect.equal (pubacks 1L lost) 0 "nothing is written")
        ]

// What a client sees and what the sending half is afterwards, for a session that is stepped for each message and each
// PUBACK, and for one that takes them in runs.
[<RequireQualifiedAccess>]
type private Traffic =
    | Forward of Count: int
    | Pubacks of Count: int * Skip: int
    | Unknown
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
            | _ -> ()
    ]

let private singly (event: ServerEvent) (state: ServerState) =
    let struct (state, effects) = ServerSession.step now event state
    struct (state, sentBy effects)

let private pubackOf id = ServerEvent.ReceivedAck(1L, PacketType.Puback, id, ReasonCode.Success)

let private forwardOf message = ServerEvent.Forward(message, ValueNone, Int64.MaxValue)

let private eachStepped (events: ServerEvent list) state =
    ((struct (state, [])), events)
    ||> List.fold (fun (struct (state, sent)) event ->
        let struct (state, more) = singly event state
        struct (state, sent @ more))

/// The messages as one run of PUBLISH packets, side by side.
let runOf (messages: Outgoing[]) : PublishRun =
    let frame message =
        match Encode.toBytes ClientToServer (Packet.Publish(Outgoing.toPublish 1us 0us true message)) with
        | Ok bytes -> bytes
        | Error fault -> failtest fault.Detail

    let frames = messages |> Array.map frame
    let bytes = Array.concat frames
    let run = PublishRun()
    let mutable at = 0

    for frame in frames do
        let mutable view = PublishView()
        let memory = ReadOnlyMemory<byte>(bytes, at, bytes.Length - at)
        Expect.isTrue (FastPath.tryPublish ClientToServer (memory.Slice(0, frame.Length)).Span &view) "plain"
        Expect.isTrue (run.TryAdd(ProtocolVersion.V5, memory, frame.Length, &view)) "it belongs to the run"
        at <- at + frame.Length

    run

let private forwardedAsRun (messages: Outgoing[]) state =
    let run = runOf messages

    let struct (after, effects) =
        SessionRuns.send now Int64.MaxValue run (run.Copies messages[0].Topic) state

    struct (after, sentBy effects)

let private acknowledgedAsRun (ids: uint16[]) state =
    let struct (after, effects) = SessionRuns.acknowledged now 1L (ReadOnlySpan ids) state
    struct (after, sentBy effects)

let private idsOf (state: ServerState) =
    PacketIdMap.fold (fun ids id _ -> id :: ids) [] state.Outbound.InFlight
    |> List.rev
    |> List.toArray

let private traffic =
    Gen.oneof
        [
            Gen.map Traffic.Forward (Gen.choose (1, 30))
            Gen.map2 (fun count skip -> Traffic.Pubacks(count, skip)) (Gen.choose (1, 30)) (Gen.choose (0, 2))
            Gen.constant Traffic.Unknown
            Gen.map Traffic.Congested (Gen.elements [ true; false; false ])
        ]

let private running =
    testPropertyWithConfig
        config
        "runs of messages and of PUBACKs come to what steps come to"
        (Prop.forAll
            (Arb.fromGen (Gen.zip (Gen.choose (1, 40)) (Gen.listOf traffic)))
            (fun (receiveMaximum, operations) ->
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
                                        { outgoing QoS.AtLeastOnce 0L with
                                            Payload = Bytes.OfText(string (number + index))
                                        }
                                |]

                            number <- number + count
                            let struct (after, sent) = forwardedAsRun messages run
                            run <- after

                            let struct (after, expected) =
                                eachStepped [ for message in messages -> forwardOf message ] stepped

                            Expect.equal sent expected "what is sent"
                            after
                        | Traffic.Pubacks(count, skip) ->
                            let ids = idsOf stepped |> Array.skip (min skip stepped.Outbound.InFlight.Count)
                            let ids = ids |> Array.truncate count
                            let struct (after, sent) = acknowledgedAsRun ids run
                            run <- after

                            let struct (after, expected) =
                                eachStepped [ for id in ids -> pubackOf id ] stepped

                            Expect.equal sent expected "what is sent"
                            after
                        | Traffic.Unknown ->
                            let ids = [| 65_000us; yield! Array.truncate 1 (idsOf stepped); 65_001us |]
                            let struct (after, sent) = acknowledgedAsRun ids run
                            run <- after

                            let struct (after, expected) =
                                eachStepped [ for id in ids -> pubackOf id ] stepped

                            Expect.equal sent expected "what is sent"
                            after
                        | Traffic.Congested isCongested ->
                            let event = ServerEvent.Congested(1L, isCongested)
                            let struct (after, sent) = singly event run
                            run <- after
                            let struct (after, expected) = singly event stepped
                            Expect.equal sent expected "what is sent"
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

let private waiting =
    testPropertyWithConfig
        config
        "messages are taken back from a queue as from a list"
        (Prop.forAll
            (Arb.fromGen (Gen.listOf (Gen.zip (Gen.choose (0, 3)) (Gen.choose (1, 40)))))
            (fun (operations: (int * int) list) ->
                let mutable model: Outgoing list = []
                let mutable queue = WaitingMessages.Empty
                let mutable ticket = 0L

                for kind, number in operations do
                    match kind with
                    | 0
                    | 1 ->
                        ticket <- ticket + 1L
                        // Some have no ticket.
                        let message = outgoing QoS.AtLeastOnce (if number % 5 = 0 then 0L else ticket)
                        model <- model @ [ message ]
                        queue <- queue.Add(ticket, message)
                    | 2 ->
                        let before = queue
                        model <- if model.IsEmpty then [] else model.Tail
                        queue <- queue.WithoutFirst()
                        Expect.isLessThanOrEqual queue.Count before.Count "the old queue stays"
                    | _ ->
                        let expected = model |> List.exists (fun message -> message.Ticket = int64 number)
                        model <- model |> List.filter (fun message -> message.Ticket <> int64 number)
                        let struct (rest, found) = queue.TakeBack(int64 number)
                        queue <- rest
                        Expect.equal found expected "found"

                    Expect.sequenceEqual queue model "the messages"
                    Expect.equal queue.Count model.Length "how many"
                    Expect.equal queue.Bytes (model |> List.sumBy _.Cost) "their bytes"
                    Expect.equal (queue.TryPeek()) (List.tryHead model |> ValueOption.ofOption) "the first"))

let private doubt =
    let arrive dup (inbound: Inbound) =
        let struct (_, arrival, _) = Inbound.arrived (Delivery.ExactlyOnce(PacketId.Of 5us, dup)) inbound

        match arrival with
        | Arrival.Accept _ -> true
        | _ -> false

    // A message of QoS 2 whose PUBREC was sent is held when the connection is lost.
    let held () =
        let opened = Inbound.connectionOpened 10us Inbound.empty
        let struct (state, arrival, _) = Inbound.arrived (Delivery.ExactlyOnce(PacketId.Of 5us, false)) opened

        match arrival with
        | Arrival.Accept token ->
            let struct (state, _) = Inbound.acknowledge token ReasonCode.Success state
            Inbound.connectionOpened 10us (Inbound.connectionLost state)
        | _ -> failtest "the first is taken"

    clause
        [ "MQTT-3.3.1-1"; "MQTT-4.3.3-10" ]
        "in a session in doubt, DUP tells old messages from new ones"
        (fun () ->
            Expect.isFalse (arrive true (held ())) "a repetition"
            Expect.isFalse (arrive false (held ())) "the session is certain, so this repeats"
            Expect.isFalse (arrive true (Inbound.doubted (held ()))) "a repetition in the same session"
            Expect.isTrue (arrive false (Inbound.doubted (held ()))) "a message of a new session")

let tests = testList "SessionCost" [ costs; writing; passing; running; waiting; doubt ]
