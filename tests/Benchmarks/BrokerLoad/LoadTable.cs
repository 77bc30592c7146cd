using System.Globalization;
using System.Text;

namespace Mqtt5.Benchmarks;

/// <summary>The results in Markdown: a row for each load, a column for each broker, and ours in proportion to others.</summary>
internal sealed class LoadTable(string[] brokers)
{
    private readonly List<string> rows = [];

    public string[] Brokers => brokers;

    /// <summary>Adds messages a second.</summary>
    public void AddRates(string title, Func<string, double?> measure) => Add(title, measure, rate => rate, "N0", "0.00");

    /// <summary>Adds times in milliseconds.</summary>
    public void AddTimes(string title, Func<string, double?> measure) => Add(title, measure, time => time, "0.000", "0.00");

    /// <summary>Adds small numbers.</summary>
    public void AddNumbers(string title, Func<string, double?> measure) => Add(title, measure, number => number, "0.00", "0.00");

    /// <summary>Adds amounts in bytes, which are shown in KB.</summary>
    public void AddBytes(string title, Func<string, double?> measure) =>
        Add(title, measure, bytes => bytes / 1024, "0.0", "0.00");

    public override string ToString()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"| messages delivered a second, unless said otherwise | {string.Join(" | ", brokers)} | Mqtt5 / relay | Mqtt5 / mosquitto | Mqtt5 / MQTTnet |");
        text.Append('|').Insert(text.Length, "---|", brokers.Length + 4).AppendLine();

        foreach (var row in rows)
            text.AppendLine(row);

        return text.ToString();
    }

    private void Add(string title, Func<string, double?> measure, Func<double, double> scale, string format, string ratioFormat)
    {
        var values = new Dictionary<string, double>();

        foreach (var name in brokers)
        {
            if (measure(name) is { } value)
            {
                values[name] = scale(value);
                Console.Error.WriteLine($"{title}: {name} {Show(values[name], format)}");
            }
        }

        var cells = brokers.Select(name => values.TryGetValue(name, out var value) ? Show(value, format) : "-");
        string[] others = [BrokerProcess.Relay, BrokerProcess.Mosquitto, BrokerProcess.MqttNet];
        var ratios = others.Select(other =>
            values.TryGetValue(BrokerProcess.Ours, out var ours) && values.TryGetValue(other, out var theirs)
                ? Show(ours / theirs, ratioFormat)
                : "-");
        rows.Add($"| {title} | {string.Join(" | ", cells.Concat(ratios))} |");
    }

    private static string Show(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
