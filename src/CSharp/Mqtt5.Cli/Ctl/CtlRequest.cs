namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 ctl</c> is asked for.</summary>
internal sealed record CtlRequest
{
    /// <summary>What to do.</summary>
    public required string Action { get; init; }

    /// <summary>The client, the filter or the topic; null: none.</summary>
    public string? Name { get; init; }

    /// <summary>The topic to explain; null: none.</summary>
    public string? Topic { get; init; }

    /// <summary>Where the API is.</summary>
    public required Uri Url { get; init; }

    /// <summary>The file of the tokens; null: the default one.</summary>
    public string? TokenFile { get; init; }

    /// <summary>Authorities in PEM for the certificate of the API; null: those of the system.</summary>
    public string? Authorities { get; init; }

    /// <summary>Whether to print JSON, an object a line.</summary>
    public bool Json { get; init; }

    /// <summary>The most entries of a list.</summary>
    public int Limit { get; init; }

    /// <summary>Only clients in this state: connected or away; null: all.</summary>
    public string? State { get; init; }

    /// <summary>Only clients whose identifiers contain this; null: all.</summary>
    public string? Contains { get; init; }

    /// <summary>The payload to publish.</summary>
    public string Message { get; init; } = "";

    /// <summary>The QoS to publish or to explain with.</summary>
    public int QoS { get; init; }

    /// <summary>Whether the message is retained.</summary>
    public bool Retain { get; init; }
}
