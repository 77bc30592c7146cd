using System.Diagnostics.Metrics;

namespace Mqtt5.Admin;

// Listens to the instruments of brokers, and keeps what they told since it began. Instruments of clients are left alone: they
// are on the path of messages. The number of series is bounded, since no tag is chosen by a peer, and limited besides.
internal sealed class MetricsCollector : IDisposable
{
    private const int MostSeries = 1_000;
    private const string Prefix = "mqtt5.broker.";

    private readonly Lock writing = new();
    private readonly Lock gate = new();
    private readonly SortedDictionary<string, MetricFamily> families = new(StringComparer.Ordinal);
    private readonly MeterListener listener = new();
    private int series;

    public MetricsCollector()
    {
        listener.InstrumentPublished = (instrument, one) =>
        {
            if (instrument.Meter.Name != "Mqtt5" || !instrument.Name.StartsWith(Prefix, StringComparison.Ordinal))
                return;

            // Named before the first value, so that a metric of what has not happened yet is told apart from one that is not there.
            lock (gate)
                families.TryAdd(instrument.Name, new MetricFamily(instrument));

            one.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Record(instrument, value, tags));
        listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Record(instrument, value, tags));
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Record(instrument, value, tags));
        listener.Start();
    }

    // The metrics now, in the text format.
    public string Write()
    {
        lock (writing)
        {
            lock (gate)
                series -= families.Values.Sum(family => family.ForgetObserved());

            listener.RecordObservableInstruments();

            lock (gate)
                return PrometheusText.Write(families.Values);
        }
    }

    public void Dispose() => listener.Dispose();

    private void Record(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var labels = PrometheusText.LabelsOf(tags);

        lock (gate)
        {
            if (!families.TryGetValue(instrument.Name, out var family))
                families.Add(instrument.Name, family = new MetricFamily(instrument));

            if (!family.Series.TryGetValue(labels, out var one))
            {
                if (series == MostSeries)
                    return;

                series++;
                family.Series.Add(labels, one = new MetricSeries(family.Buckets.Length));
            }

            family.Record(one, value);
        }
    }
}
