using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>The part of a line that fits into a row of the terminal, with the cursor in it.</summary>
/// <param name="Text">What is seen.</param>
/// <param name="Column">Where the cursor is in it, in columns.</param>
internal readonly record struct LineView(string Text, int Column)
{
    /// <summary>The part of a line around the cursor.</summary>
    /// <param name="line">The line.</param>
    /// <param name="cursor">How many code units are before the cursor.</param>
    /// <param name="columns">The columns there are, at least 2; the cursor needs one itself.</param>
    public static LineView Of(string line, int cursor, int columns)
    {
        var begins = StringInfo.ParseCombiningCharacters(line);
        var widths = begins.Select((begin, index) => TextWidth.Of(line[begin..(index + 1 < begins.Length ? begins[index + 1] : line.Length)])).ToArray();
        var before = begins.Count(begin => begin < cursor);
        var first = 0;
        var column = widths.Take(before).Sum();

        while (column > columns - 1)
            column -= widths[first++];

        var last = first;

        for (var width = 0; last < widths.Length && width + widths[last] < columns; last++)
            width += widths[last];

        var begin = first < begins.Length ? begins[first] : line.Length;
        var end = last < begins.Length ? begins[last] : line.Length;
        return new LineView(line[begin..end], column);
    }
}
