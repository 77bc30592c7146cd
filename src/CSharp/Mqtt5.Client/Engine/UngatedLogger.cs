using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Engine;

// The log of the application, which may block and may throw. What is logged under the gate is written soon after it, in
// its order; and no failure of the log is one of the client.
internal sealed class UngatedLogger(ILogger log, Lock gate) : ILogger, IThreadPoolWorkItem
{
    // Where the log is slower than the client, lines beyond these are lost.
    private const int MostLines = 10_000;

    private readonly ConcurrentQueue<Action> late = new();
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
            // Nobody is left to tell.
            return false;
        }
    }

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!gate.IsHeldByCurrentThread)
        {
            Write(() => log.Log(logLevel, eventId, state, exception, formatter));
            return;
        }

        if (late.Count >= MostLines)
            return;

        late.Enqueue(() => log.Log(logLevel, eventId, state, exception, formatter));

        if (!Interlocked.Exchange(ref isWriting, true))
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute()
    {
        do
        {
            while (late.TryDequeue(out var line))
                Write(line);

            Interlocked.Exchange(ref isWriting, false);
        }
        while (!late.IsEmpty && !Interlocked.Exchange(ref isWriting, true));
    }

    private static void Write(Action line)
    {
        try
        {
            line();
        }
        catch (Exception)
        {
            // Nobody is left to tell.
        }
    }
}
