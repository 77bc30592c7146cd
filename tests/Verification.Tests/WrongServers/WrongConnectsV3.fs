/// Servers with a mistake in what they make of CONNECT before MQTT 5.
module Mqtt5.Tests.WrongServers.WrongConnectsV3

open System
open System.Collections.Generic
open Mqtt5
open Mqtt5.Verification

let mqtt3 (breaks: string) =
    breaks.Split([| ' ' |], StringSplitOptions.RemoveEmptyEntries)
    |> Array.map (fun id -> if id.StartsWith "MQTT" then id else "MQTT3-" + id)
    |> String.concat " "

let ofType (packet: PacketType) (frame: byte[]) = frame[0] >>> 4 = byte packet

let isConnect = ofType PacketType.Connect

// CONNECT of the Protocol Name MQTT, whose flags stand at 9 where the packet is short.
let flagsAt = 9

let raw (template: string) = RawBytes.parse template

// A mistake on connections of 3.1.1 only.
let byV3 mistake breaks (make: unit -> Hand) =
    wrongBy mistake (mqtt3 breaks) (fun versionOf ->
        let hand = make ()

        { hand with
            Sent =
                fun connection frame packet ->
                    if versionOf connection <> ProtocolVersion.V5 || isConnect frame then
                        hand.Sent connection frame packet
                    else
                        [ ToServer(connection, frame) ]
            Answered =
                fun connection frame packet ->
                    if versionOf connection <> ProtocolVersion.V5 then
                        hand.Answered connection frame packet
                    else
                        [ ToClient(connection, frame) ]
        })

let answersBytes mistake breaks (change: byte[] -> byte[] list) =
    byV3 mistake breaks (fun () ->
        { straight with
            Answered = fun connection frame _ -> [ for other in change frame -> ToClient(connection, other) ]
        })

let sentBytes mistake breaks (change: int -> byte[] -> WireAction list) =
    byV3 mistake breaks (fun () -> { straight with Sent = fun connection frame _ -> change connection frame })

let private malformed = "3.1.4-1 3.2.2-6 4.8.0-1"

let private isMalformedConnect (frame: byte[]) =
    match Greeting.find (ReadOnlySpan frame) with
    | ValueSome protocol when isConnect frame && protocol.Version = ProtocolVersion.V311 ->
        match
            Grammar.parseIn
                ProtocolVersion.V311
                ClientToServer
                Spec.MaximumPacketBytes
                0L
                (ReadOnlyMemory frame)
        with
        | Ok _ -> false
        | Error fault -> fault.Reason <> ReasonCode.ClientIdentifierNotValid
    | _ -> false

// A server that takes a CONNECT whose bytes it has made right.
let private repairs mistake breaks (isSuch: byte[] -> bool) (change: byte[] -> byte[]) =
    sentBytes mistake $"{breaks} {malformed}" (fun connection frame ->
        if isConnect frame && frame.Length > flagsAt && isSuch frame then
            [ ToServer(connection, change frame) ]
        else
            [ ToServer(connection, frame) ])

let private withFlag (change: byte -> byte) (frame: byte[]) =
    let frame = Array.copy frame
    frame[flagsAt] <- change frame[flagsAt]
    frame

let connects =
    [
        sentBytes "takes every protocol level for 3.1.1" "3.1.2-2" (fun connection frame ->
            if isConnect frame && frame.Length > 8 && frame[3] = 4uy && frame[8] <> 5uy then
                let frame = Array.copy frame
                frame[8] <- 4uy
                [ ToServer(connection, frame) ]
            else
                [ ToServer(connection, frame) ])
        sentBytes
            "closes without an answer for a level that it does not speak"
            "3.1.2-2"
            (fun connection frame ->
                if
                    isConnect frame
                    && frame.Length > 8
                    && frame[3] = 4uy
                    && frame[8] <> 5uy
                    && frame[8] <> 4uy
                then
                    [ CloseServer connection; CloseClient connection ]
                else
                    [ ToServer(connection, frame) ])
        sentBytes "takes the Protocol Name mqtt for MQTT" "3.1.2-1" (fun connection frame ->
            if isConnect frame && frame.Length > 8 && frame[3] = 4uy then
                let frame = Array.copy frame

                for index, letter in Seq.indexed "MQTT"B do
                    frame[4 + index] <- letter

                [ ToServer(connection, frame) ]
            else
                [ ToServer(connection, frame) ])
        sentBytes
            "answers a malformed CONNECT with return code 0x05"
            "3.1.4-1 3.2.2-6"
            (fun connection frame ->
                if isMalformedConnect frame then
                    [
                        ToClient(connection, raw "20 02 00 05")
                        CloseClient connection
                        CloseServer connection
                    ]
                else
                    [ ToServer(connection, frame) ])
        sentBytes
            "accepts a malformed CONNECT"
            $"2.2.2-2 1.5.3-1 3.1.2-3 3.1.2-9 3.1.2-11 3.1.2-14 3.1.2-22 4.7.1-1 {malformed}"
            (fun connection frame ->
                if isMalformedConnect frame then
                    [ ToClient(connection, raw "20 02 00 00") ]
                else
                    [ ToServer(connection, frame) ])
        repairs
            "takes a Will Retain and a Will QoS without a Will"
            "3.1.2-11"
            (fun frame ->
                frame[8] = 4uy
                && frame[flagsAt] &&& 0x04uy = 0uy
                && frame[flagsAt] &&& 0x38uy <> 0uy)
            (withFlag (fun flags -> flags &&& 0xC7uy))
        repairs
            "takes Will QoS 3 for 2"
            "3.1.2-14"
            (fun frame -> frame[8] = 4uy && frame[flagsAt] &&& 0x18uy = 0x18uy)
            (withFlag (fun flags -> flags &&& 0xF7uy))
        repairs
            "takes the reserved Connect Flag of 3.1.1"
            "3.1.2-3"
            (fun frame -> frame[8] = 4uy)
            (withFlag (fun flags -> flags &&& 0xFEuy))
        repairs
            "takes a password without a User Name"
            "3.1.2-22"
            (fun frame -> frame[8] = 4uy && frame[flagsAt] &&& 0xC0uy = 0x40uy)
            (fun _ -> raw "10 { \"MQTT\" 04 02 0000 \"other\" }")
        repairs
            "takes a Will Flag without a Will"
            "3.1.2-9"
            (fun frame -> frame[8] = 4uy && frame[flagsAt] = 0x06uy && frame.Length < 30)
            (fun _ -> raw "10 { \"MQTT\" 04 02 0000 \"other\" }")
        sentBytes
            "takes a zero-length Client Identifier with CleanSession 0"
            "3.1.3-8"
            (fun connection frame ->
                if
                    isConnect frame
                    && frame.Length >= 14
                    && frame[8] = 4uy
                    && frame[flagsAt] = 0uy
                    && frame[13] = 0uy
                then
                    [ ToServer(connection, raw "10 { \"MQTT\" 04 02 0000 \"\" }") ]
                else
                    [ ToServer(connection, frame) ])
        answersBytes
            "refuses a zero-length Client Identifier with return code 0x05"
            "3.1.3-8 3.2.2-4 3.2.2-5"
            (fun frame ->
                if ofType PacketType.Connack frame && frame[3] = 2uy then
                    [ raw "20 02 00 05" ]
                else
                    [ frame ])
        answersBytes "says Session Present in a refusal" "3.2.2-4" (fun frame ->
            if ofType PacketType.Connack frame && frame[3] <> 0uy then
                [ [| 0x20uy; 2uy; 1uy; frame[3] |] ]
            else
                [ frame ])
        byV3 "keeps the connection open after a refusal" "3.2.2-5" (fun () ->
            let refused = HashSet<int>()

            { straight with
                Answered =
                    fun connection frame _ ->
                        if ofType PacketType.Connack frame && frame[3] <> 0uy then
                            refused.Add connection |> ignore

                        [ ToClient(connection, frame) ]
                Closed =
                    fun connection -> if refused.Contains connection then [] else [ CloseClient connection ]
            })
        sentBytes
            "says nothing to a Client Identifier that is long"
            "3.1.3-9 3.2.2-5"
            (fun connection frame ->
                if isConnect frame && frame.Length > 50_000 then
                    []
                else
                    [ ToServer(connection, frame) ])
        byV3 "refuses the second client that has no Client Identifier" "3.1.3-6" (fun () ->
            let mutable count = 0

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Connect connect) when connect.ClientId.IsNone ->
                            count <- count + 1

                            if count > 1 then
                                [
                                    ToClient(connection, raw "20 02 00 02")
                                    CloseClient connection
                                    CloseServer connection
                                ]
                            else
                                [ ToServer(connection, frame) ]
                        | _ -> [ ToServer(connection, frame) ]
            })
    ]
