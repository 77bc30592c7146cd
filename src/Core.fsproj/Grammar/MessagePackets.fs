namespace Mqtt5

open System
open FParsec

// The rules of PUBLISH and of its four acknowledgements: what follows their fixed headers.
module internal MessagePackets =

    open Binary
    open Fields

    let private topicField = field "Topic Name" "MQTT-3.3.2-1"

    // A Topic Name, or nothing where a Topic Alias stands for it [MQTT-3.3.2-1] [MQTT-3.3.2-2].
    let private topicOrNothing: Rule<Slice> =
        let rule =
            TextRule(fun utf8 ->
                if utf8.IsEmpty then
                    ValueNone
                else
                    TextRules.topicNameProblem "MQTT-3.3.2-2" utf8)

        text rule topicField

    let private delivery (flags: byte) : Rule<Delivery> =
        let dup = flags &&& 0x08uy <> 0uy

        match flags &&& 0x06uy with
        | 0x00uy -> preturn Delivery.AtMostOnce // [MQTT-2.2.1-2]
        | 0x02uy -> newPacketId |>> fun id -> Delivery.AtLeastOnce(id, dup)
        | _ -> newPacketId |>> fun id -> Delivery.ExactlyOnce(id, dup)

    // By the flags of the first byte. QoS 3 does not come here [MQTT-3.3.1-4].
    let private deliveries: Rule<Delivery>[] = Array.init 16 (fun flags -> delivery (byte flags))

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

    let publish (first: byte) : Rule<Packet> =
        let delivery = deliveries[int first &&& 0x0F]
        let section = PropertySections.section Scope.Publish

        grammar {
            let! topic = topicOrNothing
            let! delivery = delivery
            let! section = section
            let! reference = topicReference topic section
            let! payload = rest

            return
                Packet.Publish
                    {
                        Delivery = delivery
                        Retain = first &&& 0x01uy <> 0uy
                        Topic = reference
                        Properties = PropertySections.ofPublish section
                        Payload = payload
                    }
        }

    // The index after the Variable Byte Integer at this index, which may be cut or too long.
    let private afterVariable (frame: ReadOnlySpan<byte>) (start: int) =
        let mutable at = start

        while at < start + 3 && at < frame.Length && frame[at] >= 0x80uy do
            at <- at + 1

        min (at + 1) frame.Length

    // The number of a PUBLISH's bytes before its payload, as far as its lengths can be read: where one is
    // missing or says more than there is, the grammar stops there. Only these bytes go on the tape.
    let publishHead (frame: ReadOnlySpan<byte>) : int =
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
            else
                let start = afterVariable frame properties
                let mutable length = 0

                for at in start - 1 .. -1 .. properties do
                    length <- (length <<< 7) ||| int (frame[at] &&& 0x7Fuy)

                if length > frame.Length - start then start else start + length

    // The Packet Identifier, then nothing, a reason code, or a reason code and a property section.
    let private acknowledgement (packetType: PacketType) (packet: Acknowledgement -> Packet) : Rule<Packet> =
        let packetId = acknowledgedPacketId "MQTT-2.2.1-5"
        let reasonCode = reasonCode packetType
        let properties = PropertySections.ofAcknowledgement packetType

        let full: Rule<Outcome<AcknowledgementProperties>> =
            grammar {
                let! reason = reasonCode
                let! properties = properties
                do! endOfPacket
                return Outcome.Full(reason, properties)
            }

        let short: Rule<Outcome<AcknowledgementProperties>> = reasonCode |>> Outcome.Code
        let omitted: Rule<Outcome<AcknowledgementProperties>> = preturn Outcome.Omitted

        let outcome: Rule<Outcome<AcknowledgementProperties>> =
            fun stream ->
                match remaining stream with
                | 0 -> omitted stream
                | 1 -> short stream
                | _ -> full stream

        pipe2 packetId outcome (fun id outcome -> packet { PacketId = id; Outcome = outcome })

    let puback: Rule<Packet> = acknowledgement PacketType.Puback Packet.Puback // [MQTT-3.4.2-1]

    let pubrec: Rule<Packet> = acknowledgement PacketType.Pubrec Packet.Pubrec // [MQTT-3.5.2-1]

    let pubrel: Rule<Packet> = acknowledgement PacketType.Pubrel Packet.Pubrel // [MQTT-3.6.2-1]

    let pubcomp: Rule<Packet> = acknowledgement PacketType.Pubcomp Packet.Pubcomp // [MQTT-3.7.2-1]
