module Mqtt5.Tests.OutboundTests

open Expecto
open Mqtt5
open Mqtt5.Tests.ClientModelScript

let private never (_: Outgoing) : Fault voption = ValueNone

let private online (maximum: int) (state: Outbound) =
    Outbound.resumed 0L<ms> (uint16 maximum) (OutboundTopicAliases.Empty 0us) never state

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
                    Outbound.resumed 10L<ms> 1us (OutboundTopicAliases.Empty 0us) never queued

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
        ]
