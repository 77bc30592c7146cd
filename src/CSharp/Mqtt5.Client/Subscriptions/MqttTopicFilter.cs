namespace Mqtt5;

/// <summary>A Topic Filter with the options of its subscription (section 3.8.3.1).</summary>
/// <param name="Filter">The Topic Filter; <c>$share/{ShareName}/</c> before it makes the subscription shared.</param>
/// <param name="QoS">The greatest QoS that the server may use. The default is 1.</param>
public sealed record MqttTopicFilter(string Filter, QoS QoS = QoS.AtLeastOnce)
{
    /// <summary>Whether the client's own messages are left out.</summary>
    public bool NoLocal { get; init; }

    /// <summary>Whether messages keep the RETAIN flag that they were published with.</summary>
    public bool RetainAsPublished { get; init; }

    /// <summary>What happens to retained messages. The default is that all of them are sent.</summary>
    public RetainHandling RetainHandling { get; init; }

    internal Subscription ToSubscription() =>
        new(TopicFilter.Of(Filter), new SubscriptionOptions(QoS, NoLocal, RetainAsPublished, RetainHandling));
}
