namespace Mqtt5;

/// <summary>How long a client waits before it connects again: an exponential backoff with jitter.</summary>
public sealed class MqttReconnectOptions
{
    /// <summary>The first delay, above 0. The default is 1 second. It doubles with each failed attempt.</summary>
    public TimeSpan InitialDelay { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest delay. The default is 32 seconds.</summary>
    public TimeSpan MaximumDelay { get; set; } = TimeSpan.FromSeconds(32);

    /// <summary>
    /// How much a delay varies, from 0 (not at all) to 1: it is uniform in the delay plus or minus half of this
    /// part. The default is 0.5.
    /// </summary>
    public double Jitter { get; set; } = 0.5;

    /// <summary>Whether the first connection is tried again as well, until its call is cancelled. The default is false.</summary>
    public bool RetryFirstConnection { get; set; }

    /// <summary>
    /// Whether a server that names another one in its Server Reference is believed. The default is false, because
    /// it hands the credentials to whatever server is named.
    /// </summary>
    public bool FollowServerReference { get; set; }
}
