using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Mqtt5.CliTests;

// The tables of metrics, compared with the instruments as a listener of the meter is told of them.
public sealed partial class MetricsPageTests
{
    [Fact]
    public void The_tables_have_the_name_the_kind_and_the_unit_of_each_instrument()
    {
        var rows = Row().Matches(GuidePages.Read("docs/observability.md"))
            .Select(match => $"{match.Groups["name"].Value} {match.Groups["kind"].Value} {match.Groups["unit"].Value}").Order(StringComparer.Ordinal).ToArray();
        Assert.Equal(Instruments().Select(one => $"{one.Name} {KindOf(one)} {one.Unit}").Order(StringComparer.Ordinal), rows);
    }

    [Fact]
    public void Names_and_units_follow_the_conventions_of_OpenTelemetry()
    {
        foreach (var instrument in Instruments())
        {
            Assert.Matches("^mqtt5\\.(client|broker)(\\.[a-z]+(_[a-z]+)*)+$", instrument.Name);
            // UCUM: seconds, bytes, or an annotation in the singular of what is counted.
            Assert.Matches("^(s|By|\\{[a-z]+\\})$", instrument.Unit!);
            Assert.Equal(instrument.Unit == "s", instrument.Name.EndsWith(".duration", StringComparison.Ordinal));
            Assert.Equal(instrument.Unit == "By", instrument.Name.EndsWith(".size", StringComparison.Ordinal));
            Assert.False(instrument.Name.EndsWith(".total", StringComparison.Ordinal), instrument.Name);
            Assert.False(string.IsNullOrEmpty(instrument.Description), instrument.Name);
        }
    }

    [Fact]
    public void No_tag_is_a_client_or_a_topic()
    {
        var sources = string.Concat(GuidePages.Sources("src/CSharp/Mqtt5.Client", "Telemetry.cs"), GuidePages.Sources("src/CSharp/Mqtt5.Broker", "Telemetry.cs"));
        var tags = Tag().Matches(sources).Select(match => match.Groups[1].Value).Distinct().Order(StringComparer.Ordinal).ToArray();
        // Each has a few values that the code chooses.
        Assert.Equal(["mqtt.qos", "mqtt5.limit", "mqtt5.listener", "mqtt5.reason", "mqtt5.version"], tags);
        var documented = Row().Matches(GuidePages.Read("docs/observability.md"))
            .SelectMany(row => TagInRow().Matches(row.Groups["rest"].Value)).Select(match => match.Groups[1].Value).Distinct().Order(StringComparer.Ordinal);
        Assert.Equal(tags, documented);
    }

    private static Instrument[] Instruments()
    {
        var found = new ConcurrentDictionary<string, Instrument>();
        using var listener = new MeterListener { InstrumentPublished = (instrument, _) => Add(instrument) };
        listener.Start();

        // The instruments are made with the types that hold them.
        foreach (var type in (Type[])[TypeOf(typeof(MqttClient), "Mqtt5.Engine.Telemetry"), TypeOf(typeof(MqttBroker), "Mqtt5.Serving.Telemetry")])
            RuntimeHelpers.RunClassConstructor(type.TypeHandle);

        Assert.True(found.Count >= 25);
        return [.. found.Values];

        void Add(Instrument instrument)
        {
            if (instrument.Meter.Name == "Mqtt5")
                found[instrument.Name] = instrument;
        }
    }

    private static Type TypeOf(Type beside, string name) => beside.Assembly.GetType(name, throwOnError: true)!;

    private static string KindOf(Instrument instrument) => instrument.GetType().Name.Split('`')[0] switch
    {
        "Counter" or "ObservableCounter" => "counter",
        "Histogram" => "histogram",
        "ObservableGauge" => "gauge",
        var other => other,
    };

    [GeneratedRegex(@"^\| `(?<name>mqtt5\.(client|broker)\.[a-z_.]+)` \| (?<kind>[a-z]+) \| `(?<unit>[^`]+)` \|(?<rest>.*)$", RegexOptions.Multiline)]
    private static partial Regex Row();

    [GeneratedRegex(@"(?:KeyValuePair<string, object\?>|new)\(""([a-z0-9_.]+)""")]
    private static partial Regex Tag();

    [GeneratedRegex(@"`(mqtt5?\.[a-z_]+)`")]
    private static partial Regex TagInRow();
}
