namespace Mqtt5;

/// <summary>An attempt to connect again begins.</summary>
public sealed class MqttReconnectingEventArgs : EventArgs
{
    internal MqttReconnectingEventArgs(int attempt) => Attempt = attempt;

    /// <summary>The number of the attempt since the last connection, from 1.</summary>
    public int Attempt { get; }
}
