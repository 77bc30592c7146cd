namespace Mqtt5;

/// <summary>
/// How a subscription hands its messages to the application. Acknowledgements of one QoS leave the client in the order in
/// which its messages came, as the standard wants, so a message that is never settled holds back those after it, also of
/// other subscriptions.
/// </summary>
public sealed class MqttSubscribeOptions
{
    /// <summary>
    /// Whether the application calls <see cref="MqttReceivedMessage.Acknowledge"/> or
    /// <see cref="MqttReceivedMessage.Reject"/> itself. If not, the default, a message is acknowledged when its handler
    /// completes or the loop asks for the next one.
    /// </summary>
    public bool ManualAcknowledgement { get; init; }

    /// <summary>How messages are handled at the same time. Only for subscriptions with a handler.</summary>
    public MqttOrdering Ordering { get; init; }

    /// <summary>How many messages are handled at the same time at most, where they may be. The default is 16.</summary>
    public int MaximumConcurrency { get; init; } = 16;

    /// <summary>The key for <see cref="MqttOrdering.ByKey"/>. The default is the topic.</summary>
    public Func<MqttReceivedMessage, string> KeySelector { get; init; } = message => message.Topic;

    /// <summary>
    /// How many messages may wait before those of QoS 0 are dropped and counted. Messages of QoS 1 and 2 are never
    /// dropped; the Receive Maximum of the client bounds them. The default is 10,000.
    /// </summary>
    public int QueueCapacity { get; init; } = 10_000;

    /// <summary>
    /// How many bytes the messages that wait may have, topics, payloads and properties and 256 bytes for each, before those
    /// of QoS 0 are dropped and counted. One message may wait alone whatever its size. The default is 64 MiB.
    /// </summary>
    public long QueueBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>
    /// The Subscription Identifier, 1 to 268,435,455, where the server takes one; null: the client chooses. Messages
    /// name it in <see cref="MqttReceivedMessage.SubscriptionIdentifiers"/>.
    /// </summary>
    public uint? SubscriptionIdentifier { get; init; }

    /// <summary>User Properties for the SUBSCRIBE, in order.</summary>
    public UserProperties UserProperties { get; init; } = UserProperties.Empty;
}
