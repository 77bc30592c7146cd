module Mqtt5.Tests.ClientSessionTestsConnecting

open Expecto
open Mqtt5
open Mqtt5.Tests.ClientModelScript

let private isOpening (one: Script) =
    one.Effects
    |> Array.tryPick (fun effect ->
        match effect with
        | Effect.OpenTransport(server, reference) ->
            Some(server, reference |> ValueOption.map _.Text |> ValueOption.toOption)
        | _ -> None)

// The delay that was announced with the last event.
let private delay (one: Script) : int64 =
    match
        one.Notices
        |> Array.tryPick (fun notice ->
            match notice with
            | Notice.Reconnecting(_, delay) -> Some delay
            | _ -> None)
    with
    | Some delay -> int64 delay
    | None -> failtest "a delay is announced"

// Waits until the next attempt; where it goes.
let private wait (one: Script) =
    match one.State.Phase with
    | ClientPhase.Waiting until ->
        Expect.equal (one.Deadline 0L<ms>) (ValueSome until) "the time of the next attempt"
        one.Now <- until - 1L<ms>
        one.Tick one.Now
        Expect.isEmpty one.Effects "not earlier"
        one.Now <- until
        one.Tick one.Now
        (isOpening one).Value
    | _ -> failtest "the client waits"

let private redirecting (reference: string) : Packet =
    Packet.Disconnect(
        Outcome.Full(
            ReasonCode.UseAnotherServer,
            { DisconnectProperties.Empty with ServerReference = ValueSome(text reference) }
        )
    )

let private refusedTo (reference: string) : Packet =
    Packet.Connack
        { refused ReasonCode.ServerMoved with
            Properties = { ConnackProperties.Empty with ServerReference = ValueSome(text reference) }
        }

let private backoff =
    testList
        "backoff"
        [
            testCase
                "doubles from attempt to attempt up to its maximum, and starts again after a connection that did something"
            <| fun () ->
                let one = connected ()

                for _ in 1..3 do
                    let delays =
                        [
                            one.Lose()
                            delay one

                            for _ in 2..7 do
                                wait one |> ignore
                                one.Lose()
                                delay one
                        ]

                    Expect.equal
                        delays
                        [ 1_000L; 2_000L; 4_000L; 8_000L; 16_000L; 32_000L; 32_000L ]
                        "the delays"

                    wait one |> ignore
                    one.Do(ClientEvent.TransportOpened Credentials.None)
                    one.Receive(Packet.Connack accepted)
                    // A message is acknowledged.
                    one.Publish(qos1 (one.NewTicket().Value))
                    one.Puback(int one.State.Outbound.LastId)

            testCase
                "grows on connections that end before they have done something, and not on one that lasts"
            <| fun () ->
                let one = connected ()

                let again lasting =
                    one.Now <- one.Now + lasting
                    one.Lose()
                    let announced = delay one
                    wait one |> ignore
                    one.Do(ClientEvent.TransportOpened Credentials.None)
                    one.Receive(Packet.Connack accepted)
                    announced

                let delays =
                    [ for lasting in [ 0L<ms>; 500L<ms>; 1_000L<ms>; 60_000L<ms>; 0L<ms> ] -> again lasting ]

                Expect.equal delays [ 1_000L; 2_000L; 4_000L; 1_000L; 1_000L ] "the delays"

            testCase "holds for a first connection that is retried"
            <| fun () ->
                let one = script { settings with RetryFirstConnection = true }
                one.Do(ClientEvent.Start(Ticket 1L))

                let delays =
                    [
                        for _ in 1..3 do
                            one.Lose()
                            delay one
                            wait one |> ignore
                    ]

                Expect.equal delays [ 1_000L; 2_000L; 4_000L ] "the delays"
                one.Do(ClientEvent.TransportOpened Credentials.None)
                one.Receive(Packet.Connack accepted)

                match one.Settlement 1L with
                | Some(Settlement.Connected _) -> ()
                | _ -> failtest "the caller is told at last"

            testCase "does without a retry unless asked for"
            <| fun () ->
                let one = script settings
                one.Do(ClientEvent.Start(Ticket 1L))
                one.Lose()
                Expect.isTrue one.State.Phase.IsEnded "the first connection is not retried"
                let two = connectedWith { settings with Reconnect = ValueNone } accepted
                two.Lose()
                Expect.isTrue two.State.Phase.IsEnded "nor is any, without a backoff"

            testCase "leaves refusals that would come again"
            <| fun () ->
                for reason in [ ReasonCode.Banned; ReasonCode.ClientIdentifierNotValid ] do
                    let one = connected ()
                    one.Lose()
                    one.Open Credentials.None
                    one.Receive(Packet.Connack(refused reason))
                    Expect.isTrue one.State.Phase.IsEnded "it ends"

                for reason in [ ReasonCode.ServerBusy; ReasonCode.BadUserNameOrPassword ] do
                    let one = connected ()
                    one.Lose()
                    one.Open Credentials.None
                    one.Receive(Packet.Connack(refused reason))
                    Expect.equal (delay one) 2_000L "it goes on"

                let one = connected ()
                one.Receive(Packet.Disconnect(Outcome.Code ReasonCode.SessionTakenOver))
                Expect.isTrue one.State.Phase.IsEnded "another client has the session now"

            testCase "an attempt that takes too long is given up"
            <| fun () ->
                let one = connected ()
                one.Lose()
                wait one |> ignore
                one.Now <- one.Now + 10_000L<ms>
                one.Tick one.Now
                Expect.isTrue one.Closes "no transport came"
                wait one |> ignore
                one.Do(ClientEvent.TransportOpened Credentials.None)
                one.Now <- one.Now + 10_000L<ms>
                one.Tick one.Now
                Expect.isTrue one.Closes "no CONNACK came"

                match one.Notices with
                | [| Notice.Reconnecting(Cause.ConnectTimeout, _) |] -> ()
                | _ -> failtest "the cause is told"

            testCase "no PINGRESP in time ends the connection"
            <| fun () ->
                let one = connectedWith { settings with KeepAlive = 10us<s> } accepted
                one.Now <- 7_500L<ms>
                one.Tick 0L<ms>
                Expect.equal one.Sent [ "PINGREQ" ] "asked"
                one.Receive Packet.Pingresp
                one.Now <- 15_000L<ms>
                one.Tick 7_500L<ms>
                Expect.equal one.Sent [ "PINGREQ" ] "asked again"
                one.Now <- 25_000L<ms>
                one.Tick 24_999L<ms>

                match one.Notices with
                | [| Notice.Reconnecting(Cause.PingTimeout, _) |] -> Expect.isTrue one.Closes "closed"
                | _ -> failtest "the cause is told"
        ]

let private servers =
    testList
        "servers"
        [
            testCase "are tried in turn"
            <| fun () ->
                let one = connectedWith { settings with ServerCount = 3 } accepted

                let tried =
                    [
                        for _ in 1..5 do
                            one.Lose()
                            fst (wait one)
                    ]

                Expect.equal tried [ 1; 2; 0; 1; 2 ] "in turn"

            testCase "a reference is followed at once, but only if the application allows it"
            <| fun () ->
                let allowed = { settings with FollowServerReference = true }
                let one = connectedWith allowed accepted
                one.Receive(redirecting "other:1883")
                Expect.equal (delay one) 0L "at once"
                one.Tick one.Now
                Expect.equal (isOpening one) (Some(0, Some "other:1883")) "there"
                let two = connected ()
                two.Receive(redirecting "other:1883")
                Expect.equal (delay two) 1_000L "as after any loss"
                Expect.equal (wait two) (0, None) "not there"

            testCase "a reference is followed from the first connection"
            <| fun () ->
                let one = script { settings with FollowServerReference = true }
                one.Do(ClientEvent.Start(Ticket 1L))
                one.Do(ClientEvent.TransportOpened Credentials.None)
                one.Receive(refusedTo "other")
                one.Tick one.Now
                Expect.equal (isOpening one) (Some(0, Some "other")) "there"
                one.Do(ClientEvent.TransportOpened Credentials.None)
                one.Receive(refusedTo "third")
                Expect.isTrue one.State.Phase.IsEnded "one reference to another is no connection"

            testCase "servers that name each other are not tried without a pause"
            <| fun () ->
                let one = connectedWith { settings with FollowServerReference = true } accepted
                one.Receive(redirecting "b")
                let mutable waited = delay one

                for _ in 1..10 do
                    wait one |> ignore
                    one.Do(ClientEvent.TransportOpened Credentials.None)
                    one.Receive(Packet.Connack accepted)
                    one.Receive(redirecting "a")
                    waited <- waited + delay one

                // None of the connections does anything, so the pauses double: 2, 4, 8, 16 and six times 32 seconds.
                Expect.equal waited 222_000L "longer each time"

            testCase "an assigned Client Identifier is used again"
            <| fun () ->
                let one = script { settings with ClientId = ValueNone }

                one.Connect(
                    announcing
                        { ConnackProperties.Empty with AssignedClientIdentifier = ValueSome(text "assigned") }
                )

                one.Lose()
                one.Open Credentials.None

                match one.Packets with
                | [| Packet.Connect connect |] ->
                    Expect.equal connect.ClientId (ValueSome(ClientId.Of "assigned")) "the same"
                | _ -> failtest "CONNECT is expected"

            testCase "limits of a connection end with it"
            <| fun () ->
                let one =
                    connectedWith
                        settings
                        (announcing { ConnackProperties.Empty with MaximumQoS = ValueSome QoS.AtMostOnce })

                one.Publish(qos1 1L)
                Expect.equal (one.Rejected 1L) (Some ReasonCode.QoSNotSupported) "not here"
                one.Lose()
                one.Publish(qos1 2L)
                one.Connect accepted
                Expect.equal one.Sent [ "PUBLISH1 1" ] "but there"
        ]

let tests = testList "ClientSession, connecting" [ backoff; servers ]
