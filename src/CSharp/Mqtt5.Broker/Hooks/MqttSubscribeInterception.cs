namespace Mqtt5;

/// <summary>A SUBSCRIBE of a client, for a hook to look at, change or refuse. Valid during the call.</summary>
public sealed class MqttSubscribeInterception
{
    internal MqttSubscribeInterception(string clientId, UserProperties userProperties, IReadOnlyList<MqttSubscriptionRequest> requests)
    {
        ClientId = clientId;
        UserProperties = userProperties;
        Requests = requests;
    }

    /// <summary>The client that subscribes.</summary>
    public string ClientId { get; }

    /// <summary>The User Properties of SUBSCRIBE.</summary>
    public UserProperties UserProperties { get; }

    /// <summary>What it subscribes to, in order. Those that access rules refuse are refused already.</summary>
    public IReadOnlyList<MqttSubscriptionRequest> Requests { get; }
}
