namespace Mqtt5;

/// <summary>A connection was lost, ended, or could not be opened again.</summary>
public sealed class MqttDisconnectedEventArgs : EventArgs
{
    internal MqttDisconnectedEventArgs(MqttException? cause, TimeSpan? delay)
    {
        Cause = cause;
        Delay = delay;
    }

    /// <summary>Why; null: the application closed it.</summary>
    public MqttException? Cause { get; }

    /// <summary>How long until the next attempt; null: there is none.</summary>
    public TimeSpan? Delay { get; }
}
