namespace Mqtt5;

/// <summary>The connection is open again.</summary>
public sealed class MqttReconnectedEventArgs : EventArgs
{
    internal MqttReconnectedEventArgs(MqttConnectResult result) => Result = result;

    /// <summary>What the server answered.</summary>
    public MqttConnectResult Result { get; }
}
