using System.Diagnostics.Metrics;

namespace Mqtt5.Admin;

// The series of one instrument.
internal sealed class MetricFamily
{
    // In seconds: from 0.5 ms to 10 s.
    private static readonly double[] Durations = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    // In bytes: from 256 B to 16 MiB.
    private static readonly double[] Sizes = [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];

    private readonly bool isObserved;

    public MetricFamily(Instrument instrument)
    {
        Kind = instrument.GetType().GetGenericTypeDefinition() switch
        {
            { } type when type == typeof(Histogram<>) => "histogram",
            { } type when type == typeof(Counter<>) || type == typeof(ObservableCounter<>) => "counter",
            _ => "gauge",
        };
        Name = PrometheusText.NameOf(instrument.Name, instrument.Unit, isCounter: Kind == "counter");
        Description = instrument.Description ?? instrument.Name;
        Buckets = Kind != "histogram" ? [] : instrument.Unit == "By" ? Sizes : Durations;
        isObserved = instrument.IsObservable;
    }

    public string Name { get; }

    public string Kind { get; }

    public string Description { get; }

    // The upper bounds; empty: it is no histogram.
    public double[] Buckets { get; }

    // By their labels as text.
    public SortedDictionary<string, MetricSeries> Series { get; } = new(StringComparer.Ordinal);

    // Forgets what is observed anew each time, since what is not there any more is not told; the result is how many series those are.
    public int ForgetObserved()
    {
        if (!isObserved)
            return 0;

        var count = Series.Count;
        Series.Clear();
        return count;
    }

    public void Record(MetricSeries series, double value)
    {
        if (Kind == "histogram")
            series.Observe(value, Buckets);
        else if (isObserved || Kind == "gauge")
            series.Value = value;
        else
            series.Value += value;
    }
}

// The values of one combination of labels.
internal sealed class MetricSeries(int buckets)
{
    // How many values are not above each bound, without those of the bounds before.
    private readonly long[] counts = new long[buckets + 1];

    public double Value { get; set; }

    public double Sum { get; private set; }

    public ReadOnlySpan<long> Counts => counts;

    public void Observe(double value, double[] bounds)
    {
        var index = Array.FindIndex(bounds, bound => value <= bound);
        counts[index < 0 ? bounds.Length : index]++;
        Sum += value;
    }
}
