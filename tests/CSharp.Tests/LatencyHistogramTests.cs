using Mqtt5.Cli;

namespace Mqtt5.CSharp.Tests;

public sealed class LatencyHistogramTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(20_000)]
    public void Percentiles_are_those_of_the_sorted_durations_within_one_percent(int count)
    {
        var random = new Random(count);
        var durations = Enumerable.Range(0, count).Select(_ => (long)Math.Exp(random.NextDouble() * 25)).ToArray();
        var histogram = new LatencyHistogram();

        foreach (var duration in durations)
            histogram.Record(duration);

        Array.Sort(durations);

        foreach (var percent in new[] { 0.1, 10, 50, 90, 99, 99.9, 100 })
        {
            var exact = durations[Math.Max(0, (int)Math.Ceiling(count * (percent / 100)) - 1)];
            Assert.InRange(histogram.Percentile(percent), exact, exact + (exact / 100));
        }

        Assert.Equal(count, histogram.Count);
        Assert.Equal(durations[^1], histogram.Maximum);
        Assert.Equal(durations.Average(), histogram.Mean, 1.0);
    }

    [Fact]
    public void The_extremes_are_counted_and_nothing_is_0()
    {
        var histogram = new LatencyHistogram();
        Assert.Equal(0, histogram.Percentile(50));
        histogram.Record(-5);
        histogram.Record(long.MaxValue);
        Assert.Equal(0, histogram.Percentile(50));
        Assert.Equal((1L << 42) - 1, histogram.Percentile(100));
        Assert.Equal(2, histogram.Count);
    }

    [Fact]
    public void Histograms_add_up()
    {
        var (one, other, all) = (new LatencyHistogram(), new LatencyHistogram(), new LatencyHistogram());

        for (var value = 1; value < 10_000; value++)
        {
            (value % 3 == 0 ? one : other).Record(value * 17);
            all.Record(value * 17);
        }

        one.Add(other);
        Assert.Equal(all.Count, one.Count);
        Assert.Equal(all.Maximum, one.Maximum);
        Assert.Equal(all.Percentile(99), one.Percentile(99));
    }

    [Fact]
    public void Recording_allocates_nothing()
    {
        var histogram = new LatencyHistogram();
        histogram.Record(1);
        var least = long.MaxValue;

        // In a single round the runtime may allocate by itself, when it recompiles the code.
        for (var round = 0; round < 10; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();

            for (var value = 0; value < 10_000; value++)
                histogram.Record(value);

            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
    }
}
