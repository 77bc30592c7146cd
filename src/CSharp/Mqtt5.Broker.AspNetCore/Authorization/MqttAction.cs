namespace Mqtt5.AspNetCore;

/// <summary>What a client wants to do with a topic.</summary>
public enum MqttAction
{
    /// <summary>Publish to it; its Will Topic is one.</summary>
    Publish,

    /// <summary>Subscribe to the Topic Filter.</summary>
    Subscribe,

    /// <summary>Receive a message of it, which one of its subscriptions matches.</summary>
    Receive,
}
