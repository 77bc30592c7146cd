namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 replay</c> was asked for.</summary>
internal sealed record ReplayRequest
{
    /// <summary>The server.</summary>
    public required Uri Server { get; init; }

    /// <summary>The trace file or capture.</summary>
    public required string Source { get; init; }

    /// <summary>How many times as fast as it was recorded; positive infinity: without waiting.</summary>
    public required double Speed { get; init; }

    /// <summary>How long an answer of the server may take.</summary>
    public required TimeSpan Patience { get; init; }

    /// <summary>Whether differences make the command fail.</summary>
    public required bool IsStrict { get; init; }

    /// <summary>The numbers of the connections to play; none: all.</summary>
    public required IReadOnlyList<int> Connections { get; init; }

    /// <summary>The User Name in the place of those of the recording; null: they stay.</summary>
    public string? UserName { get; init; }

    /// <summary>The password in the place of those of the recording; null: they stay.</summary>
    public string? Password { get; init; }

    /// <summary>How to show and write what is exchanged. Its source and its port are those of a file that is read.</summary>
    public required TraceRequest Trace { get; init; }
}
