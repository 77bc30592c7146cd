using System.Globalization;
using System.Text;

namespace Mqtt5.Benchmarks;

/// <summary>
/// The results in Markdown: a row for each load, a column for each broker, and ours in proportion to others. In turns, two
/// builds of ours are compared: the median of the rounds is shown, and the median of what the new build has in
/// proportion to the old one in the same round.
/// </summary>
internal sealed class LoadTable(string[] brokers, bool inTurns)
{
    private readonly List<string> rows = [];
    private readonly List<(string Title, double Ratio)> rates = [];

    private readonly string ours = inTurns ? BrokerProcess.New : BrokerProcess.Ours;
    private readonly string[] others = inTurns
        ? [BrokerProcess.Old, BrokerProcess.Relay, BrokerProcess.Mosquitto]
        : [BrokerProcess.Relay, BrokerProcess.Mosquitto, BrokerProcess.MqttNet];

    /// <summary>What the brokers in the columns are called.</summary>
    public string[] Brokers => brokers;

    /// <summary>Adds a row.</summary>
    /// <param name="title">What was measured.</param>
    /// <param name="unit">How it is shown.</param>
    /// <param name="measure">What the rounds of a broker gave; null or empty: it has no such figure.</param>
    /// <param name="choose">Which of them is shown; in turns it is the median.</param>
    public void Add(
        string title, LoadUnit unit, Func<string, IReadOnlyList<double>?> measure, Func<IEnumerable<double>, double> choose)
    {
        var samples = new Dictionary<string, IReadOnlyList<double>>();

        foreach (var name in brokers)
        {
            if (measure(name) is { Count: > 0 } values)
            {
                samples[name] = values;
                Console.Error.WriteLine($"{title}: {name} {unit.Show(Shown(values))}");
            }
        }

        var cells = brokers.Select(name => samples.TryGetValue(name, out var values) ? unit.Show(Shown(values)) : "-");
        var ratios = others.Select(other => Ratio(other) is { } ratio ? LoadUnit.Number.Show(ratio) : "-");
        rows.Add($"| {title} | {string.Join(" | ", cells.Concat(ratios))} |");

        if (inTurns && unit.IsRate && Ratio(BrokerProcess.Old) is { } found)
            rates.Add((title, found));

        double Shown(IReadOnlyList<double> values) => inTurns ? Median(values) : choose(values);

        double? Ratio(string other) =>
            !samples.TryGetValue(ours, out var one) || !samples.TryGetValue(other, out var two) ? null
            : inTurns && one.Count == two.Count ? Median(one.Zip(two, (a, b) => a / b))
            : Shown(one) / Shown(two);
    }

    /// <summary>Tells of each rate of which the new build has less than this part of the old one's.</summary>
    public bool IsBelow(double bound)
    {
        var below = rates.Where(rate => rate.Ratio < bound).ToArray();

        foreach (var (title, ratio) in below)
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{title}: {ratio:0.000} of the old build, which is below {bound}"));

        return below.Length > 0;
    }

    /// <summary>The value in the middle; of an even number of values, the larger of the two.</summary>
    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }

    public override string ToString()
    {
        var text = new StringBuilder();
        var ratios = others.Select(other => $"{ours} / {other}");
        text.AppendLine(CultureInfo.InvariantCulture, $"| messages delivered a second, unless said otherwise | {string.Join(" | ", brokers.Concat(ratios))} |");
        text.Append('|').Insert(text.Length, "---|", brokers.Length + others.Length + 1).AppendLine();

        foreach (var row in rows)
            text.AppendLine(row);

        return text.ToString();
    }
}
