namespace Mqtt5.Cli;

/// <summary>The three streams that the command talks through, so that it also runs without a process.</summary>
/// <param name="OpenInput">Opens standard input; called at most once.</param>
/// <param name="IsInputRedirected">False when standard input is a person at a keyboard.</param>
/// <param name="Output">What was asked for.</param>
/// <param name="Error">Complaints about the command line or the input.</param>
internal sealed record Terminal(Func<Stream> OpenInput, bool IsInputRedirected, TextWriter Output, TextWriter Error)
{
    /// <summary>Opens standard output for bytes, by verbs that do not use <see cref="Output"/>; called at most once.</summary>
    public Func<Stream> OpenOutput { get; init; } = StandardOutput.Open;

    /// <summary>False when a person looks at the output in a terminal, so that it may be coloured and drawn over.</summary>
    public bool IsOutputRedirected { get; init; } = true;

    /// <summary>The directory of the user's configuration files; null: none is read.</summary>
    public string? ConfigurationFolder { get; init; }
}
