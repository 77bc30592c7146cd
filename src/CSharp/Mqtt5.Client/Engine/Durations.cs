namespace Mqtt5.Engine;

// Durations of the application as the numbers of the core.
internal static class Durations
{
    // Whole seconds, rounded up; an infinite duration is the greatest number, which means for ever in MQTT.
    public static uint Seconds(TimeSpan duration, string name)
    {
        if (duration == Timeout.InfiniteTimeSpan)
            return uint.MaxValue;

        var seconds = Math.Ceiling(duration.TotalSeconds);

        if (seconds is < 0 or > uint.MaxValue)
            throw new ArgumentOutOfRangeException(name, duration, "the duration is outside of 0 to 4,294,967,295 seconds");

        return (uint)seconds;
    }

    public static long Milliseconds(TimeSpan duration, string name)
    {
        if (duration == Timeout.InfiniteTimeSpan)
            return int.MaxValue;

        if (duration <= TimeSpan.Zero || duration.TotalMilliseconds > int.MaxValue)
            throw new ArgumentOutOfRangeException(name, duration, "the duration is not above 0 and at most 24 days");

        return (long)Math.Ceiling(duration.TotalMilliseconds);
    }
}
