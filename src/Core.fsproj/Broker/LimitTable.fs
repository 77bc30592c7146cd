namespace Mqtt5

open System

/// A limit as data: its range, its unit, and what happens beyond it.
[<NoComparison; NoEquality>]
type LimitRule =
    {
        /// The limit.
        Name: LimitName
        /// Its name as an option, as a key of a configuration, and in metrics.
        Key: string
        /// What it counts, in the plural.
        Unit: string
        /// The least value.
        Least: int64
        /// The greatest value.
        Most: int64
        /// Whether 0 stands for no limit.
        ZeroIsNone: bool
        /// The value by default.
        Default: int64
        /// What is limited.
        What: string
        /// What happens beyond it.
        Beyond: string
        /// Whether a connection keeps the value that it began with, where the limit changes while the broker runs. The others
        /// are in force at once; what is there beyond a lower one stays.
        IsKept: bool
    }

/// The limits of a broker as a table, and their names, units and ranges.
[<RequireQualifiedAccess>]
module LimitTable =

    let private defaults = BrokerLimits.Default

    let private read (name: LimitName) (limits: BrokerLimits) : int64 =
        match name with
        | LimitName.Connections -> int64 limits.MaximumConnections
        | LimitName.Sessions -> int64 limits.MaximumSessions
        | LimitName.PendingConnections -> int64 limits.PendingConnections
        | LimitName.ConnectionRate -> int64 limits.ConnectionsPerSecond
        | LimitName.ConnectTimeout -> int64 limits.ConnectTimeout
        | LimitName.PacketBytesBeforeConnect -> int64 limits.PacketBytesBeforeConnect
        | LimitName.MaximumPacketBytes -> int64 limits.MaximumPacketBytes
        | LimitName.TopicBytes -> int64 limits.TopicBytes
        | LimitName.TopicLevels -> int64 limits.TopicLevels
        | LimitName.Subscriptions -> int64 limits.SubscriptionsPerClient
        | LimitName.ReceiveMaximum -> int64 limits.ReceiveMaximum
        | LimitName.InFlightMessages -> int64 limits.InFlightMessages
        | LimitName.TopicAliasMaximum -> int64 limits.TopicAliasMaximum
        | LimitName.OutboundTopicAliases -> int64 limits.OutboundTopicAliases
        | LimitName.QueuedMessages -> int64 limits.QueuedMessages
        | LimitName.QueuedBytes -> limits.QueuedBytes
        | LimitName.TotalQueuedBytes -> limits.TotalQueuedBytes
        | LimitName.SendBufferBytes -> limits.SendBufferBytes
        | LimitName.RetainedMessages -> int64 limits.RetainedMessages
        | LimitName.RetainedBytes -> limits.RetainedBytes
        | LimitName.SessionExpiry -> int64 limits.SessionExpirySeconds
        | LimitName.KeepAlive -> int64 limits.KeepAliveSeconds
        | LimitName.PublishRate -> int64 limits.PublishesPerSecond
        | LimitName.PublishBurst -> int64 limits.PublishBurst
        | LimitName.SubscriptionBytes -> limits.SubscriptionBytes
        | LimitName.TotalSubscriptionBytes -> limits.TotalSubscriptionBytes
        | LimitName.TotalWillBytes -> limits.TotalWillBytes
        | LimitName.TotalUnparsedBytes -> limits.TotalUnparsedBytes
        | LimitName.TotalSendBufferBytes -> limits.TotalSendBufferBytes
        | LimitName.SessionsPerUser -> int64 limits.SessionsPerUser
        | LimitName.SessionsPerAddress -> int64 limits.SessionsPerAddress
        | _ -> int64 limits.NameBytes

    // Those that CONNACK announces, and those that the beginning of a connection settles.
    let private isKept (name: LimitName) : bool =
        match name with
        | LimitName.ConnectTimeout
        | LimitName.MaximumPacketBytes
        | LimitName.ReceiveMaximum
        | LimitName.InFlightMessages
        | LimitName.TopicAliasMaximum
        | LimitName.OutboundTopicAliases
        | LimitName.SessionExpiry
        | LimitName.KeepAlive -> true
        | _ -> false

    let private rule name key unit' least most zeroIsNone what beyond =
        {
            Name = name
            Key = key
            Unit = unit'
            Least = least
            Most = most
            ZeroIsNone = zeroIsNone
            Default = read name defaults
            What = what
            Beyond = beyond
            IsKept = isKept name
        }

    let private int32Most = int64 Int32.MaxValue
    let private uint16Most = int64 UInt16.MaxValue
    let private packetMost = int64 Spec.MaximumPacketBytes

    let private rules =
        [|
            rule
                LimitName.Connections
                "max-connections"
                "connections"
                1L
                int32Most
                false
                "clients that are connected at a time"
                "CONNACK 0x97 Quota exceeded"
            rule
                LimitName.Sessions
                "max-sessions"
                "sessions"
                1L
                int32Most
                false
                "sessions, of clients that are connected and of those that may come back"
                "CONNACK 0x97 Quota exceeded for a client that has none"
            rule
                LimitName.PendingConnections
                "max-pending-connections"
                "connections"
                1L
                int32Most
                false
                "connections whose CONNECT has not been accepted yet, at a time"
                "closed without a packet"
            rule
                LimitName.ConnectionRate
                "connections-per-second"
                "connections a second"
                0L
                int32Most
                true
                "clients that connect in a second"
                "CONNACK 0x9F Connection rate exceeded"
            rule
                LimitName.ConnectTimeout
                "connect-timeout"
                "milliseconds"
                1L
                int32Most
                false
                "time for CONNECT and its authentication"
                "closed without a packet"
            rule
                LimitName.PacketBytesBeforeConnect
                "max-connect-packet-bytes"
                "bytes"
                14L
                packetMost
                false
                "the largest packet before CONNECT is accepted"
                "CONNACK 0x95 Packet too large if it is a CONNECT or an AUTH, else closed without a packet"
            rule
                LimitName.MaximumPacketBytes
                "max-packet-bytes"
                "bytes"
                14L
                packetMost
                false
                "the largest packet of a client; announced as Maximum Packet Size"
                "DISCONNECT 0x95 Packet too large"
            rule
                LimitName.TopicBytes
                "max-topic-bytes"
                "bytes"
                1L
                uint16Most
                false
                "the longest Topic Name or Topic Filter"
                "PUBACK or PUBREC 0x90 Topic Name invalid, SUBACK 0x8F Topic Filter invalid"
            rule
                LimitName.TopicLevels
                "max-topic-levels"
                "levels"
                1L
                uint16Most
                false
                "the deepest Topic Name or Topic Filter"
                "PUBACK or PUBREC 0x90 Topic Name invalid, SUBACK 0x8F Topic Filter invalid"
            rule
                LimitName.Subscriptions
                "max-subscriptions"
                "subscriptions"
                0L
                int32Most
                false
                "subscriptions of a client"
                "SUBACK 0x97 Quota exceeded"
            rule
                LimitName.ReceiveMaximum
                "receive-maximum"
                "messages"
                1L
                uint16Most
                false
                "messages of QoS 1 and 2 under way from a client; announced as Receive Maximum"
                "DISCONNECT 0x93 Receive Maximum exceeded"
            rule
                LimitName.InFlightMessages
                "max-in-flight"
                "messages"
                1L
                uint16Most
                false
                "messages of QoS 1 and 2 under way to a client, whatever Receive Maximum it announced"
                "more wait in the queue"
            rule
                LimitName.TopicAliasMaximum
                "topic-alias-maximum"
                "aliases"
                0L
                uint16Most
                false
                "Topic Aliases that a client may set; announced as Topic Alias Maximum"
                "DISCONNECT 0x94 Topic Alias invalid"
            rule
                LimitName.OutboundTopicAliases
                "max-outbound-topic-aliases"
                "aliases"
                0L
                uint16Most
                false
                "Topic Aliases that the broker sets at a client that takes them"
                "other topics are sent in full"
            rule
                LimitName.QueuedMessages
                "max-queued-messages"
                "messages"
                0L
                int32Most
                false
                "messages that wait in a session"
                "the new or the oldest message is dropped"
            rule
                LimitName.QueuedBytes
                "max-queued-bytes"
                "bytes"
                0L
                Int64.MaxValue
                false
                "bytes of messages that wait in a session or are under way to its client"
                "the new message or the oldest that wait are dropped"
            rule
                LimitName.TotalQueuedBytes
                "max-total-queued-bytes"
                "bytes"
                0L
                Int64.MaxValue
                false
                "bytes of messages that wait or are under way in all sessions together, 128 more for each, and 128 for each Packet Identifier of QoS 2 that a client has not released"
                "the new message is dropped, or PUBACK or PUBREC 0x97 Quota exceeded for one with 32 KiB of payload; DISCONNECT 0x97 for a client that has more identifiers than receive-maximum"
            rule
                LimitName.SendBufferBytes
                "send-buffer-bytes"
                "bytes"
                1L
                Int64.MaxValue
                false
                "bytes that were sent to a client and that its connection has not taken"
                "messages of QoS 0 are dropped, others wait, and nothing more is read from the client"
            rule
                LimitName.RetainedMessages
                "max-retained-messages"
                "messages"
                0L
                int32Most
                false
                "retained messages"
                "PUBACK or PUBREC 0x97 Quota exceeded"
            rule
                LimitName.RetainedBytes
                "max-retained-bytes"
                "bytes"
                0L
                Int64.MaxValue
                false
                "bytes of memory of retained messages: their content, and 128 bytes a level of their topics"
                "PUBACK or PUBREC 0x97 Quota exceeded"
            rule
                LimitName.SessionExpiry
                "max-session-expiry"
                "seconds"
                0L
                (int64 UInt32.MaxValue)
                false
                "time that a session outlives its connection; 4294967295: for ever"
                "cut, and CONNACK tells the Session Expiry Interval"
            rule
                LimitName.KeepAlive
                "max-keep-alive"
                "seconds"
                0L
                uint16Most
                true
                "the longest Keep Alive"
                "replaced, and CONNACK tells the Server Keep Alive"
            rule
                LimitName.PublishRate
                "publishes-per-second"
                "packets a second"
                0L
                int32Most
                true
                "PUBLISH packets of a client in a second"
                "DISCONNECT 0x96 Message rate too high"
            rule
                LimitName.PublishBurst
                "publish-burst"
                "packets"
                1L
                int32Most
                false
                "PUBLISH packets of a client at once, after it was silent"
                "DISCONNECT 0x96 Message rate too high"
            rule
                LimitName.SubscriptionBytes
                "max-subscription-bytes"
                "bytes"
                0L
                Int64.MaxValue
                false
                "bytes of memory of the subscriptions of a client: filters, and 128 bytes a level"
                "SUBACK 0x97 Quota exceeded"
            rule
                LimitName.TotalSubscriptionBytes
                "max-total-subscription-bytes"
                "bytes"
                0L
                Int64.MaxValue
                false
                "the same of all clients together"
                "SUBACK 0x97 Quota exceeded"
            rule
                LimitName.TotalWillBytes
                "max-total-will-bytes"
                "bytes"
                0L
                Int64.MaxValue
                false
                "bytes of the Wills of all sessions"
                "CONNACK 0x97 Quota exceeded for a CONNECT with a Will"
            rule
                LimitName.TotalUnparsedBytes
                "max-total-unparsed-bytes"
                "bytes"
                0L
                Int64.MaxValue
                false
                "bytes of packets that have arrived in part, over all connections"
                "closed, or DISCONNECT 0x97 Quota exceeded, for connections that send more and have 4 KiB of them"
            rule
                LimitName.TotalSendBufferBytes
                "max-total-send-buffer-bytes"
                "bytes"
                1L
                Int64.MaxValue
                false
                "bytes that were sent and that connections have not taken, over all connections"
                "a connection has 16 KiB in place of send-buffer-bytes; PUBACK or PUBREC 0x97 Quota exceeded for messages with 32 KiB of payload"
            rule
                LimitName.SessionsPerUser
                "max-sessions-per-user"
                "sessions"
                0L
                int32Most
                true
                "sessions of one authenticated user"
                "CONNACK 0x97 Quota exceeded"
            rule
                LimitName.SessionsPerAddress
                "max-sessions-per-address"
                "sessions"
                0L
                int32Most
                true
                "sessions of clients at one address, or in one IPv6 network of 64 bits"
                "CONNACK 0x97 Quota exceeded"
            rule
                LimitName.NameBytes
                "max-name-bytes"
                "bytes"
                // Every server takes identifiers of so many characters. [MQTT-3.1.3-5] [MQTT3-3.1.3-5]
                23L
                uint16Most
                false
                "the longest Client Identifier or User Name"
                "CONNACK 0x85 Client Identifier not valid, or 0x86 Bad User Name or Password"
        |]

    /// All limits, in the order of their names.
    [<CompiledName("All")>]
    let all: System.Collections.Generic.IReadOnlyList<LimitRule> = rules

    /// A limit.
    [<CompiledName("Of")>]
    let find (name: LimitName) : LimitRule = rules[int name]

    /// What is wrong with a value of a limit, as a sentence without a full stop; <c>ValueNone</c> when it is in range.
    [<CompiledName("Problem")>]
    let problem (name: LimitName) (value: int64) : string voption =
        let rule = find name

        if value >= rule.Least && value <= rule.Most then
            ValueNone
        else
            let none = if rule.ZeroIsNone then "; 0 is no limit" else ""
            ValueSome $"{value} is not from {rule.Least} to {rule.Most} {rule.Unit}{none}"

    /// The first limit that is out of its range, and what is wrong with it.
    [<CompiledName("Check")>]
    let check (limits: BrokerLimits) : struct (LimitName * string) voption =
        let mutable found = ValueNone

        for rule in rules do
            match problem rule.Name (read rule.Name limits) with
            | ValueSome problem when found.IsNone -> found <- ValueSome(struct (rule.Name, problem))
            | _ -> ()

        found
