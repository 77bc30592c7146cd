using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Engine;

// The log of the application, which may block and may throw. A line is written soon after what it tells of, in the order
// and in the context of its caller; so it neither holds up the gate nor fails within it.
internal sealed class UngatedLogger(ILogger log) : ILogger, IThreadPoolWorkItem
{
    // Where the log is slower than the client, lines beyond these are lost.
    private const int MostLines = 10_000;

    private readonly ConcurrentQueue<Action> lines = new();
    private bool isWriting;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => log.BeginScope(state);

    public bool IsEnabled(LogLevel logLevel)
    {
        try
        {
            return log.IsEnabled(logLevel);
        }
        catch (Exception)
        {
            // A failure of the logger cannot be reported anywhere.
            return false;
        }
    }

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (lines.Count < MostLines)
            Add(() => log.Log(logLevel, eventId, state, exception, formatter));
    }

    // Completes when all that was logged before has been written.
    public Task WrittenAsync()
    {
        var written = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Add(written.SetResult);
        return written.Task;
    }

    void IThreadPoolWorkItem.Execute()
    {
        do
        {
            while (lines.TryDequeue(out var line))
                Write(line);

            Interlocked.Exchange(ref isWriting, false);
        }
        while (!lines.IsEmpty && !Interlocked.Exchange(ref isWriting, true));
    }

    private void Add(Action line)
    {
        // Scopes and the current activity.
        var context = ExecutionContext.Capture();
        lines.Enqueue(context is null ? line : () => ExecutionContext.Run(context, static line => ((Action)line!)(), line));

        if (!Interlocked.Exchange(ref isWriting, true))
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private static void Write(Action line)
    {
        try
        {
            line();
        }
        catch (Exception)
        {
            // A failure of the logger cannot be reported anywhere.
        }
    }
}
