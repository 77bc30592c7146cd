using Spectre.Console;

namespace Mqtt5.Cli;

/// <summary>
/// What is drawn on: a terminal in colour, with a part that is drawn over while work goes on, or plain lines where a file
/// or another program takes the output. Not for use by several threads at a time.
/// </summary>
internal sealed class Screen
{
    private const int UsualColumns = 80;
    private const int MostColumns = 100;
    private static readonly TimeSpan FrameDelay = TimeSpan.FromMilliseconds(80);

    // Where the terminal has no Unicode; each stands for one character.
    private static readonly Dictionary<char, char> Substitutes = new()
    {
        ['✓'] = '+',
        ['✗'] = 'x',
        ['–'] = '-',
        ['·'] = '.',
        ['→'] = '>',
        ['←'] = '<',
        ['│'] = '|',
        ['µ'] = 'u',
        ['…'] = '~',
        ['▁'] = '.',
        ['▂'] = '.',
        ['▃'] = ':',
        ['▄'] = ':',
        ['▅'] = '+',
        ['▆'] = '+',
        ['▇'] = '#',
        ['█'] = '#',
        ['⠖'] = '-',
        ['⠲'] = '\\',
        ['⠴'] = '|',
        ['⠦'] = '/',
    };

    private static readonly string[] LocaleVariables = ["LC_ALL", "LC_CTYPE", "LANG"];
    private readonly IAnsiConsole console;
    private readonly bool hasUnicode;

    /// <summary>Makes one on the output of the command.</summary>
    public Screen(Terminal terminal)
    {
        var isTerminal = !terminal.IsOutputRedirected;
        console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new TerminalOutput(terminal),
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            // The 16 colours of the terminal's own palette suit its background; NO_COLOR is respected.
            ColorSystem = isTerminal && Environment.GetEnvironmentVariable("NO_COLOR") is null or ""
                ? ColorSystemSupport.Standard
                : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
        });
        IsLive = isTerminal && console.Profile.Capabilities.Ansi;
        Columns = IsLive ? Math.Min(console.Profile.Width, MostColumns) : UsualColumns;
        hasUnicode = !isTerminal || SpeaksUnicode();
    }

    /// <summary>True when lines can be drawn over.</summary>
    public bool IsLive { get; }

    /// <summary>The columns to arrange things in.</summary>
    public int Columns { get; }

    /// <summary>Ends a line. What was written so far is seen at once, also by another program.</summary>
    public void Write()
    {
        console.WriteLine();
        console.Profile.Out.Writer.Flush();
    }

    /// <summary>Writes a line, broken where the terminal ends.</summary>
    public void Write(Line line)
    {
        console.Write(ToParagraph([line]));
        Write();
    }

    /// <summary>Writes a line. On a terminal without room for it, its other rows begin at this column.</summary>
    public void Write(Line line, int column)
    {
        if (IsLive)
            Write(line.Wrap(Columns, column));
        else
            Write(line);
    }

    /// <summary>Writes lines.</summary>
    public void Write(IEnumerable<Line> lines)
    {
        foreach (var line in lines)
            Write(line);
    }

    /// <summary>
    /// Does work. Until it is done, a live screen shows what is drawn, again and again, and then takes it away.
    /// </summary>
    public async Task<T> DuringAsync<T>(Func<IReadOnlyList<Line>> draw, Func<Task<T>> work)
    {
        if (!IsLive)
            return await work();

        return await console.Live(ToParagraph(draw())).AutoClear(true).StartAsync(async context =>
        {
            var working = work();

            while (!working.IsCompleted)
            {
                await Task.WhenAny(working, Task.Delay(FrameDelay));
                context.UpdateTarget(ToParagraph(draw()));
            }

            return await working;
        });
    }

    private static bool SpeaksUnicode()
    {
        if (OperatingSystem.IsWindows())
            return Console.OutputEncoding.WebName == "utf-8";

        // Without a word about it, as in most containers, terminals of today do.
        var locale = LocaleVariables.Select(Environment.GetEnvironmentVariable).FirstOrDefault(value => value is { Length: > 0 });
        return locale is null || locale.Contains("utf", StringComparison.OrdinalIgnoreCase);
    }

    private Paragraph ToParagraph(IReadOnlyList<Line> lines)
    {
        var paragraph = new Paragraph();

        for (var index = 0; index < lines.Count; index++)
        {
            if (index > 0)
                paragraph.Append("\n");

            foreach (var (text, style) in lines[index].Parts)
                paragraph.Append(hasUnicode ? text : new string([.. text.Select(Substitute)]), style);
        }

        return paragraph;
    }

    private static char Substitute(char character) => Substitutes.GetValueOrDefault(character, character < 128 ? character : '?');
}
