namespace Mqtt5

/// The tables of the standard as data. Grammar, encoder, notation, explanations, test generators and
/// documentation read them, so that a fact stands here and nowhere else. All of it is immutable; do not
/// change the arrays.
[<RequireQualifiedAccess>]
module Spec =

    /// The Protocol Name of CONNECT [MQTT-3.1.2-1].
    [<Literal>]
    let ProtocolName = "MQTT"

    /// The Protocol Version of CONNECT [MQTT-3.1.2-2].
    [<Literal>]
    let ProtocolVersion = 5uy

    /// The greatest Variable Byte Integer, and so the greatest Remaining Length (section 1.5.5).
    [<Literal>]
    let MaximumVariableByteInteger = 268_435_455

    /// The size in bytes of the largest packet: the greatest Remaining Length and a fixed header of five bytes.
    [<Literal>]
    let MaximumPacketBytes = 268_435_460

    /// The greatest number of bytes in a string or in binary data (sections 1.5.4 and 1.5.6).
    [<Literal>]
    let MaximumStringBytes = 65_535

    /// A Session Expiry Interval that never ends, in seconds (section 3.1.2.11.2).
    [<Literal>]
    let NoExpiry = 0xFFFF_FFFFu

    /// The scope of a packet's own properties.
    let scopeOf (packetType: PacketType) : Scope = enum (1 <<< int packetType)

    let private connectProperties =
        [|
            PropertyId.SessionExpiryInterval
            PropertyId.ReceiveMaximum
            PropertyId.MaximumPacketSize
            PropertyId.TopicAliasMaximum
            PropertyId.RequestResponseInformation
            PropertyId.RequestProblemInformation
            PropertyId.UserProperty
            PropertyId.AuthenticationMethod
            PropertyId.AuthenticationData
        |]

    let private connackProperties =
        [|
            PropertyId.SessionExpiryInterval
            PropertyId.ReceiveMaximum
            PropertyId.MaximumQoS
            PropertyId.RetainAvailable
            PropertyId.MaximumPacketSize
            PropertyId.AssignedClientIdentifier
            PropertyId.TopicAliasMaximum
            PropertyId.ReasonString
            PropertyId.UserProperty
            PropertyId.WildcardSubscriptionAvailable
            PropertyId.SubscriptionIdentifierAvailable
            PropertyId.SharedSubscriptionAvailable
            PropertyId.ServerKeepAlive
            PropertyId.ResponseInformation
            PropertyId.ServerReference
            PropertyId.AuthenticationMethod
            PropertyId.AuthenticationData
        |]

    let private publishProperties =
        [|
            PropertyId.PayloadFormatIndicator
            PropertyId.MessageExpiryInterval
            PropertyId.TopicAlias
            PropertyId.ResponseTopic
            PropertyId.CorrelationData
            PropertyId.UserProperty
            PropertyId.SubscriptionIdentifier
            PropertyId.ContentType
        |]

    let private acknowledgementProperties = [| PropertyId.ReasonString; PropertyId.UserProperty |]

    /// The Will Properties of CONNECT in the order of section 3.1.3.2.
    let willProperties =
        [|
            PropertyId.WillDelayInterval
            PropertyId.PayloadFormatIndicator
            PropertyId.MessageExpiryInterval
            PropertyId.ContentType
            PropertyId.ResponseTopic
            PropertyId.CorrelationData
            PropertyId.UserProperty
        |]

    /// A rule for each of the sixteen packet types, at the index of its number.
    let packets: PacketRule[] =
        let rule kind name flags clause client server properties =
            {
                Type = kind
                Name = name
                Flags = flags
                FlagsClause = clause
                FromClient = client
                FromServer = server
                Properties = properties
            }

        let acknowledgement kind name flags clause =
            rule kind name flags clause true true acknowledgementProperties

        let fixedFlags = "MQTT-2.1.3-1"

        [|
            rule PacketType.Reserved "RESERVED" 0 fixedFlags false false [||]
            rule PacketType.Connect "CONNECT" 0 fixedFlags true false connectProperties
            rule PacketType.Connack "CONNACK" 0 fixedFlags false true connackProperties
            rule PacketType.Publish "PUBLISH" -1 fixedFlags true true publishProperties
            acknowledgement PacketType.Puback "PUBACK" 0 fixedFlags
            acknowledgement PacketType.Pubrec "PUBREC" 0 fixedFlags
            acknowledgement PacketType.Pubrel "PUBREL" 2 "MQTT-3.6.1-1"
            acknowledgement PacketType.Pubcomp "PUBCOMP" 0 fixedFlags
            rule
                PacketType.Subscribe
                "SUBSCRIBE"
                2
                "MQTT-3.8.1-1"
                true
                false
                [| PropertyId.SubscriptionIdentifier; PropertyId.UserProperty |]
            rule PacketType.Suback "SUBACK" 0 fixedFlags false true acknowledgementProperties
            rule
                PacketType.Unsubscribe
                "UNSUBSCRIBE"
                2
                "MQTT-3.10.1-1"
                true
                false
                [| PropertyId.UserProperty |]
            rule PacketType.Unsuback "UNSUBACK" 0 fixedFlags false true acknowledgementProperties
            rule PacketType.Pingreq "PINGREQ" 0 fixedFlags true false [||]
            rule PacketType.Pingresp "PINGRESP" 0 fixedFlags false true [||]
            rule
                PacketType.Disconnect
                "DISCONNECT"
                0
                "MQTT-3.14.1-1"
                true
                true
                [|
                    PropertyId.SessionExpiryInterval
                    PropertyId.ReasonString
                    PropertyId.UserProperty
                    PropertyId.ServerReference
                |]
            rule
                PacketType.Auth
                "AUTH"
                0
                "MQTT-3.15.1-1"
                true
                true
                [|
                    PropertyId.AuthenticationMethod
                    PropertyId.AuthenticationData
                    PropertyId.ReasonString
                    PropertyId.UserProperty
                |]
        |]

    /// The rule of a packet type.
    let packet (packetType: PacketType) : PacketRule = packets[int packetType &&& 15]

    /// True when a packet of this type may travel this way.
    let mayTravel (direction: Direction) (packetType: PacketType) : bool =
        match direction with
        | ClientToServer -> (packet packetType).FromClient
        | ServerToClient -> (packet packetType).FromServer

    /// The properties that may stand in a scope, in the order of the standard's sections.
    let propertiesOf (scope: Scope) : PropertyId[] =
        if scope = Scope.Will then
            willProperties
        else
            match packets |> Array.tryFind (fun rule -> scopeOf rule.Type = scope) with
            | Some rule -> rule.Properties
            | None -> [||]

    let private scopesOf (id: PropertyId) =
        let ofPackets =
            packets
            |> Array.filter (fun rule -> Array.contains id rule.Properties)
            |> Array.fold (fun scopes rule -> scopes ||| scopeOf rule.Type) Scope.None

        if Array.contains id willProperties then
            ofPackets ||| Scope.Will
        else
            ofPackets

    /// A rule for each of the 27 properties, in the order of their identifiers.
    let properties: PropertyRule[] =
        let rule id name title shape minimum maximum clause =
            {
                Id = id
                Name = name
                Title = title
                Shape = shape
                Scopes = scopesOf id
                Repeatable = Scope.None
                Minimum = minimum
                Maximum = maximum
                RangeReason = ReasonCode.ProtocolError
                Clause = clause
            }

        let text id name title clause = rule id name title Shape.Utf8EncodedString 0u 0u clause
        let binary id name title clause = rule id name title Shape.BinaryData 0u 0u clause
        let switch id name title clause = rule id name title Shape.Switch 0u 1u clause
        let two id name title minimum clause = rule id name title Shape.TwoByteInteger minimum 65_535u clause

        let four id name title minimum clause =
            rule id name title Shape.FourByteInteger minimum 0xFFFF_FFFFu clause

        [|
            switch
                PropertyId.PayloadFormatIndicator
                "PayloadFormatIndicator"
                "Payload Format Indicator"
                "3.3.2.3.2"
            four
                PropertyId.MessageExpiryInterval
                "MessageExpiryInterval"
                "Message Expiry Interval"
                0u
                "3.3.2.3.3"
            text PropertyId.ContentType "ContentType" "Content Type" "MQTT-3.3.2-19"
            rule
                PropertyId.ResponseTopic
                "ResponseTopic"
                "Response Topic"
                Shape.TopicNameString
                0u
                0u
                "MQTT-3.3.2-14"
            binary PropertyId.CorrelationData "CorrelationData" "Correlation Data" "3.3.2.3.6"
            { rule
                  PropertyId.SubscriptionIdentifier
                  "SubscriptionIdentifier"
                  "Subscription Identifier"
                  Shape.VariableByteInteger
                  1u
                  (uint32 MaximumVariableByteInteger)
                  "3.8.2.1.2" with
                Repeatable = Scope.Publish
            }
            four
                PropertyId.SessionExpiryInterval
                "SessionExpiryInterval"
                "Session Expiry Interval"
                0u
                "3.1.2.11.2"
            text
                PropertyId.AssignedClientIdentifier
                "AssignedClientIdentifier"
                "Assigned Client Identifier"
                "3.2.2.3.7"
            two PropertyId.ServerKeepAlive "ServerKeepAlive" "Server Keep Alive" 0u "3.2.2.3.14"
            text PropertyId.AuthenticationMethod "AuthenticationMethod" "Authentication Method" "3.1.2.11.9"
            binary PropertyId.AuthenticationData "AuthenticationData" "Authentication Data" "3.1.2.11.10"
            switch
                PropertyId.RequestProblemInformation
                "RequestProblemInformation"
                "Request Problem Information"
                "3.1.2.11.7"
            four PropertyId.WillDelayInterval "WillDelayInterval" "Will Delay Interval" 0u "3.1.3.2.2"
            switch
                PropertyId.RequestResponseInformation
                "RequestResponseInformation"
                "Request Response Information"
                "3.1.2.11.6"
            text PropertyId.ResponseInformation "ResponseInformation" "Response Information" "3.2.2.3.15"
            text PropertyId.ServerReference "ServerReference" "Server Reference" "3.2.2.3.16"
            text PropertyId.ReasonString "ReasonString" "Reason String" "3.2.2.3.9"
            two PropertyId.ReceiveMaximum "ReceiveMaximum" "Receive Maximum" 1u "3.1.2.11.3"
            two PropertyId.TopicAliasMaximum "TopicAliasMaximum" "Topic Alias Maximum" 0u "3.1.2.11.5"
            { two PropertyId.TopicAlias "TopicAlias" "Topic Alias" 1u "MQTT-3.3.2-8" with
                RangeReason = ReasonCode.TopicAliasInvalid
            }
            rule PropertyId.MaximumQoS "MaximumQoS" "Maximum QoS" Shape.Byte 0u 1u "3.2.2.3.4"
            switch PropertyId.RetainAvailable "RetainAvailable" "Retain Available" "3.2.2.3.5"
            { rule
                  PropertyId.UserProperty
                  "UserProperty"
                  "User Property"
                  Shape.Utf8StringPair
                  0u
                  0u
                  "MQTT-1.5.7-1" with
                Repeatable = scopesOf PropertyId.UserProperty
            }
            four PropertyId.MaximumPacketSize "MaximumPacketSize" "Maximum Packet Size" 1u "3.1.2.11.4"
            switch
                PropertyId.WildcardSubscriptionAvailable
                "WildcardSubscriptionAvailable"
                "Wildcard Subscription Available"
                "3.2.2.3.11"
            switch
                PropertyId.SubscriptionIdentifierAvailable
                "SubscriptionIdentifierAvailable"
                "Subscription Identifier Available"
                "3.2.2.3.12"
            switch
                PropertyId.SharedSubscriptionAvailable
                "SharedSubscriptionAvailable"
                "Shared Subscription Available"
                "3.2.2.3.13"
        |]

    let private propertyIndex: PropertyRule voption[] =
        Array.init 256 (fun id ->
            match properties |> Array.tryFind (fun rule -> int rule.Id = id) with
            | Some rule -> ValueSome rule
            | None -> ValueNone)

    /// The rule of the property with this number, if the standard defines one.
    let tryProperty (id: byte) : PropertyRule voption = propertyIndex[int id]

    /// The rule of a property.
    let property (id: PropertyId) : PropertyRule =
        match propertyIndex[int id] with
        | ValueSome rule -> rule
        | ValueNone -> invalidArg (nameof id) "no property of the standard has this identifier"

    /// The statement that forbids a property in one direction though its packet may travel that way, or
    /// <c>ValueNone</c> where nothing forbids it. The breach is a Protocol Error.
    let forbiddenFrom (direction: Direction) (scope: Scope) (id: PropertyId) : string voption =
        match direction, scope, id with
        | ClientToServer, Scope.Publish, PropertyId.SubscriptionIdentifier -> ValueSome "MQTT-3.3.4-6"
        | ServerToClient, Scope.Disconnect, PropertyId.SessionExpiryInterval -> ValueSome "MQTT-3.14.2-2"
        | ClientToServer, Scope.Disconnect, PropertyId.ServerReference -> ValueSome "3.14.2.2.5"
        | _ -> ValueNone

    /// A rule for each reason code, in ascending order.
    let reasons: ReasonRule[] = SpecReasons.rules

    let private reasonIndex: ReasonRule voption[] =
        Array.init 256 (fun code ->
            match reasons |> Array.tryFind (fun rule -> int rule.Code = code) with
            | Some rule -> ValueSome rule
            | None -> ValueNone)

    /// The rule of the reason code with this number, if the standard defines one.
    let tryReason (code: byte) : ReasonRule voption = reasonIndex[int code]

    /// True when a reason code may be sent in a packet of this type in this direction.
    let reasonAllowed (direction: Direction) (packetType: PacketType) (code: ReasonCode) : bool =
        match reasonIndex[int code] with
        | ValueNone -> false
        | ValueSome rule ->
            let senders =
                match direction with
                | ClientToServer -> rule.FromClient
                | ServerToClient -> rule.FromServer

            senders &&& scopeOf packetType <> Scope.None

    /// The name that the standard gives a reason code in a packet of this type: 0x00 is
    /// "Normal disconnection" in DISCONNECT and "Granted QoS 0" in SUBACK.
    let reasonTitle (packetType: PacketType) (code: ReasonCode) : string =
        match packetType, code with
        | PacketType.Disconnect, ReasonCode.Success -> "Normal disconnection"
        | PacketType.Suback, ReasonCode.Success -> "Granted QoS 0"
        | _ ->
            match reasonIndex[int code] with
            | ValueSome rule -> rule.Title
            | ValueNone -> "unknown reason code"

    /// The statement that limits the reason codes of a packet type.
    let reasonClause (packetType: PacketType) : string =
        match packetType with
        | PacketType.Connack -> "MQTT-3.2.2-8"
        | PacketType.Puback -> "MQTT-3.4.2-1"
        | PacketType.Pubrec -> "MQTT-3.5.2-1"
        | PacketType.Pubrel -> "MQTT-3.6.2-1"
        | PacketType.Pubcomp -> "MQTT-3.7.2-1"
        | PacketType.Suback -> "MQTT-3.9.3-2"
        | PacketType.Unsuback -> "MQTT-3.11.3-2"
        | PacketType.Disconnect -> "MQTT-3.14.2-1"
        | PacketType.Auth -> "MQTT-3.15.2-1"
        | _ -> "2.4"

    /// A rule for each version, the newest first.
    let versions: VersionRule[] = SpecVersions.rules

    /// The rule of a version.
    let version (version: ProtocolVersion) : VersionRule =
        match version with
        | ProtocolVersion.V5 -> versions[0]
        | ProtocolVersion.V311 -> versions[1]
        | ProtocolVersion.V31 -> versions[2]

    // AUTH is a reserved type [MQTT3-2.2.2-2], and a server sends no DISCONNECT. MQTT 3.1 defines no flags but
    // those of PUBLISH and lets DUP be set elsewhere, so they are not judged.
    let private packetsBefore5 (version: ProtocolVersion) : PacketRule[] =
        packets
        |> Array.map (fun rule ->
            { rule with
                Flags =
                    if version.IsV31 && rule.Type <> PacketType.Reserved then
                        -1
                    else
                        rule.Flags
                FromClient = rule.FromClient && rule.Type <> PacketType.Auth
                FromServer =
                    rule.FromServer
                    && rule.Type <> PacketType.Auth
                    && rule.Type <> PacketType.Disconnect
                Properties = [||]
            })

    let private packetsOfV311 = packetsBefore5 Mqtt5.ProtocolVersion.V311
    let private packetsOfV31 = packetsBefore5 Mqtt5.ProtocolVersion.V31

    /// The rule of a packet type in a version. A type that the version reserves travels in no direction; the flags
    /// are -1 where the version judges none. <c>FlagsClause</c> is that of MQTT 5; <c>clauseIn</c> has the other.
    let packetIn (version: ProtocolVersion) (packetType: PacketType) : PacketRule =
        match version with
        | ProtocolVersion.V5 -> packet packetType
        | ProtocolVersion.V311 -> packetsOfV311[int packetType &&& 15]
        | ProtocolVersion.V31 -> packetsOfV31[int packetType &&& 15]

    /// True when a packet of this type may travel this way in a version.
    let mayTravelIn (version: ProtocolVersion) (direction: Direction) (packetType: PacketType) : bool =
        match direction with
        | ClientToServer -> (packetIn version packetType).FromClient
        | ServerToClient -> (packetIn version packetType).FromServer

    /// A rule for each return code of CONNACK before MQTT 5, at the index of its number.
    let returnCodes: ReturnCodeRule[] = SpecVersions.returnCodes

    /// The rule of a return code of CONNACK before MQTT 5, if there is one of this number.
    let tryReturnCode (code: byte) : ReturnCodeRule voption =
        if int code < returnCodes.Length then
            ValueSome returnCodes[int code]
        else
            ValueNone

    let private returnCodeOfReason: ReturnCodeRule voption[] =
        Array.init 256 (fun code ->
            match
                returnCodes
                |> Array.tryFind (fun rule ->
                    rule.Says |> Array.contains (LanguagePrimitives.EnumOfValue(byte code)))
            with
            | Some rule -> ValueSome rule
            | None -> ValueNone)

    /// The return code for a reason code of CONNACK, for a client before MQTT 5, or <c>ValueNone</c> where none fits:
    /// then the connection is closed without CONNACK [MQTT3-3.2.2-6].
    let returnCodeOf (reason: ReasonCode) : ReturnCodeRule voption = returnCodeOfReason[int reason]

    /// True when a reason code may stand in a packet of this type in a version: before MQTT 5 those that stand for a
    /// return code of CONNACK, and in SUBACK the three granted QoS and, in 3.1.1, Unspecified error, which is 0x80
    /// [MQTT3-3.9.3-2]. No other packet has codes then.
    let reasonAllowedIn
        (version: ProtocolVersion)
        (direction: Direction)
        (packetType: PacketType)
        (code: ReasonCode)
        : bool =
        match version, packetType, direction with
        | ProtocolVersion.V5, _, _ -> reasonAllowed direction packetType code
        | _, PacketType.Connack, ServerToClient ->
            match returnCodeOf code with
            | ValueSome rule -> rule.Reason = code
            | ValueNone -> false
        | _, PacketType.Suback, ServerToClient ->
            code <= ReasonCode.GrantedQoS2
            || (version.IsV311 && code = ReasonCode.UnspecifiedError)
        | _ -> code = ReasonCode.Success

    let private clausesBefore5 = dict SpecVersions.counterparts

    /// The counterpart in a version of a statement or section of MQTT 5, as <c>MQTT3-3.3.2-2</c> before MQTT 5; itself
    /// where it has no counterpart. MQTT 3.1 has no numbered statements, so those of 3.1.1 are cited.
    let clauseIn (version: ProtocolVersion) (clause: string) : string =
        match version with
        | ProtocolVersion.V5 -> clause
        | _ ->
            match clausesBefore5.TryGetValue clause with
            | true, counterpart -> counterpart
            | _ -> clause
