namespace Mqtt5.Engine;

// Where the messages with some topic and some properties go.
internal sealed class Route(TopicName topic, PublishProperties properties, byte[] propertyBytes)
{
    public TopicName Topic => topic;

    public PublishProperties Properties => properties;

    // The properties as they stand in the packet.
    public byte[] PropertyBytes => propertyBytes;

    // The subscriptions, as of a generation of all subscriptions.
    public MqttSubscription[] Targets { get; set; } = [];

    public object? Generation { get; set; }

    public bool Is(ReadOnlySpan<byte> name, ReadOnlySpan<byte> bytes) =>
        name.SequenceEqual(topic.Utf8.Span) && bytes.SequenceEqual(propertyBytes);
}
