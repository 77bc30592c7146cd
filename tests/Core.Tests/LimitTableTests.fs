module Mqtt5.Tests.LimitTableTests

open System
open Expecto
open Mqtt5
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

let private limits = { BrokerLimits.Default with TopicBytes = 10; TopicLevels = 3 }

let private fault reason blame =
    { Fault.peer reason PacketType.Publish -1L "field" "clause" "detail" with Blame = blame }

let private withLimitsOf (change: BrokerLimits -> BrokerLimits) =
    LimitTable.check (change BrokerLimits.Default)

[<Tests>]
let tests =
    testList
        "Limits of a broker"
        [
            test "each stands at its place in the table, under a name of its own" {
                let names = Enum.GetValues<LimitName>()

                Expect.equal
                    (LimitTable.all |> Seq.map (fun rule -> rule.Name) |> Seq.toArray)
                    names
                    "all, in order"

                let keys = LimitTable.all |> Seq.map (fun rule -> rule.Key) |> Seq.distinct
                Expect.equal (Seq.length keys) names.Length "no two have one name"
            }

            test "the defaults are in range" {
                Expect.equal (LimitTable.check BrokerLimits.Default) ValueNone "in range"
            }

            test "the first that is out of range is named with its range and unit" {
                let breach =
                    withLimitsOf (fun limits -> { limits with MaximumPacketBytes = 13; ReceiveMaximum = 0us })

                Expect.equal
                    breach
                    (ValueSome(struct (LimitName.MaximumPacketBytes, "13 is not from 14 to 268435460 bytes")))
                    "named"

                Expect.equal
                    (LimitTable.problem LimitName.PublishRate -1L)
                    (ValueSome "-1 is not from 0 to 2147483647 packets a second; 0 is no limit")
                    "told that 0 is no limit"
            }

            test "a topic is too long, too deep, or neither" {
                let settings = { BrokerSettings.Default with Limits = limits }

                let limitOf (topic: string) =
                    TopicLimits.problem settings (TopicName.Of topic)
                    |> ValueOption.bind (fun why -> why.Limit)

                Expect.equal (limitOf "aaaaaaaaaaa") (ValueSome LimitName.TopicBytes) "too long"
                Expect.equal (limitOf "a/b/c/d") (ValueSome LimitName.TopicLevels) "too deep"
                Expect.equal (limitOf "a/b/c") ValueNone "neither"
                Expect.equal (limitOf "$SYS/x") ValueNone "refused, for another reason"
            }

            test "a full queue is full of messages, of bytes, or all queues are" {
                let limitOf messages bytes spare cost =
                    let offer = { QoS = QoS.AtLeastOnce; Cost = cost; PacketBytes = 0 }

                    let budget =
                        {
                            IsOver = false
                            IsConnected = false
                            IsCongested = false
                            QueuesQoS0 = false
                            MaximumPacketBytes = Spec.MaximumPacketBytes
                            Sendable = 0
                            IsIdle = true
                            SendBytes = 0L
                            QueueMessages = messages
                            QueueBytes = bytes
                            Spare = spare
                        }

                    match Admission.decide &offer &budget with
                    | Decision.Drop why -> why.Limit
                    | _ -> ValueNone

                Expect.equal (limitOf 0 100L 100L 1L) (ValueSome LimitName.QueuedMessages) "messages"
                Expect.equal (limitOf 1 10L 100L 11L) (ValueSome LimitName.QueuedBytes) "bytes"
                Expect.equal (limitOf 1 10L 9L 10L) (ValueSome LimitName.TotalQueuedBytes) "all queues"
                Expect.equal (limitOf 1 10L 10L 10L) ValueNone "it waits"
            }

            test "a Topic Alias above the maximum exceeds a limit, and 0 is no alias at all" {
                let aliases = InboundTopicAliases.Empty(ClientToServer, 2us)

                match aliases.Resolve(TopicReference.Alias(TopicAlias.Of 3us)) with
                | Error fault -> Expect.equal fault.Limit (ValueSome LimitName.TopicAliasMaximum) "above"
                | Ok _ -> failtest "refused"

                let zero = [| 0x30uy; 8uy; 0uy; 1uy; byte 'a'; 3uy; 0x23uy; 0uy; 0uy; byte 'x' |]

                match Grammar.parse ClientToServer Spec.MaximumPacketBytes 0L (ReadOnlyMemory zero) with
                | Error fault ->
                    Expect.equal fault.Reason ReasonCode.TopicAliasInvalid "the reason"
                    Expect.equal fault.Limit ValueNone "no limit"
                | Ok _ -> failtest "refused"
            }

            test "an acknowledgement carries properties where the client wants and takes them" {
                let properties =
                    { AcknowledgementProperties.Empty with ReasonString = ValueSome(Utf8String.Of "why not") }

                let acknowledged qos (change: Connect -> Connect) =
                    let settings = BrokerSettings.Default
                    let id = ClientId.Of "c"
                    let state = ServerState.create (SessionId 1L) id settings

                    let attachment =
                        {
                            Connection = ConnectionId 1L
                            Protocol = Protocol.V5
                            Connect = change (connectPacket "c")
                            Assigned = false
                            SessionPresent = false
                            Authentication = ValueNone
                            UserName = ValueNone
                            AuthenticatedUntil = ValueNone
                        }

                    let struct (state, _) = ServerSession.step 0L<ms> (ServerEvent.Attach attachment) state

                    let delivery =
                        if qos = 1 then
                            Delivery.AtLeastOnce(PacketId.Of 7us, false)
                        else
                            Delivery.ExactlyOnce(PacketId.Of 7us, false)

                    let publish =
                        {
                            Delivery = delivery
                            Retain = false
                            Topic = TopicReference.Name(TopicName.Of "a")
                            Properties = PublishProperties.Empty
                            Payload = Bytes.Empty
                        }

                    let struct (state, effects) =
                        ServerSession.step
                            0L<ms>
                            (ServerEvent.Received(ConnectionId 1L, Packet.Publish publish))
                            state

                    let token =
                        match effects[0] with
                        | Deliver(_, token) -> token
                        | other -> failtest $"a delivery is due, not {other}"

                    let struct (_, effects) =
                        ServerSession.step
                            0L<ms>
                            (ServerEvent.AcknowledgeWith(token, ReasonCode.QuotaExceeded, properties))
                            state

                    Expect.equal effects.Count 1 "one acknowledgement"
                    effects[0]

                let told (effect: Effect) =
                    match effect with
                    | Send(Packet.Puback { Outcome = Outcome.Full(reason, properties) })
                    | Send(Packet.Pubrec { Outcome = Outcome.Full(reason, properties) }) ->
                        struct (reason, properties.ReasonString)
                    | Send(Packet.Puback { Outcome = Outcome.Code reason }) -> struct (reason, ValueNone)
                    | other -> failtest $"an acknowledgement is due, not {other}"

                let full = struct (ReasonCode.QuotaExceeded, properties.ReasonString)
                Expect.equal (told (acknowledged 1 id)) full "PUBACK"
                Expect.equal (told (acknowledged 2 id)) full "PUBREC"

                let silent =
                    withProperties (fun properties ->
                        { properties with RequestProblemInformation = ValueSome false })

                Expect.equal
                    (told (acknowledged 1 silent))
                    (struct (ReasonCode.QuotaExceeded, ValueNone))
                    "not wanted"
            }
        ]
