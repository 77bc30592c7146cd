using System.Globalization;
using System.Text;

namespace Mqtt5.Admin;

// The text format of Prometheus, version 0.0.4. Names and units follow the conventions of OpenTelemetry for Prometheus: dots
// become underscores, the unit follows the name, and a counter ends with _total.
internal static class PrometheusText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    public static string NameOf(string name, string? unit, bool isCounter)
    {
        var text = new StringBuilder();

        foreach (var letter in name)
            text.Append(char.IsAsciiLetterOrDigit(letter) || letter == ':' ? letter : '_');

        if (UnitOf(unit) is { } suffix && !text.ToString().EndsWith(suffix, StringComparison.Ordinal))
            text.Append(suffix);

        return isCounter ? $"{text}_total" : text.ToString();
    }

    // As they stand between braces.
    public static string LabelsOf(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.IsEmpty)
            return "";

        var text = new StringBuilder();

        foreach (var (name, value) in tags)
        {
            if (text.Length > 0)
                text.Append(',');

            text.Append(NameOf(name, null, isCounter: false)).Append("=\"");
            Escape(text, Convert.ToString(value, CultureInfo.InvariantCulture) ?? "", quotes: true);
            text.Append('"');
        }

        return text.ToString();
    }

    public static string Write(IEnumerable<MetricFamily> families)
    {
        var text = new StringBuilder();

        foreach (var family in families)
        {
            text.Append("# HELP ").Append(family.Name).Append(' ');
            Escape(text, family.Description, quotes: false);
            text.Append("\n# TYPE ").Append(family.Name).Append(' ').Append(family.Kind).Append('\n');

            foreach (var (labels, series) in family.Series)
            {
                if (family.Kind == "histogram")
                    WriteHistogram(text, family, labels, series);
                else
                    WriteSample(text, family.Name, labels, series.Value);
            }
        }

        return text.ToString();
    }

    private static string? UnitOf(string? unit) => unit switch
    {
        "s" => "_seconds",
        "By" => "_bytes",
        // Without a unit, or counted in what braces name.
        _ => null,
    };

    private static void WriteHistogram(StringBuilder text, MetricFamily family, string labels, MetricSeries series)
    {
        var before = labels.Length == 0 ? "" : labels + ",";
        var count = 0L;

        for (var index = 0; index < series.Counts.Length; index++)
        {
            count += series.Counts[index];
            var bound = index < family.Buckets.Length ? Number(family.Buckets[index]) : "+Inf";
            WriteSample(text, family.Name + "_bucket", $"{before}le=\"{bound}\"", count);
        }

        WriteSample(text, family.Name + "_sum", labels, series.Sum);
        WriteSample(text, family.Name + "_count", labels, count);
    }

    private static void WriteSample(StringBuilder text, string name, string labels, double value)
    {
        text.Append(name);

        if (labels.Length > 0)
            text.Append('{').Append(labels).Append('}');

        text.Append(' ').Append(Number(value)).Append('\n');
    }

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    private static void Escape(StringBuilder text, string value, bool quotes)
    {
        foreach (var letter in value)
        {
            _ = letter switch
            {
                '\\' => text.Append(@"\\"),
                '\n' => text.Append(@"\n"),
                '"' when quotes => text.Append("\\\""),
                _ => text.Append(letter),
            };
        }
    }
}
