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

/// The name of a version of the protocol, and the Protocol Name and Version of its CONNECT.
type VersionRule =
    {
        /// The version.
        Version: ProtocolVersion
        /// Its name, such as <c>MQTT 3.1.1</c>.
        Name: string
        /// The Protocol Name of its CONNECT.
        ProtocolName: string
        /// The Protocol Version of its CONNECT, which 3.1.1 calls Protocol Level.
        Level: byte
    }

/// A return code of CONNACK (table 3.1 of MQTT 3.1.1).
type ReturnCodeRule =
    {
        /// The code, 0 to 5.
        Code: byte
        /// The name as the standard writes it.
        Title: string
        /// The reason code that stands for it in a packet.
        Reason: ReasonCode
        /// The reason codes of MQTT 5 that map to it, including its own.
        Says: ReasonCode[]
    }
