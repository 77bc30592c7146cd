using System.Net;
using Microsoft.Extensions.Logging;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// Waits while descriptors or memory are short: new connections stay in the backlog of the operating system until others have
// closed. Otherwise an accept that fails for lack of descriptors would be retried in a busy loop, and one without memory
// would end the process.
internal static class AcceptingPause
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    // Never throws.
    public static async Task WaitAsync(Func<bool> isShort, string what, EndPoint? endPoint, ILogger logger, CancellationToken unbound)
    {
        if (!isShort())
            return;

        Log.AcceptingPaused(logger, endPoint, what);

        while (isShort() && !unbound.IsCancellationRequested)
            await Task.Delay(Pause, unbound).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

        Log.AcceptingResumed(logger, endPoint);
    }
}
