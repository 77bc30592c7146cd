namespace Mqtt5

open FParsec

// The rules of SUBSCRIBE, UNSUBSCRIBE and their acknowledgements: what follows their fixed headers.
module internal SubscriptionPackets =

    open Binary
    open Fields

    // Counts items up to the end of the packet, at least one.
    let private items (item: Rule<unit>) (itemField: Field) (missing: string) : Rule<int> =
        fun stream ->
            if remaining stream = 0 then
                protocolErrorAt (position stream) itemField missing stream
            else
                let mutable count = 0
                let mutable reply = Reply(())

                while reply.Status = Ok && remaining stream > 0 do
                    reply <- item stream
                    count <- count + 1

                if reply.Status = Ok then Reply count else passOn reply

    // The payload as it stands in the frame, and the number of its items.
    let private payload (items: Rule<int>) (list: Bytes -> int -> 'List) : Rule<'List> =
        fun stream ->
            let start = position stream
            let count = items stream

            if count.Status <> Ok then
                passOn count
            else
                let slice = { Start = start; Length = position stream - start }
                Reply(list (bytes slice (source stream)) count.Result)

    // [MQTT-3.8.3-1] [MQTT-3.10.3-1] [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-4.8.2-1]
    // [MQTT-4.8.2-2]
    let private topicFilter (version: ProtocolVersion) (clause: string) : Rule<Slice> =
        let rule =
            match version with
            | ProtocolVersion.V5 -> TextRule(fun utf8 -> TextRules.topicFilterProblem utf8)
            // [MQTT3-3.8.3-1] [MQTT3-3.10.3-1] [MQTT3-4.7.1-2] [MQTT3-4.7.1-3] [MQTT3-4.7.3-1] [MQTT3-4.7.3-2]
            | _ -> TextRule(fun utf8 -> TextRules.unsharedFilterProblem utf8)

        text rule (field "Topic Filter" clause)

    let private optionsField = field "Subscription Options" "3.8.3.1"

    let private checkOptions (filter: Slice) (options: byte) (stream: Stream) : Reply<unit> =
        let at = position stream - 1

        if options &&& 0xC0uy <> 0uy then
            malformedAt at { optionsField with Clause = "MQTT-3.8.3-5" } "a reserved bit is set" stream
        elif options &&& 0x03uy = 0x03uy then
            protocolErrorAt at optionsField "the Maximum QoS is 3" stream
        elif options &&& 0x30uy = 0x30uy then
            protocolErrorAt at optionsField "the Retain Handling is 3" stream
        elif
            options &&& 0x04uy <> 0uy
            && TextRules.sharedPrefixLength (span filter (source stream)) > 0
        then
            let field = { optionsField with Clause = "MQTT-3.8.3-4" }
            protocolErrorAt at field "No Local on a shared subscription" stream
        else
            Reply(())

    // Before MQTT 5 the byte is the Requested QoS and six reserved bits [MQTT3-3.8.3-4].
    let private checkRequestedQoS (options: byte) (stream: Stream) : Reply<unit> =
        let at = position stream - 1
        let field = { Name = "Requested QoS"; Clause = "MQTT-3.8.3-5" }

        if options &&& 0xFCuy <> 0uy then
            malformedAt at field "a reserved bit is set" stream
        elif options = 0x03uy then
            malformedAt at field "the Requested QoS is 3" stream
        else
            Reply(())

    let private subscription (version: ProtocolVersion) : Rule<unit> =
        let filterAndOptions =
            pipe2 (topicFilter version "3.8.3") (oneByte optionsField) (fun filter options ->
                struct (filter, options))

        andThen filterAndOptions (fun (struct (filter, options)) stream ->
            match version with
            | ProtocolVersion.V5 -> checkOptions filter options stream
            | _ -> checkRequestedQoS options stream)

    // At least one [MQTT3-3.8.3-3].
    let private subscriptions (version: ProtocolVersion) : Rule<SubscriptionList> =
        let items =
            items
                (subscription version)
                (field "Topic Filter" "MQTT-3.8.3-2")
                "SUBSCRIBE without a Topic Filter"

        payload items (fun wire count -> SubscriptionList.OfValid(wire, count))

    let subscribe (version: ProtocolVersion) : Rule<Packet> =
        pipe3
            newPacketId
            (PropertySections.ofSubscribe version)
            (subscriptions version)
            (fun id properties subscriptions ->
                Packet.Subscribe { PacketId = id; Properties = properties; Subscriptions = subscriptions })

    // At least one [MQTT3-3.10.3-2].
    let private filters (version: ProtocolVersion) : Rule<TopicFilterList> =
        let items =
            items
                (topicFilter version "3.10.3" |>> ignore)
                (field "Topic Filter" "MQTT-3.10.3-2")
                "UNSUBSCRIBE without a Topic Filter"

        payload items (fun wire count -> TopicFilterList.OfValid(wire, count))

    let unsubscribe (version: ProtocolVersion) : Rule<Packet> =
        pipe3
            newPacketId
            (PropertySections.ofUnsubscribe version)
            (filters version)
            (fun id properties filters ->
                Packet.Unsubscribe { PacketId = id; UserProperties = properties; Filters = filters })

    let private acknowledgement
        version
        packetType
        clause
        (packet: SubscriptionAcknowledgement -> Packet)
        : Rule<Packet> =
        let name = (Spec.packet packetType).Name
        let code = reasonCode version packetType |>> ignore
        let codes = items code (field "Reason Code" clause) $"{name} without a reason code"

        pipe3
            (acknowledgedPacketId "MQTT-2.2.1-6")
            (PropertySections.ofAcknowledgement version packetType)
            (payload codes (fun wire _ -> ReasonCodeList.OfValid wire))
            (fun id properties reasons ->
                packet { PacketId = id; Properties = properties; Reasons = reasons })

    // [MQTT-3.9.3-2] [MQTT3-2.3.1-7] [MQTT3-3.9.3-2]
    let suback version : Rule<Packet> = acknowledgement version PacketType.Suback "3.9.3" Packet.Suback

    // Before MQTT 5 it has no codes, and the packet that is made of it none either.
    let private unsubackWithoutCodes: Rule<Packet> =
        acknowledgedPacketId "MQTT-2.2.1-6" .>> endOfPacket
        |>> fun id ->
            Packet.Unsuback
                {
                    PacketId = id
                    Properties = AcknowledgementProperties.Empty
                    Reasons = ReasonCodeList.Empty
                }

    let unsuback version : Rule<Packet> = // [MQTT-3.11.3-2]
        match version with
        | ProtocolVersion.V5 -> acknowledgement version PacketType.Unsuback "3.11.3" Packet.Unsuback
        | _ -> unsubackWithoutCodes
