using Spectre.Console;

namespace Mqtt5.Cli;

/// <summary>
/// The few styles of what is drawn. The colours are those of the terminal's own palette, so they are readable on its
/// background, light or dark, and nothing is told by colour alone.
/// </summary>
internal static class Look
{
    /// <summary>Ordinary text.</summary>
    public static Style Plain { get; } = Style.Plain;

    /// <summary>Names and headings.</summary>
    public static Style Strong { get; } = new(decoration: Decoration.Bold);

    /// <summary>What may be skipped.</summary>
    public static Style Quiet { get; } = new(decoration: Decoration.Dim);

    /// <summary>What went well.</summary>
    public static Style Good { get; } = new(foreground: Color.Green);

    /// <summary>What did not.</summary>
    public static Style Bad { get; } = new(foreground: Color.Maroon, decoration: Decoration.Bold);

    /// <summary>Commands to type, and charts.</summary>
    public static Style Accent { get; } = new(foreground: Color.Teal);
}
