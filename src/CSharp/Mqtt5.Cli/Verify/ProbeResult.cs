using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>What a probe found.</summary>
/// <param name="Probe">The probe.</param>
/// <param name="Outcome">How it ended.</param>
/// <param name="Exchanges">What was sent and received.</param>
internal sealed record ProbeResult(Probe Probe, ProbeOutcome Outcome, IReadOnlyList<ProbeExchange> Exchanges);
