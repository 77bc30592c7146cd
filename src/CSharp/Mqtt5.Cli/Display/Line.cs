using Spectre.Console;

namespace Mqtt5.Cli;

/// <summary>A line in the making: texts with styles, put at columns. Nothing is added behind the last text.</summary>
internal sealed class Line
{
    private readonly List<(string Text, Style Style)> parts = [];
    private int next;

    /// <summary>The columns that it takes.</summary>
    public int Width { get; private set; }

    /// <summary>The texts and their styles.</summary>
    public IReadOnlyList<(string Text, Style Style)> Parts => parts;

    /// <summary>
    /// Adds a text. Control and format characters, which a server may have sent, are replaced: they could move the cursor,
    /// end the line or reorder the text that follows.
    /// </summary>
    public Line Add(string text, Style? style = null)
    {
        if (text.Length == 0)
            return this;

        if (next > Width)
            Append(new string(' ', next - Width), Look.Plain);

        Append(PeerText.Mask(text), style ?? Look.Plain);
        next = Width;
        return this;
    }

    /// <summary>The next text begins at this column, counted from 0, or a space behind the last text if that is later.</summary>
    public Line At(int column)
    {
        next = Width == 0 ? column : Math.Max(column, Width + 1);
        return this;
    }

    /// <summary>Adds a text that ends before this column, or stands a space behind the last text if there is no room.</summary>
    public Line Right(int column, string text, Style? style = null) => At(column - TextWidth.Of(text)).Add(text, style);

    /// <summary>The same line so many columns further right.</summary>
    public Line Indent(int columns)
    {
        var indented = new Line().At(columns);

        foreach (var (text, style) in parts)
            indented.Add(text, style);

        return indented;
    }

    /// <summary>
    /// The same line in rows of so many columns, broken between words; those after the first begin at this column. A word
    /// that has no room in any row stands in one of its own.
    /// </summary>
    public IEnumerable<Line> Wrap(int columns, int column)
    {
        var row = new Line();
        var spaces = 0;

        foreach (var (text, style) in parts)
        {
            var words = text.Split(' ');

            for (var index = 0; index < words.Length; index++)
            {
                spaces += index > 0 ? 1 : 0;

                if (words[index].Length == 0)
                    continue;

                if (spaces > 0 && row.Width > column && row.Width + spaces + TextWidth.Of(words[index]) > columns)
                {
                    yield return row;
                    row = new Line().At(column);
                    spaces = 0;
                }

                row.next += spaces;
                row.Add(words[index], style);
                spaces = 0;
            }
        }

        yield return row;
    }

    /// <summary>The line without its styles.</summary>
    public override string ToString() => string.Concat(parts.Select(part => part.Text));

    private void Append(string text, Style style)
    {
        parts.Add((text, style));
        Width += TextWidth.Of(text);
    }
}
