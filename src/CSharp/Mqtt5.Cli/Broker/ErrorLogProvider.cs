using Microsoft.Extensions.Logging;

namespace Mqtt5.Cli;

/// <summary>Logs to standard error, one line per entry, whatever its text.</summary>
internal sealed class ErrorLogProvider(TextWriter error) : ILoggerProvider
{
    private readonly TextWriter writer = TextWriter.Synchronized(error);

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => new ErrorLog(categoryName, writer);

    /// <inheritdoc/>
    public void Dispose()
    {
        // Not flushed: flushing blocks forever if standard error is a pipe whose reader has stalled. Each line is a single
        // write.
    }

    private sealed class ErrorLog(string category, TextWriter writer) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var failure = exception is null ? "" : $" ({exception.GetType().Name}: {exception.Message})";
            var line = $"{DateTime.UtcNow:yyyy-MM-ddTHH:mm:ss.fffZ} {logLevel} {category}: {formatter(state, exception)}{failure}";
            writer.WriteLine(PeerText.Escape(line, keepsLines: false));
        }
    }
}
