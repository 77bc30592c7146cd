using System.Numerics;

namespace Mqtt5.Cli;

/// <summary>
/// Counts durations in steps that grow with them, so that each is told within 0.8 %, from 1 ns to 73 minutes. Recording
/// allocates nothing. One thread records at a time; others may read meanwhile and see what was recorded a moment ago.
/// </summary>
internal sealed class LatencyHistogram
{
    // 128 steps for each doubling.
    private const int StepBits = 7;
    private const int Steps = 1 << StepBits;
    private const int GreatestBits = 42;
    private const long Greatest = (1L << GreatestBits) - 1;

    private readonly long[] counts = new long[((GreatestBits - StepBits - 1) << StepBits) + (2 * Steps)];
    private long total;
    private long sum;
    private long maximum;

    /// <summary>How many durations were recorded.</summary>
    public long Count => Volatile.Read(ref total);

    /// <summary>The longest one in nanoseconds, exactly; 0 without any.</summary>
    public long Maximum => Volatile.Read(ref maximum);

    /// <summary>The mean in nanoseconds, exactly; 0 without any.</summary>
    public double Mean => Count == 0 ? 0 : (double)Volatile.Read(ref sum) / Count;

    /// <summary>Records a duration in nanoseconds; what is out of range counts as the nearest that is not.</summary>
    public void Record(long nanoseconds)
    {
        var value = Math.Clamp(nanoseconds, 0, Greatest);
        counts[IndexOf(value)]++;
        total++;
        sum += value;

        if (value > maximum)
            maximum = value;
    }

    /// <summary>Adds what another one recorded.</summary>
    public void Add(LatencyHistogram other)
    {
        for (var index = 0; index < counts.Length; index++)
            counts[index] += Volatile.Read(ref other.counts[index]);

        total += other.Count;
        sum += Volatile.Read(ref other.sum);
        maximum = Math.Max(maximum, other.Maximum);
    }

    /// <summary>The duration in nanoseconds that so many percent of all did not exceed; 0 without any.</summary>
    /// <param name="percent">Above 0, up to 100.</param>
    public long Percentile(double percent)
    {
        var all = Count;
        var wanted = Math.Max(1, (long)Math.Ceiling(all * (percent / 100)));
        var seen = 0L;

        for (var index = 0; index < counts.Length && all > 0; index++)
        {
            seen += Volatile.Read(ref counts[index]);

            if (seen >= wanted)
                return Math.Min(UpperEndOf(index), Maximum);
        }

        return Maximum;
    }

    private static int IndexOf(long value)
    {
        var shift = Math.Max(0, BitOperations.Log2((ulong)value | 1) - StepBits);
        return (shift << StepBits) + (int)(value >> shift);
    }

    private static long UpperEndOf(int index)
    {
        var shift = Math.Max(0, (index >> StepBits) - 1);
        return ((index - ((long)shift << StepBits) + 1) << shift) - 1;
    }
}
