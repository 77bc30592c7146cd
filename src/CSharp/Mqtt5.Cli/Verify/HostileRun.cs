using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Sends hostile bytes to a server, and sees that a client beside them is served.</summary>
internal static class HostileRun
{
    private const int FramesBetweenChecks = 20;
    private static readonly TimeSpan FrameTime = TimeSpan.FromMilliseconds(60);

    /// <summary>Sends the frames one after another. Returns what went wrong; null: nothing.</summary>
    public static async Task<string?> RunAsync(
        ProbePlayer player, ProtocolVersion version, ProbeSettings settings, IReadOnlyList<HostileFrame> frames, CancellationToken cancellationToken)
    {
        var health = ProbeSyntax.ProbeIn(version, [], version.IsV5 ? "4.13.1-1" : "4.8.0-1", "A client beside hostile bytes is served", """
            h joins
            h subscribes "~/health"
            h > PUBLISH topic="~/health" payload="alive"
            h < PUBLISH topic="~/health" payload="alive"
            h quiet
            """);

        for (var first = 0; first < frames.Count; first += FramesBetweenChecks)
        {
            var some = frames.Skip(first).Take(FramesBetweenChecks).ToArray();

            foreach (var frame in some)
                await SendAsync(player, frame, cancellationToken);

            var outcome = (await player.PlayAsync(health, settings, cancellationToken)).Outcome;

            if (outcome.Verdict != Verdict.Pass)
            {
                return $"a client got no service ({outcome.Line}: expected {outcome.Expected}; seen: {outcome.Seen}) after "
                    + string.Join(", ", some.Select(one => $"{one.Opening}{one.Frame}"));
            }
        }

        return null;
    }

    private static async Task SendAsync(ProbePlayer player, HostileFrame frame, CancellationToken cancellationToken)
    {
        using var time = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        time.CancelAfter(FrameTime);

        try
        {
            await using var connection = await player.OpenAsync(time.Token);
            await connection.WriteAsync((byte[])[.. frame.Opening.Span, .. frame.Frame.Span], time.Token);

            while (!(await connection.ReadAsync("", time.Token)).IsClosed)
            {
            }
        }
        catch (Exception exception) when (ProbeConnections.IsLoss(exception) && !cancellationToken.IsCancellationRequested)
        {
            // Closed, or still open when the time was over: both are fine.
        }
    }
}
