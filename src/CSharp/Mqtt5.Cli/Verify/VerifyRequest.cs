namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 verify</c> is to do.</summary>
internal sealed record VerifyRequest
{
    /// <summary>The version of the protocol.</summary>
    public required ProtocolVersion Version { get; init; }

    /// <summary>The statements whose probes run; empty: all.</summary>
    public required IReadOnlyList<string> Clauses { get; init; }

    /// <summary>More URLs of the same server, set up in other ways.</summary>
    public required IReadOnlyList<string> MoreServers { get; init; }

    /// <summary>A text that the titles of the probes contain; null: any.</summary>
    public string? Only { get; init; }

    /// <summary>What all that is random comes from.</summary>
    public required int Seed { get; init; }

    /// <summary>How many probes run at the same time.</summary>
    public required int Parallel { get; init; }

    /// <summary>The number of hostile frames; 0: none.</summary>
    public required int HostileFrames { get; init; }

    /// <summary>The number of random sessions; 0: none.</summary>
    public required int RandomSessions { get; init; }

    /// <summary>How long an answer of the server may take.</summary>
    public required TimeSpan Patience { get; init; }

    /// <summary>Where the results go as JSON; null: nowhere.</summary>
    public string? JsonFile { get; init; }

    /// <summary>Where they go as JUnit XML; null: nowhere.</summary>
    public string? JUnitFile { get; init; }

    /// <summary>Where they go as a page; null: nowhere.</summary>
    public string? HtmlFile { get; init; }
}
