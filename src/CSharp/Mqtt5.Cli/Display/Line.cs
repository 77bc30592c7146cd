using System.Text;
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

    /// <summary>Adds a text. Control characters, which a server may have sent, are shown as a replacement.</summary>
    public Line Add(string text, Style? style = null)
    {
        if (text.Length == 0)
            return this;

        if (next > Width)
            Append(new string(' ', next - Width), Look.Plain);

        Append(Harmless(text), style ?? Look.Plain);
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
    public Line Right(int column, string text, Style? style = null) => At(column - text.Length).Add(text, style);

    /// <summary>The same line so many columns further right.</summary>
    public Line Indent(int columns)
    {
        var indented = new Line().At(columns);

        foreach (var (text, style) in parts)
            indented.Add(text, style);

        return indented;
    }

    /// <summary>The line without its styles.</summary>
    public override string ToString() => string.Concat(parts.Select(part => part.Text));

    private static string Harmless(string text)
    {
        if (!text.Any(char.IsControl))
            return text;

        var harmless = new StringBuilder(text.Length);

        foreach (var character in text)
            harmless.Append(char.IsControl(character) ? '\uFFFD' : character);

        return harmless.ToString();
    }

    private void Append(string text, Style style)
    {
        parts.Add((text, style));
        Width += text.Length;
    }
}
