/// Servers with a mistake in what MQTT 3.1.1 has of its own, or where it meets MQTT 5, and all those of MQTT 5 whose mistake
/// clients of 3.1.1 see as well.
module Mqtt5.Tests.WrongServers.WrongServersV3

open System
open System.Collections.Generic
open Mqtt5
open Mqtt5.Verification
open Mqtt5.Tests.WrongServers.WrongConnectsV3

let private layouts =
    [
        answersBytes "answers CONNECT in the layout of MQTT 5" "3.1.4-4" (fun frame ->
            if ofType PacketType.Connack frame then
                [ raw "20 03 00 00 00" ]
            else
                [ frame ])
        answersBytes "writes a property section into PUBLISH" "4.5.0-1 3.3.2-3" (fun frame ->
            if ofType PacketType.Publish frame && frame.Length < 127 then
                let topic = int frame[3]
                let head = 4 + topic + (if frame[0] &&& 6uy = 0uy then 0 else 2)

                [
                    Array.concat
                        [ [| frame[0]; frame[1] + 1uy |]; frame[2 .. head - 1]; [| 0uy |]; frame[head..] ]
                ]
            else
                [ frame ])
        for packet, breaks in
            [
                PacketType.Puback, "4.3.2-2"
                PacketType.Pubrec, "4.3.3-2"
                PacketType.Pubcomp, "4.3.3-2"
                PacketType.Unsuback, "3.10.4-4"
            ] do
            answersBytes $"writes a reason code into {packet}" breaks (fun frame ->
                if ofType packet frame then
                    [ [| frame[0]; 3uy; frame[2]; frame[3]; 0uy |] ]
                else
                    [ frame ])
        answersBytes "writes a reason code of MQTT 5 into SUBACK" "3.9.3-2" (fun frame ->
            if ofType PacketType.Suback frame && frame.Length > 7 then
                let frame = Array.copy frame
                frame[frame.Length - 1] <- 0x87uy
                [ frame ]
            else
                [ frame ])
        byV3 "sends DISCONNECT before it closes" "3.1.4-2 4.8.0-1" (fun () ->
            { straight with
                Closed = fun connection -> [ ToClient(connection, raw "E0 00"); CloseClient connection ]
            })
    ]

// The first packet of a type is held back until the second has gone.
let private swaps (packet: PacketType) breaks =
    byV3 $"sends the first {packet} after the second" breaks (fun () ->
        let held = Dictionary<int, byte[]>()
        let over = HashSet<int>()

        { straight with
            Answered =
                fun connection frame _ ->
                    match held.TryGetValue connection with
                    | true, first when ofType packet frame ->
                        held.Remove connection |> ignore
                        [ ToClient(connection, frame); ToClient(connection, first) ]
                    | _ when ofType packet frame && over.Add connection ->
                        held[connection] <- frame
                        []
                    | _ -> [ ToClient(connection, frame) ]
        })

let private topicIn (packet: Packet voption) =
    match packet with
    | ValueSome(Packet.Publish publish) -> topicOf publish
    | _ -> ""

let private messages =
    [
        swaps PacketType.Puback "4.6.0-2"
        swaps PacketType.Pubrec "4.6.0-3"
        swaps PacketType.Pubrel "4.6.0-4"
        byV3 "does not answer a PUBLISH that may not be authorized" "3.3.5-2" (fun () ->
            { straight with
                Sent =
                    fun connection frame packet ->
                        if (topicIn packet).StartsWith "$SYS" then
                            []
                        else
                            [ ToServer(connection, frame) ]
            })
        byV3 "forgets a refused PUBLISH of QoS 2 and does not answer its PUBREL" "3.3.5-2 4.3.3-2" (fun () ->
            let refused = HashSet<struct (int * uint16)>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish publish) when
                            (topicOf publish).StartsWith "$SYS" && publish.Delivery.PacketId.IsSome
                            ->
                            refused.Add(struct (connection, publish.Delivery.PacketId.Value.Value))
                            |> ignore

                            [ ToServer(connection, frame) ]
                        | ValueSome(Packet.Pubrel one) when
                            refused.Contains(struct (connection, one.PacketId.Value))
                            ->
                            []
                        | _ -> [ ToServer(connection, frame) ]
            })
        byV3 "does not answer PUBREL of an unknown identifier" "4.3.3-2" (fun () ->
            let known = HashSet<uint16>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish { Delivery = Delivery.ExactlyOnce(id, _) }) ->
                            known.Add id.Value |> ignore
                            [ ToServer(connection, frame) ]
                        | ValueSome(Packet.Pubrel one) when not (known.Contains one.PacketId.Value) -> []
                        | _ -> [ ToServer(connection, frame) ]
            })
        publishes "keeps the retained message where one of QoS 0 comes" (mqtt3 "3.3.1-7") (fun publish ->
            if
                publish.Retain
                && publish.Delivery.QoS = QoS.AtMostOnce
                && not publish.Payload.IsEmpty
            then
                { publish with Retain = false }
            else
                publish)
        byV3 "forgets what a client has retained when it leaves" "3.1.2-7" (fun () ->
            let kept = Dictionary<int, string>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish publish) when publish.Retain ->
                            kept[connection] <- topicOf publish
                        | _ -> ()

                        [ ToServer(connection, frame) ]
                Left =
                    fun connection ->
                        [
                            match kept.TryGetValue connection with
                            | true, topic -> ToServer(connection, raw $"31 {{ \"{topic}\" }}")
                            | _ -> ()

                            CloseServer connection
                        ]
            })
        byV3 "publishes a message for each client that is gone" "3.1.2-12" (fun () ->
            { straight with
                Left =
                    fun connection ->
                        [
                            ToServer(connection, raw "30 { \"mqtt5-verify/r/0/gone\" }")
                            CloseServer connection
                        ]
            })
        wrong "publishes a Will five seconds late" (mqtt3 "3.1.2-8") (fun () ->
            { straight with
                Left = fun connection -> [ Later(5_000L<ms>, [ CloseServer connection ]) ]
            })
        byV3 "publishes no Will where the Client Identifier is taken over" "3.1.2-8" (fun () ->
            let names = Dictionary<string, int>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Connect connect) when connect.ClientId.IsSome ->
                            let name = connect.ClientId.Value.Text

                            let before =
                                match names.TryGetValue name with
                                | true, other -> [ ToServer(other, raw "E0 00"); CloseClient other ]
                                | _ -> []

                            names[name] <- connection
                            before @ [ Later(50L<ms>, [ ToServer(connection, frame) ]) ]
                        | _ -> [ ToServer(connection, frame) ]
            })
    ]

let private subscriptions =
    [
        sentBytes "takes the reserved bits of the Requested QoS" "3.8.3-4 4.8.0-1" (fun connection frame ->
            if ofType PacketType.Subscribe frame && frame[frame.Length - 1] > 3uy then
                let frame = Array.copy frame
                frame[frame.Length - 1] <- frame[frame.Length - 1] &&& 3uy
                [ ToServer(connection, frame) ]
            else
                [ ToServer(connection, frame) ])
        sentBytes "takes QoS 3 in SUBSCRIBE for 2" "3.8.3-4 4.8.0-1" (fun connection frame ->
            if ofType PacketType.Subscribe frame && frame[frame.Length - 1] = 3uy then
                let frame = Array.copy frame
                frame[frame.Length - 1] <- 2uy
                [ ToServer(connection, frame) ]
            else
                [ ToServer(connection, frame) ])
        byV3 "does not answer a SUBSCRIBE with wildcards" "3.8.3-2" (fun () ->
            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Subscribe subscribe) when
                            subscribe.Subscriptions
                            |> Seq.exists (fun one ->
                                one.Filter.Text.Contains '+' || one.Filter.Text.Contains '#')
                            ->
                            []
                        | _ -> [ ToServer(connection, frame) ]
            })
        byV3 "answers UNSUBSCRIBE once for each filter" "3.10.4-6" (fun () ->
            let count = Dictionary<struct (int * uint16), int>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Unsubscribe one) ->
                            count[struct (connection, one.PacketId.Value)] <- Seq.length one.Filters
                        | _ -> ()

                        [ ToServer(connection, frame) ]
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Unsuback one) ->
                            [
                                for _ in 1 .. count[struct (connection, one.PacketId.Value)] do
                                    ToClient(connection, frame)
                            ]
                        | _ -> [ ToClient(connection, frame) ]
            })
        byV3 "grants filters of 3.1.1 that are malformed" "4.7.1-2 4.7.1-3 4.7.3-1" (fun () ->
            { straight with
                Sent =
                    fun connection frame packet ->
                        if ofType PacketType.Subscribe frame && packet.IsNone && frame[3] = 1uy then
                            [ ToClient(connection, raw "90 03 0001 00") ]
                        else
                            [ ToServer(connection, frame) ]
            })
        sentBytes
            "closes the WebSocket whose packets do not align with frames"
            "6.0.0-2"
            (fun connection frame ->
                if frame.Length = 15 && ofType PacketType.Subscribe frame then
                    [ CloseClient connection; CloseServer connection ]
                else
                    [ ToServer(connection, frame) ])
    ]

// A mistake in what becomes of the CONNECT of a Client Identifier that another version has used before.
let private meets mistake breaks (change: byte[] -> Connect -> byte[]) =
    wrongBy mistake breaks (fun versionOf ->
        let versions = Dictionary<string, ProtocolVersion>()

        { straight with
            Sent =
                fun connection frame packet ->
                    match packet with
                    | ValueSome(Packet.Connect connect) when connect.ClientId.IsSome ->
                        let name = connect.ClientId.Value.Text
                        let version = versionOf connection

                        let isOther =
                            match versions.TryGetValue name with
                            | true, before -> before <> version
                            | _ -> false

                        versions[name] <- version
                        [ ToServer(connection, (if isOther then change frame connect else frame)) ]
                    | _ -> [ ToServer(connection, frame) ]
        })

let private mixed =
    [
        meets
            "has sessions for each version of their own"
            "MQTT3-3.1.3-2 MQTT3-3.2.2-2 MQTT-3.1.3-2 MQTT-3.2.2-3"
            (fun frame _ ->
                let frame = Array.copy frame
                frame[flagsAt] <- frame[flagsAt] ||| 2uy
                frame)
        wrongBy "lets messages that have expired go to clients of 3.1.1" "MQTT-3.3.2-5" (fun versionOf ->
            // What waited is kept on the wire as if it had no expiry.
            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish publish) when versionOf connection = ProtocolVersion.V5 ->
                            let properties = { publish.Properties with MessageExpiryInterval = ValueNone }

                            [
                                ToServer(
                                    connection,
                                    bytesOf (Packet.Publish { publish with Properties = properties })
                                )
                            ]
                        | _ -> [ ToServer(connection, frame) ]
            })
        wrongBy
            "gives User Properties to clients of 5 alone who have none from 3.1.1"
            "MQTT-3.3.2-4"
            (fun versionOf ->
                { straight with
                    Answered =
                        fun connection frame packet ->
                            match packet with
                            | ValueSome(Packet.Publish publish) when
                                versionOf connection = ProtocolVersion.V5
                                ->
                                let properties =
                                    { publish.Properties with PayloadFormatIndicator = ValueSome true }

                                [
                                    ToClient(
                                        connection,
                                        bytesOf (Packet.Publish { publish with Properties = properties })
                                    )
                                ]
                            | _ -> [ ToClient(connection, frame) ]
                })
        wrongBy "sends messages of clients of 5 to clients of 5 alone" "MQTT3-4.5.0-1" (fun versionOf ->
            { straight with
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish publish) when
                            versionOf connection <> ProtocolVersion.V5 && textOf publish.Payload = "payload"
                            ->
                            []
                        | _ -> [ ToClient(connection, frame) ]
            })
    ]

/// Those that MQTT 3.1.1 has of its own.
let own: WrongServer list = connects @ layouts @ messages @ subscriptions @ mixed

// What clients of 3.1.1 do not see: mistakes in properties, options and reason codes, in the form of refusals that 3.1.1
// has not, and in what its probes do not ask for.
let private unseen =
    Set
        [
            "takes every Protocol Version"
            "leaves the connection open after a CONNACK of failure"
            "does not tell the Client Identifier that it assigns"
            "assigns the same Client Identifier to everyone"
            "does not answer a CONNECT with an unknown Authentication Method"
            "takes any proof at first"
            "leaves the Content Type of a Will out"
            "publishes a Will without its delay"
            "keeps a Will back beyond the end of the session"
            "publishes a Will that waits although the client is back"
            "keeps an identifier after a PUBREC of failure"
            "keeps RETAIN for everybody"
            "takes every Retain Handling for 1"
            "takes every Retain Handling for 2"
            "keeps the Subscription Identifier of an earlier SUBSCRIBE"
            "takes no notice of an AUTH with flags"
        ]

/// Those of MQTT 5 that break what 3.1.1 says too; they are about the counterparts of their statements.
let shared: WrongServer list =
    WrongServers.all
    |> List.filter (fun one -> not (unseen.Contains one.Mistake))
    |> List.choose (fun one ->
        let counterparts =
            one.Breaks
            |> Seq.collect (Statements.counterpartsIn ProtocolVersion.V311)
            |> Set.ofSeq

        if counterparts.IsEmpty then
            None
        else
            Some { one with Breaks = counterparts })

let all: WrongServer list = own @ shared
