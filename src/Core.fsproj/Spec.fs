namespace Mqtt5

/// What the standard says of a packet type (tables 2-1 and 2-2).
type PacketRule =
    {
        /// The packet type.
        Type: PacketType
        /// Its name as the standard writes it, such as <c>CONNACK</c>.
        Name: string
        /// The one value that bits 3 to 0 of the first byte may have; -1 for PUBLISH, whose bits carry meaning.
        Flags: int
        /// The statement that fixes the flags.
        FlagsClause: string
        /// True when a client may send it.
        FromClient: bool
        /// True when a server may send it.
        FromServer: bool
        /// Its properties in the order of the standard's sections, which is the order that this codec writes.
        Properties: PropertyId[]
    }

/// What the standard says of a property (table 2-4 and the sections of the packets).
type PropertyRule =
    {
        /// The identifier on the wire.
        Id: PropertyId
        /// The name in one word, as in notation: <c>SessionExpiryInterval</c>.
        Name: string
        /// The name as the standard writes it: <c>Session Expiry Interval</c>.
        Title: string
        /// The form of its value.
        Shape: Shape
        /// Where it may stand.
        Scopes: Scope
        /// Where it may stand more than once.
        Repeatable: Scope
        /// The least number allowed; 0 where the value is no number.
        Minimum: uint32
        /// The greatest number allowed; 0 where the value is no number.
        Maximum: uint32
        /// The reason code for a number outside of the range.
        RangeReason: ReasonCode
        /// The statement or the section that sets the range and forbids repetition.
        Clause: string
    }

/// What the standard says of a reason code (table 2-6 and the sections of the packets).
type ReasonRule =
    {
        /// The code.
        Code: ReasonCode
        /// The name in one word, as in notation: <c>NotAuthorized</c>.
        Name: string
        /// The name as the standard writes it: <c>Not authorized</c>.
        Title: string
        /// What it means, in a sentence for people.
        Description: string
        /// The packets in which a client may send it.
        FromClient: Scope
        /// The packets in which a server may send it.
        FromServer: Scope
    }

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
    let reasons: ReasonRule[] =
        let none = Scope.None
        let published = Scope.Puback ||| Scope.Pubrec
        let released = Scope.Pubrel ||| Scope.Pubcomp

        let rule code name title fromClient fromServer description =
            {
                Code = code
                Name = name
                Title = title
                Description = description
                FromClient = fromClient
                FromServer = fromServer
            }

        let both code name title fromBoth fromServer description =
            rule code name title fromBoth (fromBoth ||| fromServer) description

        [|
            both
                ReasonCode.Success
                "Success"
                "Success"
                (published ||| released ||| Scope.Disconnect)
                (Scope.Connack ||| Scope.Suback ||| Scope.Unsuback ||| Scope.Auth)
                "The operation succeeded; in DISCONNECT the connection ends normally; in SUBACK QoS 0 is granted."
            rule
                ReasonCode.GrantedQoS1
                "GrantedQoS1"
                "Granted QoS 1"
                none
                Scope.Suback
                "The subscription is granted QoS 1."
            rule
                ReasonCode.GrantedQoS2
                "GrantedQoS2"
                "Granted QoS 2"
                none
                Scope.Suback
                "The subscription is granted QoS 2."
            rule
                ReasonCode.DisconnectWithWillMessage
                "DisconnectWithWillMessage"
                "Disconnect with Will Message"
                Scope.Disconnect
                none
                "The client leaves and wants the server to publish its Will Message all the same."
            rule
                ReasonCode.NoMatchingSubscribers
                "NoMatchingSubscribers"
                "No matching subscribers"
                none
                published
                "The message is accepted, but no subscription matches its topic."
            rule
                ReasonCode.NoSubscriptionExisted
                "NoSubscriptionExisted"
                "No subscription existed"
                none
                Scope.Unsuback
                "The client had no subscription to this Topic Filter."
            both
                ReasonCode.ContinueAuthentication
                "ContinueAuthentication"
                "Continue authentication"
                Scope.Auth
                none
                "The authentication needs another step."
            rule
                ReasonCode.ReAuthenticate
                "ReAuthenticate"
                "Re-authenticate"
                Scope.Auth
                none
                "The client starts to authenticate again."
            both
                ReasonCode.UnspecifiedError
                "UnspecifiedError"
                "Unspecified error"
                (published ||| Scope.Disconnect)
                (Scope.Connack ||| Scope.Suback ||| Scope.Unsuback)
                "It failed, and the sender does not tell why or no other code fits."
            both
                ReasonCode.MalformedPacket
                "MalformedPacket"
                "Malformed Packet"
                Scope.Disconnect
                Scope.Connack
                "The packet could not be parsed by the rules of the standard."
            both
                ReasonCode.ProtocolError
                "ProtocolError"
                "Protocol Error"
                Scope.Disconnect
                Scope.Connack
                "The packet could be parsed, but what it says or when it came is not allowed."
            both
                ReasonCode.ImplementationSpecificError
                "ImplementationSpecificError"
                "Implementation specific error"
                (published ||| Scope.Disconnect)
                (Scope.Connack ||| Scope.Suback ||| Scope.Unsuback)
                "The packet is valid, but this implementation does not accept it."
            rule
                ReasonCode.UnsupportedProtocolVersion
                "UnsupportedProtocolVersion"
                "Unsupported Protocol Version"
                none
                Scope.Connack
                "The server does not speak the version of the protocol that the client asked for."
            rule
                ReasonCode.ClientIdentifierNotValid
                "ClientIdentifierNotValid"
                "Client Identifier not valid"
                none
                Scope.Connack
                "The Client Identifier is a valid string, but the server does not accept it."
            rule
                ReasonCode.BadUserNameOrPassword
                "BadUserNameOrPassword"
                "Bad User Name or Password"
                none
                Scope.Connack
                "The server does not accept the user name or the password."
            both
                ReasonCode.NotAuthorized
                "NotAuthorized"
                "Not authorized"
                published
                (Scope.Connack ||| Scope.Suback ||| Scope.Unsuback ||| Scope.Disconnect)
                "The client may not do this."
            rule
                ReasonCode.ServerUnavailable
                "ServerUnavailable"
                "Server unavailable"
                none
                Scope.Connack
                "The server is not available."
            rule
                ReasonCode.ServerBusy
                "ServerBusy"
                "Server busy"
                none
                (Scope.Connack ||| Scope.Disconnect)
                "The server is busy; the client may try again later."
            rule
                ReasonCode.Banned
                "Banned"
                "Banned"
                none
                Scope.Connack
                "The client is banned by an administrator."
            rule
                ReasonCode.ServerShuttingDown
                "ServerShuttingDown"
                "Server shutting down"
                none
                Scope.Disconnect
                "The server shuts down."
            // Table 2-6 lists 0x8C for DISCONNECT, table 3-10 does not; servers send it when a
            // re-authentication fails.
            rule
                ReasonCode.BadAuthenticationMethod
                "BadAuthenticationMethod"
                "Bad authentication method"
                none
                (Scope.Connack ||| Scope.Disconnect)
                "The authentication method is not supported, or not the one in use."
            rule
                ReasonCode.KeepAliveTimeout
                "KeepAliveTimeout"
                "Keep Alive timeout"
                none
                Scope.Disconnect
                "The server received nothing for one and a half times the Keep Alive."
            rule
                ReasonCode.SessionTakenOver
                "SessionTakenOver"
                "Session taken over"
                none
                Scope.Disconnect
                "Another connection uses the same Client Identifier."
            rule
                ReasonCode.TopicFilterInvalid
                "TopicFilterInvalid"
                "Topic Filter invalid"
                none
                (Scope.Suback ||| Scope.Unsuback ||| Scope.Disconnect)
                "The Topic Filter is well formed, but the server does not accept it."
            both
                ReasonCode.TopicNameInvalid
                "TopicNameInvalid"
                "Topic Name invalid"
                (published ||| Scope.Disconnect)
                Scope.Connack
                "The Topic Name is well formed, but the receiver does not accept it."
            both
                ReasonCode.PacketIdentifierInUse
                "PacketIdentifierInUse"
                "Packet Identifier in use"
                published
                (Scope.Suback ||| Scope.Unsuback)
                "The Packet Identifier is in use; the two sides disagree on the session state."
            both
                ReasonCode.PacketIdentifierNotFound
                "PacketIdentifierNotFound"
                "Packet Identifier not found"
                released
                none
                "The Packet Identifier is not known; during recovery this is no error."
            both
                ReasonCode.ReceiveMaximumExceeded
                "ReceiveMaximumExceeded"
                "Receive Maximum exceeded"
                Scope.Disconnect
                none
                "More messages are under way than the receiver announced to take."
            both
                ReasonCode.TopicAliasInvalid
                "TopicAliasInvalid"
                "Topic Alias invalid"
                Scope.Disconnect
                none
                "The Topic Alias is 0 or above the maximum that the receiver announced."
            both
                ReasonCode.PacketTooLarge
                "PacketTooLarge"
                "Packet too large"
                Scope.Disconnect
                Scope.Connack
                "The packet is larger than the receiver accepts."
            both
                ReasonCode.MessageRateTooHigh
                "MessageRateTooHigh"
                "Message rate too high"
                Scope.Disconnect
                none
                "Messages arrive faster than the receiver accepts."
            both
                ReasonCode.QuotaExceeded
                "QuotaExceeded"
                "Quota exceeded"
                (published ||| Scope.Disconnect)
                (Scope.Connack ||| Scope.Suback)
                "A limit of the implementation or of its administrator is exceeded."
            both
                ReasonCode.AdministrativeAction
                "AdministrativeAction"
                "Administrative action"
                Scope.Disconnect
                none
                "An administrator closed the connection."
            both
                ReasonCode.PayloadFormatInvalid
                "PayloadFormatInvalid"
                "Payload format invalid"
                (published ||| Scope.Disconnect)
                Scope.Connack
                "The payload is not of the format that the Payload Format Indicator promises."
            rule
                ReasonCode.RetainNotSupported
                "RetainNotSupported"
                "Retain not supported"
                none
                (Scope.Connack ||| Scope.Disconnect)
                "The server does not keep retained messages."
            // Table 3-10 gives 0x9B to the server only, section 3.3.4 has the client send it as well.
            both
                ReasonCode.QoSNotSupported
                "QoSNotSupported"
                "QoS not supported"
                Scope.Disconnect
                Scope.Connack
                "The QoS is above the Maximum QoS that the receiver announced."
            rule
                ReasonCode.UseAnotherServer
                "UseAnotherServer"
                "Use another server"
                none
                (Scope.Connack ||| Scope.Disconnect)
                "The client should use another server for now."
            rule
                ReasonCode.ServerMoved
                "ServerMoved"
                "Server moved"
                none
                (Scope.Connack ||| Scope.Disconnect)
                "The client should use another server from now on."
            rule
                ReasonCode.SharedSubscriptionsNotSupported
                "SharedSubscriptionsNotSupported"
                "Shared Subscriptions not supported"
                none
                (Scope.Suback ||| Scope.Disconnect)
                "The server has no shared subscriptions for this client."
            rule
                ReasonCode.ConnectionRateExceeded
                "ConnectionRateExceeded"
                "Connection rate exceeded"
                none
                (Scope.Connack ||| Scope.Disconnect)
                "Connections arrive faster than the server accepts."
            rule
                ReasonCode.MaximumConnectTime
                "MaximumConnectTime"
                "Maximum connect time"
                none
                Scope.Disconnect
                "The connection was open for as long as the server allows."
            rule
                ReasonCode.SubscriptionIdentifiersNotSupported
                "SubscriptionIdentifiersNotSupported"
                "Subscription Identifiers not supported"
                none
                (Scope.Suback ||| Scope.Disconnect)
                "The server has no Subscription Identifiers."
            rule
                ReasonCode.WildcardSubscriptionsNotSupported
                "WildcardSubscriptionsNotSupported"
                "Wildcard Subscriptions not supported"
                none
                (Scope.Suback ||| Scope.Disconnect)
                "The server has no wildcard subscriptions for this client."
        |]

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
