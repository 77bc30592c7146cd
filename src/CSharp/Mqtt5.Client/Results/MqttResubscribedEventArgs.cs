namespace Mqtt5;

/// <summary>The server had lost the session, and a filter was subscribed to again.</summary>
public sealed class MqttResubscribedEventArgs : EventArgs
{
    internal MqttResubscribedEventArgs(MqttSubscribeResult result) => Result = result;

    /// <summary>The filter and what the server answered.</summary>
    public MqttSubscribeResult Result { get; }
}
