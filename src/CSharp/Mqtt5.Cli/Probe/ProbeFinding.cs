namespace Mqtt5.Cli;

/// <summary>What was found out about one thing.</summary>
/// <param name="Verdict">Whether it works.</param>
/// <param name="Detail">How, or why not.</param>
internal sealed record ProbeFinding(ProbeVerdict Verdict, string Detail)
{
    /// <summary>It works.</summary>
    public static ProbeFinding Works(string detail) => new(ProbeVerdict.Works, detail);

    /// <summary>The server says that it does not have it.</summary>
    public static ProbeFinding Absent(string detail) => new(ProbeVerdict.Absent, detail);

    /// <summary>It does not work.</summary>
    public static ProbeFinding Fails(string detail) => new(ProbeVerdict.Fails, detail);

    /// <summary>Something to know.</summary>
    public static ProbeFinding Figure(string detail) => new(ProbeVerdict.Figure, detail);

    /// <summary>It works if so; otherwise the detail says what happened instead.</summary>
    public static ProbeFinding Of(bool works, string good, string bad) => works ? Works(good) : Fails(bad);
}
