namespace Mqtt5

open System.Globalization

/// What a broker counts. The shell counts; each number rises only, but for those that say what is there now.
[<Struct; NoComparison>]
type BrokerCounters =
    {
        /// When the broker started.
        StartedAt: Instant
        /// Bytes that arrived.
        BytesReceived: int64
        /// Bytes that were sent.
        BytesSent: int64
        /// Packets that arrived.
        PacketsReceived: int64
        /// Packets that were sent.
        PacketsSent: int64
        /// PUBLISH packets that arrived.
        PublishReceived: int64
        /// PUBLISH packets that were sent.
        PublishSent: int64
        /// Messages that were dropped: queues full, expired, too large, or QoS 0 to a client that takes no data.
        PublishDropped: int64
        /// Bytes of payloads that arrived.
        PayloadBytesReceived: int64
        /// Bytes of payloads that were sent.
        PayloadBytesSent: int64
        /// Connections that were opened, whether they became clients or not.
        ConnectionsOpened: int64
        /// Most clients that were connected at a time.
        MostClients: int
        /// Messages that wait now, in all sessions.
        MessagesQueued: int64
        /// Bytes of messages that wait or are under way now, in all sessions.
        BytesQueued: int64
        /// Sessions that ended because their time was over.
        SessionsExpired: int64
    }

/// A topic under $SYS and its value.
[<Struct; NoComparison>]
type SystemValue =
    {
        /// The topic.
        Topic: TopicName
        /// The value as text.
        Value: string
    }

/// The values that a broker publishes about itself under $SYS, with the names that mosquitto has for them.
[<RequireQualifiedAccess>]
module SystemTopics =

    let private version = TopicName.Of "$SYS/broker/version"
    let private uptime = TopicName.Of "$SYS/broker/uptime"

    let private numbers: struct (TopicName * (Broker -> BrokerCounters -> int64))[] =
        [|
            "clients/total", (fun (broker: Broker) _ -> int64 broker.SessionCount)
            "clients/connected", (fun (broker: Broker) _ -> int64 broker.Connections)
            "clients/disconnected",
            (fun (broker: Broker) _ -> int64 (broker.SessionCount - broker.Connections))
            "clients/maximum", (fun _ counters -> int64 counters.MostClients)
            "clients/expired", (fun _ counters -> counters.SessionsExpired)
            "subscriptions/count", (fun (broker: Broker) _ -> int64 broker.Subscriptions.Count)
            "retained messages/count", (fun (broker: Broker) _ -> int64 broker.Retained.Count)
            "store/messages/count",
            (fun (broker: Broker) counters -> int64 broker.Retained.Count + counters.MessagesQueued)
            "store/messages/bytes",
            (fun (broker: Broker) counters -> broker.RetainedBytes + counters.BytesQueued)
            "messages/received", (fun _ counters -> counters.PacketsReceived)
            "messages/sent", (fun _ counters -> counters.PacketsSent)
            "publish/messages/received", (fun _ counters -> counters.PublishReceived)
            "publish/messages/sent", (fun _ counters -> counters.PublishSent)
            "publish/messages/dropped", (fun _ counters -> counters.PublishDropped)
            "publish/bytes/received", (fun _ counters -> counters.PayloadBytesReceived)
            "publish/bytes/sent", (fun _ counters -> counters.PayloadBytesSent)
            "bytes/received", (fun _ counters -> counters.BytesReceived)
            "bytes/sent", (fun _ counters -> counters.BytesSent)
            "connections/socket/count", (fun _ counters -> counters.ConnectionsOpened)
        |]
        |> Array.map (fun (name, value) -> struct (TopicName.Of("$SYS/broker/" + name), value))

    /// The values now, each with its topic. They are published with RETAIN, QoS 0, by the server itself.
    [<CompiledName("Values")>]
    let values (now: Instant) (name: string) (counters: BrokerCounters) (broker: Broker) : SystemValue[] =
        let seconds = int64 (now - counters.StartedAt) / 1_000L

        Array.append
            [| { Topic = version; Value = name }; { Topic = uptime; Value = $"{seconds} seconds" } |]
            (numbers
             |> Array.map (fun (struct (topic, value)) ->
                 { Topic = topic; Value = (value broker counters).ToString CultureInfo.InvariantCulture }))

    /// The message that publishes a value.
    [<CompiledName("Message")>]
    let message (value: SystemValue) : ServerMessage =
        {
            Topic = value.Topic
            Payload = Bytes.OfText value.Value
            QoS = QoS.AtMostOnce
            Retain = true
            Properties = PublishProperties.Empty
            ExpiresAt = ValueNone
            Publisher = SessionId.None
            PublisherId = ValueNone
        }
