namespace Mqtt5.Cli;

/// <summary>A subscription of the shell.</summary>
/// <param name="Filter">Its Topic Filter.</param>
/// <param name="QoS">The QoS that was asked for.</param>
/// <param name="Identifier">Its Subscription Identifier, where the server takes one.</param>
internal sealed record ShellSubscription(string Filter, QoS QoS, uint Identifier)
{
    private readonly TopicFilter filter = TopicFilter.Of(Filter);

    /// <summary>
    /// Whether the client hands it this message: one whose topic matches, and that names its identifier if it names any.
    /// </summary>
    public bool Gets(MqttReceivedMessage message) =>
        Topic.matches(filter, TopicName.Of(message.Topic))
        && (message.SubscriptionIdentifiers.IsEmpty || message.SubscriptionIdentifiers.Contains(Identifier));
}
