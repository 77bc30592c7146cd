/// How a client deals with a transport that is slow, full or dead, and with what its application has not asked for yet.
module Mqtt5.Tests.ClientTransportTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.ClientModelScript

let private sized (bytes: int) (message: Outgoing) =
    { message with Payload = Bytes.OfArray(Array.zeroCreate bytes) }

let private window (receiveMaximum: uint16) =
    announcing { ConnackProperties.Empty with ReceiveMaximum = ValueSome receiveMaximum }

let private congestion =
    testList
        "congestion"
        [
            testCase "messages of every QoS wait for the transport, requests and acknowledgements do not"
            <| fun () ->
                let one = connected ()
                one.Do(ClientEvent.TransportRoom 0L)
                one.Publish(qos0 1L)
                one.Publish(qos1 2L)
                Expect.isEmpty one.Sent "they wait"
                Expect.isFalse (ClientSession.maySendQoS0 false 10 one.State) "nor past the machine"
                one.Do(ClientEvent.Subscribe(subscribing [ "f" ], Ticket 3L))
                Expect.equal one.Sent [ "SUBSCRIBE 1 f" ] "a request"
                one.Receive(arriving1 7 false)
                one.Do(ClientEvent.Acknowledge(one.Tokens.Head, ReasonCode.Success))
                Expect.equal one.Sent [ "PUBACK 7 00" ] "an acknowledgement"
                one.Do(ClientEvent.TransportRoom 100L)
                Expect.equal one.Sent [ "PUBLISH0"; "PUBLISH1 2" ] "in their order"
                Expect.isTrue (ClientSession.maySendQoS0 false 10 one.State) "and past the machine"

            testCase "no more is sent than the transport takes, and the rest when it takes more"
            <| fun () ->
                let one = connected ()
                one.Do(ClientEvent.TransportRoom 0L)

                for ticket in 1L .. 5L do
                    one.Publish(qos1 ticket |> sized 60)

                one.Do(ClientEvent.TransportRoom 100L)
                Expect.equal one.Sent [ "PUBLISH1 1"; "PUBLISH1 2" ] "two fill it"
                Expect.isTrue one.State.Outbound.IsCongested "so the others wait"
                one.Puback 1
                Expect.isEmpty one.Sent "also when there is quota"
                one.Do(ClientEvent.TransportRoom 1L)
                Expect.equal one.Sent [ "PUBLISH1 3" ] "one exceeds what is left"
                one.Do(ClientEvent.TransportRoom 60L)
                one.Do(ClientEvent.TransportRoom 100L)
                Expect.equal one.Sent [ "PUBLISH1 5" ] "the last"
                Expect.isFalse one.State.Outbound.IsCongested "nothing is left"

            testCase "a message of QoS 0 waits for the transport, but not for the quota of those before it"
            <| fun () ->
                let one = connectedWith settings (window 1us)
                one.Publish(qos1 1L)
                one.Do(ClientEvent.TransportRoom 0L)
                one.Publish(qos1 2L)
                one.Publish(qos0 3L)
                one.Do(ClientEvent.TransportRoom 100L)
                Expect.equal one.Sent [ "PUBLISH0" ] "past the one that waits for quota"
                one.Puback 1
                Expect.equal one.Sent [ "PUBLISH1 2" ] "which comes with its quota"

            testCase "what is sent again at a resume is no more than the transport takes"
            <| fun () ->
                let one = connectedWith { settings with TransportBufferBytes = 100L } accepted

                for ticket in 1L .. 4L do
                    one.Publish(qos1 ticket |> sized 60)

                one.Lose()
                one.Connect sessionPresent
                Expect.equal one.Sent [ "PUBLISH1 1 DUP"; "PUBLISH1 2 DUP" ] "two fill it"
                one.Publish(qos1 5L)
                Expect.isEmpty one.Sent "a new one waits behind the others"
                one.Do(ClientEvent.TransportRoom 100L)
                Expect.equal one.Sent [ "PUBLISH1 3 DUP"; "PUBLISH1 4 DUP" ] "the next two"
                one.Do(ClientEvent.TransportRoom 100L)
                Expect.equal one.Sent [ "PUBLISH1 5" ] "then the new one"

            testCase "a server that sends and does not read the acknowledgments is disconnected"
            <| fun () ->
                let one = connected ()
                one.Do(ClientEvent.UnsentAcknowledgments ClientSession.MaximumUnsentAcknowledgments)
                Expect.isTrue one.State.IsConnected "as many as it may be owed"

                one.Do(ClientEvent.UnsentAcknowledgments(ClientSession.MaximumUnsentAcknowledgments + 1))

                one.EndsWith "DISCONNECT 93"
                one.Do(ClientEvent.UnsentAcknowledgments(ClientSession.MaximumUnsentAcknowledgments + 2))
                Expect.isEmpty one.Effects "it is over"

            testCase "one limit holds for what waits and what is under way, and a message above it goes alone"
            <| fun () ->
                let limited whenFull =
                    let queue =
                        { QueueLimits.Default with
                            MaximumBytes = 100L
                            WhenFull = whenFull
                            MaximumMessages = 3
                        }

                    connectedWith { settings with Queue = queue } accepted

                let isFull (one: Script) ticket =
                    match one.Settlement ticket with
                    | Some Settlement.QueueFull -> true
                    | _ -> false

                let one = limited WhenFull.Refuse
                one.Publish(qos1 1L |> sized 60)
                one.Publish(qos2 2L |> sized 60)
                Expect.isTrue (isFull one 2L) "121 bytes"
                one.Publish(qos0 3L |> sized 600)
                Expect.equal one.Sent [ "PUBLISH0" ] "QoS 0 is not kept"
                one.Puback 1
                one.Publish(qos2 4L |> sized 600)
                Expect.equal one.Sent [ "PUBLISH2 2" ] "alone"
                let two = limited WhenFull.DropOldest
                two.Publish(qos1 1L |> sized 60)
                two.Do(ClientEvent.TransportRoom 0L)
                two.Publish(qos1 2L |> sized 30)
                two.Publish(qos1 3L |> sized 35)
                Expect.isTrue (isFull two 2L) "the oldest that waits"
                two.Publish(qos1 4L |> sized 50)
                Expect.isTrue (isFull two 4L) "what is under way cannot be dropped"
                Expect.equal two.State.Outbound.Waiting.Count 1 "so nothing is"

            testCase
                "a message of QoS 0 that waits for the transport outlives the connection only if that is wanted"
            <| fun () ->
                let lose keep =
                    let queue = { QueueLimits.Default with KeepQoS0 = keep }
                    let one = connectedWith { settings with Queue = queue } accepted
                    one.Do(ClientEvent.TransportRoom 0L)
                    one.Publish(qos0 1L)
                    one.Publish(qos1 2L)
                    one.Lose()
                    one

                Expect.isSome ((lose false).Rejected 1L) "it is rejected"
                let kept = lose true
                Expect.isNone (kept.Rejected 1L) "it is kept"
                kept.Connect sessionPresent
                Expect.equal kept.Sent [ "PUBLISH0"; "PUBLISH1 1" ] "and sent"
        ]

let private second = 1_000L<ms>

let private liveness =
    let ticking (one: Script) now traffic =
        one.Now <- now
        one.Do(ClientEvent.Tick traffic)

    let impatient = { settings with KeepAlive = 10us<s>; PingTimeout = 5L * second }

    testList
        "liveness"
        [
            testCase "a server that sends nothing is asked after the Keep Alive, whatever is sent to it"
            <| fun () ->
                let one = connectedWith impatient accepted
                let traffic now = { LastSent = now; LastReceived = 0L<ms>; LastPing = 0L<ms> }
                ticking one 9_999L<ms> (traffic 9_999L<ms>)
                Expect.isEmpty one.Sent "not yet"

                Expect.equal
                    (ClientState.deadline (traffic 9_999L<ms>) one.State)
                    (ValueSome 10_000L<ms>)
                    "then"

                ticking one 10_000L<ms> (traffic 10_000L<ms>)
                Expect.equal one.Sent [ "PINGREQ" ] "it pings"
                let asked now = { traffic now with LastPing = 10_000L<ms> }
                ticking one 14_999L<ms> (asked 14_999L<ms>)
                Expect.isTrue one.State.IsConnected "its time is not over"
                ticking one 15_000L<ms> (asked 15_000L<ms>)
                Expect.isFalse one.State.IsConnected "it is dead, although bytes were sent"

            testCase
                "the time for the answer runs from when PINGREQ is on its way, and until then bytes that go are life"
            <| fun () ->
                let one = connectedWith impatient accepted
                let traffic = { LastSent = 0L<ms>; LastReceived = 0L<ms>; LastPing = 0L<ms> }
                ticking one 7_500L<ms> traffic
                Expect.equal one.Sent [ "PINGREQ" ] "it pings"

                for at in 8_000L<ms> .. second .. 40_000L<ms> do
                    ticking one at { traffic with LastSent = at }
                    Expect.isTrue one.State.IsConnected "the buffer before it is being sent"

                let taken = { traffic with LastSent = 41_000L<ms>; LastPing = 41_000L<ms> }
                ticking one 45_999L<ms> taken
                Expect.isTrue one.State.IsConnected "its time runs from now"
                Expect.equal (ClientState.deadline taken one.State) (ValueSome 46_000L<ms>) "and ends then"
                ticking one 46_000L<ms> taken
                Expect.isFalse one.State.IsConnected "now it is dead"

            testCase "a transport that takes nothing is dead after the same time"
            <| fun () ->
                let one = connectedWith impatient accepted
                let traffic = { LastSent = 0L<ms>; LastReceived = 0L<ms>; LastPing = 0L<ms> }
                ticking one 7_500L<ms> traffic
                ticking one 12_500L<ms> traffic
                Expect.isFalse one.State.IsConnected "PINGREQ never went"

            testCase "bytes that are received put off the end, and later PINGREQs do not"
            <| fun () ->
                let one = connectedWith { impatient with PingTimeout = 20L * second } accepted
                let traffic = { LastSent = 0L<ms>; LastReceived = 0L<ms>; LastPing = 0L<ms> }
                ticking one 7_500L<ms> traffic
                let first = { traffic with LastPing = 7_500L<ms>; LastSent = 7_500L<ms> }
                ticking one 15_000L<ms> first
                Expect.equal one.Sent [ "PINGREQ" ] "another"
                let both = { first with LastPing = 15_000L<ms>; LastSent = 15_000L<ms> }
                Expect.equal (ClientState.deadline both one.State) (ValueSome 22_500L<ms>) "a third is next"
                ticking one 22_500L<ms> both
                let third = { both with LastPing = 22_500L<ms>; LastSent = 22_500L<ms> }
                ticking one 27_499L<ms> third
                Expect.isTrue one.State.IsConnected "not yet"
                let heard = { third with LastReceived = 27_000L<ms> }
                ticking one 27_500L<ms> heard
                Expect.isTrue one.State.IsConnected "something came"
                ticking one 27_500L<ms> third
                Expect.isFalse one.State.IsConnected "twenty seconds after the first, nothing has"

            testCase "a tick that comes much too late asks again, once"
            <| fun () ->
                let one = connectedWith impatient accepted
                let traffic = { LastSent = 0L<ms>; LastReceived = 0L<ms>; LastPing = 7_500L<ms> }
                ticking one 7_500L<ms> traffic
                ticking one 60_000L<ms> traffic
                Expect.equal one.Sent [ "PINGREQ" ] "the process slept"
                ticking one 120_000L<ms> { traffic with LastPing = 60_000L<ms> }
                Expect.isFalse one.State.IsConnected "once"
        ]

let private noPackets = announcing { ConnackProperties.Empty with MaximumPacketSize = ValueSome 4u }

let private smallPackets =
    testList
        "small packets"
        [
            clause
                [ "MQTT-3.2.2-15" ]
                "an acknowledgement whose reason code has no room in the Maximum Packet Size goes without it"
            <| fun () ->
                let one = connectedWith settings { noPackets with SessionPresent = false }
                one.Receive(arriving1 1 false)
                one.Do(ClientEvent.Acknowledge(one.Tokens.Head, ReasonCode.QuotaExceeded))
                Expect.equal one.Sent [ "PUBACK 1 00" ] "PUBACK"
                one.Receive(arriving2 2 false)
                one.Do(ClientEvent.Acknowledge(one.Tokens.Head, ReasonCode.QuotaExceeded))
                Expect.equal one.Sent [ "PUBREC 2 00" ] "PUBREC"
                one.Pubrel 2
                Expect.equal one.Sent [ "PUBCOMP 2 00" ] "so the exchange goes on"
                one.Pubrel 9
                Expect.equal one.Sent [ "PUBCOMP 9 00" ] "PUBCOMP of one that is not known"
                one.Pubrec 9
                Expect.equal one.Sent [ "PUBREL 9 00" ] "PUBREL of one that is not known"
                one.Receive(arriving1 3 false)
                one.Receive(arriving1 3 false)
                Expect.equal one.Sent [ "PUBACK 3 00" ] "PUBACK of one that is in use"

            clause [ "MQTT-3.2.2-15" ] "DISCONNECT goes as far as the server takes it"
            <| fun () ->
                let one =
                    connectedWith
                        settings
                        (announcing { ConnackProperties.Empty with MaximumPacketSize = ValueSome 2u })

                one.Receive(Packet.Connack accepted)
                Expect.isTrue (one.Bytes.Length <= 2) "two bytes at most"
                Expect.isTrue one.Closes "closed"
        ]

let private drops (one: Script) =
    one.Notices
    |> Array.filter (fun notice ->
        match notice with
        | Notice.DroppedUnclaimed _ -> true
        | _ -> false)
    |> Array.length

let private inherited (configured: ClientSettings) =
    connectedWith { configured with CleanStart = false } sessionPresent

let private unclaimed =
    // The shell finds no subscriber for the message that the last event handed over.
    let refuse (one: Script) =
        for effect in one.Effects do
            match effect with
            | Effect.Deliver(packet, token) -> one.Do(ClientEvent.Unclaimed(packet, token))
            | _ -> ()

    testList
        "unclaimed messages"
        [
            testCase
                "in a session that was found they wait for a subscription, in their order, across connections"
            <| fun () ->
                let one = inherited settings
                one.Receive(arriving1 1 false)
                refuse one
                Expect.isEmpty one.Sent "not acknowledged"
                one.Receive(arriving2 2 false)
                refuse one
                one.Lose()
                one.Connect sessionPresent
                one.Do(ClientEvent.Subscribe(subscribing [ "other" ], Ticket 1L))
                Expect.isEmpty one.Tokens "it matches none"
                one.Do(ClientEvent.Subscribe(subscribing [ "+" ], Ticket 2L))
                Expect.equal one.Tokens.Length 2 "both"
                Expect.isTrue one.State.Subscriptions.Unclaimed.IsEmpty "none waits"

            testCase
                "they are dropped and told of in a session that this client began, and where an option says so"
            <| fun () ->
                let one = connected ()
                one.Receive(arriving1 1 false)
                refuse one
                Expect.equal one.Sent [ "PUBACK 1 00" ] "acknowledged"
                Expect.equal (drops one) 1 "told"
                let two = inherited { settings with WhenUnclaimed = WhenUnclaimed.Drop }
                two.Receive(arriving1 1 false)
                refuse two
                Expect.equal two.Sent [ "PUBACK 1 00" ] "acknowledged"
                Expect.equal (drops two) 1 "told"

            testCase "a filter that is given up drops what waits for it, and what still comes for it"
            <| fun () ->
                let one = inherited settings
                one.Receive(arriving1 1 false)
                refuse one
                one.Do(ClientEvent.Unsubscribe(unsubscribing [ "t" ] 0L, Ticket 1L))
                Expect.equal one.Sent [ "PUBACK 1 00"; "UNSUBSCRIBE 1 t" ] "dropped and unsubscribed from"
                Expect.equal (drops one) 1 "told"
                one.Receive(arriving1 2 false)
                refuse one
                Expect.equal one.Sent [ "PUBACK 2 00" ] "dropped"
                one.Do(ClientEvent.Subscribe(subscribing [ "t" ], Ticket 2L))
                one.Do(ClientEvent.Unsubscribe(unsubscribing [ "u" ] 0L, Ticket 3L))
                one.Receive(arriving1 3 false)
                refuse one
                Expect.isEmpty one.Sent "wanted again, so it waits"

            testCase "with a session that the server lost they are dropped and told of"
            <| fun () ->
                let one = inherited settings
                one.Receive(arriving1 1 false)
                refuse one
                one.Lose()
                one.Connect accepted
                Expect.equal (drops one) 1 "told"

            testCase
                "a client that was closed unsubscribes from what was given up meanwhile, and from nothing else"
            <| fun () ->
                let one = inherited settings
                one.Do(ClientEvent.Subscribe(subscribing [ "a"; "b" ], Ticket 1L))
                one.Receive(Packet.Suback(answer 1 [ ReasonCode.GrantedQoS2; ReasonCode.GrantedQoS2 ]))
                one.Do(ClientEvent.Disconnect(Outcome.Omitted, Ticket 2L))
                one.Do(ClientEvent.Unsubscribe(unsubscribing [ "b" ] 1L, Ticket 3L))
                one.Connect sessionPresent
                Expect.equal one.Sent [ "UNSUBSCRIBE 2 b" ] "what was given up"
        ]

let tests = testList "Client and its transport" [ congestion; liveness; smallPackets; unclaimed ]
