using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>
/// The screen of the shell: lines that stay, and below them the one that is typed, which is drawn again whenever a line
/// comes. For use by several threads.
/// </summary>
internal sealed class ShellScreen(Terminal terminal)
{
    private const int UsualColumns = 80;
    private const int FewestColumns = 8;

    // Of ECMA-48: erase what is right of the cursor; bold and not; move right.
    private const string EraseRight = "\u001b[K";
    private const string Bold = "\u001b[1m";
    private const string NotBold = "\u001b[22m";

    private readonly Lock gate = new();
    private readonly Screen screen = new(terminal);
    private LineBuffer? typed;
    private string prompt = "";

    /// <summary>True when a person sees it, and a line can be typed below the others.</summary>
    public bool IsLive => screen.IsLive;

    /// <summary>The columns of the terminal.</summary>
    public int Columns => screen.Columns;

    /// <summary>What stands before the line that is typed. A change is seen when the line is drawn next.</summary>
    public string Prompt
    {
        set
        {
            lock (gate)
                prompt = value;
        }
    }

    /// <summary>Writes a line that stays.</summary>
    public void Write(Line line) => Write([line]);

    /// <summary>Writes lines that stay.</summary>
    public void Write(IEnumerable<Line> lines)
    {
        lock (gate)
        {
            if (typed is not null)
                terminal.Output.Write("\r" + EraseRight);

            screen.Write(lines);
            Draw();
        }
    }

    /// <summary>Shows the line that is typed after it has changed.</summary>
    /// <param name="change">Changes it.</param>
    /// <param name="isDrawn">Whether it is drawn now; not worth it when the next key is there already.</param>
    public void Type(Action<LineBuffer> change, bool isDrawn)
    {
        lock (gate)
        {
            typed ??= new LineBuffer();
            change(typed);

            if (isDrawn)
                Draw();
        }
    }

    /// <summary>Ends the line that is typed: it stays as a whole.</summary>
    public void Finish(string mark = "")
    {
        lock (gate)
        {
            if (typed is not { } line)
                return;

            terminal.Output.Write($"\r{EraseRight}{Bold}{prompt}{NotBold}{line.Text}{mark}{Environment.NewLine}");
            terminal.Output.Flush();
            typed = null;
        }
    }

    /// <summary>Clears the terminal but for the line that is typed.</summary>
    public void Clear()
    {
        lock (gate)
        {
            terminal.Output.Write("\u001b[H\u001b[2J");
            Draw();
        }
    }

    private void Draw()
    {
        if (typed is null)
            return;

        var left = TextWidth.Of(prompt);
        var view = LineView.Of(typed.Text, typed.Cursor, Math.Max(Width() - left, FewestColumns));
        var column = (left + view.Column).ToString(CultureInfo.InvariantCulture);
        terminal.Output.Write($"\r{Bold}{prompt}{NotBold}{view.Text}{EraseRight}\r\u001b[{column}C");
        terminal.Output.Flush();
    }

    private static int Width()
    {
        try
        {
            return Console.WindowWidth is > 0 and var told ? told : UsualColumns;
        }
        catch (IOException)
        {
            return UsualColumns;
        }
    }
}
