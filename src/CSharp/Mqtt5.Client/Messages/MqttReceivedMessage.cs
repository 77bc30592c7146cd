using System.Text;
using Mqtt5.Engine;

namespace Mqtt5;

/// <summary>
/// A message that a subscription received. It stays valid for as long as it is referenced. All members can be used
/// from any thread.
/// </summary>
public sealed class MqttReceivedMessage
{
    private readonly Bytes payload;
    private readonly TopicName topic;
    private readonly PublishProperties properties;
    private readonly IReceipt? receipt;
    private readonly DeliveryToken token;
    private readonly QoS qos;
    private readonly ushort packetId;
    private readonly bool retain;
    private readonly bool duplicate;
    private bool settled;

    // Without a receipt and with Packet Identifier 0 at QoS 0.
    internal MqttReceivedMessage(
        TopicName topic,
        Bytes payload,
        PublishProperties properties,
        QoS qos,
        ushort packetId,
        bool retain,
        bool duplicate,
        IReceipt? receipt,
        DeliveryToken token)
    {
        this.topic = topic;
        this.payload = payload;
        this.properties = properties;
        this.qos = qos;
        this.packetId = packetId;
        this.retain = retain;
        this.duplicate = duplicate;
        this.receipt = receipt;
        this.token = token;
    }

    // What the message takes in memory, in bytes.
    internal long Cost => 256 + topic.Utf8.Length + payload.Length + properties.ContentBytes;

    /// <summary>The Topic Name.</summary>
    public string Topic => topic.Text;

    /// <summary>The payload.</summary>
    public ReadOnlyMemory<byte> Payload => payload.Memory;

    /// <summary>The payload read as UTF-8.</summary>
    public string Text => Encoding.UTF8.GetString(payload.Span);

    /// <summary>The QoS that the message was delivered with.</summary>
    public QoS QoS => qos;

    /// <summary>The Packet Identifier that the server gave the delivery; null at QoS 0.</summary>
    public int? PacketIdentifier => packetId == 0 ? null : packetId;

    /// <summary>Whether it is a retained message, or was published as one if the subscription asked for that.</summary>
    public bool Retain => retain;

    /// <summary>The DUP flag: the server may have sent the message before.</summary>
    public bool Duplicate => duplicate;

    /// <summary>The Payload Format Indicator: whether the payload is UTF-8; null: not told.</summary>
    public bool? IsText => properties.PayloadFormatIndicator.ToNullable();

    /// <summary>What was left of the Message Expiry Interval when the server sent the message; null: it does not expire.</summary>
    public TimeSpan? Expiry => properties.MessageExpiryInterval.ToDuration();

    /// <summary>The Content Type; null: not told.</summary>
    public string? ContentType => properties.ContentType.ToText();

    /// <summary>The Response Topic; null: no answer is asked for.</summary>
    public string? ResponseTopic =>
        properties.ResponseTopic.IsSome ? properties.ResponseTopic.Value.Text : null;

    /// <summary>The Correlation Data; null: none.</summary>
    public ReadOnlyMemory<byte>? CorrelationData =>
        properties.CorrelationData.IsSome ? properties.CorrelationData.Value.Memory : default(ReadOnlyMemory<byte>?);

    /// <summary>The User Properties, in order.</summary>
    public UserProperties UserProperties => properties.UserProperties;

    /// <summary>The identifiers of the subscriptions that caused the delivery, if the server tells them.</summary>
    public SubscriptionIdentifiers SubscriptionIdentifiers => properties.SubscriptionIdentifiers;

    internal bool IsSettled => receipt is null || Volatile.Read(ref settled);

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
        if (receipt is not null && !Interlocked.Exchange(ref settled, true))
            receipt.Settle(token, reason);
    }
}
