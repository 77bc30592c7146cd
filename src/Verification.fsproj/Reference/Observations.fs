namespace Mqtt5.Verification

open Mqtt5

/// What is seen at the client's end of a connection, and little that only a simulation can see at the broker's.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type Observed =
    /// The client opened the transport.
    | Opened
    /// The client speaks this version on the connection, before it sends anything. Without it, MQTT 5.
    | Speaks of Version: ProtocolVersion
    /// The client sent a packet.
    | Sent of Packet: Packet
    /// The client received a packet.
    | Received of Packet: Packet
    /// The client received what is no packet of the version.
    | Malformed of Fault: Fault
    /// The client closed the transport, or saw that it was closed.
    | Closed
    /// The broker closed the transport, or saw that it was closed. <c>Complete</c>: everything that the client had sent
    /// was received before. Who sees only the client's end leaves this out; then fewer times can be checked.
    | LostByBroker of Complete: bool
    /// The client did not take all retained messages of a subscription, so the broker sends the others later, as they are
    /// then. What is retained meanwhile may come twice.
    | RetainedPaused
    /// The broker stopped and started again. <c>Durable</c>: with what it had; otherwise without any session and
    /// retained message. Client and connection mean nothing here.
    | BrokerRestarted of Durable: bool

/// One observation of a client.
[<NoComparison; NoEquality>]
type Observation =
    {
        /// When, on the clock of the broker where that is known, in milliseconds. Never earlier than the one before.
        At: Instant
        /// The Client Identifier: it has to be known before CONNECT.
        Client: string
        /// The number of the connection among those of this client; later ones are higher.
        Connection: int
        /// What was seen.
        What: Observed
    }

/// A rule that was broken.
[<NoComparison>]
type Violation =
    {
        /// When it was noticed.
        At: Instant
        /// The client at which it was noticed.
        Client: string
        /// The statement, as <c>MQTT-4.3.3-2</c>, or the section where the standard has no numbered one.
        Clause: string
        /// What should have been.
        Expected: string
        /// What was.
        Seen: string
    }

    override this.ToString() =
        $"{Notation.printDuration this.At} {this.Client} [{this.Clause}] expected: {this.Expected}; seen: {this.Seen}"

/// What the standard leaves to a broker, and what is known of the one that is observed.
[<NoComparison>]
type BrokerFreedom =
    {
        /// Whether a client with several subscriptions that match may get a copy for each (section 3.3.4).
        CopyForEachSubscription: bool
        /// Whether messages of QoS 1 and 2 may be dropped because a queue is full or for other limits of the broker.
        MayDrop: bool
        /// How much later than told a Will or the end of a session may come, in milliseconds.
        Lateness: int64<ms>
        /// How much earlier they may come, in milliseconds: who sees only the client's end does not know the broker's clock,
        /// which may count whole seconds.
        Earliness: int64<ms>
        /// Whether messages that wait in a session may be dropped when the client unsubscribes (section 3.10.4).
        MayDropAtUnsubscribe: bool
        /// Whether a Will without delay may be left out where its client comes back at once. Who sees only the client's
        /// end cannot tell whether the broker noticed the end of the connection before.
        MayDropWillAtReturn: bool
        /// Whether a message of QoS 2 may wait for PUBREL before it goes on to subscribers (section 4.3.3), so that it is
        /// lost with the publisher's session before that.
        MayWaitForPubrel: bool
        /// Whether messages of QoS 1 of a shared subscription may be lost with the session that they were given to
        /// (section 4.8.2, which says SHOULD).
        MayLoseSharedMessages: bool
        /// Whether retained messages of QoS 0 may follow UNSUBACK, as buffered ones may (section 3.10.4).
        MaySendRetainedAfterUnsuback: bool
        /// Whether a PUBLISH may be dealt with after a SUBSCRIBE that its client sent later on the same connection.
        MayOvertakePublish: bool
        /// Whether a message that is retained while a client subscribes to its topic may come twice, as it is published and
        /// as what is retained.
        MayDuplicateRetained: bool
    }

    /// Everything that the standard allows, two seconds of lateness and one of earliness.
    static member Default =
        {
            CopyForEachSubscription = true
            MayDrop = false
            Lateness = 2_000L<ms>
            Earliness = 1_000L<ms>
            MayDropAtUnsubscribe = true
            MayDropWillAtReturn = true
            MayWaitForPubrel = true
            MayLoseSharedMessages = true
            MaySendRetainedAfterUnsuback = true
            MayOvertakePublish = true
            MayDuplicateRetained = true
        }
