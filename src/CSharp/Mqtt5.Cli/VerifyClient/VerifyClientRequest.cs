namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 verify-client</c> is to do.</summary>
internal sealed record VerifyClientRequest
{
    /// <summary>How the client program is started.</summary>
    public required ClientCommands Commands { get; init; }

    /// <summary>The version of the protocol that the client is asked to speak.</summary>
    public ProtocolVersion Version { get; init; } = ProtocolVersion.V5;

    /// <summary>What the report calls the client.</summary>
    public required string Name { get; init; }

    /// <summary>The port to listen on; 0: a free one for each scenario.</summary>
    public required int Port { get; init; }

    /// <summary>The statements whose scenarios run; empty: all.</summary>
    public required IReadOnlyList<string> Clauses { get; init; }

    /// <summary>A text that the titles of the scenarios contain; null: any.</summary>
    public string? Only { get; init; }

    /// <summary>How many scenarios run at the same time.</summary>
    public required int Parallel { get; init; }

    /// <summary>How long an answer of the client may take.</summary>
    public required TimeSpan Patience { get; init; }

    /// <summary>How long the program may take to start, and to connect again.</summary>
    public required TimeSpan StartPatience { get; init; }

    /// <summary>Where the results go as JSON; null: nowhere.</summary>
    public string? JsonFile { get; init; }

    /// <summary>Where they go as JUnit XML; null: nowhere.</summary>
    public string? JUnitFile { get; init; }

    /// <summary>Where they go as a page; null: nowhere.</summary>
    public string? HtmlFile { get; init; }
}
