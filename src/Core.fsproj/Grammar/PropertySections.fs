namespace Mqtt5

open System
open System.Buffers.Binary
open FParsec

// The properties of one kind that a section repeats: from the first one's identifier to the end of the last
// one, with other properties between them unless all of it is Bytes long.
[<Struct; NoComparison; NoEquality>]
type internal Run = { First: int; End: int; Bytes: int; Count: int }

// A property section that was checked against the tables: for each property the place of its value in the
// frame. The typed property records cut their values from there.
[<Sealed>]
type internal PropertySection
    (source: Source, start: int, finish: int, places: int[], users: Run, subscriptions: Run) =

    member _.IsEmpty = finish = start

    // Where the value of a property starts in the frame; 0, where no value can be, when it is absent.
    member _.Place(id: PropertyId) = if places.Length = 0 then 0 else places[int id]

    member this.Has(id: PropertyId) = this.Place id <> 0

    member private this.From(id: PropertyId) = source.Frame.Span.Slice(this.Place id)

    member private this.Slice(id: PropertyId) =
        {
            Start = this.Place id + 2
            Length = int (BinaryPrimitives.ReadUInt16BigEndian(this.From id))
        }

    member this.Switch(id: PropertyId) : bool voption =
        if this.Has id then ValueSome((this.From id).[0] = 1uy) else ValueNone

    member this.Byte(id: PropertyId) : byte voption =
        if this.Has id then ValueSome((this.From id).[0]) else ValueNone

    member this.TwoByteInteger(id: PropertyId) : uint16 voption =
        if this.Has id then
            ValueSome(BinaryPrimitives.ReadUInt16BigEndian(this.From id))
        else
            ValueNone

    member this.FourByteInteger(id: PropertyId) : uint32 voption =
        if this.Has id then
            ValueSome(BinaryPrimitives.ReadUInt32BigEndian(this.From id))
        else
            ValueNone

    member this.Seconds(id: PropertyId) : uint32<s> voption =
        if this.Has id then
            ValueSome(
                LanguagePrimitives.UInt32WithMeasure(BinaryPrimitives.ReadUInt32BigEndian(this.From id))
            )
        else
            ValueNone

    member this.VariableByteInteger(id: PropertyId) : uint32 voption =
        if this.Has id then
            let struct (value, _) = Wire.variableByteInteger source.Frame.Span (this.Place id)
            ValueSome value
        else
            ValueNone

    member this.Text(id: PropertyId) : Utf8String voption =
        if this.Has id then
            ValueSome(Utf8String.OfValid(Binary.span (this.Slice id) source))
        else
            ValueNone

    member this.TopicName(id: PropertyId) : TopicName voption =
        if this.Has id then
            ValueSome(TopicName.OfValid(Binary.span (this.Slice id) source))
        else
            ValueNone

    member this.Data(id: PropertyId) : Bytes voption =
        if this.Has id then
            ValueSome(Binary.bytes (this.Slice id) source)
        else
            ValueNone

    // The bytes that the value at this index of the frame takes, in a section that was checked.
    static member private ValueLength(id: PropertyId, frame: ReadOnlySpan<byte>, at: int) =
        match (Spec.property id).Shape with
        | Shape.Byte
        | Shape.Switch -> 1
        | Shape.TwoByteInteger -> 2
        | Shape.FourByteInteger -> 4
        | Shape.VariableByteInteger ->
            let struct (_, next) = Wire.variableByteInteger frame at
            next - at
        | Shape.Utf8EncodedString
        | Shape.TopicNameString
        | Shape.BinaryData -> 2 + Wire.twoByteInteger frame at
        | Shape.Utf8StringPair ->
            let name = 2 + Wire.twoByteInteger frame at
            name + 2 + Wire.twoByteInteger frame (at + name)

    // The properties of one kind one after another: a slice of the frame if they stand so, else a copy of
    // exactly their size.
    member private _.Gather(id: PropertyId, run: Run) : Bytes =
        if run.End - run.First = run.Bytes then
            Binary.bytes { Start = run.First; Length = run.Bytes } source
        else
            let frame = source.Frame.Span
            let gathered = Array.zeroCreate run.Bytes
            let mutable filled = 0
            let mutable at = run.First

            while at < run.End do
                let property: PropertyId = LanguagePrimitives.EnumOfValue frame[at]
                let length = 1 + PropertySection.ValueLength(property, frame, at + 1)

                if property = id then
                    frame.Slice(at, length).CopyTo(Span(gathered, filled, length))
                    filled <- filled + length

                at <- at + length

            Bytes.OfArray gathered

    // In order, with duplicates [MQTT-3.3.2-18].
    member this.UserProperties: UserProperties =
        if users.Count = 0 then
            UserProperties.Empty
        else
            UserProperties.OfValid(this.Gather(PropertyId.UserProperty, users), users.Count)

    member this.SubscriptionIdentifiers: SubscriptionIdentifiers =
        if subscriptions.Count = 0 then
            SubscriptionIdentifiers.Empty
        else
            SubscriptionIdentifiers.OfValid(
                this.Gather(PropertyId.SubscriptionIdentifier, subscriptions),
                subscriptions.Count
            )

// A section without properties. A value of a module, and not of the type: see EmptyProperties.
module internal NoProperties =
    let section =
        let source =
            {
                Frame = ReadOnlyMemory.Empty
                Offset = 0L
                Direction = ClientToServer
                Packet = PacketType.Reserved
            }

        let none = { First = 0; End = 0; Bytes = 0; Count = 0 }
        PropertySection(source, 0, 0, [||], none, none)

// The rules of property sections (section 2.2.2). All that differs from property to property comes from Spec.
module internal PropertySections =

    open Binary

    // Properties are numbered below this.
    [<Literal>]
    let private Numbers = 64

    let private inRange (rule: PropertyRule) (value: Rule<uint32>) : Rule<unit> =
        let field = { Name = rule.Title; Clause = rule.Clause }
        let detail = $"the value is not in the range from {rule.Minimum} to {rule.Maximum}"

        fun stream ->
            let at = position stream
            let reply = value stream

            if reply.Status <> Ok then
                passOn reply
            elif reply.Result < rule.Minimum || reply.Result > rule.Maximum then
                faultAt rule.RangeReason at field detail stream
            else
                Reply(())

    let private topicName = TextRule(fun utf8 -> TextRules.topicNameProblem "MQTT-3.3.2-14" utf8)

    // Checks a value and moves past it. [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.7-1] [MQTT-3.3.2-13]
    // [MQTT-3.3.2-14] [MQTT-3.3.2-19] [MQTT-3.3.2-8]
    let private valueRule (rule: PropertyRule) : Rule<unit> =
        let field = { Name = rule.Title; Clause = "2.2.2.2" }

        match rule.Shape with
        | Shape.Byte
        | Shape.Switch -> inRange rule (oneByte field |>> uint32)
        | Shape.TwoByteInteger -> inRange rule (twoByteInteger field |>> uint32)
        | Shape.FourByteInteger -> inRange rule (fourByteInteger field)
        | Shape.VariableByteInteger -> inRange rule (variableByteInteger field |>> uint32)
        | Shape.Utf8EncodedString -> utf8EncodedString field |>> ignore
        | Shape.TopicNameString -> text topicName field |>> ignore
        | Shape.BinaryData -> counted field |>> ignore
        | Shape.Utf8StringPair -> utf8EncodedString field >>. utf8EncodedString field |>> ignore

    let private rules: PropertyRule voption[] = Array.init 256 (fun id -> Spec.tryProperty (byte id))

    let private values: Rule<unit>[] =
        Array.init Numbers (fun id ->
            match rules[id] with
            | ValueSome rule -> valueRule rule
            | ValueNone -> preturn ())

    let private identifierField = { Name = "property identifier"; Clause = "2.2.2.2" }

    let private readIdentifier = oneByte identifierField

    // The rule of the property that starts here, if it may stand here.
    let private identifier (scope: Scope) (seen: uint64) (stream: Stream) : Reply<PropertyRule> =
        let at = position stream
        let reply = readIdentifier stream

        if reply.Status <> Ok then
            passOn reply
        else
            match rules[int reply.Result] with
            | ValueNone ->
                malformedAt at identifierField "the standard defines no property of this number" stream
            | ValueSome rule when rule.Scopes &&& scope = Scope.None ->
                let field = { Name = rule.Title; Clause = "2.2.2.2" }
                malformedAt at field "the property does not belong here" stream
            | ValueSome rule ->
                match Spec.forbiddenFrom (source stream).Direction scope rule.Id with
                | ValueSome clause -> // [MQTT-3.3.4-6] [MQTT-3.14.2-2]
                    let field = { Name = rule.Title; Clause = clause }
                    protocolErrorAt at field "the property does not travel in this direction" stream
                | ValueNone when
                    seen &&& (1UL <<< int rule.Id) <> 0UL && rule.Repeatable &&& scope = Scope.None
                    ->
                    let field = { Name = rule.Title; Clause = rule.Clause }
                    protocolErrorAt at field "the property stands here more than once" stream
                | ValueNone -> Reply rule

    let private noRun = { First = 0; End = 0; Bytes = 0; Count = 0 }

    let private extend (run: Run) (start: int) (finish: int) =
        {
            First = (if run.Count = 0 then start else run.First)
            End = finish
            Bytes = run.Bytes + finish - start
            Count = run.Count + 1
        }

    let private properties (scope: Scope) : Rule<PropertySection> =
        fun stream ->
            let source = source stream
            let start = position stream
            let places = Array.zeroCreate Numbers
            let mutable seen = 0UL
            let mutable users = noRun
            let mutable subscriptions = noRun
            let mutable failure = Reply(())

            while failure.Status = Ok && remaining stream > 0 do
                let at = position stream
                let rule = identifier scope seen stream

                if rule.Status <> Ok then
                    failure <- passOn rule
                else
                    let id = rule.Result.Id
                    failure <- values[int id] stream
                    seen <- seen ||| (1UL <<< int id)

                    match id with
                    | PropertyId.UserProperty -> users <- extend users at (position stream)
                    | PropertyId.SubscriptionIdentifier ->
                        subscriptions <- extend subscriptions at (position stream)
                        places[int id] <- at + 1
                    | _ -> places[int id] <- at + 1

            if failure.Status = Ok then
                Reply(PropertySection(source, start, position stream, places, users, subscriptions))
            else
                passOn failure

    // Property Length, 0 for a section without properties [MQTT-2.2.2-1], and the properties, which end
    // exactly where it says.
    let private sectionOf5 (scope: Scope) : Rule<PropertySection> =
        let field =
            if scope = Scope.Will then
                { Name = "Will Property Length"; Clause = "MQTT-3.1.2-9" }
            else
                { Name = "Property Length"; Clause = "MQTT-2.2.2-1" }

        let length = variableByteInteger field
        let properties = properties scope

        fun stream ->
            let at = position stream
            let reply = length stream

            if reply.Status <> Ok then
                passOn reply
            elif reply.Result = 0 then
                Reply NoProperties.section
            elif reply.Result > remaining stream then
                let field = { field with Clause = "2.2.2.1" }
                malformedAt at field "fewer bytes are left than the Property Length says" stream
            else
                within reply.Result properties stream

    // The property section of a scope; before MQTT 5 there are none, and no byte is read.
    let section (version: ProtocolVersion) (scope: Scope) : Rule<PropertySection> =
        match version with
        | ProtocolVersion.V5 -> sectionOf5 scope
        | _ -> preturn NoProperties.section

    // Method and data of enhanced authentication. Data alone is a Protocol Error (section 3.1.2.11.10).
    let authentication (section: PropertySection) (stream: Stream) : Reply<Authentication voption> =
        match section.Text PropertyId.AuthenticationMethod with
        | ValueSome name ->
            let data = section.Data PropertyId.AuthenticationData
            Reply(ValueSome { Method = name; Data = ValueOption.map Secret data })
        | ValueNone when section.Has PropertyId.AuthenticationData ->
            let at = section.Place PropertyId.AuthenticationData - 1
            let field = { Name = "Authentication Data"; Clause = "3.1.2.11.10" }
            protocolErrorAt at field "Authentication Data without an Authentication Method" stream
        | ValueNone -> Reply ValueNone

    let private acknowledgement (section: PropertySection) : AcknowledgementProperties =
        if section.IsEmpty then
            AcknowledgementProperties.Empty
        else
            {
                ReasonString = section.Text PropertyId.ReasonString
                UserProperties = section.UserProperties
            }

    // The properties of PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK or UNSUBACK.
    let ofAcknowledgement
        (version: ProtocolVersion)
        (packetType: PacketType)
        : Rule<AcknowledgementProperties> =
        section version (Spec.scopeOf packetType) |>> acknowledgement

    let ofConnect (version: ProtocolVersion) : Rule<ConnectProperties> =
        andThen (section version Scope.Connect) (fun section stream ->
            let authentication = authentication section stream

            if authentication.Status <> Ok then
                passOn authentication
            else
                Reply
                    {
                        SessionExpiryInterval = section.Seconds PropertyId.SessionExpiryInterval
                        ReceiveMaximum = section.TwoByteInteger PropertyId.ReceiveMaximum
                        MaximumPacketSize = section.FourByteInteger PropertyId.MaximumPacketSize
                        TopicAliasMaximum = section.TwoByteInteger PropertyId.TopicAliasMaximum
                        RequestResponseInformation = section.Switch PropertyId.RequestResponseInformation
                        RequestProblemInformation = section.Switch PropertyId.RequestProblemInformation
                        UserProperties = section.UserProperties
                        Authentication = authentication.Result
                    })

    let private will (section: PropertySection) : WillProperties =
        {
            WillDelayInterval = section.Seconds PropertyId.WillDelayInterval
            PayloadFormatIndicator = section.Switch PropertyId.PayloadFormatIndicator
            MessageExpiryInterval = section.Seconds PropertyId.MessageExpiryInterval
            ContentType = section.Text PropertyId.ContentType
            ResponseTopic = section.TopicName PropertyId.ResponseTopic
            CorrelationData = section.Data PropertyId.CorrelationData
            UserProperties = section.UserProperties
        }

    let ofWill (version: ProtocolVersion) : Rule<WillProperties> = section version Scope.Will |>> will

    let ofConnack (version: ProtocolVersion) : Rule<ConnackProperties> =
        andThen (section version Scope.Connack) (fun section stream ->
            let authentication = authentication section stream

            if authentication.Status <> Ok then
                passOn authentication
            else
                Reply
                    {
                        SessionExpiryInterval = section.Seconds PropertyId.SessionExpiryInterval
                        ReceiveMaximum = section.TwoByteInteger PropertyId.ReceiveMaximum
                        MaximumQoS =
                            section.Byte PropertyId.MaximumQoS
                            |> ValueOption.map LanguagePrimitives.EnumOfValue
                        RetainAvailable = section.Switch PropertyId.RetainAvailable
                        MaximumPacketSize = section.FourByteInteger PropertyId.MaximumPacketSize
                        AssignedClientIdentifier = section.Text PropertyId.AssignedClientIdentifier
                        TopicAliasMaximum = section.TwoByteInteger PropertyId.TopicAliasMaximum
                        ReasonString = section.Text PropertyId.ReasonString
                        UserProperties = section.UserProperties
                        WildcardSubscriptionAvailable =
                            section.Switch PropertyId.WildcardSubscriptionAvailable
                        SubscriptionIdentifierAvailable =
                            section.Switch PropertyId.SubscriptionIdentifierAvailable
                        SharedSubscriptionAvailable = section.Switch PropertyId.SharedSubscriptionAvailable
                        ServerKeepAlive =
                            section.TwoByteInteger PropertyId.ServerKeepAlive
                            |> ValueOption.map LanguagePrimitives.UInt16WithMeasure
                        ResponseInformation = section.Text PropertyId.ResponseInformation
                        ServerReference = section.Text PropertyId.ServerReference
                        Authentication = authentication.Result
                    })

    // The properties of PUBLISH without the Topic Alias, which is part of the topic.
    let ofPublish (section: PropertySection) : PublishProperties =
        if section.IsEmpty then
            PublishProperties.Empty
        else
            {
                PayloadFormatIndicator = section.Switch PropertyId.PayloadFormatIndicator
                MessageExpiryInterval = section.Seconds PropertyId.MessageExpiryInterval
                ResponseTopic = section.TopicName PropertyId.ResponseTopic
                CorrelationData = section.Data PropertyId.CorrelationData
                UserProperties = section.UserProperties
                SubscriptionIdentifiers = section.SubscriptionIdentifiers
                ContentType = section.Text PropertyId.ContentType
            }

    let private subscribe (section: PropertySection) : SubscribeProperties =
        {
            SubscriptionIdentifier = section.VariableByteInteger PropertyId.SubscriptionIdentifier
            UserProperties = section.UserProperties
        }

    let ofSubscribe (version: ProtocolVersion) : Rule<SubscribeProperties> =
        section version Scope.Subscribe |>> subscribe

    let ofUnsubscribe (version: ProtocolVersion) : Rule<UserProperties> =
        section version Scope.Unsubscribe |>> fun section -> section.UserProperties

    let private disconnect (section: PropertySection) : DisconnectProperties =
        {
            SessionExpiryInterval = section.Seconds PropertyId.SessionExpiryInterval
            ReasonString = section.Text PropertyId.ReasonString
            UserProperties = section.UserProperties
            ServerReference = section.Text PropertyId.ServerReference
        }

    let ofDisconnect (version: ProtocolVersion) : Rule<DisconnectProperties> =
        section version Scope.Disconnect |>> disconnect
