using System.Text;
using Mqtt5.Engine;

namespace Mqtt5;

/// <summary>A message to publish, with every property of the standard (section 3.3). A null property is not sent.</summary>
public sealed class MqttMessage
{
    private bool? isText;

    /// <summary>The Topic Name: 1 to 65,535 bytes in UTF-8, without wildcards.</summary>
    public required string Topic { get; init; }

    /// <summary>The payload. It must not change until the call that publishes it has completed.</summary>
    public ReadOnlyMemory<byte> Payload { get; init; }

    /// <summary>
    /// The payload as text; setting it also sets <see cref="IsText"/>, which MQTT 3.1.1 and 3.1 leave out then.
    /// </summary>
    public string Text
    {
        get => Encoding.UTF8.GetString(Payload.Span);
        init
        {
            Payload = Encoding.UTF8.GetBytes(value);
            isText = true;
        }
    }

    /// <summary>The QoS. The default is 0.</summary>
    public QoS QoS { get; init; }

    /// <summary>Whether the server keeps the message for later subscribers.</summary>
    public bool Retain { get; init; }

    /// <summary>The Payload Format Indicator: whether the payload is UTF-8.</summary>
    public bool? IsText
    {
        get => isText;
        init
        {
            isText = value;
            AsksForFormat = value is not null;
        }
    }

    /// <summary>
    /// The Message Expiry Interval, sent in whole seconds, rounded up. The time that the message waits in the client
    /// is taken off, and a message that expires there is not sent.
    /// </summary>
    public TimeSpan? Expiry { get; init; }

    /// <summary>The Content Type.</summary>
    public string? ContentType { get; init; }

    /// <summary>The Response Topic: where an answer should go.</summary>
    public string? ResponseTopic { get; init; }

    /// <summary>The Correlation Data: what an answer should carry, at most 65,535 bytes.</summary>
    public ReadOnlyMemory<byte>? CorrelationData { get; init; }

    /// <summary>The User Properties, in order.</summary>
    public UserProperties UserProperties { get; init; } = UserProperties.Empty;

    // Whether the Payload Format Indicator was set for itself.
    internal bool AsksForFormat { get; private init; }

    internal PublishProperties ToProperties()
    {
        if (IsText is null && Expiry is null && ContentType is null && ResponseTopic is null
            && CorrelationData is null && UserProperties.IsEmpty)
        {
            return PublishProperties.Empty;
        }

        return new PublishProperties(
            IsText.ToOption(),
            Expiry.ToSeconds(nameof(Expiry)),
            ResponseTopic.ToTopicOption(),
            CorrelationData.ToOption(),
            UserProperties,
            SubscriptionIdentifiers.Empty,
            ContentType.ToOption());
    }

    // The same message as a request.
    internal MqttMessage AsRequest(string responseTopic, ReadOnlyMemory<byte> correlation, TimeSpan timeout) =>
        new()
        {
            Topic = Topic,
            Payload = Payload,
            QoS = QoS,
            Retain = Retain,
            isText = IsText,
            AsksForFormat = AsksForFormat,
            Expiry = Expiry ?? timeout,
            ContentType = ContentType,
            ResponseTopic = responseTopic,
            CorrelationData = correlation,
            UserProperties = UserProperties,
        };

    // The same message as the answer to a request.
    internal MqttMessage AsResponse(string topic, MqttReceivedMessage request) =>
        new()
        {
            Topic = topic,
            Payload = Payload,
            QoS = request.QoS,
            Retain = Retain,
            isText = IsText,
            AsksForFormat = AsksForFormat,
            Expiry = Expiry ?? request.Expiry,
            ContentType = ContentType,
            ResponseTopic = ResponseTopic,
            CorrelationData = request.CorrelationData,
            UserProperties = UserProperties,
        };
}
