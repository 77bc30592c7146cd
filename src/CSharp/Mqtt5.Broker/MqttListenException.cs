namespace Mqtt5;

/// <summary>A listener of a broker cannot be opened; the message says where and why.</summary>
public sealed class MqttListenException : IOException
{
    internal MqttListenException(int index, string message, Exception cause)
        : base(message, cause) => Index = index;

    /// <summary>Which listener of the options it is, in the order in which they were added, from 0.</summary>
    public int Index { get; }
}
