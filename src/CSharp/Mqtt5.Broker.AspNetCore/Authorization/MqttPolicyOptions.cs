namespace Mqtt5.AspNetCore;

/// <summary>Which policies decide what clients may do. Read once, when the broker is made.</summary>
public sealed class MqttPolicyOptions
{
    /// <summary>The name of the policy for publishing, the Will included. What it denies is answered with 0x87.</summary>
    public string PublishPolicy { get; set; } = "";

    /// <summary>The name of the policy for Topic Filters. What it denies is answered with 0x87.</summary>
    public string SubscribePolicy { get; set; } = "";

    /// <summary>
    /// The name of the policy for each topic that a client is about to receive; what it denies is not delivered. Null, the
    /// default: a client receives all that its subscriptions match, so the policy for filters has to mind wildcards.
    /// </summary>
    public string? ReceivePolicy { get; set; }

    /// <summary>How many decisions are kept for a connection: 1 to 65,536. When they are as many, they are all dropped. Default: 256.</summary>
    public int CachedDecisions { get; set; } = 256;

    /// <summary>
    /// How long a decision may take; more than zero, at most a minute. One that takes longer denies, and is asked for again
    /// the next time. A thread waits for it, so handlers should decide by what is in memory. Default: 5 seconds.
    /// </summary>
    public TimeSpan DecisionTimeout { get; set; } = TimeSpan.FromSeconds(5);

    internal void Check()
    {
        ArgumentException.ThrowIfNullOrEmpty(PublishPolicy);
        ArgumentException.ThrowIfNullOrEmpty(SubscribePolicy);
        ArgumentOutOfRangeException.ThrowIfLessThan(CachedDecisions, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(CachedDecisions, 65_536);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(DecisionTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(DecisionTimeout, TimeSpan.FromMinutes(1));
    }
}
