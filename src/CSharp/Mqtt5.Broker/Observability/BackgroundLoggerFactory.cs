using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Serving;

// The loggers of the application, which may throw, be slow or hang, for the engine and for Kestrel: both log in the middle
// of their work, and neither survives a logger that throws. An entry waits in a bounded queue, and a thread of its own
// writes it. Nothing of the application runs in the caller; whether a level is on is asked for in the background as well.
internal sealed class BackgroundLoggerFactory : ILoggerFactory
{
    // Where the log is slower than the broker, entries beyond these are dropped. An entry holds a few hundred bytes.
    internal const int MaximumEntries = 4_096;

    private const string DroppedInstrument = "mqtt5.broker.log.dropped";

    // How long a changed level may take to be seen.
    private static readonly TimeSpan LevelsRefresh = TimeSpan.FromSeconds(1);

    private static readonly Counter<long> DroppedCount =
        new Meter("Mqtt5").CreateCounter<long>(DroppedInstrument, "{entry}", "Entries of the log that were dropped because it is written too slowly.");

    private readonly ILoggerFactory target;
    private readonly Func<string, LogLevel> least;
    private readonly Queue<Action> entries = new();
    private readonly List<BackgroundLogger> loggers = [];
    private readonly ILogger own;
    private bool isStarted;
    private bool isWriting;
    private bool isDisposed;
    private long dropped;

    // The least level of a category is for what the application has not asked about.
    public BackgroundLoggerFactory(ILoggerFactory target, Func<string, LogLevel> least)
    {
        this.target = target;
        this.least = least;
        own = CreateLogger(typeof(MqttBroker).FullName!);
    }

    // Entries that were dropped and that no entry has told of yet.
    public long Dropped => Interlocked.Read(ref dropped);

    public ILogger CreateLogger(string categoryName)
    {
        var logger = new BackgroundLogger(this, Guard(() => target.CreateLogger(categoryName)), least(categoryName));

        lock (entries)
            loggers.Add(logger);

        return logger;
    }

    // Providers belong to the factory of the application.
    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    // Waits until all that was logged before has been written, but no longer than this.
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

    // The thread ends when it has written what waits; one that hangs ends with the process.
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
            // There is nowhere to tell it.
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
                Start();
                return;
            }
        }

        // Those who listen to the meter are called at once, and may throw.
        Guard<object>(() =>
        {
            DroppedCount.Add(1);
            return null;
        });
    }

    private void Start()
    {
        if (isStarted)
            return;

        isStarted = true;
        new Thread(Run) { IsBackground = true, Name = "mqtt5 log" }.UnsafeStart();
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

                // Told once there is room again.
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
        // The levels that are on, a bit for each.
        private int levels;

        public BackgroundLogger(BackgroundLoggerFactory factory, ILogger? target, LogLevel least)
        {
            this.factory = factory;
            this.target = target;
            this.least = least;
            RefreshLevel();
        }

        // Scopes of Kestrel are not kept: what they tell stands in its entries as well. Those of the application's own
        // flow, in which the entry arises, are there when it is written.
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
