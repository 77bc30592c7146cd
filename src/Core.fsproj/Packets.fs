namespace Mqtt5

open System
open System.Collections.Generic

/// A Packet Identifier: 1 to 65,535 (section 2.2.1). The default value is not valid.
[<Struct>]
type PacketId =
    private
    | PacketId of uint16

    /// The identifier as a number.
    member this.Value = let (PacketId value) = this in value

    /// The identifier as a decimal number.
    override this.ToString() = string this.Value

    /// An identifier of this number; throws <see cref="T:System.ArgumentOutOfRangeException"/> for 0.
    static member Of(value: uint16) =
        ArgumentOutOfRangeException.ThrowIfZero(value, nameof value)
        PacketId value

    // For a number that is known not to be 0.
    static member internal OfValid(value: uint16) = PacketId value

/// A Will Message (section 3.1.2.5): what the server publishes when the connection ends without a normal
/// DISCONNECT.
[<NoComparison>]
type Will =
    {
        /// The QoS it is published with.
        QoS: QoS
        /// Whether it is published as a retained message.
        Retain: bool
        /// The Will Properties.
        Properties: WillProperties
        /// The Will Topic.
        Topic: TopicName
        /// The Will Payload.
        Payload: Bytes
    }

/// CONNECT (section 3.1). Protocol Name and Version are those of the version that it is laid out in. Before MQTT 5 a
/// CleanSession of 1 is a Clean Start of 1 and no Session Expiry Interval [MQTT3-3.1.2-6], a CleanSession of 0 a Clean
/// Start of 0 and a Session Expiry Interval of 4,294,967,295 [MQTT3-3.1.2-4].
[<NoComparison>]
type Connect =
    {
        /// Whether an existing session is thrown away.
        CleanStart: bool
        /// The Keep Alive in seconds; 0: off.
        KeepAlive: uint16<s>
        /// The properties.
        Properties: ConnectProperties
        /// The Client Identifier; absent, which is empty on the wire: the server assigns one.
        ClientId: ClientId voption
        /// The Will Message; absent: none.
        Will: Will voption
        /// The User Name; may be present and empty.
        UserName: Utf8String voption
        /// The Password; may be present and empty, also without a User Name. Never shown.
        Password: Secret voption
    }

/// CONNACK (section 3.2).
[<NoComparison>]
type Connack =
    {
        /// Whether the server goes on with an existing session; only with reason code 0x00 [MQTT-3.2.2-6].
        SessionPresent: bool
        /// Success, or why the connection is refused.
        Reason: ReasonCode
        /// The properties.
        Properties: ConnackProperties
    }

/// The topic of a PUBLISH: named, abbreviated, or both to set an abbreviation (section 3.3.2.3.4). A PUBLISH
/// without either cannot be expressed.
[<RequireQualifiedAccess; NoComparison>]
type TopicReference =
    /// A Topic Name.
    | Name of Name: TopicName
    /// A Topic Name, and the Topic Alias that stands for it from now on.
    | NameAndAlias of Name: TopicName * Alias: TopicAlias
    /// The Topic Name that was set for this Topic Alias earlier on the connection.
    | Alias of Alias: TopicAlias

/// How a PUBLISH is delivered: its QoS and what belongs to it. QoS 0 has neither identifier [MQTT-2.2.1-2] nor
/// DUP [MQTT-3.3.1-2].
[<Struct; RequireQualifiedAccess; NoComparison>]
type Delivery =
    /// QoS 0.
    | AtMostOnce
    /// QoS 1.
    | AtLeastOnce of Id: PacketId * Dup: bool
    /// QoS 2.
    | ExactlyOnce of Id: PacketId * Dup: bool

    /// The QoS.
    member this.QoS =
        match this with
        | AtMostOnce -> QoS.AtMostOnce
        | AtLeastOnce _ -> QoS.AtLeastOnce
        | ExactlyOnce _ -> QoS.ExactlyOnce

    /// The Packet Identifier; <c>ValueNone</c> at QoS 0.
    member this.PacketId =
        match this with
        | AtMostOnce -> ValueNone
        | AtLeastOnce(id, _)
        | ExactlyOnce(id, _) -> ValueSome id

    /// The DUP flag.
    member this.IsDup =
        match this with
        | AtMostOnce -> false
        | AtLeastOnce(_, dup)
        | ExactlyOnce(_, dup) -> dup

/// PUBLISH (section 3.3).
[<NoComparison>]
type Publish =
    {
        /// QoS, Packet Identifier and DUP.
        Delivery: Delivery
        /// The RETAIN flag.
        Retain: bool
        /// The topic.
        Topic: TopicReference
        /// The properties, without the Topic Alias.
        Properties: PublishProperties
        /// The payload. It borrows the memory of the frame it was parsed from.
        Payload: Bytes
    }

/// Reason code and properties of the packets that may leave out their end (sections 3.4.2.1 and 3.14.2.1).
/// The three forms are distinct on the wire and mean the same where they say the same.
[<RequireQualifiedAccess; NoComparison>]
type Outcome<'Properties> =
    /// Neither reason code nor properties: success.
    | Omitted
    /// A reason code without properties.
    | Code of Reason: ReasonCode
    /// A reason code and a property section.
    | Full of Reason: ReasonCode * Properties: 'Properties

    /// The reason code; success when it is left out.
    member this.Reason =
        match this with
        | Omitted -> ReasonCode.Success
        | Code reason
        | Full(reason, _) -> reason

    /// The properties, if the packet has a property section.
    member this.Properties =
        match this with
        | Full(_, properties) -> ValueSome properties
        | Omitted
        | Code _ -> ValueNone

/// PUBACK, PUBREC, PUBREL or PUBCOMP (sections 3.4 to 3.7).
[<NoComparison>]
type Acknowledgement =
    {
        /// The identifier of the PUBLISH.
        PacketId: PacketId
        /// Reason code and properties.
        Outcome: Outcome<AcknowledgementProperties>
    }

/// What a server does with retained messages when a client subscribes (section 3.8.3.1).
type RetainHandling =
    /// It sends them at every SUBSCRIBE.
    | SendAtSubscribe = 0uy
    /// It sends them only if the subscription is new.
    | SendIfNew = 1uy
    /// It does not send them.
    | DoNotSend = 2uy

/// The Subscription Options (section 3.8.3.1).
[<Struct; NoComparison>]
type SubscriptionOptions =
    {
        /// The greatest QoS that the server may use for this subscription.
        MaximumQoS: QoS
        /// Whether the client's own messages are left out.
        NoLocal: bool
        /// Whether forwarded messages keep the RETAIN flag that they were published with.
        RetainAsPublished: bool
        /// What happens to retained messages.
        RetainHandling: RetainHandling
    }

    /// The options as the byte of the SUBSCRIBE payload.
    member this.Byte =
        byte this.MaximumQoS
        ||| (if this.NoLocal then 0x04uy else 0uy)
        ||| (if this.RetainAsPublished then 0x08uy else 0uy)
        ||| (byte this.RetainHandling <<< 4)

    // For a byte whose reserved bits and values were checked.
    static member internal OfValid(options: byte) =
        {
            MaximumQoS = LanguagePrimitives.EnumOfValue(options &&& 0x03uy)
            NoLocal = options &&& 0x04uy <> 0uy
            RetainAsPublished = options &&& 0x08uy <> 0uy
            RetainHandling = LanguagePrimitives.EnumOfValue((options >>> 4) &&& 0x03uy)
        }

    /// This QoS, and all else off or 0.
    static member Of(maximumQoS: QoS) =
        {
            MaximumQoS = maximumQoS
            NoLocal = false
            RetainAsPublished = false
            RetainHandling = RetainHandling.SendAtSubscribe
        }

/// A Topic Filter with its options, as in the payload of SUBSCRIBE.
[<Struct; NoComparison>]
type Subscription =
    {
        /// What is subscribed to.
        Filter: TopicFilter
        /// How.
        Options: SubscriptionOptions
    }

/// The payload of SUBSCRIBE: at least one subscription [MQTT-3.8.3-2], each with options that exist
/// [MQTT-3.8.3-5], none of them both shared and No Local [MQTT-3.8.3-4].
[<Sealed; AllowNullLiteral(false)>]
type SubscriptionList private (wire: Bytes, count: int) =
    inherit WireList<Subscription>(wire, count)

    override _.ReadAt offset =
        let length = Wire.twoByteInteger wire.Span offset
        let options = offset + 2 + length

        struct ({
                    Filter = TopicFilter.OfValid(wire.Span.Slice(offset + 2, length))
                    Options = SubscriptionOptions.OfValid wire.Span[options]
                },
                options + 1)

    /// Checks the subscriptions and lists them in this order. The fault blames the caller.
    static member Create(subscriptions: seq<Subscription>) : Result<SubscriptionList, Fault> =
        let output = List<byte>()
        let mutable count = 0
        let mutable problem = ValueNone

        let fault field clause detail =
            ValueSome(Fault.caller ReasonCode.ProtocolError PacketType.Subscribe field clause detail)

        // An enumeration can hold any number, and the two here share a byte with the flags.
        let problemOf (subscription: Subscription) =
            let options = subscription.Options

            if options.MaximumQoS > QoS.ExactlyOnce then
                fault "Subscription Options" "3.8.3.1" "the Maximum QoS of a subscription is 0, 1 or 2"
            elif options.RetainHandling > RetainHandling.DoNotSend then
                fault "Subscription Options" "3.8.3.1" "the Retain Handling of a subscription is 0, 1 or 2"
            elif options.NoLocal && subscription.Filter.IsShared then
                fault "Subscription Options" "MQTT-3.8.3-4" "a shared subscription cannot have No Local"
            else
                ValueNone

        for subscription in subscriptions do
            Wire.addTwoByteInteger output subscription.Filter.Utf8.Length
            output.AddRange(subscription.Filter.Utf8.Span)
            output.Add subscription.Options.Byte
            count <- count + 1

            if problem.IsNone then
                problem <- problemOf subscription

        if count = 0 then
            problem <- fault "Topic Filter" "MQTT-3.8.3-2" "SUBSCRIBE has at least one Topic Filter"

        match problem with
        | ValueSome fault -> Error fault
        | ValueNone -> Ok(SubscriptionList(Bytes.OfArray(output.ToArray()), count))

    /// As <c>Create</c>, but throws <see cref="T:System.ArgumentException"/> instead of returning a fault.
    static member Of(subscriptions: seq<Subscription>) : SubscriptionList =
        TextRules.orThrow (SubscriptionList.Create subscriptions)

    // For bytes that the grammar has checked.
    static member internal OfValid(wire: Bytes, count: int) = SubscriptionList(wire, count)

    // The subscriptions from an offset of the wire form, up to a number of them and of bytes but at least one, and the
    // offset of the next.
    member internal _.Piece(from: int, mostItems: int, mostBytes: int) : struct (SubscriptionList * int) =
        let struct (items, next) = Wire.piece wire.Span from 1 mostItems mostBytes
        struct (SubscriptionList(Bytes(wire.Memory.Slice(from, next - from)), items), next)

/// The payload of UNSUBSCRIBE: at least one Topic Filter [MQTT-3.10.3-2].
[<Sealed; AllowNullLiteral(false)>]
type TopicFilterList private (wire: Bytes, count: int) =
    inherit WireList<TopicFilter>(wire, count)

    override _.ReadAt offset =
        let length = Wire.twoByteInteger wire.Span offset
        struct (TopicFilter.OfValid(wire.Span.Slice(offset + 2, length)), offset + 2 + length)

    /// Lists the filters in this order. The fault, for no filter at all, blames the caller.
    static member Create(filters: seq<TopicFilter>) : Result<TopicFilterList, Fault> =
        let output = List<byte>()
        let mutable count = 0

        for filter in filters do
            Wire.addTwoByteInteger output filter.Utf8.Length
            output.AddRange(filter.Utf8.Span)
            count <- count + 1

        if count = 0 then
            Error(
                Fault.caller
                    ReasonCode.ProtocolError
                    PacketType.Unsubscribe
                    "Topic Filter"
                    "MQTT-3.10.3-2"
                    "UNSUBSCRIBE has at least one Topic Filter"
            )
        else
            Ok(TopicFilterList(Bytes.OfArray(output.ToArray()), count))

    /// As <c>Create</c>, but throws <see cref="T:System.ArgumentException"/> instead of returning a fault.
    static member Of(filters: seq<TopicFilter>) : TopicFilterList =
        TextRules.orThrow (TopicFilterList.Create filters)

    // For bytes that the grammar has checked.
    static member internal OfValid(wire: Bytes, count: int) = TopicFilterList(wire, count)

    // As for a SUBSCRIBE.
    member internal _.Piece(from: int, mostItems: int, mostBytes: int) : struct (TopicFilterList * int) =
        let struct (items, next) = Wire.piece wire.Span from 0 mostItems mostBytes
        struct (TopicFilterList(Bytes(wire.Memory.Slice(from, next - from)), items), next)

/// The payload of SUBACK or UNSUBACK: a reason code for each Topic Filter, in the order of the request. An UNSUBACK
/// before MQTT 5 has none.
[<Sealed; AllowNullLiteral(false)>]
type ReasonCodeList private (wire: Bytes) =
    inherit WireList<ReasonCode>(wire, wire.Length)

    override _.ReadAt offset = struct (LanguagePrimitives.EnumOfValue wire.Span[offset], offset + 1)

    /// The list of these codes, in this order. Which codes a packet may carry is checked when it is encoded.
    static member Of(codes: seq<ReasonCode>) =
        ReasonCodeList(Bytes.OfArray(codes |> Seq.map byte |> Seq.toArray))

    // For bytes that the grammar has checked.
    static member internal OfValid(wire: Bytes) = ReasonCodeList wire

// A value of a module, and not of the type: see EmptyProperties.
module internal NoReasonCodes =
    let value = ReasonCodeList.OfValid Bytes.Empty

type ReasonCodeList with

    /// No code, as an UNSUBACK before MQTT 5 has it.
    static member Empty = NoReasonCodes.value

/// SUBSCRIBE (section 3.8).
[<NoComparison>]
type Subscribe =
    {
        /// The Packet Identifier.
        PacketId: PacketId
        /// The properties.
        Properties: SubscribeProperties
        /// What is subscribed to, in order.
        Subscriptions: SubscriptionList
    }

/// SUBACK or UNSUBACK (sections 3.9 and 3.11).
[<NoComparison>]
type SubscriptionAcknowledgement =
    {
        /// The identifier of the SUBSCRIBE or UNSUBSCRIBE [MQTT-2.2.1-6].
        PacketId: PacketId
        /// The properties.
        Properties: AcknowledgementProperties
        /// The reason codes, one for each Topic Filter; none in an UNSUBACK before MQTT 5.
        Reasons: ReasonCodeList
    }

/// UNSUBSCRIBE (section 3.10).
[<NoComparison>]
type Unsubscribe =
    {
        /// The Packet Identifier.
        PacketId: PacketId
        /// User Properties, in order.
        UserProperties: UserProperties
        /// The Topic Filters, in order.
        Filters: TopicFilterList
    }

/// AUTH (section 3.15).
[<NoComparison>]
type Auth =
    {
        /// Success, Continue authentication or Re-authenticate.
        Reason: ReasonCode
        /// The method, which every AUTH has to name, and the data of this step.
        Authentication: Authentication
        /// What happened, for people.
        ReasonString: Utf8String voption
        /// User Properties, in order.
        UserProperties: UserProperties
    }

/// A control packet (chapter 3). What MQTT 3.1.1 and 3.1 lay out otherwise is held in the terms of MQTT 5: a return code
/// of CONNACK as the reason code that stands for it, a SUBACK of 0x80 as Unspecified error, a missing property as absent.
[<RequireQualifiedAccess; NoComparison>]
type Packet =
    /// A client asks for a connection.
    | Connect of Connect: Connect
    /// The server answers a CONNECT.
    | Connack of Connack: Connack
    /// An application message.
    | Publish of Publish: Publish
    /// Acknowledges a PUBLISH of QoS 1.
    | Puback of Acknowledgement: Acknowledgement
    /// Acknowledges a PUBLISH of QoS 2, first part.
    | Pubrec of Acknowledgement: Acknowledgement
    /// Releases a PUBLISH of QoS 2, second part.
    | Pubrel of Acknowledgement: Acknowledgement
    /// Completes a PUBLISH of QoS 2, third part.
    | Pubcomp of Acknowledgement: Acknowledgement
    /// A client subscribes.
    | Subscribe of Subscribe: Subscribe
    /// The server answers a SUBSCRIBE.
    | Suback of SubscriptionAcknowledgement: SubscriptionAcknowledgement
    /// A client unsubscribes.
    | Unsubscribe of Unsubscribe: Unsubscribe
    /// The server answers an UNSUBSCRIBE.
    | Unsuback of SubscriptionAcknowledgement: SubscriptionAcknowledgement
    /// A client asks for a sign of life.
    | Pingreq
    /// The server gives a sign of life.
    | Pingresp
    /// The last packet of a connection.
    | Disconnect of Outcome: Outcome<DisconnectProperties>
    /// A step of enhanced authentication.
    | Auth of Auth: Auth

    /// The type of the packet.
    member this.Type =
        match this with
        | Connect _ -> PacketType.Connect
        | Connack _ -> PacketType.Connack
        | Publish _ -> PacketType.Publish
        | Puback _ -> PacketType.Puback
        | Pubrec _ -> PacketType.Pubrec
        | Pubrel _ -> PacketType.Pubrel
        | Pubcomp _ -> PacketType.Pubcomp
        | Subscribe _ -> PacketType.Subscribe
        | Suback _ -> PacketType.Suback
        | Unsubscribe _ -> PacketType.Unsubscribe
        | Unsuback _ -> PacketType.Unsuback
        | Pingreq -> PacketType.Pingreq
        | Pingresp -> PacketType.Pingresp
        | Disconnect _ -> PacketType.Disconnect
        | Auth _ -> PacketType.Auth
