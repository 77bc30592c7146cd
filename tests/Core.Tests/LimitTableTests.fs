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

            test "a fault is put down to the limit that it came upon" {
                let expect isConnected reason expected =
                    Expect.equal (LimitTable.ofFault isConnected (fault reason Peer)) expected $"{reason}"

                expect true ReasonCode.PacketTooLarge (ValueSome LimitName.MaximumPacketBytes)
                expect false ReasonCode.PacketTooLarge (ValueSome LimitName.PacketBytesBeforeConnect)
                expect true ReasonCode.ReceiveMaximumExceeded (ValueSome LimitName.ReceiveMaximum)
                expect true ReasonCode.TopicAliasInvalid (ValueSome LimitName.TopicAliasMaximum)
                expect true ReasonCode.MessageRateTooHigh (ValueSome LimitName.PublishRate)
                expect true ReasonCode.MalformedPacket ValueNone

                Expect.equal
                    (LimitTable.ofFault true (fault ReasonCode.PacketTooLarge Ours))
                    ValueNone
                    "not the client's"
            }

            test "a topic is too long, too deep, or neither" {
                let of' (topic: string) =
                    LimitTable.ofTopic limits (ReadOnlySpan(Text.Encoding.UTF8.GetBytes topic))

                Expect.equal (of' "aaaaaaaaaaa") (ValueSome LimitName.TopicBytes) "too long"
                Expect.equal (of' "a/b/c/d") (ValueSome LimitName.TopicLevels) "too deep"
                Expect.equal (of' "a/b/c") ValueNone "neither"
            }

            test "a full queue is full of messages, of bytes, or all queues are" {
                let limits = { limits with QueuedMessages = 2; QueuedBytes = 100L }
                Expect.equal (LimitTable.ofQueue limits 2 0L 1L) LimitName.QueuedMessages "messages"
                Expect.equal (LimitTable.ofQueue limits 1 90L 11L) LimitName.QueuedBytes "bytes"
                Expect.equal (LimitTable.ofQueue limits 1 90L 10L) LimitName.TotalQueuedBytes "all queues"
            }

            test "an acknowledgement carries properties where the client wants and takes them" {
                let properties =
                    { AcknowledgementProperties.Empty with ReasonString = ValueSome(Utf8String.Of "why not") }

                let acknowledged qos (change: Connect -> Connect) =
                    let settings = BrokerSettings.Default
                    let id = ClientId.Of "c"
                    let state = ServerState.create 1L id settings

                    let attachment =
                        {
                            Connection = 1L
                            Connect = change (connectPacket "c")
                            Assigned = false
                            SessionPresent = false
                            Authentication = ValueNone
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
                        ServerSession.step 0L<ms> (ServerEvent.Received(1L, Packet.Publish publish)) state

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
