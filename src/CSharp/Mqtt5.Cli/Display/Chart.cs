namespace Mqtt5.Cli;

/// <summary>Draws a row of figures as columns, with the greatest one at the axis.</summary>
internal static class Chart
{
    private const string Eighths = " ▁▂▃▄▅▆▇█";
    private const int AxisWidth = 13;

    /// <summary>Draws the last figures that have room, a column each, from 0 up to the greatest of them.</summary>
    /// <param name="figures">The figures, the oldest first; none is negative.</param>
    /// <param name="columns">The columns of the whole chart, its axis included.</param>
    /// <param name="rows">The rows of the columns.</param>
    /// <param name="foot">What stands below.</param>
    public static IReadOnlyList<Line> Draw(IReadOnlyList<double> figures, int columns, int rows, string foot)
    {
        var shown = figures.Skip(Math.Max(0, figures.Count - (columns - AxisWidth - 1))).ToArray();
        var greatest = Math.Max(1, shown.DefaultIfEmpty(0).Max());
        var lines = new List<Line>(rows + 1);

        for (var row = rows - 1; row >= 0; row--)
        {
            var label = row == rows - 1 ? Figures.Count(greatest) : row == 0 ? "0" : "";
            var cells = shown.Select(figure => Cell(figure / greatest * rows - row)).ToArray();
            lines.Add(new Line()
                .Right(AxisWidth - 2, label, Look.Quiet)
                .At(AxisWidth - 1).Add("│", Look.Quiet)
                .Add(new string(cells).TrimEnd(), Look.Accent));
        }

        lines.Add(new Line().At(AxisWidth).Add(foot, Look.Quiet));
        return lines;
    }

    /// <summary>Draws figures as one row of small columns, from 0 up to the greatest.</summary>
    public static string Spark(IReadOnlyList<double> figures)
    {
        var greatest = Math.Max(1, figures.DefaultIfEmpty(0).Max());
        return new string([.. figures.Select(figure => Eighths[Math.Clamp((int)Math.Ceiling(figure / greatest * 8), 1, 8)])]);
    }

    private static char Cell(double filled) => Eighths[Math.Clamp((int)Math.Round(filled * 8), 0, 8)];
}
