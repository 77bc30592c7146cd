using Microsoft.Extensions.Logging;

namespace Mqtt5.Cli;

/// <summary>The least level that is told on standard error, which can be changed. Safe to use from many threads.</summary>
/// <param name="level">The level to begin with.</param>
internal sealed class LogThreshold(LogLevel level)
{
    private volatile LogLevel least = level;

    /// <summary>Changes it.</summary>
    public void Set(LogLevel next) => least = next;

    /// <summary>Whether an entry is told. The audit log is, whatever the level.</summary>
    public bool Allows(string? category, LogLevel entry) =>
        category == BrokerAdmin.LogCategory ? entry >= LogLevel.Information : entry >= least && entry < LogLevel.None;
}
