/// Servers with a mistake in what they send to subscribers: identifiers, QoS, order, flow control, sizes, Topic Aliases and
/// Shared Subscriptions (sections 3.1.2.11, 4.3, 4.6, 4.8 and 4.9).
module Mqtt5.Tests.WrongServers.WrongDeliveries

open System
open System.Collections.Generic
open Mqtt5
open Mqtt5.Verification

// A server that reads something in CONNECT wrong which it has to heed when it sends.
let private heeds mistake breaks (change: ConnectProperties -> ConnectProperties) =
    connects mistake breaks (fun connect -> { connect with Properties = change connect.Properties })

let private identifiers =
    [
        delivers "sends everything with one Packet Identifier" "2.2.1-4" (withId 77us)
        wrong "sends QoS 0 with DUP" "3.3.1-2" (fun () ->
            { straight with
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish { Delivery = Delivery.AtMostOnce }) ->
                            frame[0] <- frame[0] ||| 8uy
                            [ ToClient(connection, frame) ]
                        | _ -> [ ToClient(connection, frame) ]
            })
        delivers "sends what is new with DUP" "3.3.1-3 4.3.2-1 4.3.2-2 4.3.3-1 4.3.3-2" (withDup true)
        wrong "sends Packet Identifier 0" "2.2.1-4" (fun () ->
            { straight with
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish publish) when publish.Delivery.PacketId.IsSome ->
                            let at = 4 + int frame[3]
                            frame[at] <- 0uy
                            frame[at + 1] <- 0uy
                            [ ToClient(connection, frame) ]
                        | _ -> [ ToClient(connection, frame) ]
            })
    ]

let private downTo (qos: QoS) (publish: Publish) =
    { publish with
        Delivery =
            match publish.Delivery, qos with
            | Delivery.AtLeastOnce _, QoS.AtMostOnce
            | Delivery.ExactlyOnce _, QoS.AtMostOnce -> Delivery.AtMostOnce
            | Delivery.ExactlyOnce(id, isDup), QoS.AtLeastOnce -> Delivery.AtLeastOnce(id, isDup)
            | other, _ -> other
    }

let private quality =
    [
        delivers "sends everything at QoS 0" "3.8.4-8" (downTo QoS.AtMostOnce)
        delivers "sends QoS 2 at QoS 1" "3.8.4-8" (downTo QoS.AtLeastOnce)
        delivers "sends QoS 0 at QoS 1" "3.8.4-8" (fun publish ->
            { publish with
                Delivery =
                    match publish.Delivery with
                    | Delivery.AtMostOnce -> Delivery.AtLeastOnce(PacketId.Of 1us, false)
                    | other -> other
            })
        subscribes "grants QoS 2 to everybody" "3.8.4-8" (fun one ->
            { one with Options = { one.Options with MaximumQoS = QoS.ExactlyOnce } })
        // Each second message overtakes the one before it.
        wrong "sends messages in another order" "4.6.0-5 4.6.0-6" (fun () ->
            let waiting = Dictionary<int, byte[]>()

            { straight with
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish publish) when textOf publish.Payload = "7" ->
                            waiting[connection] <- frame
                            []
                        | ValueSome(Packet.Publish _) when waiting.ContainsKey connection ->
                            let earlier = waiting[connection]
                            waiting.Remove connection |> ignore
                            [ ToClient(connection, frame); ToClient(connection, earlier) ]
                        | _ -> [ ToClient(connection, frame) ]
            })
    ]

// Holds everything but PUBLISH back while a client has as many messages under way as it takes.
let private withoutGoingOn () =
    let most = Dictionary<int, int>()
    let underWay = Dictionary<int, HashSet<uint16>>()

    let of' connection =
        match underWay.TryGetValue connection with
        | true, known -> known
        | _ ->
            let known = HashSet<uint16>()
            underWay[connection] <- known
            known

    { straight with
        Sent =
            fun connection frame packet ->
                match packet with
                | ValueSome(Packet.Connect connect) ->
                    most[connection] <-
                        connect.Properties.ReceiveMaximum
                        |> ValueOption.defaultValue UInt16.MaxValue
                        |> int
                | ValueSome(Packet.Puback one)
                | ValueSome(Packet.Pubcomp one) -> (of' connection).Remove one.PacketId.Value |> ignore
                | _ -> ()

                [ ToServer(connection, frame) ]
        Answered =
            fun connection frame packet ->
                match packet with
                | ValueSome(Packet.Publish publish) ->
                    publish.Delivery.PacketId
                    |> ValueOption.iter (fun id -> (of' connection).Add id.Value |> ignore)

                    [ ToClient(connection, frame) ]
                | ValueSome(Packet.Suback _)
                | ValueSome(Packet.Puback _) when (of' connection).Count >= most[connection] -> []
                | _ -> [ ToClient(connection, frame) ]
    }

let private flow =
    [
        heeds "takes no notice of Receive Maximum" "3.3.4-9 4.9.0-2" (fun properties ->
            { properties with ReceiveMaximum = ValueNone })
        heeds "sends one message less than Receive Maximum" "4.9.0-1" (fun properties ->
            { properties with
                ReceiveMaximum =
                    properties.ReceiveMaximum |> ValueOption.map (fun most -> max 1us (most - 1us))
            })
        wrong "sends nothing at all while the send quota is 0" "3.3.4-10 4.9.0-3" withoutGoingOn
        wrongBy "counts a message beyond Maximum Packet Size as under way" "3.1.2-25" (fun versionOf ->
            let isLarge (frame: byte[]) = frame.Length > 100

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Connect connect) when
                            connect.Properties.MaximumPacketSize = ValueSome 100u
                            ->
                            let properties = { connect.Properties with MaximumPacketSize = ValueNone }

                            [
                                ToServer(
                                    connection,
                                    bytesFor
                                        (versionOf connection)
                                        (Packet.Connect { connect with Properties = properties })
                                )
                            ]
                        | _ -> [ ToServer(connection, frame) ]
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish _) when isLarge frame -> []
                        | _ -> [ ToClient(connection, frame) ]
            })
        heeds "takes no notice of Maximum Packet Size" "3.1.2-24 3.1.2-25" (fun properties ->
            { properties with MaximumPacketSize = ValueNone })
        heeds "sets Topic Aliases at clients that take none" "3.1.2-27" (fun properties ->
            { properties with
                TopicAliasMaximum =
                    match properties.TopicAliasMaximum with
                    | ValueNone
                    | ValueSome 0us -> ValueSome 5us
                    | other -> other
            })
        heeds "sets more Topic Aliases than a client takes" "3.1.2-26 3.3.2-11" (fun properties ->
            { properties with
                TopicAliasMaximum = properties.TopicAliasMaximum |> ValueOption.map (fun most -> most + 5us)
            })
        delivers "sends by a Topic Alias that it never set" "3.3.2-7" (fun publish ->
            match publish.Topic with
            | TopicReference.NameAndAlias(_, alias) -> { publish with Topic = TopicReference.Alias alias }
            | _ -> publish)
    ]

// The message of QoS 1 or 2 that was delivered last goes to the other connections too.
let private passedOn mistake breaks isCause =
    wrongBy mistake breaks (fun versionOf ->
        let latest: struct (int * Publish) voption ref = ref ValueNone
        let others = HashSet<int>()

        let handOn connection =
            match latest.Value with
            | ValueSome(from, publish) when from = connection ->
                [
                    for other in others do
                        if other <> connection then
                            ToClient(
                                other,
                                bytesFor
                                    (versionOf other)
                                    (Packet.Publish(withDup false (withId 500us publish)))
                            )
                ]
            | _ -> []

        { straight with
            Sent =
                fun connection frame packet ->
                    [
                        ToServer(connection, frame)
                        match packet with
                        | ValueSome(Packet.Subscribe one) when
                            one.Subscriptions |> Seq.exists _.Filter.IsShared
                            ->
                            others.Add connection |> ignore
                        | ValueSome packet when isCause (ValueSome packet) -> yield! handOn connection
                        | _ -> ()
                    ]
            Answered =
                fun connection frame packet ->
                    match packet with
                    | ValueSome(Packet.Publish publish) when publish.Delivery.QoS > QoS.AtMostOnce ->
                        latest.Value <- ValueSome(struct (connection, publish))
                    | _ -> ()

                    [ ToClient(connection, frame) ]
            Left =
                fun connection ->
                    [
                        CloseServer connection
                        if isCause ValueNone then
                            yield! handOn connection
                    ]
        })

let private shared =
    [
        subscribes "grants QoS 2 to members of Shared Subscriptions" "4.8.2-3" (fun one ->
            if one.Filter.IsShared then
                { one with Options = { one.Options with MaximumQoS = QoS.ExactlyOnce } }
            else
                one)
        passedOn
            "sends a message of QoS 2 to another member when the connection ends"
            "4.8.2-4 4.8.2-5 4.8.2-6"
            _.IsNone
        passedOn "sends what a member refused to another one" "4.8.2-6" (fun packet ->
            match packet with
            | ValueSome(Packet.Puback one)
            | ValueSome(Packet.Pubrec one) -> isFailure one.Outcome.Reason
            | _ -> false)
    ]

let all: WrongServer list = identifiers @ quality @ flow @ shared
