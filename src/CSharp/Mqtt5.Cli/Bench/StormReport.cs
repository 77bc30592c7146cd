namespace Mqtt5.Cli;

/// <summary>What became of a storm of connections.</summary>
internal sealed record StormReport
{
    /// <summary>What was asked for.</summary>
    public required StormRequest Request { get; init; }

    /// <summary>From the first attempt to the last answer.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>From the attempt, or from when it was due, to CONNACK.</summary>
    public required LatencyHistogram Connected { get; init; }

    /// <summary>Why others failed, and how many of each.</summary>
    public required IReadOnlyDictionary<string, int> Failures { get; init; }

    /// <summary>Connections opened in a second.</summary>
    public double PerSecond => Duration > TimeSpan.Zero ? Connected.Count / Duration.TotalSeconds : 0;
}
