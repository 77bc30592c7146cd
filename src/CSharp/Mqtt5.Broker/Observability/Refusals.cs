using Microsoft.Extensions.Logging;

namespace Mqtt5.Serving;

// Counts the connections that did not become clients by the kind of reason, and logs some a second: more would only hide
// the others, and the cost would grow with the rate of the attempts.
internal sealed class Refusals(ILogger logger, TimeProvider time, BrokerWatch watching)
{
    // Of each kind, so that a flood of one does not hide another.
    private const int EntriesPerSecond = 5;

    private readonly Lock gate = new();
    private readonly long origin = time.GetTimestamp();
    private readonly Window[] windows = new Window[Enum.GetValues<RefusalKind>().Length];

    // The User Name is what CONNECT named, null where there is none.
    public void Add(RefusalKind kind, string? endPoint, string? userName, string detail)
    {
        Telemetry.Refused(logger, kind);
        watching.Refused(kind);

        if (!logger.IsEnabled(LogLevel.Information) || !MayLog(kind, out var untold))
            return;

        if (untold > 0)
            Log.RefusalsUntold(logger, untold, Refusal.KeyOf(kind));

        Log.Refused(logger, endPoint, userName, Refusal.KeyOf(kind), detail);
    }

    private bool MayLog(RefusalKind kind, out long untold)
    {
        var second = (long)time.GetElapsedTime(origin).TotalSeconds;
        untold = 0;

        lock (gate)
        {
            ref var window = ref windows[(int)kind];

            if (window.Second != second)
            {
                untold = window.Untold;
                window = new Window { Second = second };
            }

            if (window.Told < EntriesPerSecond)
            {
                window.Told++;
                return true;
            }

            window.Untold++;
            return false;
        }
    }

    private struct Window
    {
        public long Second;
        public int Told;
        public long Untold;
    }
}
