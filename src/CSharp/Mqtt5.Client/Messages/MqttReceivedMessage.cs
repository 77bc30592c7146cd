using System.Text;
using Mqtt5.Engine;

namespace Mqtt5;

/// <summary>
/// A message that a subscription received. It stays valid for as long as it is referenced. All members can be used
/// from any thread.
/// </summary>
public sealed class MqttReceivedMessage
{
    private readonly Publish publish;
    private readonly TopicName topic;
    private readonly MqttClient client;
    private readonly SharedReceipt? shared;
    private readonly long token;
    private int settled;

    internal MqttReceivedMessage(MqttClient client, Publish publish, TopicName topic, long token, SharedReceipt? shared)
    {
        this.client = client;
        this.publish = publish;
        this.topic = topic;
        this.token = token;
        this.shared = shared;
    }

    /// <summary>The Topic Name.</summary>
    public string Topic => topic.Text;

    /// <summary>The payload.</summary>
    public ReadOnlyMemory<byte> Payload => publish.Payload.Memory;

    /// <summary>The payload read as UTF-8.</summary>
    public string Text => Encoding.UTF8.GetString(publish.Payload.Span);

    /// <summary>The QoS that the message was delivered with.</summary>
    public QoS QoS => publish.Delivery.QoS;

    /// <summary>The Packet Identifier that the server gave the delivery; null at QoS 0.</summary>
    public int? PacketIdentifier => publish.Delivery.PacketId is { IsSome: true } id ? id.Value.Value : null;

    /// <summary>Whether it is a retained message, or was published as one if the subscription asked for that.</summary>
    public bool Retain => publish.Retain;

    /// <summary>The DUP flag: the server may have sent the message before.</summary>
    public bool Duplicate => publish.Delivery.IsDup;

    /// <summary>The Payload Format Indicator: whether the payload is UTF-8; null: not told.</summary>
    public bool? IsText => publish.Properties.PayloadFormatIndicator.ToNullable();

    /// <summary>What was left of the Message Expiry Interval when the server sent the message; null: it does not expire.</summary>
    public TimeSpan? Expiry => publish.Properties.MessageExpiryInterval.ToDuration();

    /// <summary>The Content Type; null: not told.</summary>
    public string? ContentType => publish.Properties.ContentType.ToText();

    /// <summary>The Response Topic; null: no answer is asked for.</summary>
    public string? ResponseTopic =>
        publish.Properties.ResponseTopic.IsSome ? publish.Properties.ResponseTopic.Value.Text : null;

    /// <summary>The Correlation Data; null: none.</summary>
    public ReadOnlyMemory<byte>? CorrelationData =>
        publish.Properties.CorrelationData.IsSome ? publish.Properties.CorrelationData.Value.Memory : default(ReadOnlyMemory<byte>?);

    /// <summary>The User Properties, in order.</summary>
    public UserProperties UserProperties => publish.Properties.UserProperties;

    /// <summary>The identifiers of the subscriptions that caused the delivery, if the server tells them.</summary>
    public SubscriptionIdentifiers SubscriptionIdentifiers => publish.Properties.SubscriptionIdentifiers;

    internal bool IsSettled => token == 0 || Volatile.Read(ref settled) != 0;

    /// <summary>
    /// Acknowledges the message. Only needed where the subscription acknowledges by hand; the first of this and
    /// <see cref="Reject"/> counts. Does nothing at QoS 0.
    /// </summary>
    public void Acknowledge() => Settle(ReasonCode.Success);

    /// <summary>
    /// Acknowledges the message with a reason code of failure: the server will not send it again. The first of this
    /// and <see cref="Acknowledge"/> counts. Does nothing at QoS 0.
    /// </summary>
    /// <param name="reason">A reason code that PUBACK and PUBREC may carry, from 0x80.</param>
    public void Reject(ReasonCode reason = ReasonCode.UnspecifiedError)
    {
        if (reason < ReasonCode.UnspecifiedError || !Spec.reasonAllowed(Direction.ClientToServer, PacketType.Puback, reason))
            throw new ArgumentOutOfRangeException(nameof(reason), reason, "PUBACK may not carry this reason code as a failure");

        Settle(reason);
    }

    /// <summary>The topic and the size, not the content.</summary>
    /// <returns>A short text.</returns>
    public override string ToString() => $"{Topic} ({Payload.Length} bytes, {QoS})";

    // The subscription ended before the application saw the message.
    internal void Discard() => Settle(ReasonCode.ImplementationSpecificError);

    private void Settle(ReasonCode reason)
    {
        if (token == 0 || Interlocked.Exchange(ref settled, 1) != 0)
            return;

        if (shared is null)
            client.Acknowledge(token, reason);
        else if (shared.Settle(reason, out var first))
            client.Acknowledge(token, first);
    }
}
