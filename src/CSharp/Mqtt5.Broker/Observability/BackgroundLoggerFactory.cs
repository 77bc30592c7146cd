using Microsoft.Extensions.Logging;

namespace Mqtt5.Serving;

// Isolates the engine and Kestrel from the application's loggers, which may throw, be slow or block: both log in the middle
// of their work, and neither survives a logger that throws. Entries go to a bounded queue that a dedicated thread writes;
// no application code runs on the caller, and enabled levels are queried in the background as well.
internal sealed class BackgroundLoggerFactory : ILoggerFactory
{
    // Beyond this number, entries are dropped. An entry takes a few hundred bytes.
    internal const int MaximumEntries = 4_096;

    // How long a change of a level may take to be noticed.
    private static readonly TimeSpan LevelsRefresh = TimeSpan.FromSeconds(1);

    private readonly ILoggerFactory target;
    private readonly Func<string, LogLevel> least;
    private readonly Queue<Action> entries = new();
    private readonly List<BackgroundLogger> loggers = [];
    private readonly ILogger own;
    private bool isWriting;
    private bool isDisposed;
    private long dropped;

    // The least level of a category applies until the application's loggers have been queried.
    public BackgroundLoggerFactory(ILoggerFactory target, Func<string, LogLevel> least)
    {
        this.target = target;
        this.least = least;
        own = CreateLogger(typeof(MqttBroker).FullName!);
        // At once: a level that is changed before there is an entry has to be noticed as well.
        new Thread(Run) { IsBackground = true, Name = "mqtt5 log" }.UnsafeStart();
    }

    // Dropped entries that have not been reported yet.
    public long Dropped => Interlocked.Read(ref dropped);

    public ILogger CreateLogger(string categoryName)
    {
        var logger = new BackgroundLogger(this, Guard(() => target.CreateLogger(categoryName)), least(categoryName));

        lock (entries)
            loggers.Add(logger);

        return logger;
    }

    // Providers belong to the application's factory.
    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    // Waits until the entries logged so far have been written, up to a timeout.
    public async Task FlushAsync(TimeSpan patience)
    {
        var written = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        lock (entries)
        {
            if (entries.Count == 0 && !isWriting)
                return;

            entries.Enqueue(written.SetResult);
            Monitor.Pulse(entries);
        }

        await Task.WhenAny(written.Task, Task.Delay(patience)).ConfigureAwait(false);
    }

    // Asks the application's loggers for their levels now, and waits for that up to a timeout.
    public async Task RefreshAsync(TimeSpan patience)
    {
        var refreshed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        lock (entries)
        {
            entries.Enqueue(() =>
            {
                RefreshLevels();
                refreshed.SetResult();
            });
            Monitor.Pulse(entries);
        }

        await Task.WhenAny(refreshed.Task, Task.Delay(patience)).ConfigureAwait(false);
    }

    // The thread ends when the queue is drained; it is a background thread, so a blocked one does not keep the process
    // alive.
    public void Dispose()
    {
        lock (entries)
        {
            isDisposed = true;
            Monitor.Pulse(entries);
        }
    }

    private static T? Guard<T>(Func<T?> call)
    {
        try
        {
            return call();
        }
        catch (Exception)
        {
            // A failing logger cannot be reported anywhere.
            return default;
        }
    }

    private void Enqueue(Action entry)
    {
        lock (entries)
        {
            if (entries.Count >= MaximumEntries || isDisposed)
            {
                dropped++;
            }
            else
            {
                entries.Enqueue(entry);
                Monitor.Pulse(entries);
                return;
            }
        }

        // Meter listeners are called synchronously, and may throw.
        Guard<object>(() =>
        {
            Telemetry.LogEntryDropped();
            return null;
        });
    }

    private void Run()
    {
        var refreshed = Environment.TickCount64;

        while (true)
        {
            Action? entry;
            var missed = 0L;

            lock (entries)
            {
                isWriting = false;

                if (entries.Count == 0 && !isDisposed)
                    Monitor.Wait(entries, LevelsRefresh);

                if (entries.TryDequeue(out entry))
                    isWriting = true;
                else if (isDisposed)
                    return;

                // Reported once there is room again.
                if (entries.Count < MaximumEntries / 2)
                    (missed, dropped) = (dropped, 0);
            }

            Guard<object>(() =>
            {
                entry?.Invoke();
                return null;
            });

            if (missed > 0)
                Log.EntriesDropped(own, missed);

            if (Environment.TickCount64 - refreshed > LevelsRefresh.TotalMilliseconds)
            {
                RefreshLevels();
                refreshed = Environment.TickCount64;
            }
        }
    }

    private void RefreshLevels()
    {
        BackgroundLogger[] all;

        lock (entries)
            all = [.. loggers];

        foreach (var logger in all)
            logger.RefreshLevel();
    }

    private sealed class BackgroundLogger : ILogger
    {
        private readonly BackgroundLoggerFactory factory;
        private readonly ILogger? target;
        private readonly LogLevel least;
        // The enabled levels, as a bit mask.
        private int levels;

        public BackgroundLogger(BackgroundLoggerFactory factory, ILogger? target, LogLevel least)
        {
            this.factory = factory;
            this.target = target;
            this.least = least;
            RefreshLevel();
        }

        // Kestrel's scopes are not kept: its entries hold the same values. Scopes of the application come with the captured
        // execution context.
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => (Volatile.Read(ref levels) & (1 << (int)logLevel)) != 0;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (target is null || !IsEnabled(logLevel))
                return;

            void Write() => target.Log(logLevel, eventId, state, exception, formatter);

            // Scopes and the current activity.
            var context = ExecutionContext.Capture();
            factory.Enqueue(context is null ? Write : () => ExecutionContext.Run(context, static write => ((Action)write!)(), (Action)Write));
        }

        public void RefreshLevel()
        {
            if (target is null)
                return;

            var on = 0;

            for (var level = least; level < LogLevel.None; level++)
            {
                if (Guard(() => target.IsEnabled(level)))
                    on |= 1 << (int)level;
            }

            Volatile.Write(ref levels, on);
        }
    }
}
