namespace Mqtt5

open System

/// The type of a control packet: bits 7 to 4 of its first byte (section 2.1.2).
type PacketType =
    /// 0: reserved, never sent.
    | Reserved = 0uy
    /// 1: a client asks for a connection.
    | Connect = 1uy
    /// 2: the server answers a CONNECT.
    | Connack = 2uy
    /// 3: an application message, either way.
    | Publish = 3uy
    /// 4: acknowledges a PUBLISH of QoS 1.
    | Puback = 4uy
    /// 5: acknowledges a PUBLISH of QoS 2, first part.
    | Pubrec = 5uy
    /// 6: releases a PUBLISH of QoS 2, second part.
    | Pubrel = 6uy
    /// 7: completes a PUBLISH of QoS 2, third part.
    | Pubcomp = 7uy
    /// 8: a client subscribes.
    | Subscribe = 8uy
    /// 9: the server answers a SUBSCRIBE.
    | Suback = 9uy
    /// 10: a client unsubscribes.
    | Unsubscribe = 10uy
    /// 11: the server answers an UNSUBSCRIBE.
    | Unsuback = 11uy
    /// 12: a client asks for a sign of life.
    | Pingreq = 12uy
    /// 13: the server gives a sign of life.
    | Pingresp = 13uy
    /// 14: the last packet of a connection, either way.
    | Disconnect = 14uy
    /// 15: a step of enhanced authentication, either way.
    | Auth = 15uy

/// A version of the protocol. All versions use the packet types of MQTT 5: a version determines the layout of a
/// packet, and which of its fields can be expressed. The default value is MQTT 5.
[<Struct; RequireQualifiedAccess; NoComparison>]
type ProtocolVersion =
    /// MQTT 5: protocol level 5.
    | V5
    /// MQTT 3.1.1: protocol level 4.
    | V311
    /// MQTT 3.1: Protocol Name <c>MQIsdp</c>, protocol level 3.
    | V31

/// The protocol of a connection as its CONNECT gives it: the version, and whether the client is a bridge.
[<Struct; NoComparison>]
type Protocol =
    {
        /// The version, which lays out all packets of the connection.
        Version: ProtocolVersion
        /// True when bit 7 of the protocol level is set, as bridges do before MQTT 5 to have No Local and Retain
        /// As Published for all of their subscriptions.
        IsBridge: bool
    }

    /// MQTT 5, which is also the default value.
    static member V5 = { Version = ProtocolVersion.V5; IsBridge = false }

/// Which way a packet travels.
[<Struct>]
type Direction =
    /// From a client to a server.
    | ClientToServer
    /// From a server to a client.
    | ServerToClient

/// Which end of a connection one is.
[<Struct>]
type Role =
    /// The end that opened the connection.
    | Client
    /// The end that accepted the connection.
    | Server

/// The quality of service of a message (section 4.3).
type QoS =
    /// QoS 0: sent once, without acknowledgement.
    | AtMostOnce = 0uy
    /// QoS 1: acknowledged by PUBACK, may arrive more than once.
    | AtLeastOnce = 1uy
    /// QoS 2: acknowledged in two steps, arrives once.
    | ExactlyOnce = 2uy

/// Where properties can stand: the packets that have them, and the Will Properties in the payload of CONNECT.
/// A set of them is a combination of flags.
[<Flags>]
type Scope =
    /// Nowhere.
    | None = 0
    /// CONNECT, variable header.
    | Connect = 0x2
    /// CONNACK.
    | Connack = 0x4
    /// PUBLISH.
    | Publish = 0x8
    /// PUBACK.
    | Puback = 0x10
    /// PUBREC.
    | Pubrec = 0x20
    /// PUBREL.
    | Pubrel = 0x40
    /// PUBCOMP.
    | Pubcomp = 0x80
    /// SUBSCRIBE.
    | Subscribe = 0x100
    /// SUBACK.
    | Suback = 0x200
    /// UNSUBSCRIBE.
    | Unsubscribe = 0x400
    /// UNSUBACK.
    | Unsuback = 0x800
    /// DISCONNECT.
    | Disconnect = 0x4000
    /// AUTH.
    | Auth = 0x8000
    /// The Will Properties of CONNECT.
    | Will = 0x10000

/// The identifier of a property (table 2-4).
type PropertyId =
    /// Payload Format Indicator.
    | PayloadFormatIndicator = 0x01uy
    /// Message Expiry Interval.
    | MessageExpiryInterval = 0x02uy
    /// Content Type.
    | ContentType = 0x03uy
    /// Response Topic.
    | ResponseTopic = 0x08uy
    /// Correlation Data.
    | CorrelationData = 0x09uy
    /// Subscription Identifier.
    | SubscriptionIdentifier = 0x0Buy
    /// Session Expiry Interval.
    | SessionExpiryInterval = 0x11uy
    /// Assigned Client Identifier.
    | AssignedClientIdentifier = 0x12uy
    /// Server Keep Alive.
    | ServerKeepAlive = 0x13uy
    /// Authentication Method.
    | AuthenticationMethod = 0x15uy
    /// Authentication Data.
    | AuthenticationData = 0x16uy
    /// Request Problem Information.
    | RequestProblemInformation = 0x17uy
    /// Will Delay Interval.
    | WillDelayInterval = 0x18uy
    /// Request Response Information.
    | RequestResponseInformation = 0x19uy
    /// Response Information.
    | ResponseInformation = 0x1Auy
    /// Server Reference.
    | ServerReference = 0x1Cuy
    /// Reason String.
    | ReasonString = 0x1Fuy
    /// Receive Maximum.
    | ReceiveMaximum = 0x21uy
    /// Topic Alias Maximum.
    | TopicAliasMaximum = 0x22uy
    /// Topic Alias.
    | TopicAlias = 0x23uy
    /// Maximum QoS.
    | MaximumQoS = 0x24uy
    /// Retain Available.
    | RetainAvailable = 0x25uy
    /// User Property.
    | UserProperty = 0x26uy
    /// Maximum Packet Size.
    | MaximumPacketSize = 0x27uy
    /// Wildcard Subscription Available.
    | WildcardSubscriptionAvailable = 0x28uy
    /// Subscription Identifier Available.
    | SubscriptionIdentifierAvailable = 0x29uy
    /// Shared Subscription Available.
    | SharedSubscriptionAvailable = 0x2Auy

/// The outcome of an operation (section 2.4). Below 0x80 it is a success.
type ReasonCode =
    /// 0x00: success. In DISCONNECT: normal disconnection. In SUBACK: granted QoS 0.
    | Success = 0x00uy
    /// 0x01: the subscription is granted QoS 1.
    | GrantedQoS1 = 0x01uy
    /// 0x02: the subscription is granted QoS 2.
    | GrantedQoS2 = 0x02uy
    /// 0x04: the client disconnects and wants its Will Message to be published.
    | DisconnectWithWillMessage = 0x04uy
    /// 0x10: accepted, but no subscription matches the topic.
    | NoMatchingSubscribers = 0x10uy
    /// 0x11: there was no such subscription.
    | NoSubscriptionExisted = 0x11uy
    /// 0x18: the authentication goes on with another step.
    | ContinueAuthentication = 0x18uy
    /// 0x19: the client starts to authenticate again.
    | ReAuthenticate = 0x19uy
    /// 0x80: an error that no other code fits, or that is not to be told.
    | UnspecifiedError = 0x80uy
    /// 0x81: the packet could not be parsed.
    | MalformedPacket = 0x81uy
    /// 0x82: the packet is well formed but not allowed.
    | ProtocolError = 0x82uy
    /// 0x83: valid, but this implementation does not accept it.
    | ImplementationSpecificError = 0x83uy
    /// 0x84: the server does not speak this protocol version.
    | UnsupportedProtocolVersion = 0x84uy
    /// 0x85: the server does not accept this Client Identifier.
    | ClientIdentifierNotValid = 0x85uy
    /// 0x86: the server does not accept the user name or the password.
    | BadUserNameOrPassword = 0x86uy
    /// 0x87: not authorized.
    | NotAuthorized = 0x87uy
    /// 0x88: the server is not available.
    | ServerUnavailable = 0x88uy
    /// 0x89: the server is busy; try again later.
    | ServerBusy = 0x89uy
    /// 0x8A: this client is banned.
    | Banned = 0x8Auy
    /// 0x8B: the server shuts down.
    | ServerShuttingDown = 0x8Buy
    /// 0x8C: the authentication method is not supported or not the one in use.
    | BadAuthenticationMethod = 0x8Cuy
    /// 0x8D: nothing was received for one and a half times the Keep Alive.
    | KeepAliveTimeout = 0x8Duy
    /// 0x8E: another connection uses the same Client Identifier.
    | SessionTakenOver = 0x8Euy
    /// 0x8F: the Topic Filter is well formed but not accepted.
    | TopicFilterInvalid = 0x8Fuy
    /// 0x90: the Topic Name is well formed but not accepted.
    | TopicNameInvalid = 0x90uy
    /// 0x91: the Packet Identifier is in use.
    | PacketIdentifierInUse = 0x91uy
    /// 0x92: the Packet Identifier is not known.
    | PacketIdentifierNotFound = 0x92uy
    /// 0x93: more messages under way than the Receive Maximum.
    | ReceiveMaximumExceeded = 0x93uy
    /// 0x94: the Topic Alias is 0 or above the Topic Alias Maximum.
    | TopicAliasInvalid = 0x94uy
    /// 0x95: the packet is larger than the Maximum Packet Size.
    | PacketTooLarge = 0x95uy
    /// 0x96: messages arrive too fast.
    | MessageRateTooHigh = 0x96uy
    /// 0x97: a limit of the implementation or of its administrator is exceeded.
    | QuotaExceeded = 0x97uy
    /// 0x98: closed by an administrator.
    | AdministrativeAction = 0x98uy
    /// 0x99: the payload is not of the format that was indicated.
    | PayloadFormatInvalid = 0x99uy
    /// 0x9A: the server does not keep retained messages.
    | RetainNotSupported = 0x9Auy
    /// 0x9B: the QoS is above the Maximum QoS.
    | QoSNotSupported = 0x9Buy
    /// 0x9C: the client should use another server for now.
    | UseAnotherServer = 0x9Cuy
    /// 0x9D: the client should use another server from now on.
    | ServerMoved = 0x9Duy
    /// 0x9E: the server has no shared subscriptions.
    | SharedSubscriptionsNotSupported = 0x9Euy
    /// 0x9F: connections arrive too fast.
    | ConnectionRateExceeded = 0x9Fuy
    /// 0xA0: the connection was open for as long as it may be.
    | MaximumConnectTime = 0xA0uy
    /// 0xA1: the server has no Subscription Identifiers.
    | SubscriptionIdentifiersNotSupported = 0xA1uy
    /// 0xA2: the server has no wildcard subscriptions.
    | WildcardSubscriptionsNotSupported = 0xA2uy

/// How the value of a property stands on the wire (section 1.5).
[<Struct; RequireQualifiedAccess>]
type Shape =
    /// One byte.
    | Byte
    /// One byte that can only be 0 or 1.
    | Switch
    /// Two bytes, big-endian.
    | TwoByteInteger
    /// Four bytes, big-endian.
    | FourByteInteger
    /// One to four bytes, seven bits each, least significant group first.
    | VariableByteInteger
    /// UTF-8 after a Two Byte Integer that counts its bytes.
    | Utf8EncodedString
    /// A topic name: as Utf8EncodedString, but not empty and without wildcard.
    | TopicNameString
    /// Bytes after a Two Byte Integer that counts them.
    | BinaryData
    /// Two UTF-8 Encoded Strings, name and value.
    | Utf8StringPair
