using Microsoft.FSharp.Core;

namespace Mqtt5;

/// <summary>A message that a client publishes, for a hook to look at, change, drop or refuse. Valid during the call.</summary>
public sealed class MqttPublishInterception
{
    private readonly ServerMessage message;
    private string? topic;
    private ReadOnlyMemory<byte>? payload;
    private bool? retain;
    private List<UserProperty>? answered;

    internal MqttPublishInterception(string clientId, ServerMessage message, bool isWill)
    {
        ClientId = clientId;
        IsWill = isWill;
        this.message = message;
    }

    /// <summary>The client that publishes it.</summary>
    public string ClientId { get; }

    /// <summary>
    /// Whether it is the Will Message of the client, which the broker publishes for it. Nothing is acknowledged then, so a
    /// reason to refuse it is counted and told to no client.
    /// </summary>
    public bool IsWill { get; }

    /// <summary>The topic. Setting one that is no Topic Name throws <see cref="ArgumentException"/>.</summary>
    public string Topic
    {
        get => topic ?? message.Topic.Text;
        set => topic = TopicName.Of(value).Text;
    }

    /// <summary>The payload.</summary>
    public ReadOnlyMemory<byte> Payload
    {
        get => payload ?? message.Payload.Memory;
        set => payload = value.ToArray();
    }

    /// <summary>The RETAIN flag.</summary>
    public bool Retain
    {
        get => retain ?? message.Retain;
        set => retain = value;
    }

    /// <summary>The QoS it was published with.</summary>
    public QoS QoS => message.QoS;

    /// <summary>The User Properties.</summary>
    public UserProperties UserProperties => message.Properties.UserProperties;

    /// <summary>
    /// What PUBACK or PUBREC tells people, whether the message is taken or not; null: nothing. It is left out where the
    /// client does not want it or the packet would be larger than it takes.
    /// </summary>
    /// <exception cref="ArgumentException">It cannot be sent by MQTT.</exception>
    public string? ReasonString
    {
        get;
        set => field = value is null ? null : Utf8String.Of(value).Text;
    }

    /// <summary>Adds a User Property to PUBACK or PUBREC, on the terms of <see cref="ReasonString"/>.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">Its value.</param>
    /// <exception cref="ArgumentException">It cannot be sent by MQTT.</exception>
    public void AnswerWith(string name, string value) => (answered ??= []).Add(UserProperty.Of(name, value));

    internal AcknowledgementProperties? Properties =>
        ReasonString is null && answered is null
            ? null
            : new AcknowledgementProperties(
                ReasonString is { } text ? FSharpValueOption<Utf8String>.Some(Utf8String.Of(text)) : FSharpValueOption<Utf8String>.None,
                answered is null ? Mqtt5.UserProperties.Empty : Mqtt5.UserProperties.Of(answered));

    internal bool IsDropped { get; private set; }

    internal ReasonCode Reason { get; private set; }

    /// <summary>The message goes nowhere, and the client is told that it was taken.</summary>
    public void Drop() => IsDropped = true;

    /// <summary>The message goes nowhere, and at QoS 1 and 2 the client is told why.</summary>
    /// <param name="reason">A code of failure that PUBACK may have.</param>
    /// <exception cref="ArgumentOutOfRangeException">PUBACK has no such code of failure.</exception>
    public void Refuse(ReasonCode reason)
    {
        if (reason < ReasonCode.UnspecifiedError || !Spec.reasonAllowed(Direction.ServerToClient, PacketType.Puback, reason))
            throw new ArgumentOutOfRangeException(nameof(reason), reason, "PUBACK has no such code of failure");

        IsDropped = true;
        Reason = reason;
    }

    internal ServerMessage Result(ServerMessage original) =>
        topic is null && payload is null && retain is null
            ? original
            : new ServerMessage(
                topic is null ? original.Topic : TopicName.Of(topic),
                payload is { } bytes ? new Bytes(bytes) : original.Payload,
                original.QoS,
                Retain,
                original.Properties,
                original.ExpiresAt,
                original.Publisher,
                original.PublisherId);
}
