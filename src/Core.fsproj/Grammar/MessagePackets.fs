namespace Mqtt5

open System
open FParsec

// The rules of PUBLISH and of its four acknowledgements: what follows their fixed headers.
module internal MessagePackets =

    open Binary
    open Fields

    let private topicField = field "Topic Name" "MQTT-3.3.2-1"

    // A Topic Name [MQTT-3.3.2-2] [MQTT-4.7.3-2], or nothing where a Topic Alias stands for it [MQTT-3.3.2-1].
    let private topicOrNothing: Rule<Slice> =
        let rule =
            TextRule(fun utf8 ->
                if utf8.IsEmpty then
                    ValueNone
                else
                    TextRules.topicNameProblem "MQTT-3.3.2-2" utf8)

        text rule topicField

    // A Topic Name [MQTT3-3.3.2-1] [MQTT3-3.3.2-2] [MQTT3-4.7.1-1] [MQTT3-4.7.3-2], never empty [MQTT3-4.7.3-1]: before
    // MQTT 5 there are no aliases.
    let private topic: Rule<Slice> =
        text (TextRule(fun utf8 -> TextRules.topicNameProblem "MQTT-3.3.2-2" utf8)) topicField

    let private topicIn (version: ProtocolVersion) =
        match version with
        | ProtocolVersion.V5 -> topicOrNothing
        | _ -> topic

    // By the flags of the first byte. QoS 3 does not come here [MQTT-3.3.1-4], DUP not at QoS 0 [MQTT-3.3.1-2].
    let private delivery (first: byte) : Rule<Delivery> =
        let dup = first &&& 0x08uy <> 0uy

        match first &&& 0x06uy with
        | 0x00uy -> preturn Delivery.AtMostOnce // [MQTT-2.2.1-2] [MQTT3-2.3.1-5]
        | 0x02uy -> newPacketId |>> fun id -> Delivery.AtLeastOnce(id, dup)
        | _ -> newPacketId |>> fun id -> Delivery.ExactlyOnce(id, dup)

    let private topicReference
        (topic: Slice)
        (section: PropertySection)
        (stream: Stream)
        : Reply<TopicReference> =
        let alias = section.TwoByteInteger PropertyId.TopicAlias

        if topic.Length > 0 then
            let name = TopicName.OfValid(span topic (source stream))

            match alias with
            | ValueSome alias -> Reply(TopicReference.NameAndAlias(name, TopicAlias.Of alias))
            | ValueNone -> Reply(TopicReference.Name name)
        else
            match alias with
            | ValueSome alias -> Reply(TopicReference.Alias(TopicAlias.Of alias))
            | ValueNone ->
                let at = topic.Start - 2
                protocolErrorAt at topicField "neither a Topic Name nor a Topic Alias" stream

    let publish (version: ProtocolVersion) (first: byte) : Rule<Packet> =
        let lengths =
            pipe3
                (topicIn version)
                (delivery first)
                (PropertySections.section version Scope.Publish)
                (fun topic delivery section -> struct (topic, delivery, section))

        let head =
            andThen lengths (fun (struct (topic, delivery, section)) stream ->
                let reply = topicReference topic section stream

                if reply.Status <> Ok then
                    passOn reply
                else
                    Reply(struct (reply.Result, delivery, section)))

        pipe2 head rest (fun (struct (topic, delivery, section)) payload ->
            Packet.Publish
                {
                    Delivery = delivery
                    Retain = first &&& 0x01uy <> 0uy
                    Topic = topic
                    Properties = PropertySections.ofPublish section
                    Payload = payload
                })

    // The index after the Variable Byte Integer at this index, which may be cut or too long.
    let private afterVariable (frame: ReadOnlySpan<byte>) (start: int) =
        let mutable at = start

        while at < start + 3 && at < frame.Length && frame[at] >= 0x80uy do
            at <- at + 1

        min (at + 1) frame.Length

    // The number of a PUBLISH's bytes before its payload, as far as its lengths can be read: where one is
    // missing or says more than there is, the grammar stops there. Only these bytes go on the tape.
    let publishHead (version: ProtocolVersion) (frame: ReadOnlySpan<byte>) : int =
        let topic = afterVariable frame 1

        if topic + 2 > frame.Length then
            frame.Length
        else
            let afterTopic = topic + 2 + Wire.twoByteInteger frame topic
            let properties = if frame[0] &&& 0x06uy = 0uy then afterTopic else afterTopic + 2

            if afterTopic > frame.Length then
                topic + 2
            elif properties >= frame.Length then
                frame.Length
            elif not version.IsV5 then
                properties
            else
                let start = afterVariable frame properties
                let mutable length = 0

                for at in start - 1 .. -1 .. properties do
                    length <- (length <<< 7) ||| int (frame[at] &&& 0x7Fuy)

                if length > frame.Length - start then start else start + length

    // The identifier of what is acknowledged [MQTT3-2.3.1-6], and before MQTT 5 nothing more.
    let private acknowledgement
        (version: ProtocolVersion)
        (packetType: PacketType)
        (packet: Acknowledgement -> Packet)
        : Rule<Packet> =
        let outcome =
            outcome
                version
                (reasonCode version packetType)
                (PropertySections.ofAcknowledgement version packetType)

        pipe2 (acknowledgedPacketId "MQTT-2.2.1-5") outcome (fun id outcome ->
            packet { PacketId = id; Outcome = outcome })

    let puback version = acknowledgement version PacketType.Puback Packet.Puback // [MQTT-3.4.2-1]

    let pubrec version = acknowledgement version PacketType.Pubrec Packet.Pubrec // [MQTT-3.5.2-1]

    let pubrel version = acknowledgement version PacketType.Pubrel Packet.Pubrel // [MQTT-3.6.2-1]

    let pubcomp version = acknowledgement version PacketType.Pubcomp Packet.Pubcomp // [MQTT-3.7.2-1]
