module Mqtt5.Tests.OutboundTests

open Expecto
open Mqtt5
open Mqtt5.Tests.ClientModelScript

let private never (_: Outgoing) : Fault voption = ValueNone

let private online (maximum: int) (state: Outbound) =
    Outbound.resumed
        0L<ms>
        (uint16 maximum)
        Spec.MaximumPacketBytes
        (OutboundTopicAliases.Empty 0us)
        never
        state

let private publish (message: Outgoing) (state: Outbound) =
    let struct (state, _) = Outbound.publish 0L<ms> message state
    state

let private sound (state: Outbound) = Expect.equal (Outbound.sound state) ValueNone "sound"

// All 65,535 identifiers, in every step that goes through all of them.
let private many = 65_535

let private full (qos: QoS) =
    let struct (state, _) = online many Outbound.empty

    Seq.fold (fun state ticket -> publish (message "t" qos ticket) state) state (seq { 1L .. int64 many })

let tests =
    testList
        "Outbound"
        [
            testCase "all 65,535 messages under way are sent again in one step"
            <| fun () ->
                let state = full QoS.AtLeastOnce
                sound state
                Expect.equal state.InFlight.Count many "all under way"
                let struct (lost, _) = Outbound.connectionLost state
                sound lost
                let struct (resumed, effects) = online many lost
                sound resumed
                Expect.equal effects.Count many "all again"
                Expect.equal resumed.Quota 0 "no quota is left"

            testCase "all 65,535 messages of a lost session are sent anew in one step"
            <| fun () ->
                let struct (lost, _) = Outbound.connectionLost (full QoS.ExactlyOnce)
                let struct (anew, effects) = online many (Outbound.sessionLost lost)
                sound anew
                Expect.equal effects.Count many "all anew"

            testCase "[MQTT-3.3.2-6] no message is sent with a longer lifetime than it was received with"
            <| fun () ->
                let publishAt (now: Instant) =
                    let struct (connected, _) = online many Outbound.empty

                    // Received at 100 ms. A turn that began earlier, and had to wait, may be what sends it.
                    let received =
                        { message "t" QoS.AtLeastOnce 1L with
                            Properties =
                                { PublishProperties.Empty with MessageExpiryInterval = ValueSome 2u<s> }
                            ExpiresAt = ValueSome 2_100L<ms>
                        }

                    let struct (_, effects) = Outbound.publish now received connected

                    [
                        for effect in effects do
                            match effect with
                            | Send(Packet.Publish publish) -> publish.Properties.MessageExpiryInterval
                            | _ -> ()
                    ]

                Expect.equal (publishAt 50L<ms>) [ ValueSome 2u<s> ] "by a step of an earlier time"
                Expect.equal (publishAt 100L<ms>) [ ValueSome 2u<s> ] "at once"
                Expect.equal (publishAt 1_200L<ms>) [ ValueSome 1u<s> ] "after a second"

            testCase "a queue of 200,000 messages is sent in one step"
            <| fun () ->
                let queued =
                    Seq.fold
                        (fun state ticket -> publish (qos0 ticket) state)
                        Outbound.empty
                        (seq { 1L .. 200_000L })

                let struct (state, effects) = online 1 queued
                sound state
                Expect.equal effects.Count 400_000 "each is sent and settled"

            testCase "a queue of 200,000 messages that have expired is dropped in one step"
            <| fun () ->
                let queued =
                    Seq.fold
                        (fun state ticket -> publish { qos1 ticket with ExpiresAt = ValueSome 5L<ms> } state)
                        Outbound.empty
                        (seq { 1L .. 200_000L })

                let struct (state, effects) =
                    Outbound.resumed
                        10L<ms>
                        1us
                        Spec.MaximumPacketBytes
                        (OutboundTopicAliases.Empty 0us)
                        never
                        queued

                sound state
                Expect.equal effects.Count 200_000 "each is settled"
                Expect.equal state.WaitingBytes 0L "nothing is left"

            testCase "an acknowledgement that comes before its turn to be sent again ends it"
            <| fun () ->
                let struct (state, _) = online 5 Outbound.empty

                let state =
                    Seq.fold (fun state ticket -> publish (qos1 ticket) state) state (seq { 1L .. 3L })

                let struct (lost, _) = Outbound.connectionLost state
                let struct (resumed, _) = online 1 lost

                match
                    Outbound.acknowledged 0L<ms> PacketType.Puback 2us ReasonCode.Success ValueNone resumed
                with
                | Error fault -> failtest $"{fault}"
                | Ok(struct (state, _)) ->
                    sound state
                    Expect.equal state.Quota 0 "it had taken no quota"

                    match
                        Outbound.acknowledged 0L<ms> PacketType.Puback 1us ReasonCode.Success ValueNone state
                    with
                    | Error fault -> failtest $"{fault}"
                    | Ok(struct (state, effects)) ->
                        sound state
                        Expect.equal effects.Count 2 "the first is settled and the third sent"
                        Expect.isTrue (PacketIdMap.contains 3us state.InFlight) "the third"

            testCase "[MQTT-3.1.2-24] a Topic Alias is only used where the packet with it is not too large"
            <| fun () ->
                let mutable inFull = 0
                let mutable named = 0
                let mutable alone = 0

                for topicBytes in [ 1; 2; 3; 4; 40 ] do
                    // A longer Remaining Length, and a longer Property Length, are on the way.
                    for payloadBytes in
                        [ 0; 1; 20; 80; 81; 82; 83; 84; 85; 118; 119; 120; 121; 122; 123; 124 ] do
                        for expires in [ ValueNone; ValueSome 60_000L<ms> ] do
                            let message =
                                { message (String.replicate topicBytes "t") QoS.AtMostOnce 0L with
                                    Payload = Bytes.OfArray(Array.zeroCreate payloadBytes)
                                    ExpiresAt = expires
                                    Properties =
                                        { PublishProperties.Empty with
                                            MessageExpiryInterval =
                                                expires |> ValueOption.map (fun _ -> 60u<s>)
                                        }
                                }

                            let least = Outgoing.size 0us true message

                            for most in [ least; least + 1; least + 2; least + 3; least + 4; least + 5 ] do
                                let aliases = OutboundTopicAliases.Empty 5us

                                let struct (state, _) =
                                    Outbound.resumed 0L<ms> 1us most aliases never Outbound.empty

                                let mutable state = state

                                for _ in 1..2 do
                                    let struct (next, effects) = Outbound.publish 0L<ms> message state
                                    state <- next

                                    let publish =
                                        match effects[0] with
                                        | SendMessage(sent, id, alias, isNamed) ->
                                            Outgoing.toPublish id alias isNamed sent
                                        | Send(Packet.Publish publish) -> publish
                                        | other -> failtest $"PUBLISH is due, not {other}"

                                    match publish.Topic with
                                    | TopicReference.Name _ -> inFull <- inFull + 1
                                    | TopicReference.NameAndAlias _ -> named <- named + 1
                                    | TopicReference.Alias _ -> alone <- alone + 1

                                    Expect.isLessThanOrEqual
                                        (Encode.size (Packet.Publish publish))
                                        most
                                        $"{topicBytes} bytes of topic, {payloadBytes} of payload"

                // Each of the three has to have been met.
                Expect.isGreaterThan
                    (min inFull (min named alone))
                    100
                    "in full, with an alias, by alias alone"
        ]
