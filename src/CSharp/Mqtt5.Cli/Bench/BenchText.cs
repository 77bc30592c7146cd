namespace Mqtt5.Cli;

/// <summary>What was measured, for people: a few figures, a table of percentiles, and what they mean.</summary>
internal static class BenchText
{
    private const int TextColumn = 2;
    private const int FigureColumn = 30;
    private const int RateColumn = 52;
    private const int CellWidth = 11;
    private const int FirstCell = 24;

    /// <summary>The percentiles that are told.</summary>
    public static IReadOnlyList<(string Name, double Percent)> Percentiles { get; } =
        [("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9), ("max", 100)];

    /// <summary>What is going to be measured.</summary>
    public static IEnumerable<Line> Heading(LoadRequest request, Target target, int columns)
    {
        var speed = request.Rate is { } rate ? $"{Figures.Count(rate)} messages a second" : $"as fast as it goes, window {Figures.Count(request.Window)}";
        return Heading(
            target,
            $"{Figures.Count(request.Publishers, "publisher")}, {Figures.Count(request.Subscribers, "subscriber")}, QoS {(int)request.QoS}, {Figures.Count(request.PayloadBytes)} bytes, {speed}",
            columns);
    }

    /// <summary>What is going to be measured.</summary>
    public static IEnumerable<Line> Heading(StormRequest request, Target target, int columns) =>
        Heading(
            target,
            $"{Figures.Count(request.Connections)} connections, {Figures.Count(Math.Min(request.Concurrency, request.Connections))} at a time{(request.Rate is { } rate ? $", {Figures.Count(rate)} a second" : ", as fast as it goes")}",
            columns);

    /// <summary>What a load counts while it runs.</summary>
    public static string Unit(LoadRequest request) => request.Subscribers > 0 ? "messages received a second" : "messages sent a second";

    /// <summary>How far a storm is.</summary>
    public static string Open(Storm storm, StormRequest request) =>
        $"{Figures.Count(storm.Connected)} of {Figures.Count(request.Connections)} connections open{(storm.Failed is > 0 and var failed ? $", {Figures.Count(failed)} failed" : "")}";

    /// <summary>What a load measured.</summary>
    public static IEnumerable<Line> Of(LoadReport report, int columns)
    {
        var request = report.Request;
        yield return Row("sent", report.Sent, report.SentPerSecond);

        if (request.Subscribers > 0)
        {
            yield return Row("received", report.Received, report.ReceivedPerSecond);
            yield return report.Lost == 0
                ? Row("lost", 0, null)
                : Row(report.Lost > 0 ? "lost" : "came twice", Math.Abs(report.Lost), null, Look.Bad);
        }

        yield return new Line();

        if (report.Acknowledged.Count + report.Delivered.Count > 0)
            yield return TableHead();

        if (report.Acknowledged.Count > 0)
            yield return TableRow("acknowledged after", report.Acknowledged);

        if (report.Delivered.Count > 0)
            yield return TableRow("delivered after", report.Delivered);

        yield return new Line();

        foreach (var sentence in Meaning(report))
        {
            foreach (var line in Wrapped(sentence, columns, Look.Quiet))
                yield return line;
        }
    }

    /// <summary>What a storm measured.</summary>
    public static IEnumerable<Line> Of(StormReport report, int columns)
    {
        yield return Row("connected", report.Connected.Count, report.PerSecond);
        var failed = report.Failures.Values.Sum();
        yield return failed > 0 ? Row("failed", failed, null, Look.Bad) : Row("failed", 0, null);
        yield return new Line();

        if (report.Connected.Count > 0)
        {
            yield return TableHead();
            yield return TableRow("connected after", report.Connected);
            yield return new Line();
        }

        var from = report.Request.Rate is null ? "From the call that connects" : "From when a connection was due";

        foreach (var line in Wrapped($"{from} to CONNACK, in {Figures.Duration(report.Duration)} for all. Each connection stays open until the last is.", columns, Look.Quiet))
            yield return line;
    }

    private static IEnumerable<Line> Heading(Target target, string request, int columns) =>
    [
        new Line().Add("mqtt5 bench", Look.Strong).Add($"  {target.Name}"),
        .. Wrapped(request, columns, Look.Plain),
        new Line(),
    ];

    private static IEnumerable<string> Meaning(LoadReport report)
    {
        var request = report.Request;
        var from = request.Rate is null ? "the call that publishes it" : "when it was due by --rate, so that a stall of the broker counts";
        yield return $"Counted: messages stamped in the {Figures.Duration(report.Duration)} after {Figures.Duration(request.WarmUp)} of warm-up; those under way at the end had {Figures.Duration(request.Drain)} to arrive.";
        yield return request.Subscribers > 0
            ? $"Times: from {from}, to the handler of the subscriber{(request.QoS == QoS.AtMostOnce ? "" : " and to the last acknowledgement")}."
            : request.QoS == QoS.AtMostOnce
                ? "There is no subscription and nothing is acknowledged: sent means written to the connection."
                : $"Times: from {from}, to the last acknowledgement.";

        if (request.Rate is null && request.Subscribers > 0)
            yield return "As fast as it goes, a message mostly waits in line: --rate tells how long messages take at a load of yours.";
        else if (request.Rate is { } rate && report.SentPerSecond < rate * 0.98)
            yield return $"The rate of {Figures.Count(rate)} messages a second was not reached.";
    }

    private static Line Row(string name, double count, double? rate, Spectre.Console.Style? style = null)
    {
        var line = new Line().At(TextColumn).Add(name, style).Right(FigureColumn, Figures.Count(count), style ?? Look.Strong);
        return rate is { } perSecond ? line.Right(RateColumn, $"{Figures.Count(perSecond)} a second") : line;
    }

    private static Line TableHead()
    {
        var line = new Line().At(TextColumn).Add("latency", Look.Quiet);

        for (var index = 0; index < Percentiles.Count; index++)
            line.Right(FirstCell + ((index + 1) * CellWidth), Percentiles[index].Name, Look.Quiet);

        return line;
    }

    private static Line TableRow(string name, LatencyHistogram histogram)
    {
        var line = new Line().At(TextColumn).Add(name);

        for (var index = 0; index < Percentiles.Count; index++)
            line.Right(FirstCell + ((index + 1) * CellWidth), Figures.Nanoseconds(histogram.Percentile(Percentiles[index].Percent)), Look.Strong);

        return line;
    }

    private static IEnumerable<Line> Wrapped(string sentence, int columns, Spectre.Console.Style style) =>
        new Line().At(TextColumn).Add(sentence, style).Wrap(columns, TextColumn);
}
