using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>An option that sets a limit of the broker.</summary>
internal sealed record LimitOptions(Option<long?> Option, Action<MqttBrokerLimits, long> Set)
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<LimitOptions> All =>
    [
        Limit("--max-connections", "Connections at a time.", (limits, value) => limits.MaximumConnections = ToInt(value)),
        Limit("--connections-per-second", "Connections accepted in a second; 0: no limit.", (limits, value) => limits.ConnectionsPerSecond = ToInt(value)),
        Limit("--connect-timeout", "Seconds that CONNECT may take.", (limits, value) => limits.ConnectTimeout = TimeSpan.FromSeconds(value)),
        Limit("--max-packet-bytes", "The largest packet of a client, in bytes.", (limits, value) => limits.MaximumPacketBytes = ToInt(value)),
        Limit("--max-topic-bytes", "The longest topic, in bytes.", (limits, value) => limits.TopicBytes = ToInt(value)),
        Limit("--max-topic-levels", "The deepest topic, in levels.", (limits, value) => limits.TopicLevels = ToInt(value)),
        Limit("--max-subscriptions", "Subscriptions of a client.", (limits, value) => limits.SubscriptionsPerClient = ToInt(value)),
        Limit("--receive-maximum", "Messages of QoS 1 and 2 under way from a client.", (limits, value) => limits.ReceiveMaximum = ToInt(value)),
        Limit("--max-in-flight", "Messages of QoS 1 and 2 under way to a client.", (limits, value) => limits.InFlightMessages = ToInt(value)),
        Limit("--topic-alias-maximum", "Topic Aliases that a client may set.", (limits, value) => limits.TopicAliasMaximum = ToInt(value)),
        Limit("--max-queued-messages", "Messages that wait in a session.", (limits, value) => limits.QueuedMessages = ToInt(value)),
        Limit("--max-queued-bytes", "Bytes that wait in a session.", (limits, value) => limits.QueuedBytes = value),
        Limit("--max-total-queued-bytes", "Bytes that wait in all sessions together.", (limits, value) => limits.TotalQueuedBytes = value),
        Limit("--send-buffer-bytes", "Bytes that a client may leave unread before messages of QoS 0 are dropped.", (limits, value) => limits.SendBufferBytes = value),
        Limit("--max-retained-messages", "Retained messages.", (limits, value) => limits.RetainedMessages = ToInt(value)),
        Limit("--max-retained-bytes", "Bytes of retained messages.", (limits, value) => limits.RetainedBytes = value),
        Limit("--max-session-expiry", "Seconds that a session may outlive its connection.", (limits, value) => limits.SessionExpiry = TimeSpan.FromSeconds(value)),
        Limit("--max-keep-alive", "The longest Keep Alive in seconds; 0: no limit.", (limits, value) => limits.KeepAlive = TimeSpan.FromSeconds(value)),
        Limit("--publishes-per-second", "PUBLISH packets of a client in a second; 0: no limit.", (limits, value) => limits.PublishesPerSecond = ToInt(value)),
        Limit("--publish-burst", "PUBLISH packets of a client at once.", (limits, value) => limits.PublishBurst = ToInt(value)),
    ];

    private static LimitOptions Limit(string name, string description, Action<MqttBrokerLimits, long> set) =>
        new(new Option<long?>(name) { Description = description }, (limits, value) =>
        {
            try
            {
                set(limits, value);
            }
            catch (OverflowException)
            {
                throw new UsageException($"{name}: {value} is out of range");
            }
        });

    private static int ToInt(long value) => checked((int)value);
}
