module Mqtt5.Tests.InboundTests

open Expecto
open Mqtt5

let private arrive (id: int) (qos: QoS) dup (state: Inbound) =
    let id = PacketId.Of(uint16 id)

    Inbound.arrived
        (if qos = QoS.AtLeastOnce then
             Delivery.AtLeastOnce(id, dup)
         else
             Delivery.ExactlyOnce(id, dup))
        state

let private take (id: int) (qos: QoS) dup (state: Inbound) =
    match arrive id qos dup state with
    | struct (state, Arrival.Accept token, _) -> struct (state, token)
    | _ -> failtest "a new message"

let private sound (state: Inbound) = Expect.equal (Inbound.sound state) ValueNone "sound"

let private online (maximum: int) = Inbound.connectionOpened (uint16 maximum) Inbound.empty

let private again (maximum: int) (state: Inbound) =
    Inbound.connectionOpened (uint16 maximum) (Inbound.connectionLost state)

let tests =
    testList
        "Inbound"
        [
            testCase "65,535 messages that are decided in reverse are acknowledged in one step"
            <| fun () ->
                for qos in [ QoS.AtLeastOnce; QoS.ExactlyOnce ] do
                    let mutable state = online 65_535
                    let tokens = Array.zeroCreate 65_535

                    for index in 0..65_534 do
                        let struct (next, token) = take (index + 1) qos false state
                        state <- next
                        tokens[index] <- token

                    sound state

                    for index in 65_534..-1..1 do
                        let struct (next, effects) =
                            Inbound.acknowledge tokens[index] ReasonCode.Success state

                        state <- next
                        Expect.equal effects.Count 0 "the first is not decided"

                    let struct (last, effects) = Inbound.acknowledge tokens[0] ReasonCode.Success state
                    Expect.equal effects.Count 65_535 "all at once"
                    sound last

            testCase "one message more than the Receive Maximum is a breach"
            <| fun () ->
                let struct (state, _) = take 1 QoS.AtLeastOnce false (online 2)
                let struct (state, _) = take 2 QoS.ExactlyOnce false state

                match arrive 3 QoS.AtLeastOnce false state with
                | struct (_, Arrival.Breach fault, _) ->
                    Expect.equal fault.Reason ReasonCode.ReceiveMaximumExceeded "0x93"
                | _ -> failtest "a breach"

            testCase "an exchange of an earlier connection that ends here allows one message more"
            <| fun () ->
                let struct (state, token) = take 9 QoS.ExactlyOnce false (online 1)
                let struct (state, _) = Inbound.acknowledge token ReasonCode.Success state
                let state = again 1 state
                let struct (state, _) = take 1 QoS.AtLeastOnce false state

                match arrive 2 QoS.AtLeastOnce false state with
                | struct (_, Arrival.Breach _, _) -> ()
                | _ -> failtest "not yet"

                match Inbound.released 9us state with
                | Error fault -> failtest $"{fault}"
                | Ok(struct (state, _)) ->
                    let struct (state, _) = take 2 QoS.AtLeastOnce false state
                    sound state

            testCase "a token of a lost session, or one that was used, acknowledges nothing"
            <| fun () ->
                let struct (state, old) = take 1 QoS.AtLeastOnce false (online 5)
                let state = Inbound.connectionOpened 5us (Inbound.sessionLost (Inbound.connectionLost state))
                let struct (state, fresh) = take 1 QoS.AtLeastOnce false state
                let struct (state, effects) = Inbound.acknowledge old ReasonCode.Success state
                Expect.equal effects.Count 0 "it is of a lost session"
                let struct (state, effects) = Inbound.acknowledge fresh ReasonCode.Success state
                Expect.equal effects.Count 1 "PUBACK"
                let struct (state, effects) = Inbound.acknowledge fresh ReasonCode.Success state
                Expect.equal effects.Count 0 "it was used"
                sound state

            testCase
                "a message that the application still has is not handed over again on the next connection"
            <| fun () ->
                for qos in [ QoS.AtLeastOnce; QoS.ExactlyOnce ] do
                    let struct (state, token) = take 1 qos false (online 5)

                    match arrive 1 qos true (again 5 state) with
                    | struct (state, Arrival.Repeated, effects) ->
                        Expect.equal effects.Count 0 "nothing is due"
                        let struct (state, effects) = Inbound.acknowledge token ReasonCode.Success state
                        Expect.equal effects.Count 1 "its acknowledgement goes out here"
                        sound state
                    | _ -> failtest "it is the same message"

            testCase "PUBREL for a message that got no PUBREC is a fault"
            <| fun () ->
                let struct (state, _) = take 1 QoS.ExactlyOnce false (online 5)
                Expect.isError (Inbound.released 1us state) "a fault"

            testCase "a doubt about the session lasts until a PUBLISH shows that it is another one"
            <| fun () ->
                let doubtful state =
                    state
                    |> Inbound.connectionLost
                    |> Inbound.connectionOpenedIn ProtocolVersion.V311 10us
                    |> Inbound.doubted

                let isNew id qos dup state =
                    match arrive id qos dup state with
                    | struct (state, Arrival.Accept _, _) ->
                        sound state
                        true
                    | _ -> false

                for other, dup in [ QoS.AtLeastOnce, true; QoS.AtLeastOnce, false; QoS.ExactlyOnce, false ] do
                    let struct (state, _) = take 1 QoS.ExactlyOnce false (online 10)
                    let state = doubtful state
                    Expect.isTrue (isNew 1 other dup state) "on the connection that began with the doubt"
                    Expect.isTrue (isNew 1 other dup (again 10 state)) "on a later one"

                    Expect.isFalse
                        (isNew 1 QoS.ExactlyOnce true (again 10 state))
                        "a repetition is no new message"

                // 1 is of the first session, 2 perhaps of the second, and it is certain that the first is gone.
                let struct (state, _) = take 1 QoS.ExactlyOnce false (online 10)
                let struct (state, _) = take 2 QoS.ExactlyOnce false (doubtful state)
                let struct (state, _) = take 1 QoS.ExactlyOnce false (doubtful state)
                Expect.isFalse (isNew 2 QoS.ExactlyOnce true state) "a repetition in the second session"
        ]
