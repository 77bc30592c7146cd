namespace Mqtt5.Cli;

/// <summary>What a load measured.</summary>
internal sealed record LoadReport
{
    /// <summary>What was asked for.</summary>
    public required LoadRequest Request { get; init; }

    /// <summary>How long it counted; shorter than asked for when it was interrupted.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>Messages that publishers sent while it counted.</summary>
    public required long Sent { get; init; }

    /// <summary>The copies of them that subscribers should have received.</summary>
    public required long Expected { get; init; }

    /// <summary>The copies of them that subscribers did receive, until a moment after the end.</summary>
    public required long Received { get; init; }

    /// <summary>Copies that arrived while it counted, whenever they were sent.</summary>
    public required long ReceivedInTime { get; init; }

    /// <summary>From when a message was due to the handler of its subscriber.</summary>
    public required LatencyHistogram Delivered { get; init; }

    /// <summary>From when a message was due to the last acknowledgement of the server.</summary>
    public required LatencyHistogram Acknowledged { get; init; }

    /// <summary>Why clients ended early.</summary>
    public required IReadOnlyList<string> Failures { get; init; }

    /// <summary>Copies that did not arrive; below 0: that came more than once.</summary>
    public long Lost => Expected - Received;

    /// <summary>Messages sent in a second.</summary>
    public double SentPerSecond => Rate(Sent);

    /// <summary>Copies received in a second.</summary>
    public double ReceivedPerSecond => Rate(ReceivedInTime);

    private double Rate(long messages) => Duration > TimeSpan.Zero ? messages / Duration.TotalSeconds : 0;
}
