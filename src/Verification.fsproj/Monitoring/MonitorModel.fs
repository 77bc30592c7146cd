namespace Mqtt5.Verification

open Mqtt5

/// A rule that one end of a watched connection broke.
[<NoComparison>]
type ProtocolViolation =
    {
        /// When the packet passed, or when something became overdue.
        At: Instant
        /// The number of the connection.
        Connection: int
        /// The way that the sender's packets travel: <c>ClientToServer</c> blames the client.
        Direction: Direction
        /// The packet type it was seen in; <c>Reserved</c> where a packet is missing.
        Packet: PacketType
        /// The statement, as <c>MQTT-3.3.4-7</c>, or the section where no numbered statement exists.
        Clause: string
        /// What is wrong, as a sentence without a full stop. It holds no content of a message and no secret.
        Detail: string
    }

    /// The violation in one line.
    override this.ToString() =
        let who = if this.Direction = ClientToServer then "client" else "server"

        let packet =
            if this.Packet = PacketType.Reserved then
                ""
            else
                (Spec.packet this.Packet).Name + ": "

        $"the {who} breaks [{this.Clause}]: {packet}{this.Detail}"

// How far a message of QoS 1 or 2 has come, seen from between the two ends.
[<Struct>]
type internal Stage =
    // The PUBLISH passed.
    | AwaitsAnswer
    // A PUBREC of success passed.
    | AwaitsPubrel
    // A PUBREL passed.
    | AwaitsPubcomp

// A message of QoS 1 or 2 under way. Order is the place of what its next packet answers among all of a connection.
[<Struct>]
type internal Flight =
    {
        QoS: QoS
        Stage: Stage
        Order: int64
        // False for one of an earlier connection that has not been sent again.
        IsOfConnection: bool
    }

// A SUBSCRIBE or UNSUBSCRIBE that waits for its answer.
[<Struct>]
type internal OpenRequest = { Answer: PacketType; Filters: int }

// What one end sends: its messages, its Topic Aliases, and the limits that the other end announced.
[<NoComparison>]
type internal Sender =
    {
        Direction: Direction
        Flights: Map<uint16, Flight>
        // What is due from the receiver of a PUBLISH, by order: the identifiers that wait for PUBACK, and for PUBREC.
        PubacksDue: Map<int64, uint16>
        PubrecsDue: Map<int64, uint16>
        // The PUBRELs that this sender owes, by order.
        PubrelsDue: Map<int64, uint16>
        // PUBLISH packets of this connection that take a place of the Receive Maximum.
        Open: int
        ReceiveMaximum: int
        Aliases: InboundTopicAliases
        MaximumPacketBytes: uint32
        HasDisconnected: bool
        // True once it repeated a message on the same connection: what answers it can come twice as well.
        HasRepeated: bool
    }

// What outlives a connection: the flights of both ends.
[<NoComparison>]
type internal Memory = { OfClient: Map<uint16, Flight>; OfServer: Map<uint16, Flight> }

// One connection.
[<NoComparison>]
type internal Watched =
    {
        Version: ProtocolVersion
        Connect: Connect voption
        // The CONNACK that accepted the connection.
        Accepted: Connack voption
        IsRefused: bool
        // True when flights of earlier connections may exist that were never seen.
        IsResumed: bool
        Client: Sender
        Server: Sender
        Requests: Map<uint16, OpenRequest>
        NextOrder: int64
        PingsOpen: int
        LastFromClient: Instant
        // What was reported of the silence of the client: 0 nothing, 1 the client, 2 the server as well.
        SilenceReported: int
        // From when on the client is known to have read the CONNACK.
        LimitsFrom: Instant
        HasSentEarly: bool
    }

/// What is known of all watched connections and of the sessions behind them. Immutable, safe to share.
[<NoComparison>]
type MonitorState =
    internal
        {
            Connections: Map<int, Watched>
            // By Client Identifier.
            Sessions: Map<string, Memory>
        }

    /// Before the first connection.
    static member Empty: MonitorState = { Connections = Map.empty; Sessions = Map.empty }
