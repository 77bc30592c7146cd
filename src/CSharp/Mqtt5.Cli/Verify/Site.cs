using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>An address of the server that is verified, and what the server has there.</summary>
/// <param name="Player">Plays probes there.</param>
/// <param name="Facts">What the server said of itself.</param>
internal sealed record Site(ProbePlayer Player, ServerFacts Facts)
{
    /// <summary>Looks at an address.</summary>
    /// <exception cref="IOException">The server does not take a usual CONNECT there.</exception>
    public static async Task<Site> OfAsync(ProbePlayer player, ProbeSettings settings, CancellationToken cancellationToken)
    {
        var connack = await player.AskAsync(settings, cancellationToken);
        var lacksScram = await player.AskForScramAsync(settings, cancellationToken);
        return new Site(player, new ServerFacts(connack, player.IsWebSocket, lacksScram));
    }

    /// <summary>Plays a probe at the first address where it applies.</summary>
    public static async Task<ProbeResult> PlayAsync(
        IReadOnlyList<Site> sites, Probe probe, ProbeSettings settings, CancellationToken cancellationToken)
    {
        ProbeResult? first = null;

        foreach (var site in sites)
        {
            var result = await site.PlayAsync(probe, settings, cancellationToken);
            first ??= result;

            if (result.Outcome.Verdict != Verdict.NotApplicable)
                return result;
        }

        return first!;
    }

    private async Task<ProbeResult> PlayAsync(Probe probe, ProbeSettings settings, CancellationToken cancellationToken) =>
        Lacks(probe) is { } reason
            ? new ProbeResult(probe, new ProbeOutcome(Verdict.NotApplicable, [], "", reason, ""), [])
            : await Player.PlayAsync(probe, settings, cancellationToken);

    private string? Lacks(Probe probe) =>
        probe.Needs.Select(need => ServerFactsModule.Lacks(Facts, need)).FirstOrDefault(one => one.IsValueSome) is { IsValueSome: true, Value: var reason }
            ? reason
            : null;
}
