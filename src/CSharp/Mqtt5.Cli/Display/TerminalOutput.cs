using System.Text;
using Spectre.Console;

namespace Mqtt5.Cli;

/// <summary>The output of the command, as the drawing library wants it.</summary>
internal sealed class TerminalOutput(Terminal terminal) : IAnsiConsoleOutput
{
    // Wide enough that nothing is broken where another program reads the lines.
    private const int UnboundedColumns = 100_000;
    private const int UsualColumns = 80;
    private const int UsualRows = 24;

    /// <inheritdoc/>
    public TextWriter Writer => terminal.Output;

    /// <inheritdoc/>
    public bool IsTerminal => !terminal.IsOutputRedirected;

    /// <inheritdoc/>
    public int Width => IsTerminal ? Ask(() => Console.WindowWidth, UsualColumns) : UnboundedColumns;

    /// <inheritdoc/>
    public int Height => IsTerminal ? Ask(() => Console.WindowHeight, UsualRows) : UsualRows;

    /// <inheritdoc/>
    public void SetEncoding(Encoding encoding)
    {
        // The writer has its encoding already.
    }

    // Some terminals do not tell their size, or say 0.
    private static int Ask(Func<int> ask, int usual)
    {
        try
        {
            return ask() is > 0 and var told ? told : usual;
        }
        catch (IOException)
        {
            return usual;
        }
    }
}
