using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>When a load begins, when it counts, and when it ends, on the clock of <see cref="Stopwatch"/>.</summary>
internal sealed class Schedule
{
    /// <summary>Makes one that begins now.</summary>
    public Schedule(TimeSpan warmUp, TimeSpan duration)
    {
        Begin = Stopwatch.GetTimestamp();
        CountFrom = Begin + Ticks(warmUp);
        End = CountFrom + Ticks(duration);
    }

    /// <summary>When the first message is due.</summary>
    public long Begin { get; }

    /// <summary>The first moment that counts.</summary>
    public long CountFrom { get; }

    /// <summary>The first moment that does not count any more.</summary>
    public long End { get; }

    /// <summary>Whether a moment counts.</summary>
    public bool Counts(long moment) => moment >= CountFrom && moment < End;

    /// <summary>A duration on this clock.</summary>
    public static long Ticks(TimeSpan duration) => (long)(duration.TotalSeconds * Stopwatch.Frequency);

    /// <summary>The nanoseconds from one moment to another.</summary>
    public static long Nanoseconds(long from, long to) => (long)Stopwatch.GetElapsedTime(from, to).TotalNanoseconds;
}
