namespace Mqtt5.Cli;

/// <summary>
/// Gives memory back while the broker has little to do. Garbage is collected when a budget is used up, and the budget is
/// large so that a busy broker rarely stops; without this, what a rush of connections left behind would stay as long as
/// it is quiet.
/// </summary>
internal static class QuietTime
{
    // Less than this in a period is quiet, in bytes.
    private const long QuietBytes = 512 * 1024;

    // Less garbage than this is not worth a collection, in bytes.
    private const long WorthwhileBytes = 8 * 1024 * 1024;

    private static readonly TimeSpan Period = TimeSpan.FromSeconds(4);

    /// <summary>Watches until it is cancelled.</summary>
    public static async Task WatchAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Period);
        var collected = 0L;
        var before = 0L;

        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
            {
                var allocated = GC.GetTotalAllocatedBytes();

                if (allocated - before < QuietBytes && allocated - collected > WorthwhileBytes)
                {
                    collected = allocated;
                    GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
                }

                before = allocated;
            }
        }
        catch (OperationCanceledException)
        {
            // The broker stops.
        }
    }
}
