namespace Mqtt5

open System
open System.Buffers.Binary
open System.Collections.Generic
open System.Text

// Reads and writes the length-prefixed fields that wire lists are made of. Only for bytes that were checked.
module internal Wire =

    let twoByteInteger (wire: ReadOnlySpan<byte>) (at: int) =
        int (BinaryPrimitives.ReadUInt16BigEndian(wire.Slice at))

    let string (wire: ReadOnlySpan<byte>) (at: int) : struct (Utf8String * int) =
        let length = twoByteInteger wire at
        struct (Utf8String.OfValid(wire.Slice(at + 2, length)), at + 2 + length)

    // How many items, each a string and so many bytes behind it, stand from here on, up to a number of them and of bytes
    // but at least one; and where the next begins.
    let piece (wire: ReadOnlySpan<byte>) (from: int) (behind: int) (mostItems: int) (mostBytes: int) =
        let mutable items = 0
        let mutable at = from
        let mutable fits = true

        while fits && at < wire.Length && items < mostItems do
            let next = at + 2 + twoByteInteger wire at + behind

            if items > 0 && next - from > mostBytes then
                fits <- false
            else
                items <- items + 1
                at <- next

        struct (items, at)

    let addTwoByteInteger (output: List<byte>) (value: int) =
        output.Add(byte (value >>> 8))
        output.Add(byte value)

    let addString (output: List<byte>) (text: Utf8String) =
        let utf8 = Encoding.UTF8.GetBytes text.Text
        addTwoByteInteger output utf8.Length
        output.AddRange utf8

    let variableByteInteger (wire: ReadOnlySpan<byte>) (at: int) : struct (uint32 * int) =
        let mutable value = 0u
        let mutable shift = 0
        let mutable next = at

        while wire[next] >= 0x80uy do
            value <- value ||| ((uint32 wire[next] &&& 0x7Fu) <<< shift)
            shift <- shift + 7
            next <- next + 1

        struct (value ||| (uint32 wire[next] <<< shift), next + 1)

    let addVariableByteInteger (output: List<byte>) (value: uint32) =
        let mutable rest = value

        while rest >= 0x80u do
            output.Add(byte (rest ||| 0x80u))
            rest <- rest >>> 7

        output.Add(byte rest)

/// A User Property: a name and a value whose meaning the applications agree on.
[<Struct; NoComparison>]
type UserProperty =
    {
        /// The name. The same name may stand several times in a packet.
        Name: Utf8String
        /// The value.
        Value: Utf8String
    }

    /// Checks name and value and throws <see cref="T:System.ArgumentException"/> for one that cannot travel.
    static member Of(name: string, value: string) = { Name = Utf8String.Of name; Value = Utf8String.Of value }

/// The User Properties of a packet, in order and with duplicates [MQTT-3.3.2-18].
[<Sealed; AllowNullLiteral(false)>]
type UserProperties private (wire: Bytes, count: int) =
    inherit WireList<UserProperty>(wire, count)

    override _.ReadAt offset =
        let struct (name, next) = Wire.string wire.Span (offset + 1)
        let struct (value, next) = Wire.string wire.Span next
        struct ({ Name = name; Value = value }, next)

    /// The list of these properties, in this order.
    static member Of(properties: seq<UserProperty>) =
        let output = List<byte>()
        let mutable count = 0

        for property in properties do
            output.Add(byte PropertyId.UserProperty)
            Wire.addString output property.Name
            Wire.addString output property.Value
            count <- count + 1

        UserProperties(Bytes.OfArray(output.ToArray()), count)

    // For bytes that the grammar has checked: identifier, name and value of each property.
    static member internal OfValid(wire: Bytes, count: int) = UserProperties(wire, count)

/// The Subscription Identifiers of a PUBLISH from a server: those of the subscriptions that caused it
/// [MQTT-3.3.4-3] [MQTT-3.3.4-4], each from 1 to 268,435,455, in order and with duplicates.
[<Sealed; AllowNullLiteral(false)>]
type SubscriptionIdentifiers private (wire: Bytes, count: int) =
    inherit WireList<uint32>(wire, count)

    override _.ReadAt offset = Wire.variableByteInteger wire.Span (offset + 1)

    /// The list of these identifiers, in this order; throws <see cref="T:System.ArgumentOutOfRangeException"/>
    /// for one outside of 1 to 268,435,455.
    static member Of(identifiers: seq<uint32>) =
        let rule = Spec.property PropertyId.SubscriptionIdentifier
        let output = List<byte>()
        let mutable count = 0

        for identifier in identifiers do
            ArgumentOutOfRangeException.ThrowIfLessThan(identifier, rule.Minimum, nameof identifiers)
            ArgumentOutOfRangeException.ThrowIfGreaterThan(identifier, rule.Maximum, nameof identifiers)
            output.Add(byte PropertyId.SubscriptionIdentifier)
            Wire.addVariableByteInteger output identifier
            count <- count + 1

        SubscriptionIdentifiers(Bytes.OfArray(output.ToArray()), count)

    // For bytes that the grammar has checked: identifier byte and value of each.
    static member internal OfValid(wire: Bytes, count: int) = SubscriptionIdentifiers(wire, count)

/// A Topic Alias: 1 to 65,535 [MQTT-3.3.2-8]. The default value is not valid.
[<Struct>]
type TopicAlias =
    private
    | TopicAlias of uint16

    /// The alias as a number.
    member this.Value = let (TopicAlias value) = this in value

    /// The alias as a decimal number.
    override this.ToString() = string this.Value

    /// An alias of this number; throws <see cref="T:System.ArgumentOutOfRangeException"/> for 0.
    static member Of(value: uint16) =
        ArgumentOutOfRangeException.ThrowIfZero(value, nameof value)
        TopicAlias value

/// The enhanced authentication of CONNECT, CONNACK and AUTH (section 4.12). Data without a method is a
/// Protocol Error, so the two are one value.
[<NoComparison>]
type Authentication =
    {
        /// The name of the method.
        Method: Utf8String
        /// The data of this step; what it holds is up to the method. Never shown.
        Data: Secret voption
    }

/// The properties of CONNECT (section 3.1.2.11). A property that is not given is <c>ValueNone</c>.
[<NoComparison>]
type ConnectProperties =
    {
        /// How long the session outlives the connection, in seconds; absent: it does not; 4,294,967,295: for ever.
        SessionExpiryInterval: uint32<s> voption
        /// How many messages of QoS 1 and 2 the client takes at a time, 1 to 65,535; absent: 65,535.
        ReceiveMaximum: uint16 voption
        /// The largest packet that the client takes, in bytes, at least 1; absent: no limit.
        MaximumPacketSize: uint32 voption
        /// The greatest Topic Alias that the client takes; absent: none.
        TopicAliasMaximum: uint16 voption
        /// Whether the client asks for Response Information; absent: no.
        RequestResponseInformation: bool voption
        /// Whether the client wants Reason Strings and User Properties with failures; absent: yes.
        RequestProblemInformation: bool voption
        /// User Properties, in order.
        UserProperties: UserProperties
        /// The method and the data of enhanced authentication; absent: none.
        Authentication: Authentication voption
    }

/// The Will Properties of CONNECT (section 3.1.3.2).
[<NoComparison>]
type WillProperties =
    {
        /// How long the server waits before it publishes the Will Message, in seconds; absent: 0.
        WillDelayInterval: uint32<s> voption
        /// Whether the payload is UTF-8; absent: unspecified bytes.
        PayloadFormatIndicator: bool voption
        /// How long the Will Message lives once it is published, in seconds; absent: for ever.
        MessageExpiryInterval: uint32<s> voption
        /// What the payload is; the applications agree on it.
        ContentType: Utf8String voption
        /// Where to send an answer.
        ResponseTopic: TopicName voption
        /// What an answer has to carry.
        CorrelationData: Bytes voption
        /// User Properties, in order.
        UserProperties: UserProperties
    }

/// The properties of CONNACK (section 3.2.2.3).
[<NoComparison>]
type ConnackProperties =
    {
        /// The Session Expiry Interval that the server uses instead of the client's, in seconds.
        SessionExpiryInterval: uint32<s> voption
        /// How many messages of QoS 1 and 2 the server takes at a time, 1 to 65,535; absent: 65,535.
        ReceiveMaximum: uint16 voption
        /// The greatest QoS that the server takes, 0 or 1; absent: 2.
        MaximumQoS: QoS voption
        /// Whether the server keeps retained messages; absent: yes.
        RetainAvailable: bool voption
        /// The largest packet that the server takes, in bytes, at least 1; absent: no limit.
        MaximumPacketSize: uint32 voption
        /// The Client Identifier that the server assigned.
        AssignedClientIdentifier: Utf8String voption
        /// The greatest Topic Alias that the server takes; absent: none.
        TopicAliasMaximum: uint16 voption
        /// What happened, for people.
        ReasonString: Utf8String voption
        /// User Properties, in order.
        UserProperties: UserProperties
        /// Whether wildcards may be used in subscriptions; absent: yes.
        WildcardSubscriptionAvailable: bool voption
        /// Whether Subscription Identifiers may be used; absent: yes.
        SubscriptionIdentifierAvailable: bool voption
        /// Whether shared subscriptions may be used; absent: yes.
        SharedSubscriptionAvailable: bool voption
        /// The Keep Alive to use instead of the client's, in seconds; 0 turns it off.
        ServerKeepAlive: uint16<s> voption
        /// A hint for building Response Topics.
        ResponseInformation: Utf8String voption
        /// Another server to use.
        ServerReference: Utf8String voption
        /// The method and the last data of enhanced authentication.
        Authentication: Authentication voption
    }

/// The properties of PUBLISH (section 3.3.2.3), without the Topic Alias, which is part of the topic.
[<NoComparison>]
type PublishProperties =
    {
        /// Whether the payload is UTF-8; absent: unspecified bytes.
        PayloadFormatIndicator: bool voption
        /// How long the message lives, in seconds; absent: for ever.
        MessageExpiryInterval: uint32<s> voption
        /// Where to send an answer.
        ResponseTopic: TopicName voption
        /// What an answer has to carry.
        CorrelationData: Bytes voption
        /// User Properties, in order.
        UserProperties: UserProperties
        /// The identifiers of the subscriptions that caused the delivery; only from a server.
        SubscriptionIdentifiers: SubscriptionIdentifiers
        /// What the payload is; the applications agree on it.
        ContentType: Utf8String voption
    }

/// The properties of PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK.
[<NoComparison>]
type AcknowledgementProperties =
    {
        /// What happened, for people.
        ReasonString: Utf8String voption
        /// User Properties, in order.
        UserProperties: UserProperties
    }

/// The properties of SUBSCRIBE (section 3.8.2.1).
[<NoComparison>]
type SubscribeProperties =
    {
        /// A number that the server sends with every message that these subscriptions cause, 1 to 268,435,455.
        SubscriptionIdentifier: uint32 voption
        /// User Properties, in order.
        UserProperties: UserProperties
    }

/// The properties of DISCONNECT (section 3.14.2.2).
[<NoComparison>]
type DisconnectProperties =
    {
        /// The Session Expiry Interval from now on, in seconds; only from a client [MQTT-3.14.2-2].
        SessionExpiryInterval: uint32<s> voption
        /// What happened, for people.
        ReasonString: Utf8String voption
        /// User Properties, in order.
        UserProperties: UserProperties
        /// Another server to use; only from a server.
        ServerReference: Utf8String voption
    }

// The values without properties. They are values of a module, and not of their types: the types of a file that have static
// values begin each other's initialization, so that one of two threads may come by before a value is there.
module internal EmptyProperties =
    let userProperties = UserProperties.OfValid(Bytes.Empty, 0)

    let subscriptionIdentifiers = SubscriptionIdentifiers.OfValid(Bytes.Empty, 0)

    let connectProperties: ConnectProperties =
        {
            SessionExpiryInterval = ValueNone
            ReceiveMaximum = ValueNone
            MaximumPacketSize = ValueNone
            TopicAliasMaximum = ValueNone
            RequestResponseInformation = ValueNone
            RequestProblemInformation = ValueNone
            UserProperties = userProperties
            Authentication = ValueNone
        }

    let willProperties: WillProperties =
        {
            WillDelayInterval = ValueNone
            PayloadFormatIndicator = ValueNone
            MessageExpiryInterval = ValueNone
            ContentType = ValueNone
            ResponseTopic = ValueNone
            CorrelationData = ValueNone
            UserProperties = userProperties
        }

    let connackProperties: ConnackProperties =
        {
            SessionExpiryInterval = ValueNone
            ReceiveMaximum = ValueNone
            MaximumQoS = ValueNone
            RetainAvailable = ValueNone
            MaximumPacketSize = ValueNone
            AssignedClientIdentifier = ValueNone
            TopicAliasMaximum = ValueNone
            ReasonString = ValueNone
            UserProperties = userProperties
            WildcardSubscriptionAvailable = ValueNone
            SubscriptionIdentifierAvailable = ValueNone
            SharedSubscriptionAvailable = ValueNone
            ServerKeepAlive = ValueNone
            ResponseInformation = ValueNone
            ServerReference = ValueNone
            Authentication = ValueNone
        }

    let publishProperties: PublishProperties =
        {
            PayloadFormatIndicator = ValueNone
            MessageExpiryInterval = ValueNone
            ResponseTopic = ValueNone
            CorrelationData = ValueNone
            UserProperties = userProperties
            SubscriptionIdentifiers = subscriptionIdentifiers
            ContentType = ValueNone
        }

    let acknowledgementProperties: AcknowledgementProperties =
        { ReasonString = ValueNone; UserProperties = userProperties }

    let subscribeProperties: SubscribeProperties =
        { SubscriptionIdentifier = ValueNone; UserProperties = userProperties }

    let disconnectProperties: DisconnectProperties =
        {
            SessionExpiryInterval = ValueNone
            ReasonString = ValueNone
            UserProperties = userProperties
            ServerReference = ValueNone
        }

type UserProperties with

    /// No User Property.
    static member Empty = EmptyProperties.userProperties

type SubscriptionIdentifiers with

    /// No Subscription Identifier.
    static member Empty = EmptyProperties.subscriptionIdentifiers

type ConnectProperties with

    /// No property.
    static member Empty = EmptyProperties.connectProperties

type WillProperties with

    /// No property.
    static member Empty = EmptyProperties.willProperties

type ConnackProperties with

    /// No property.
    static member Empty = EmptyProperties.connackProperties

type PublishProperties with

    /// No property.
    static member Empty = EmptyProperties.publishProperties

    /// The bytes of the properties that may be long: all but those of a fixed length.
    member this.ContentBytes: int64 =
        if obj.ReferenceEquals(this, EmptyProperties.publishProperties) then
            0L
        else
            let response =
                match this.ResponseTopic with
                | ValueSome topic -> topic.Utf8.Length
                | ValueNone -> 0

            let correlation =
                match this.CorrelationData with
                | ValueSome data -> data.Length
                | ValueNone -> 0

            let contentType =
                match this.ContentType with
                | ValueSome text -> text.ByteCount
                | ValueNone -> 0

            int64 response
            + int64 correlation
            + int64 contentType
            + int64 this.UserProperties.Wire.Length
            + int64 this.SubscriptionIdentifiers.Wire.Length

type AcknowledgementProperties with

    /// No property.
    static member Empty = EmptyProperties.acknowledgementProperties

type SubscribeProperties with

    /// No property.
    static member Empty = EmptyProperties.subscribeProperties

type DisconnectProperties with

    /// No property.
    static member Empty = EmptyProperties.disconnectProperties
