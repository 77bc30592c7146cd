using Mqtt5.Engine;

namespace Mqtt5;

/// <summary>What the server answered to CONNECT: its CONNACK with every property (section 3.2).</summary>
public sealed class MqttConnectResult
{
    private readonly Connack connack;

    internal MqttConnectResult(Connack connack) => this.connack = connack;

    /// <summary>Whether the server goes on with an existing session.</summary>
    public bool SessionPresent => connack.SessionPresent;

    /// <summary>Success, or why the connection is refused.</summary>
    public ReasonCode Reason => connack.Reason;

    /// <summary>What the server says about it, for people; null: nothing.</summary>
    public string? ReasonString => Properties.ReasonString.ToText();

    /// <summary>The Client Identifier that the server assigned; null: the one of the options is in use.</summary>
    public string? AssignedClientId => Properties.AssignedClientIdentifier.ToText();

    /// <summary>The Session Expiry Interval of the server; null: the one that was asked for.</summary>
    public TimeSpan? SessionExpiry => Properties.SessionExpiryInterval.ToDuration();

    /// <summary>The Keep Alive of the server; null: the one that was asked for.</summary>
    public TimeSpan? KeepAlive =>
        Properties.ServerKeepAlive.IsSome ? TimeSpan.FromSeconds(Properties.ServerKeepAlive.Value) : null;

    /// <summary>How many messages of QoS 1 and 2 the server takes at a time.</summary>
    public int ReceiveMaximum => Properties.ReceiveMaximum.ToNullable() ?? ushort.MaxValue;

    /// <summary>The greatest QoS that the server takes.</summary>
    public QoS MaximumQoS => Properties.MaximumQoS.ToNullable() ?? QoS.ExactlyOnce;

    /// <summary>The largest packet that the server takes, in bytes; null: no limit.</summary>
    public long? MaximumPacketSize => Properties.MaximumPacketSize.ToNullable();

    /// <summary>The greatest Topic Alias that the server takes; 0: none.</summary>
    public int TopicAliasMaximum => Properties.TopicAliasMaximum.ToNullable() ?? 0;

    /// <summary>Whether the server keeps retained messages.</summary>
    public bool RetainAvailable => Properties.RetainAvailable.ToNullable() ?? true;

    /// <summary>Whether wildcards may be used in subscriptions.</summary>
    public bool WildcardSubscriptionAvailable => Properties.WildcardSubscriptionAvailable.ToNullable() ?? true;

    /// <summary>Whether Subscription Identifiers may be used.</summary>
    public bool SubscriptionIdentifierAvailable => Properties.SubscriptionIdentifierAvailable.ToNullable() ?? true;

    /// <summary>Whether shared subscriptions may be used.</summary>
    public bool SharedSubscriptionAvailable => Properties.SharedSubscriptionAvailable.ToNullable() ?? true;

    /// <summary>A hint for building Response Topics; null: none.</summary>
    public string? ResponseInformation => Properties.ResponseInformation.ToText();

    /// <summary>Another server to use; null: none.</summary>
    public string? ServerReference => Properties.ServerReference.ToText();

    /// <summary>The User Properties, in order.</summary>
    public UserProperties UserProperties => Properties.UserProperties;

    /// <summary>The CONNACK in notation, without Authentication Data.</summary>
    /// <returns>A line of text.</returns>
    public override string ToString() => Notation.PrintRedacted(Packet.NewConnack(connack));

    private ConnackProperties Properties => connack.Properties;
}
