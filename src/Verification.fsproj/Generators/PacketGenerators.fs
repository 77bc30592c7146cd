/// Generators of packets, built from the tables in <c>Spec</c>: every packet that <c>Encode.check</c> accepts in
/// its direction can come, with all properties and all reason codes. Text, topics and bytes come from
/// <c>TextGenerators</c>, shrinking from <c>PacketShrinking</c>.
module Mqtt5.Verification.PacketGenerators

open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Verification.TextGenerators

/// The value of a property, by the shape that <c>Spec</c> gives it.
[<RequireQualifiedAccess; NoComparison>]
type PropertyValue =
    /// A Byte, an integer of two or four bytes, or a Variable Byte Integer.
    | Number of uint32
    /// A UTF-8 Encoded String.
    | Text of Utf8String
    /// A UTF-8 Encoded String that is a Topic Name.
    | Topic of TopicName
    /// Binary Data.
    | Binary of Bytes
    /// All User Properties of a packet, in order.
    | Pairs of UserProperties
    /// All Subscription Identifiers of a PUBLISH, in order.
    | Numbers of SubscriptionIdentifiers

let private subscriptionIdentifiers (rule: PropertyRule) =
    gen {
        let! count = mixed 4 (Gen.choose (5, 40)) (Gen.choose (1, 4))
        let! identifiers = Gen.listOfLength count (number rule.Minimum rule.Maximum)
        return SubscriptionIdentifiers.Of identifiers
    }

/// Any valid value of a property in a scope.
let propertyValue (scope: Scope) (rule: PropertyRule) : Gen<PropertyValue> =
    match rule.Shape with
    | Shape.Byte
    | Shape.Switch
    | Shape.TwoByteInteger
    | Shape.FourByteInteger -> Gen.map PropertyValue.Number (number rule.Minimum rule.Maximum)
    | Shape.VariableByteInteger when rule.Repeatable &&& scope <> Scope.None ->
        Gen.map PropertyValue.Numbers (subscriptionIdentifiers rule)
    | Shape.VariableByteInteger -> Gen.map PropertyValue.Number (number rule.Minimum rule.Maximum)
    | Shape.Utf8EncodedString -> Gen.map PropertyValue.Text utf8String
    | Shape.TopicNameString -> Gen.map PropertyValue.Topic topicName
    | Shape.BinaryData -> Gen.map PropertyValue.Binary bytes
    | Shape.Utf8StringPair -> Gen.map PropertyValue.Pairs userProperties

// Data of an authentication needs its method, and AUTH always names one.
let private withMethod (scope: Scope) (ids: PropertyId list) =
    if
        (scope = Scope.Auth || List.contains PropertyId.AuthenticationData ids)
        && not (List.contains PropertyId.AuthenticationMethod ids)
    then
        PropertyId.AuthenticationMethod :: ids
    else
        ids

/// A set of properties for a scope: none, all, or any of those that may travel in this direction.
let propertySet (direction: Direction) (scope: Scope) : Gen<Map<PropertyId, PropertyValue>> =
    let allowed =
        Spec.propertiesOf scope
        |> Array.filter (fun id -> (Spec.forbiddenFrom direction scope id).IsNone)
        |> List.ofArray

    gen {
        let! some = Gen.subListOf allowed
        let! ids = Gen.frequency [ 2, Gen.constant []; 1, Gen.constant allowed; 7, Gen.constant some ]

        let! values =
            withMethod scope ids
            |> List.map (fun id -> propertyValue scope (Spec.property id) |> Gen.map (fun value -> id, value))
            |> Gen.sequenceToList

        return Map.ofList values
    }

// Reads a set by identifier. A value of another shape is a mistake in this file and fails.
type private PropertySet(values: Map<PropertyId, PropertyValue>) =

    let find id (choose: PropertyValue -> 'T) =
        match Map.tryFind id values with
        | Some value -> ValueSome(choose value)
        | None -> ValueNone

    let number =
        function
        | PropertyValue.Number value -> value
        | other -> failwith $"no number: {other}"

    let text =
        function
        | PropertyValue.Text value -> value
        | other -> failwith $"no text: {other}"

    let binary =
        function
        | PropertyValue.Binary value -> value
        | other -> failwith $"no binary data: {other}"

    member _.Switch id = find id (fun value -> number value = 1u)
    member _.UInt16 id = find id (fun value -> uint16 (number value))
    member _.UInt32 id = find id number

    member _.ShortSeconds id =
        find id (fun value -> LanguagePrimitives.UInt16WithMeasure<s>(uint16 (number value)))

    member _.Seconds id = find id (fun value -> LanguagePrimitives.UInt32WithMeasure<s>(number value))

    member _.QoS id = find id (fun value -> LanguagePrimitives.EnumOfValue<byte, QoS>(byte (number value)))

    member _.Text id = find id text
    member _.Binary id = find id binary

    member _.Topic id =
        find id (function
            | PropertyValue.Topic value -> value
            | other -> failwith $"no topic: {other}")

    member _.Alias = find PropertyId.TopicAlias (fun value -> TopicAlias.Of(uint16 (number value)))

    member _.UserProperties =
        match Map.tryFind PropertyId.UserProperty values with
        | Some(PropertyValue.Pairs list) -> list
        | Some other -> failwith $"no pairs: {other}"
        | None -> UserProperties.Empty

    member _.SubscriptionIdentifiers =
        match Map.tryFind PropertyId.SubscriptionIdentifier values with
        | Some(PropertyValue.Numbers list) -> list
        | Some other -> failwith $"no numbers: {other}"
        | None -> SubscriptionIdentifiers.Empty

    member _.Authentication: Authentication voption =
        find PropertyId.AuthenticationMethod (fun value ->
            { Method = text value; Data = find PropertyId.AuthenticationData (binary >> Secret) })

let private properties direction scope = Gen.map PropertySet (propertySet direction scope)

/// The reason codes that a packet of this type may carry in this direction.
let reasonsOf (direction: Direction) (packetType: PacketType) : ReasonCode list =
    [
        for rule in Spec.reasons do
            if Spec.reasonAllowed direction packetType rule.Code then
                rule.Code
    ]

/// Any reason code that a packet of this type may carry in this direction.
let reason (direction: Direction) (packetType: PacketType) : Gen<ReasonCode> =
    Gen.elements (reasonsOf direction packetType)

/// Any Packet Identifier.
let packetId: Gen<PacketId> = Gen.map (uint16 >> PacketId.Of) (number 1u 65_535u)

let private flag = Gen.elements [ false; true ]

let private qos = Gen.elements [ QoS.AtMostOnce; QoS.AtLeastOnce; QoS.ExactlyOnce ]

let private maybe (generator: Gen<'T>) : Gen<'T voption> =
    Gen.frequency [ 1, Gen.constant ValueNone; 2, Gen.map ValueSome generator ]

// What promises to be UTF-8 is.
let private payloadFor (indicator: bool voption) =
    match indicator with
    | ValueSome true -> textBytes
    | _ -> payload

let private clientId = text |> Gen.map (fun text -> ClientId.Of(if text = "" then "c" else text))

let private will =
    gen {
        let! set = properties ClientToServer Scope.Will
        let! qos = qos
        let! retain = flag
        let! topic = topicName
        let indicator = set.Switch PropertyId.PayloadFormatIndicator
        let! payload = payloadFor indicator

        return
            {
                QoS = qos
                Retain = retain
                Properties =
                    {
                        WillDelayInterval = set.Seconds PropertyId.WillDelayInterval
                        PayloadFormatIndicator = indicator
                        MessageExpiryInterval = set.Seconds PropertyId.MessageExpiryInterval
                        ContentType = set.Text PropertyId.ContentType
                        ResponseTopic = set.Topic PropertyId.ResponseTopic
                        CorrelationData = set.Binary PropertyId.CorrelationData
                        UserProperties = set.UserProperties
                    }
                Topic = topic
                Payload = payload
            }
    }

/// Any CONNECT.
let connect: Gen<Connect> =
    gen {
        let! set = properties ClientToServer Scope.Connect
        let! cleanStart = flag
        let! keepAlive = number 0u 65_535u
        let! clientId = maybe clientId
        let! will = maybe will
        let! userName = maybe utf8String
        let! password = maybe (Gen.map Secret bytes)

        return
            {
                CleanStart = cleanStart
                KeepAlive = LanguagePrimitives.UInt16WithMeasure<s>(uint16 keepAlive)
                Properties =
                    {
                        SessionExpiryInterval = set.Seconds PropertyId.SessionExpiryInterval
                        ReceiveMaximum = set.UInt16 PropertyId.ReceiveMaximum
                        MaximumPacketSize = set.UInt32 PropertyId.MaximumPacketSize
                        TopicAliasMaximum = set.UInt16 PropertyId.TopicAliasMaximum
                        RequestResponseInformation = set.Switch PropertyId.RequestResponseInformation
                        RequestProblemInformation = set.Switch PropertyId.RequestProblemInformation
                        UserProperties = set.UserProperties
                        Authentication = set.Authentication
                    }
                ClientId = clientId
                Will = will
                UserName = userName
                Password = password
            }
    }

/// Any CONNACK.
let connack: Gen<Connack> =
    gen {
        let! set = properties ServerToClient Scope.Connack
        let! any = reason ServerToClient PacketType.Connack
        let! reason = Gen.elements [ ReasonCode.Success; any ]
        let! present = flag

        return
            {
                SessionPresent = present && reason = ReasonCode.Success
                Reason = reason
                Properties =
                    {
                        SessionExpiryInterval = set.Seconds PropertyId.SessionExpiryInterval
                        ReceiveMaximum = set.UInt16 PropertyId.ReceiveMaximum
                        MaximumQoS = set.QoS PropertyId.MaximumQoS
                        RetainAvailable = set.Switch PropertyId.RetainAvailable
                        MaximumPacketSize = set.UInt32 PropertyId.MaximumPacketSize
                        AssignedClientIdentifier = set.Text PropertyId.AssignedClientIdentifier
                        TopicAliasMaximum = set.UInt16 PropertyId.TopicAliasMaximum
                        ReasonString = set.Text PropertyId.ReasonString
                        UserProperties = set.UserProperties
                        WildcardSubscriptionAvailable = set.Switch PropertyId.WildcardSubscriptionAvailable
                        SubscriptionIdentifierAvailable =
                            set.Switch PropertyId.SubscriptionIdentifierAvailable
                        SharedSubscriptionAvailable = set.Switch PropertyId.SharedSubscriptionAvailable
                        ServerKeepAlive = set.ShortSeconds PropertyId.ServerKeepAlive
                        ResponseInformation = set.Text PropertyId.ResponseInformation
                        ServerReference = set.Text PropertyId.ServerReference
                        Authentication = set.Authentication
                    }
            }
    }

let private delivery =
    gen {
        let! qos = qos
        let! id = packetId
        let! dup = flag

        return
            match qos with
            | QoS.AtLeastOnce -> Delivery.AtLeastOnce(id, dup)
            | QoS.ExactlyOnce -> Delivery.ExactlyOnce(id, dup)
            | _ -> Delivery.AtMostOnce
    }

/// Any PUBLISH that is valid in this direction.
let publish (direction: Direction) : Gen<Publish> =
    gen {
        let! set = properties direction Scope.Publish
        let! delivery = delivery
        let! retain = flag
        let! name = topicName
        let! aliasOnly = flag
        let indicator = set.Switch PropertyId.PayloadFormatIndicator
        let! payload = payloadFor indicator

        let topic =
            match set.Alias with
            | ValueSome alias when aliasOnly -> TopicReference.Alias alias
            | ValueSome alias -> TopicReference.NameAndAlias(name, alias)
            | ValueNone -> TopicReference.Name name

        return
            {
                Delivery = delivery
                Retain = retain
                Topic = topic
                Properties =
                    {
                        PayloadFormatIndicator = indicator
                        MessageExpiryInterval = set.Seconds PropertyId.MessageExpiryInterval
                        ResponseTopic = set.Topic PropertyId.ResponseTopic
                        CorrelationData = set.Binary PropertyId.CorrelationData
                        UserProperties = set.UserProperties
                        SubscriptionIdentifiers = set.SubscriptionIdentifiers
                        ContentType = set.Text PropertyId.ContentType
                    }
                Payload = payload
            }
    }

let private outcome direction packetType (full: Gen<'Properties>) : Gen<Outcome<'Properties>> =
    let code = reason direction packetType

    Gen.frequency
        [
            1, Gen.constant Outcome.Omitted
            2, Gen.map Outcome.Code code
            5, Gen.map2 (fun reason properties -> Outcome.Full(reason, properties)) code full
        ]

let private acknowledgementProperties direction packetType : Gen<AcknowledgementProperties> =
    properties direction (Spec.scopeOf packetType)
    |> Gen.map (fun set ->
        { ReasonString = set.Text PropertyId.ReasonString; UserProperties = set.UserProperties })

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
let acknowledgement (direction: Direction) (packetType: PacketType) : Gen<Acknowledgement> =
    Gen.map2
        (fun id outcome -> { PacketId = id; Outcome = outcome })
        packetId
        (outcome direction packetType (acknowledgementProperties direction packetType))

let private oneOrMore (generator: Gen<'T>) : Gen<'T list> =
    gen {
        let! count = mixed 8 (Gen.choose (5, 60)) (Gen.choose (1, 4))
        return! Gen.listOfLength count generator
    }

/// A subscription; a shared one is never No Local.
let subscriptionTo (filter: Gen<TopicFilter>) : Gen<Subscription> =
    gen {
        let! filter = filter
        let! qos = qos
        let! noLocal = flag
        let! retainAsPublished = flag

        let! handling =
            Gen.elements
                [ RetainHandling.SendAtSubscribe; RetainHandling.SendIfNew; RetainHandling.DoNotSend ]

        return
            {
                Filter = filter
                Options =
                    {
                        MaximumQoS = qos
                        NoLocal = noLocal && not filter.IsShared
                        RetainAsPublished = retainAsPublished
                        RetainHandling = handling
                    }
            }
    }

/// Any subscription.
let subscription: Gen<Subscription> = subscriptionTo topicFilter

/// Any SUBSCRIBE.
let subscribe: Gen<Subscribe> =
    gen {
        let! set = properties ClientToServer Scope.Subscribe
        let! id = packetId
        let! subscriptions = oneOrMore subscription

        return
            {
                PacketId = id
                Properties =
                    {
                        SubscriptionIdentifier = set.UInt32 PropertyId.SubscriptionIdentifier
                        UserProperties = set.UserProperties
                    }
                Subscriptions = SubscriptionList.Of subscriptions
            }
    }

/// Any UNSUBSCRIBE.
let unsubscribe: Gen<Unsubscribe> =
    gen {
        let! set = properties ClientToServer Scope.Unsubscribe
        let! id = packetId
        let! filters = oneOrMore topicFilter

        return
            {
                PacketId = id
                UserProperties = set.UserProperties
                Filters = TopicFilterList.Of filters
            }
    }

/// SUBACK or UNSUBACK.
let subscriptionAcknowledgement (packetType: PacketType) : Gen<SubscriptionAcknowledgement> =
    gen {
        let! id = packetId
        let! properties = acknowledgementProperties ServerToClient packetType
        let! reasons = oneOrMore (reason ServerToClient packetType)
        return { PacketId = id; Properties = properties; Reasons = ReasonCodeList.Of reasons }
    }

/// Any DISCONNECT that is valid in this direction.
let disconnect (direction: Direction) : Gen<Outcome<DisconnectProperties>> =
    properties direction Scope.Disconnect
    |> Gen.map (fun set ->
        {
            SessionExpiryInterval = set.Seconds PropertyId.SessionExpiryInterval
            ReasonString = set.Text PropertyId.ReasonString
            UserProperties = set.UserProperties
            ServerReference = set.Text PropertyId.ServerReference
        })
    |> outcome direction PacketType.Disconnect

/// Any AUTH that is valid in this direction.
let auth (direction: Direction) : Gen<Auth> =
    gen {
        let! set = properties direction Scope.Auth
        let! reason = reason direction PacketType.Auth

        return
            {
                Reason = reason
                Authentication = set.Authentication.Value
                ReasonString = set.Text PropertyId.ReasonString
                UserProperties = set.UserProperties
            }
    }

/// Any packet of one type that is valid in this direction.
let packetOf (packetType: PacketType) (direction: Direction) : Gen<Packet> =
    match packetType with
    | PacketType.Connect -> Gen.map Packet.Connect connect
    | PacketType.Connack -> Gen.map Packet.Connack connack
    | PacketType.Publish -> Gen.map Packet.Publish (publish direction)
    | PacketType.Puback -> Gen.map Packet.Puback (acknowledgement direction packetType)
    | PacketType.Pubrec -> Gen.map Packet.Pubrec (acknowledgement direction packetType)
    | PacketType.Pubrel -> Gen.map Packet.Pubrel (acknowledgement direction packetType)
    | PacketType.Pubcomp -> Gen.map Packet.Pubcomp (acknowledgement direction packetType)
    | PacketType.Subscribe -> Gen.map Packet.Subscribe subscribe
    | PacketType.Suback -> Gen.map Packet.Suback (subscriptionAcknowledgement packetType)
    | PacketType.Unsubscribe -> Gen.map Packet.Unsubscribe unsubscribe
    | PacketType.Unsuback -> Gen.map Packet.Unsuback (subscriptionAcknowledgement packetType)
    | PacketType.Pingreq -> Gen.constant Packet.Pingreq
    | PacketType.Pingresp -> Gen.constant Packet.Pingresp
    | PacketType.Disconnect -> Gen.map Packet.Disconnect (disconnect direction)
    | PacketType.Auth -> Gen.map Packet.Auth (auth direction)
    | other -> failwith $"no packet of type {other}"

// A ping has nothing to vary; CONNECT, CONNACK and PUBLISH have most.
let private weight (packetType: PacketType) =
    match packetType with
    | PacketType.Pingreq
    | PacketType.Pingresp -> 1
    | PacketType.Connect
    | PacketType.Connack
    | PacketType.Publish -> 5
    | _ -> 3

/// Any packet that is valid in this direction.
let packet (direction: Direction) : Gen<Packet> =
    Spec.packets
    |> Array.filter (fun rule -> Spec.mayTravel direction rule.Type)
    |> Array.map (fun rule -> weight rule.Type, packetOf rule.Type direction)
    |> Gen.frequency

/// Any packet and a direction that it is valid in.
let anyPacket: Gen<struct (Direction * Packet)> =
    gen {
        let! direction = Gen.elements [ ClientToServer; ServerToClient ]
        let! packet = packet direction
        return struct (direction, packet)
    }

// Draws what an older version can say where a packet of MQTT 5 says something else, so that nearly none is lost.
let private adapted (version: ProtocolVersion) (direction: Direction) (packet: Packet) : Gen<Packet> =
    match packet with
    | Packet.Connect connect ->
        let needsId = not connect.CleanStart || version.IsV31

        Gen.constant (
            Packet.Connect
                { connect with
                    Properties =
                        { ConnectProperties.Empty with
                            SessionExpiryInterval =
                                if connect.CleanStart then ValueNone else ValueSome 0xFFFF_FFFFu<s>
                        }
                    ClientId =
                        if connect.ClientId.IsNone && needsId then
                            ValueSome(ClientId.Of "c")
                        else
                            connect.ClientId
                    Password = if connect.UserName.IsNone then ValueNone else connect.Password
                }
        )
    | Packet.Connack connack when connack.Reason <> ReasonCode.Success ->
        Gen.elements Spec.returnCodes
        |> Gen.map (fun rule ->
            Packet.Connack
                { connack with
                    SessionPresent = connack.SessionPresent && rule.Reason = ReasonCode.Success
                    Reason = rule.Reason
                })
    | Packet.Publish({ Topic = TopicReference.Alias _ } as publish) ->
        topicName
        |> Gen.map (fun name -> Packet.Publish { publish with Topic = TopicReference.Name name })
    | Packet.Disconnect _ when direction = ClientToServer -> Gen.constant (Packet.Disconnect Outcome.Omitted)
    | _ -> Gen.constant packet

/// Any packet of one type that is valid in this direction and version. Throws
/// <see cref="T:System.ArgumentException"/> if the type does not travel in it.
let packetOfIn (version: ProtocolVersion) (packetType: PacketType) (direction: Direction) : Gen<Packet> =
    if not (Spec.mayTravelIn version direction packetType) then
        raise (
            System.ArgumentException(
                $"{packetType} does not travel {direction} in {(Spec.version version).Name}"
            )
        )

    match version with
    | ProtocolVersion.V5 -> packetOf packetType direction
    | _ ->
        packetOf packetType direction
        |> Gen.bind (adapted version direction)
        |> Gen.map (fun packet ->
            match Lowering.lower version direction packet with
            | ValueSome lowered -> lowered
            | ValueNone -> failwith $"{packet.Type} cannot be said in {(Spec.version version).Name}")

/// Any packet that is valid in this direction and version.
let packetIn (version: ProtocolVersion) (direction: Direction) : Gen<Packet> =
    Spec.packets
    |> Array.filter (fun rule -> Spec.mayTravelIn version direction rule.Type)
    |> Array.map (fun rule -> weight rule.Type, packetOfIn version rule.Type direction)
    |> Gen.frequency
