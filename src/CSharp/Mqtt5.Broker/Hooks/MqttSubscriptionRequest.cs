namespace Mqtt5;

/// <summary>One filter of a SUBSCRIBE, for a hook to look at, change or refuse. Valid during the call.</summary>
public sealed class MqttSubscriptionRequest
{
    private readonly SubscriptionOptions asked;
    private readonly TopicFilter filter;

    internal MqttSubscriptionRequest(Subscription subscription)
    {
        filter = subscription.Filter;
        asked = subscription.Options;
        QoS = asked.MaximumQoS;
        NoLocal = asked.NoLocal;
        RetainAsPublished = asked.RetainAsPublished;
        RetainHandling = asked.RetainHandling;
    }

    /// <summary>The Topic Filter.</summary>
    public string Filter => filter.Text;

    /// <summary>The greatest QoS; what it is set to is granted, if the broker grants so much.</summary>
    public QoS QoS { get; set; }

    /// <summary>Whether the client's own messages are left out. A shared subscription cannot have it.</summary>
    public bool NoLocal
    {
        get;
        set => field = value && filter.IsShared ? throw new ArgumentException("a shared subscription has no No Local", nameof(value)) : value;
    }

    /// <summary>Whether messages keep the RETAIN flag that they were published with.</summary>
    public bool RetainAsPublished { get; set; }

    /// <summary>What happens to retained messages.</summary>
    public RetainHandling RetainHandling { get; set; }

    /// <summary>Whether the filter is refused.</summary>
    public bool IsRefused => Reason >= ReasonCode.UnspecifiedError;

    internal ReasonCode Reason { get; set; }

    internal SubscriptionOptions Options => new(QoS, NoLocal, RetainAsPublished, RetainHandling);

    internal bool IsChanged => Options.Byte != asked.Byte;

    internal Subscription Result => new(filter, Options);

    /// <summary>The client does not get this subscription, and is told why.</summary>
    /// <param name="reason">A code of failure that SUBACK may have.</param>
    /// <exception cref="ArgumentOutOfRangeException">SUBACK has no such code of failure.</exception>
    public void Refuse(ReasonCode reason = ReasonCode.NotAuthorized)
    {
        if (reason < ReasonCode.UnspecifiedError || !Spec.reasonAllowed(Direction.ServerToClient, PacketType.Suback, reason))
            throw new ArgumentOutOfRangeException(nameof(reason), reason, "SUBACK has no such code of failure");

        Reason = reason;
    }
}
