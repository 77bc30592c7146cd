/// Servers with a mistake in how they deal with what is malformed or against the protocol (section 4.13), and in DISCONNECT
/// (section 3.14).
module Mqtt5.Tests.WrongServers.WrongErrors

open System.Collections.Generic
open Mqtt5
open Mqtt5.Verification

let private ofType (packet: PacketType) (frame: byte[]) = frame[0] >>> 4 = byte packet

// A server that does not see frames which it has to refuse.
let private overlooks mistake breaks (isSeen: byte[] -> bool) =
    requestBytes mistake $"{breaks} 4.13.1-1" (fun frame -> if isSeen frame then Some frame else None)

let private withFlags (packet: PacketType) (flags: byte) mistake breaks =
    requestBytes mistake $"{breaks} 4.13.1-1" (fun frame ->
        if ofType packet frame then
            frame[0] <- (frame[0] &&& 0xF0uy) ||| flags

        Some frame)

let private hasFault (frame: byte[]) (direction: Direction) clause =
    match Grammar.parse direction Spec.MaximumPacketBytes 0L (System.ReadOnlyMemory frame) with
    | Error fault -> fault.Clause = clause
    | Ok _ -> false

let private reservedBits =
    [
        withFlags PacketType.Pubrel 2uy "takes any flags in PUBREL" "3.6.1-1"
        withFlags PacketType.Subscribe 2uy "takes any flags in SUBSCRIBE" "3.8.1-1"
        withFlags PacketType.Unsubscribe 2uy "takes any flags in UNSUBSCRIBE" "3.10.1-1"
        overlooks "takes no notice of a DISCONNECT with flags" "3.14.1-1" (fun frame -> frame[0] <> 0xE1uy)
        overlooks "takes no notice of an AUTH with flags" "3.15.1-1" (fun frame -> frame[0] <> 0xF1uy)
        requestBytes "takes reserved Subscription Options" "3.8.3-5 4.13.1-1" (fun frame ->
            if ofType PacketType.Subscribe frame then
                let last = frame.Length - 1
                frame[last] <- frame[last] &&& 0x3Fuy

            Some frame)
    ]

let private contents =
    [
        for clause, breaks, what in
            [
                "MQTT-3.3.2-2", "3.3.2-2", "a Topic Name with wildcards"
                "MQTT-3.3.2-14", "3.3.2-14", "a Response Topic with wildcards"
                "MQTT-3.3.4-6", "3.3.4-6 3.3.4-3", "the Subscription Identifier of a client"
            ] do
            wrong $"forwards {what}" breaks (fun () ->
                let others = HashSet<int>()

                { straight with
                    Sent =
                        fun connection frame _ ->
                            if hasFault frame ClientToServer clause then
                                [
                                    for other in others do
                                        if other <> connection then
                                            ToClient(other, frame)
                                ]
                            else
                                others.Add connection |> ignore
                                [ ToServer(connection, frame) ]
                })
        for clause, what in
            [ "MQTT-3.8.3-4", "No Local on a Shared Subscription"; "MQTT-4.7.3-1", "an empty Topic Name" ] do
            requestBytes $"takes no notice of {what}" (clause.Substring 5) (fun frame ->
                if hasFault frame ClientToServer clause then None else Some frame)
        wrong "grants filters that are malformed" "4.7.1-1 4.7.1-2 4.7.3-1 4.8.2-1 4.8.2-2" (fun () ->
            { straight with
                Sent =
                    fun connection frame packet ->
                        if
                            ofType PacketType.Subscribe frame
                            && packet.IsNone
                            && frame[2] = 0uy
                            && frame[3] = 1uy
                        then
                            [ ToClient(connection, RawBytes.parse "90 { 0001 {} 00 }") ]
                        else
                            [ ToServer(connection, frame) ]
            })
        wrong "takes no notice of malformed packets" "4.13.1-1" (fun () ->
            { straight with
                Sent =
                    fun connection frame packet ->
                        if packet.IsNone && not (ofType PacketType.Connect frame) then
                            []
                        else
                            [ ToServer(connection, frame) ]
            })
    ]

let private disconnects mistake breaks (change: Outcome<DisconnectProperties> -> Packet list) =
    answers mistake breaks (fun packet ->
        match packet with
        | Packet.Disconnect outcome -> change outcome
        | other -> [ other ])

let private withProperties (properties: DisconnectProperties) (outcome: Outcome<DisconnectProperties>) =
    [ Packet.Disconnect(Outcome.Full(outcome.Reason, properties)) ]

let private endings =
    [
        disconnects "goes on after its DISCONNECT" "3.14.4-1" (fun outcome ->
            [ Packet.Disconnect outcome; Packet.Pingresp ])
        wrong "leaves the connection open after its DISCONNECT" "3.14.4-2" (fun () ->
            let over = HashSet<int>()

            { straight with
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Disconnect _) -> over.Add connection |> ignore
                        | _ -> ()

                        [ ToClient(connection, frame) ]
                Closed =
                    fun connection -> if over.Contains connection then [] else [ CloseClient connection ]
            })
        wrong "sends DISCONNECT with a reason code that a server does not have" "3.14.2-1" (fun () ->
            { straight with
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Disconnect _) ->
                            [ ToClient(connection, RawBytes.parse "E0 02 04 00") ]
                        | _ -> [ ToClient(connection, frame) ]
            })
        disconnects
            "sends DISCONNECT with a Session Expiry Interval"
            "3.14.2-2"
            (withProperties { DisconnectProperties.Empty with SessionExpiryInterval = ValueSome 5u<s> })
        disconnects
            "says why in a DISCONNECT beyond Maximum Packet Size"
            "3.1.2-24 3.14.2-3"
            (withProperties
                { DisconnectProperties.Empty with
                    ReasonString = ValueSome(Utf8String.Of(String.replicate 10 "why "))
                })
        disconnects
            "adds User Properties to a DISCONNECT beyond Maximum Packet Size"
            "3.1.2-24 3.14.2-4"
            (withProperties
                { DisconnectProperties.Empty with
                    UserProperties = UserProperties.Of [ UserProperty.Of("why", String.replicate 40 "x") ]
                })
    ]

let private webSocket =
    [
        wrong "takes a frame of text" "6.0.0-1" (fun () -> { straight with SentText = fun _ -> [] })
        wrong "chooses another subprotocol" "6.0.0-4" (fun () ->
            { straight with
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome Packet.Pingresp ->
                            [ Violate(connection, "MQTT-6.0.0-4", "the subprotocol mqtt", "mqttv3.1") ]
                        | _ -> [ ToClient(connection, frame) ]
            })
        // With a frame of a byte at the beginning, no packet aligns with a frame any more.
        wrong "drops what does not end with its frame" "6.0.0-2" (fun () ->
            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Subscribe one) when
                            one.Subscriptions |> Seq.exists (fun one -> one.Filter.Text = "mqtt5-v/")
                            ->
                            []
                        | _ -> [ ToServer(connection, frame) ]
            })
    ]

let all: WrongServer list = reservedBits @ contents @ endings @ webSocket
