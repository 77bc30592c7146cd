using Spectre.Console.Rendering;

namespace Mqtt5.Cli;

/// <summary>The columns that texts take on a screen.</summary>
internal static class TextWidth
{
    /// <summary>The columns of a text; a character of East Asia takes two.</summary>
    public static int Of(string text) => new Segment(text).CellCount();
}
