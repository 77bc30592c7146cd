namespace Mqtt5.Verification

open System
open FsCheck
open FsCheck.FSharp
open Mqtt5

/// A frame that breaks one rule, and the valid packet that it was made of.
[<NoComparison>]
type BrokenPacket =
    {
        /// The rule.
        Rule: BrokenRule
        /// The way that the packet travels.
        Direction: Direction
        /// The packet before the rule was broken.
        Packet: Packet
        /// The bytes to send.
        Frame: Bytes
    }

    override this.ToString() =
        $"{this.Rule}: {this.Frame} of {Notation.printTracedIn this.Rule.Version this.Direction this.Packet}"

/// Packets with one rule broken: near enough to valid ones that a receiver which checks little takes them.
[<RequireQualifiedAccess>]
module BrokenPackets =

    open FrameChanges

    let private hasId =
        [|
            PacketType.Puback
            PacketType.Pubrec
            PacketType.Pubrel
            PacketType.Pubcomp
            PacketType.Subscribe
            PacketType.Suback
            PacketType.Unsubscribe
            PacketType.Unsuback
        |]

    let private flags (parts: FrameParts) = parts.Body[7]

    // The Topic Name of a PUBLISH with one byte replaced, in the middle of it.
    let private topicByte (value: byte) (parts: FrameParts) =
        let struct (start, length) = FrameParts.topic parts

        if length = 0 then
            ValueNone
        else
            ValueSome(FrameParts.change (start + length / 2) value parts)

    // Only where the byte stands alone, so that nothing else breaks.
    let private isAsciiTopic (parts: FrameParts) =
        let struct (start, length) = FrameParts.topic parts

        length > 0
        && parts.Body[start .. start + length - 1]
           |> Array.forall (fun byte -> byte < 128uy)

    let private addProperty (property: byte[]) (parts: FrameParts) =
        FrameParts.withProperties (fun section -> Array.append section property) parts

    let private withoutProperty (id: byte) (parts: FrameParts) =
        match FrameParts.properties parts with
        | ValueSome(struct (_, section, _)) -> section.Length = 0 || not (Array.contains id section)
        | ValueNone -> false

    let private sessionExpiry = [| 0x11uy; 0uy; 0uy; 0uy; 1uy |]

    let private text (id: byte) (value: string) =
        let utf8 = Text.Encoding.UTF8.GetBytes value
        Array.concat [ [| id; byte (utf8.Length >>> 8); byte utf8.Length |]; utf8 ]

    let private withoutPayload (parts: FrameParts) =
        ValueSome { parts with Body = parts.Body[.. FrameParts.payloadAt parts - 1] }

    let private lastByte change (parts: FrameParts) = at (parts.Body.Length - 1) change parts

    let private hasWill (parts: FrameParts) = flags parts &&& 0x04uy <> 0uy

    let private rule clause name packets break' =
        BrokenRule(ProtocolVersion.V5, clause, name, packets, ValueNone, break')

    let private idZero (parts: FrameParts) =
        match FrameParts.packetIdAt parts with
        | -1 -> ValueNone
        | id -> ValueSome(parts |> FrameParts.change id 0uy |> FrameParts.change (id + 1) 0uy)

    let private reasonRule clause packet =
        rule clause $"a Reason Code that {packet} does not have" [| packet |] (fun parts ->
            at (FrameParts.reasonAt parts) (fun _ -> 0x05uy) parts)

    let private plainFlags =
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

    /// Every rule that can be broken in MQTT 5.
    let rules: BrokenRule[] =
        let publish = [| PacketType.Publish |]
        let connect = [| PacketType.Connect |]
        let connack = [| PacketType.Connack |]
        let subscribe = [| PacketType.Subscribe |]
        let unsubscribe = [| PacketType.Unsubscribe |]
        let flag value = first (fun byte -> byte ^^^ value)

        [|
            rule "MQTT-2.1.3-1" "a reserved flag is set" plainFlags (flag 1uy)
            rule "MQTT-3.14.1-1" "a reserved flag is set" [| PacketType.Disconnect |] (flag 1uy)
            rule "MQTT-3.15.1-1" "a reserved flag is set" [| PacketType.Auth |] (flag 1uy)
            rule "MQTT-3.6.1-1" "the flags of PUBREL are not 0010" [| PacketType.Pubrel |] (flag 2uy)
            rule "MQTT-3.8.1-1" "the flags of SUBSCRIBE are not 0010" subscribe (flag 2uy)
            rule "MQTT-3.10.1-1" "the flags of UNSUBSCRIBE are not 0010" unsubscribe (flag 2uy)
            rule
                "MQTT-3.3.1-4"
                "QoS 3"
                publish
                (only (fun parts -> FrameParts.qos parts > 0) (first ((|||) 6uy)))
            rule
                "MQTT-3.3.1-2"
                "DUP is set at QoS 0"
                publish
                (only (fun parts -> FrameParts.qos parts = 0) (first ((|||) 8uy)))
            rule
                "MQTT-2.2.1-3"
                "Packet Identifier 0"
                [| PacketType.Subscribe; PacketType.Unsubscribe |]
                idZero
            BrokenRule(
                ProtocolVersion.V5,
                "MQTT-2.2.1-3",
                "Packet Identifier 0",
                publish,
                ValueSome ClientToServer,
                idZero
            )
            BrokenRule(
                ProtocolVersion.V5,
                "MQTT-2.2.1-4",
                "Packet Identifier 0",
                publish,
                ValueSome ServerToClient,
                idZero
            )
            rule
                "MQTT-2.2.1-5"
                "Packet Identifier 0"
                [| PacketType.Puback; PacketType.Pubrec; PacketType.Pubrel; PacketType.Pubcomp |]
                idZero
            rule "MQTT-2.2.1-6" "Packet Identifier 0" [| PacketType.Suback; PacketType.Unsuback |] idZero
            rule
                "MQTT-1.5.4-1"
                "ill-formed UTF-8 in the Topic Name"
                publish
                (only isAsciiTopic (topicByte 0xFFuy))
            rule "MQTT-1.5.4-2" "U+0000 in the Topic Name" publish (only isAsciiTopic (topicByte 0uy))
            rule "MQTT-3.3.2-2" "+ in the Topic Name" publish (only isAsciiTopic (topicByte '+'B))
            rule "MQTT-3.3.2-2" "# in the Topic Name" publish (only isAsciiTopic (topicByte '#'B))
            rule
                "MQTT-3.3.2-8"
                "Topic Alias 0"
                publish
                (only (withoutProperty 0x23uy) (addProperty [| 0x23uy; 0uy; 0uy |]))
            BrokenRule(
                ProtocolVersion.V5,
                "MQTT-3.3.4-6",
                "a Subscription Identifier from a client",
                publish,
                ValueSome ClientToServer,
                addProperty [| 0x0Buy; 1uy |]
            )
            rule
                "MQTT-3.3.2-14"
                "a wildcard in the Response Topic"
                publish
                (only (withoutProperty 0x08uy) (addProperty (text 0x08uy "a/+")))
            rule
                "2.2.2.2"
                "a property of another packet"
                (Array.append publish hasId)
                (addProperty sessionExpiry)
            rule "3.1.2.11.2" "the Session Expiry Interval twice" connect (fun parts ->
                only (withoutProperty 0x11uy) (addProperty (Array.append sessionExpiry sessionExpiry)) parts)
            rule
                "3.1.2.11.3"
                "Receive Maximum 0"
                connect
                (only (withoutProperty 0x21uy) (addProperty [| 0x21uy; 0uy; 0uy |]))
            rule
                "3.1.2.11.4"
                "Maximum Packet Size 0"
                connect
                (only (withoutProperty 0x27uy) (addProperty [| 0x27uy; 0uy; 0uy; 0uy; 0uy |]))
            rule "MQTT-3.1.2-1" "another Protocol Name" connect (at 2 (fun _ -> 'm'B))
            rule "MQTT-3.1.2-3" "the reserved Connect Flag" connect (at 7 ((|||) 1uy))
            rule "MQTT-3.1.2-12" "Will QoS 3" connect (only hasWill (at 7 ((|||) 0x18uy)))
            rule
                "MQTT-3.1.2-11"
                "Will QoS 1 without a Will"
                connect
                (only (hasWill >> not) (at 7 ((|||) 0x08uy)))
            rule
                "MQTT-3.1.2-13"
                "Will Retain without a Will"
                connect
                (only (hasWill >> not) (at 7 ((|||) 0x20uy)))
            rule "MQTT-3.2.2-1" "a reserved Connect Acknowledge Flag" connack (at 0 ((|||) 2uy))
            rule
                "MQTT-3.2.2-6"
                "Session Present with a failure"
                connack
                (only (fun parts -> parts.Body[1] >= 0x80uy) (at 0 ((|||) 1uy)))
            reasonRule "MQTT-3.2.2-8" PacketType.Connack
            reasonRule "MQTT-3.4.2-1" PacketType.Puback
            reasonRule "MQTT-3.5.2-1" PacketType.Pubrec
            reasonRule "MQTT-3.6.2-1" PacketType.Pubrel
            reasonRule "MQTT-3.7.2-1" PacketType.Pubcomp
            reasonRule "MQTT-3.9.3-2" PacketType.Suback
            reasonRule "MQTT-3.11.3-2" PacketType.Unsuback
            reasonRule "MQTT-3.14.2-1" PacketType.Disconnect
            reasonRule "MQTT-3.15.2-1" PacketType.Auth
            rule "MQTT-3.8.3-2" "SUBSCRIBE without a Topic Filter" subscribe withoutPayload
            rule "MQTT-3.10.3-2" "UNSUBSCRIBE without a Topic Filter" unsubscribe withoutPayload
            rule "MQTT-3.8.3-5" "a reserved Subscription Option" subscribe (lastByte ((|||) 0x40uy))
            rule "3.8.3.1" "Maximum QoS 3 in a subscription" subscribe (lastByte ((|||) 3uy))
            rule "3.8.3.1" "Retain Handling 3 in a subscription" subscribe (lastByte ((|||) 0x30uy))
            rule
                "2.1.4"
                "a byte after the end of the packet"
                [| PacketType.Connack; PacketType.Pingreq; PacketType.Pingresp |]
                (fun parts -> ValueSome { parts with Body = Array.append parts.Body [| 0uy |] })
        |]

    /// Every rule that can be broken in a version.
    let rulesIn (version: ProtocolVersion) : BrokenRule[] =
        match version with
        | ProtocolVersion.V5 -> rules
        | ProtocolVersion.V311 -> BrokenRulesV3.ofV311
        | ProtocolVersion.V31 -> BrokenRulesV3.ofV31

    let private directionsOf (rule: BrokenRule) packet =
        [
            for direction in [ ClientToServer; ServerToClient ] do
                if
                    Spec.mayTravelIn rule.Version direction packet
                    && (rule.Direction.IsNone || rule.Direction = ValueSome direction)
                then
                    direction
        ]

    /// Breaks the rule in a packet; <c>ValueNone</c> where the packet gives no occasion for it.
    let tryBreak (rule: BrokenRule) (direction: Direction) (packet: Packet) : BrokenPacket voption =
        match Encode.toBytesIn rule.Version direction packet with
        | Error _ -> ValueNone
        | Ok frame when Seq.contains packet.Type rule.Packets ->
            rule.Break(FrameParts.ofFrame frame)
            |> ValueOption.map (fun parts ->
                {
                    Rule = rule
                    Direction = direction
                    Packet = packet
                    Frame = Bytes.OfArray(FrameParts.toFrame parts)
                })
        | Ok _ -> ValueNone

    /// Packets that break this rule.
    let breaking (rule: BrokenRule) : Gen<BrokenPacket> =
        gen {
            let! kind = Gen.elements rule.Packets
            let! direction = Gen.elements (directionsOf rule kind)

            let! packet =
                PacketGenerators.packetOfIn rule.Version kind direction
                |> Gen.tryFilter (fun packet -> (tryBreak rule direction packet).IsSome)

            return
                packet
                |> Option.bind (fun packet -> ValueOption.toOption (tryBreak rule direction packet))
        }
        |> Gen.where Option.isSome
        |> Gen.map Option.get

    /// Packets of MQTT 5 that break one rule, each rule as often as any other.
    let any: Gen<BrokenPacket> = Gen.bind breaking (Gen.elements rules)

    /// The smaller packets that break the same rule.
    let shrink (broken: BrokenPacket) : seq<BrokenPacket> =
        PacketShrinking.shrinkPacket broken.Packet
        |> Seq.choose (fun packet ->
            match tryBreak broken.Rule broken.Direction packet with
            | ValueSome smaller when smaller.Frame.Length < broken.Frame.Length -> Some smaller
            | _ -> None)
