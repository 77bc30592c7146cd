namespace Mqtt5.Verification

open Mqtt5

// The rules of MQTT 3.1.1 and 3.1 that a packet can break by itself.
module internal BrokenRulesV3 =

    open FrameChanges

    // Behind the Protocol Name, of which the first two bytes are the length.
    let private levelAt (parts: FrameParts) = 2 + FrameParts.twoByteInteger parts.Body 0

    let private flagsAt (parts: FrameParts) = levelAt parts + 1

    let private has (flag: byte) (parts: FrameParts) = parts.Body[flagsAt parts] &&& flag <> 0uy

    let private flags (change: byte -> byte) (parts: FrameParts) = at (flagsAt parts) change parts

    let private noClientId (parts: FrameParts) = FrameParts.twoByteInteger parts.Body (flagsAt parts + 3) = 0

    let private isAsciiTopic (parts: FrameParts) =
        let struct (start, length) = FrameParts.topic parts

        length > 0
        && parts.Body[start .. start + length - 1]
           |> Array.forall (fun byte -> byte < 128uy)

    let private topicByte (value: byte) =
        only isAsciiTopic (fun parts ->
            let struct (start, length) = FrameParts.topic parts
            ValueSome(FrameParts.change (start + length / 2) value parts))

    let private withoutTopic (parts: FrameParts) =
        let struct (start, length) = FrameParts.topic parts
        ValueSome { parts with Body = Array.append [| 0uy; 0uy |] parts.Body[start + length ..] }

    let private idZero (parts: FrameParts) =
        match FrameParts.packetIdAt parts with
        | -1 -> ValueNone
        | id -> ValueSome(parts |> FrameParts.change id 0uy |> FrameParts.change (id + 1) 0uy)

    let private lastByte change (parts: FrameParts) = at (parts.Body.Length - 1) change parts

    let private rulesOf (version: ProtocolVersion) : BrokenRule[] =
        let rule clause name packets break' = BrokenRule(version, clause, name, packets, ValueNone, break')
        let flag value = first (fun byte -> byte ^^^ value)
        let publish = [| PacketType.Publish |]
        let connect = [| PacketType.Connect |]
        let connack = [| PacketType.Connack |]
        let subscribe = [| PacketType.Subscribe |]
        let unsubscribe = [| PacketType.Unsubscribe |]
        let suback = [| PacketType.Suback |]

        let acknowledgements =
            [| PacketType.Puback; PacketType.Pubrec; PacketType.Pubrel; PacketType.Pubcomp |]

        let plainFlags =
            [|
                PacketType.Connect
                PacketType.Connack
                PacketType.Puback
                PacketType.Pubrec
                PacketType.Pubcomp
                PacketType.Suback
                PacketType.Unsuback
                PacketType.Pingreq
                PacketType.Pingresp
            |]

        let ofBoth =
            [|
                rule
                    "MQTT3-3.3.1-4"
                    "QoS 3"
                    publish
                    (only (fun parts -> FrameParts.qos parts > 0) (first ((|||) 6uy)))
                rule
                    "MQTT3-3.3.1-2"
                    "DUP is set at QoS 0"
                    publish
                    (only (fun parts -> FrameParts.qos parts = 0) (first ((|||) 8uy)))
                rule
                    "MQTT3-2.3.1-1"
                    "Packet Identifier 0"
                    [| PacketType.Publish; PacketType.Subscribe; PacketType.Unsubscribe |]
                    idZero
                rule "MQTT3-2.3.1-6" "Packet Identifier 0" acknowledgements idZero
                rule "MQTT3-2.3.1-7" "Packet Identifier 0" [| PacketType.Suback; PacketType.Unsuback |] idZero
                rule "MQTT3-1.5.3-1" "ill-formed UTF-8 in the Topic Name" publish (topicByte 0xFFuy)
                rule "MQTT3-1.5.3-2" "U+0000 in the Topic Name" publish (topicByte 0uy)
                rule "MQTT3-3.3.2-2" "+ in the Topic Name" publish (topicByte '+'B)
                rule "MQTT3-3.3.2-2" "# in the Topic Name" publish (topicByte '#'B)
                rule "MQTT3-4.7.3-1" "no Topic Name" publish withoutTopic
                rule "MQTT3-3.1.2-1" "another Protocol Name" connect (at 2 (fun _ -> 'm'B))
                rule "MQTT3-3.1.2-2" "another Protocol Level" connect (fun parts ->
                    at (levelAt parts) (fun _ -> 5uy) parts)
                rule "MQTT3-3.1.2-14" "Will QoS 3" connect (only (has 0x04uy) (flags ((|||) 0x18uy)))
                rule
                    "MQTT3-3.1.2-22"
                    "a Password without a User Name"
                    connect
                    (only (has 0x40uy) (flags ((&&&) 0x7Fuy)))
                rule
                    "MQTT3-3.1.2-18"
                    "a User Name without its flag"
                    connect
                    (only (fun parts -> has 0x80uy parts && not (has 0x40uy parts)) (flags ((&&&) 0x7Fuy)))
                rule "3.2.2.3" "a reserved return code" connack (at 1 (fun _ -> 6uy))
                rule "MQTT3-3.8.3-3" "SUBSCRIBE without a Topic Filter" subscribe (fun parts ->
                    ValueSome { parts with Body = parts.Body[..1] })
                rule "MQTT3-3.10.3-2" "UNSUBSCRIBE without a Topic Filter" unsubscribe (fun parts ->
                    ValueSome { parts with Body = parts.Body[..1] })
                rule "MQTT3-3.8.3-4" "a Subscription Option of MQTT 5" subscribe (lastByte ((|||) 0x04uy))
                rule "MQTT3-3.8.3-4" "Requested QoS 3" subscribe (lastByte ((|||) 3uy))
                rule "MQTT3-3.9.3-2" "a reserved code in SUBACK" suback (lastByte (fun _ -> 3uy))
                rule "2.2.1" "AUTH" [| PacketType.Pingreq |] (first (fun _ -> 0xF0uy))
                rule
                    "2.2.3"
                    "a byte after the end of the packet"
                    (Array.append
                        acknowledgements
                        [|
                            PacketType.Connack
                            PacketType.Unsuback
                            PacketType.Pingreq
                            PacketType.Pingresp
                            PacketType.Disconnect
                        |])
                    (fun parts -> ValueSome { parts with Body = Array.append parts.Body [| 0uy |] })
            |]

        match version with
        | ProtocolVersion.V31 ->
            [|
                rule "MQTT3-3.1.3-8" "no Client Identifier" connect (fun parts ->
                    let id = flagsAt parts + 3
                    let length = FrameParts.twoByteInteger parts.Body id
                    let before = Array.append parts.Body[.. id - 1] [| 0uy; 0uy |]
                    ValueSome { parts with Body = Array.append before parts.Body[id + 2 + length ..] })
                rule "MQTT3-3.9.3-2" "0x80 in SUBACK" suback (lastByte (fun _ -> 0x80uy))
                yield! ofBoth
            |]
        | _ ->
            [|
                rule "MQTT3-2.2.2-1" "a reserved flag is set" plainFlags (flag 1uy)
                rule "MQTT3-3.14.1-1" "a reserved flag is set" [| PacketType.Disconnect |] (flag 1uy)
                rule "MQTT3-3.6.1-1" "the flags of PUBREL are not 0010" [| PacketType.Pubrel |] (flag 2uy)
                rule "MQTT3-3.8.1-1" "the flags of SUBSCRIBE are not 0010" subscribe (flag 2uy)
                rule "MQTT3-3.10.1-1" "the flags of UNSUBSCRIBE are not 0010" unsubscribe (flag 2uy)
                rule "MQTT3-3.1.2-3" "the reserved Connect Flag" connect (flags ((|||) 1uy))
                rule
                    "MQTT3-3.1.2-11"
                    "Will QoS 1 without a Will"
                    connect
                    (only (has 0x04uy >> not) (flags ((|||) 0x08uy)))
                rule
                    "MQTT3-3.1.2-11"
                    "Will Retain without a Will"
                    connect
                    (only (has 0x04uy >> not) (flags ((|||) 0x20uy)))
                rule
                    "MQTT3-3.1.3-8"
                    "CleanSession 0 without a Client Identifier"
                    connect
                    (only (fun parts -> noClientId parts && has 0x02uy parts) (flags ((&&&) 0xFDuy)))
                rule "3.2.2.1" "a reserved Connect Acknowledge Flag" connack (at 0 ((|||) 2uy))
                rule
                    "MQTT3-3.2.2-4"
                    "Session Present with a refusal"
                    connack
                    (only (fun parts -> parts.Body[1] > 0uy) (at 0 ((|||) 1uy)))
                yield! ofBoth
            |]

    let ofV311 = rulesOf ProtocolVersion.V311

    let ofV31 = rulesOf ProtocolVersion.V31
