/// Packets built by hand, plain and with every property, for tests that say byte by byte what they expect.
module Mqtt5.Tests.PacketSamples

open System
open Expecto
open Mqtt5

let text (value: string) = Utf8String.Of value
let some (value: string) = ValueSome(Utf8String.Of value)
let id (number: int) = PacketId.Of(uint16 number)

let user (pairs: (string * string) list) = UserProperties.Of [ for pair in pairs -> UserProperty.Of pair ]

let kv = user [ "k", "v" ]
let bytes (hex: string) = Bytes.OfArray(Convert.FromHexString(hex.Replace(" ", "")))

let authentication name data : Authentication =
    { Method = text name; Data = ValueOption.map (fun hex -> Secret(bytes hex)) data }

let plainConnect: Connect =
    {
        CleanStart = true
        KeepAlive = 0us<s>
        Properties = ConnectProperties.Empty
        ClientId = ValueSome(ClientId.Of "d")
        Will = ValueNone
        UserName = ValueNone
        Password = ValueNone
    }

let plainWill: Will =
    {
        QoS = QoS.AtMostOnce
        Retain = false
        Properties = WillProperties.Empty
        Topic = TopicName.Of "w"
        Payload = Bytes.Empty
    }

let plainConnack =
    {
        SessionPresent = false
        Reason = ReasonCode.Success
        Properties = ConnackProperties.Empty
    }

let plainPublish: Publish =
    {
        Delivery = Delivery.AtMostOnce
        Retain = false
        Topic = TopicReference.Name(TopicName.Of "a")
        Properties = PublishProperties.Empty
        Payload = Bytes.Empty
    }

let acknowledged outcome : Acknowledgement = { PacketId = id 1; Outcome = outcome }

let full reason reasonString userProperties : Outcome<AcknowledgementProperties> =
    let properties: AcknowledgementProperties =
        { ReasonString = reasonString; UserProperties = userProperties }

    Outcome.Full(reason, properties)

let plainSubscribe =
    {
        PacketId = id 1
        Properties = SubscribeProperties.Empty
        Subscriptions =
            SubscriptionList.Of
                [ { Filter = TopicFilter.Of "a"; Options = SubscriptionOptions.Of QoS.AtMostOnce } ]
    }

let answered codes : SubscriptionAcknowledgement =
    {
        PacketId = id 1
        Properties = AcknowledgementProperties.Empty
        Reasons = ReasonCodeList.Of codes
    }

let plainAuth =
    {
        Reason = ReasonCode.ContinueAuthentication
        Authentication = authentication "M" ValueNone
        ReasonString = ValueNone
        UserProperties = UserProperties.Empty
    }

let allConnectProperties: ConnectProperties =
    {
        SessionExpiryInterval = ValueSome 0xFFFF_FFFFu<s>
        ReceiveMaximum = ValueSome 20us
        MaximumPacketSize = ValueSome 0x10_0000u
        TopicAliasMaximum = ValueSome 10us
        RequestResponseInformation = ValueSome true
        RequestProblemInformation = ValueSome false
        UserProperties = user [ "a", "b"; "a", "c" ]
        Authentication = ValueSome(authentication "SCRAM" (ValueSome "0102"))
    }

let allWillProperties: WillProperties =
    {
        WillDelayInterval = ValueSome 30u<s>
        PayloadFormatIndicator = ValueSome true
        MessageExpiryInterval = ValueSome 60u<s>
        ContentType = some "text"
        ResponseTopic = ValueSome(TopicName.Of "r")
        CorrelationData = ValueSome(bytes "CAFE")
        UserProperties = kv
    }

let allConnackProperties: ConnackProperties =
    {
        SessionExpiryInterval = ValueSome 120u<s>
        ReceiveMaximum = ValueSome 100us
        MaximumQoS = ValueSome QoS.AtLeastOnce
        RetainAvailable = ValueSome true
        MaximumPacketSize = ValueSome 65_536u
        AssignedClientIdentifier = some "auto-1"
        TopicAliasMaximum = ValueSome 5us
        ReasonString = some "ok"
        UserProperties = kv
        WildcardSubscriptionAvailable = ValueSome true
        SubscriptionIdentifierAvailable = ValueSome true
        SharedSubscriptionAvailable = ValueSome false
        ServerKeepAlive = ValueSome 30us<s>
        ResponseInformation = some "r/"
        ServerReference = some "h:1"
        Authentication = ValueSome(authentication "M" (ValueSome "00"))
    }

let allPublishProperties: PublishProperties =
    {
        PayloadFormatIndicator = ValueSome true
        MessageExpiryInterval = ValueSome 60u<s>
        ResponseTopic = ValueSome(TopicName.Of "r")
        CorrelationData = ValueSome(bytes "00FF")
        UserProperties = kv
        SubscriptionIdentifiers = SubscriptionIdentifiers.Of [ 1u; 128u; 268_435_455u ]
        ContentType = some "tx"
    }

let allDisconnectProperties direction : DisconnectProperties =
    {
        SessionExpiryInterval = if direction = ClientToServer then ValueSome 60u<s> else ValueNone
        ReasonString = some "bye"
        UserProperties = kv
        ServerReference = if direction = ServerToClient then some "h:1" else ValueNone
    }

let encoded direction packet : byte[] =
    match Encode.toBytes direction packet with
    | Ok bytes -> bytes
    | Error fault -> failtest (fault.ToString())

let encodedIn version direction packet : byte[] =
    match Encode.toBytesIn version direction packet with
    | Ok bytes -> bytes
    | Error fault -> failtest (fault.ToString())

/// The four acknowledgements of PUBLISH.
let acknowledgements: (PacketType * (Acknowledgement -> Packet)) list =
    [
        PacketType.Puback, Packet.Puback
        PacketType.Pubrec, Packet.Pubrec
        PacketType.Pubrel, Packet.Pubrel
        PacketType.Pubcomp, Packet.Pubcomp
    ]

let private variableByteInteger (bytes: byte[]) (at: int) : struct (int * int) =
    let mutable value = 0
    let mutable next = at
    let mutable shift = 0

    while bytes[next] >= 0x80uy do
        value <- value ||| (int (bytes[next] &&& 0x7Fuy) <<< shift)
        shift <- shift + 7
        next <- next + 1

    struct (value ||| (int bytes[next] <<< shift), next + 1)

/// The properties of a valid section one by one, cut by the shapes of the tables, and the offset after them.
/// The offset given is that of the Property Length.
let propertyItems (bytes: byte[]) (sectionAt: int) : struct (byte[] list * int) =
    let prefixed at = at + 2 + (int bytes[at] <<< 8) + int bytes[at + 1]

    let rec items at until =
        if at = until then
            []
        else
            let rule = Spec.property (LanguagePrimitives.EnumOfValue bytes[at])
            let value = at + 1

            let next =
                match rule.Shape with
                | Shape.Byte
                | Shape.Switch -> value + 1
                | Shape.TwoByteInteger -> value + 2
                | Shape.FourByteInteger -> value + 4
                | Shape.VariableByteInteger ->
                    let struct (_, next) = variableByteInteger bytes value
                    next
                | Shape.Utf8EncodedString
                | Shape.TopicNameString
                | Shape.BinaryData -> prefixed value
                | Shape.Utf8StringPair -> prefixed (prefixed value)

            bytes[at .. next - 1] :: items next until

    let struct (length, first) = variableByteInteger bytes sectionAt
    struct (items first (first + length), first + length)

/// The offset after the fixed header of a valid frame.
let bodyAt (frame: byte[]) : int =
    let struct (_, body) = variableByteInteger frame 1
    body

/// A Variable Byte Integer in its shortest form.
let rec shortest (value: int) : byte[] =
    if value < 128 then
        [| byte value |]
    else
        Array.append [| byte (value &&& 127 ||| 128) |] (shortest (value >>> 7))

/// A frame of this first byte and body, with the Remaining Length that the body has.
let framed (first: byte) (body: byte[]) : byte[] = Array.concat [ [| first |]; shortest body.Length; body ]
