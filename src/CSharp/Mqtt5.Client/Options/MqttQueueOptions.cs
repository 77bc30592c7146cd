namespace Mqtt5;

/// <summary>The limits of the messages that wait in a client for a connection, the socket or the server's quota.</summary>
public sealed class MqttQueueOptions
{
    /// <summary>The greatest number of waiting messages. The default is 100,000.</summary>
    public int MaximumMessages { get; set; } = 100_000;

    /// <summary>
    /// The total size of all messages that are queued or, at QoS 1 and 2, in flight, in bytes of topics, payloads and User
    /// Properties. A larger message is sent when nothing else is in flight. The default is 64 MiB.
    /// </summary>
    public long MaximumBytes { get; set; } = 64 * 1024 * 1024;

    /// <summary>
    /// What happens beyond that: the new message fails with <see cref="MqttQueueFullException"/>, or the oldest ones
    /// do. The default refuses the new one.
    /// </summary>
    public WhenFull WhenFull { get; set; } = WhenFull.Refuse;

    /// <summary>Whether messages of QoS 0 wait for a connection; if not, they fail without one. The default is true.</summary>
    public bool KeepQoS0 { get; set; } = true;
}
