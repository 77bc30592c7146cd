/// What a message costs in the machines, in bytes, and the ways past them that make it cheap.
module Mqtt5.Tests.SessionCostTests

open System
open System.Collections.Generic
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses

let now = 1_000L<ms>

let private connack: Connack =
    {
        SessionPresent = false
        Reason = ReasonCode.Success
        Properties = ConnackProperties.Empty
    }

// What the application brings is not part of the cost.
let private topic = TopicName.Of "plant/7/temp"
let private payload = Bytes.OfText "21.5"

let outgoing qos ticket : Outgoing =
    {
        Topic = topic
        Payload = payload
        QoS = qos
        Retain = false
        Properties = PublishProperties.Empty
        ExpiresAt = ValueNone
        Ticket = Ticket ticket
    }

let private client () =
    let mutable state = ClientState.create 1UL (HashSeed.Of(1UL, 2UL)) ClientSettings.Default

    for event in [ Start(Ticket 1L); TransportOpened Credentials.None; Received(Packet.Connack connack) ] do
        let struct (next, _) = ClientSession.step now event state
        state <- next

    state

let server receiveMaximum =
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
            Connection = ConnectionId 1L
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
            (ServerState.create (SessionId 1L) (ClientId.Of "a") BrokerSettings.Default)

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
                                ServerEvent.ReceivedAck(
                                    ConnectionId 1L,
                                    PacketType.Puback,
                                    id,
                                    ReasonCode.Success
                                )

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

        SessionRuns.way (ConnectionId 1L) &view state = PublishWay.Run

let private publishes (id: uint16) (state: ServerState) =
    let packet = Packet.Publish(Outgoing.toPublish id 0us true (outgoing QoS.AtLeastOnce 0L))
    ServerSession.step now (ServerEvent.Received(ConnectionId 1L, packet)) state

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

                let struct (lost, _) =
                    ServerSession.step now (ServerEvent.TransportClosed(ConnectionId 1L, cause)) state

                let pubacks connection state =
                    (SessionRuns.acknowledge connection (PublishRun()) 0 1 ReasonCode.Success state).Count

                Expect.equal (pubacks (ConnectionId 1L) state) 1 "it is there"
                Expect.equal (pubacks (ConnectionId 2L) state) 0 "another one"
                Expect.isFalse (mayPass 7us lost) "it is gone"
                Expect.equal (pubacks (ConnectionId 1L) lost) 0 "nothing is written")
        ]

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
                        let expected =
                            model |> List.exists (fun message -> message.Ticket.Value = int64 number)

                        model <- model |> List.filter (fun message -> message.Ticket.Value <> int64 number)
                        let struct (rest, found) = queue.TakeBack(Ticket(int64 number))
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

let tests = testList "SessionCost" [ costs; writing; passing; waiting; doubt ]
