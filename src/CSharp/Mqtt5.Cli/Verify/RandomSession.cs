using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>A random session that was played.</summary>
/// <param name="Result">What it found.</param>
/// <param name="Script">What was played.</param>
internal sealed record RandomSession(ProbeResult Result, RandomisedScript Script);
