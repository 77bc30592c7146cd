using System.Threading.Channels;

namespace Mqtt5.Cli;

/// <summary>
/// Reads lines from a keyboard, with the keys of readline, while others write to the same screen. From when it is made the
/// keyboard is its own, and Ctrl+C is a key like any other.
/// </summary>
internal sealed class LineEditor : IDisposable
{
    private readonly Channel<ConsoleKeyInfo> keys = Channel.CreateUnbounded<ConsoleKeyInfo>(new UnboundedChannelOptions { SingleReader = true });
    private readonly ShellScreen screen;
    private readonly Func<string, IReadOnlyList<string>> complete;

    /// <summary>Takes the keyboard.</summary>
    /// <param name="screen">Where the line is seen.</param>
    /// <param name="complete">What the last word of a line may become.</param>
    public LineEditor(ShellScreen screen, Func<string, IReadOnlyList<string>> complete)
    {
        this.screen = screen;
        this.complete = complete;
        Console.TreatControlCAsInput = true;

        // A key can only be waited for by a thread, and that wait does not end before the process does.
        new Thread(ReadKeys) { IsBackground = true, Name = "keyboard" }.Start();
    }

    /// <summary>The lines that were typed.</summary>
    public LineHistory History { get; } = new();

    /// <summary>Lets a person type a line.</summary>
    /// <returns>The line; null: the person wants to leave.</returns>
    public async Task<string?> ReadLineAsync(string prompt, CancellationToken cancellationToken)
    {
        screen.Prompt = prompt;
        History.Leave();
        Type(_ => { });

        while (true)
        {
            ConsoleKeyInfo key;

            try
            {
                key = await keys.Reader.ReadAsync(cancellationToken);
            }
            catch (ChannelClosedException)
            {
                // The terminal is gone.
                return null;
            }

            var line = "";

            switch (key)
            {
                case { Key: ConsoleKey.Enter } or { KeyChar: '\r' or '\n' }:
                    Type(typed => line = typed.Text);
                    screen.Finish();
                    return line;
                case { Key: ConsoleKey.C, Modifiers: ConsoleModifiers.Control }:
                    screen.Finish("^C");
                    History.Leave();
                    Type(_ => { });
                    break;
                case { Key: ConsoleKey.D, Modifiers: ConsoleModifiers.Control }:
                    Type(typed => line = typed.Text);

                    if (line.Length == 0)
                    {
                        screen.Finish();
                        return null;
                    }

                    Type(typed => typed.DeleteRight());
                    break;
                case { Key: ConsoleKey.Tab }:
                    Complete();
                    break;
                case { Key: ConsoleKey.L, Modifiers: ConsoleModifiers.Control }:
                    screen.Clear();
                    break;
                default:
                    Type(typed => Apply(key, typed));
                    break;
            }
        }
    }

    /// <summary>Runs a command. Ctrl+C stops it; what else is typed meanwhile is for the next line.</summary>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public async Task DuringAsync(Func<CancellationToken, Task> command, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = command(stop.Token);
        var later = new List<ConsoleKeyInfo>();

        while (!running.IsCompleted)
        {
            using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var key = keys.Reader.WaitToReadAsync(enough.Token).AsTask();
            await Task.WhenAny(running, key);

            while (!running.IsCompleted && keys.Reader.TryRead(out var typed))
            {
                if (typed is { Key: ConsoleKey.C, Modifiers: ConsoleModifiers.Control })
                    await stop.CancelAsync();
                else
                    later.Add(typed);
            }

            await enough.CancelAsync();
            await key.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

            if (keys.Reader.Completion.IsCompleted)
                break;
        }

        await RequeueAsync(later);
        await running;
    }

    /// <summary>Gives Ctrl+C its usual meaning again.</summary>
    public void Dispose() => Console.TreatControlCAsInput = false;

    private void ReadKeys()
    {
        try
        {
            while (true)
                keys.Writer.TryWrite(Console.ReadKey(intercept: true));
        }
        catch (InvalidOperationException)
        {
            // The terminal is gone.
            keys.Writer.TryComplete();
        }
    }

    private async Task RequeueAsync(List<ConsoleKeyInfo> earlier)
    {
        if (earlier.Count == 0)
            return;

        while (keys.Reader.TryRead(out var key))
            earlier.Add(key);

        foreach (var key in earlier)
            await keys.Writer.WriteAsync(key);
    }

    // A paste is drawn once.
    private void Type(Action<LineBuffer> change) => screen.Type(change, isDrawn: !keys.Reader.TryPeek(out _));

    private void Apply(ConsoleKeyInfo key, LineBuffer typed)
    {
        var isControl = key.Modifiers.HasFlag(ConsoleModifiers.Control);

        switch (key.Key)
        {
            case ConsoleKey.LeftArrow when isControl:
                typed.WordLeft();
                break;
            case ConsoleKey.RightArrow when isControl:
                typed.WordRight();
                break;
            case ConsoleKey.LeftArrow:
            case ConsoleKey.B when isControl:
                typed.Left();
                break;
            case ConsoleKey.RightArrow:
            case ConsoleKey.F when isControl:
                typed.Right();
                break;
            case ConsoleKey.Home:
            case ConsoleKey.A when isControl:
                typed.Home();
                break;
            case ConsoleKey.End:
            case ConsoleKey.E when isControl:
                typed.End();
                break;
            case ConsoleKey.UpArrow:
            case ConsoleKey.P when isControl:
                Recall(History.Earlier(typed.Text));
                break;
            case ConsoleKey.DownArrow:
            case ConsoleKey.N when isControl:
                Recall(History.Later());
                break;
            case ConsoleKey.W when isControl:
                typed.DeleteWordLeft();
                break;
            case ConsoleKey.U when isControl:
                typed.DeleteToBegin();
                break;
            case ConsoleKey.K when isControl:
                typed.DeleteToEnd();
                break;
            case ConsoleKey.Backspace:
            case ConsoleKey.H when isControl:
                typed.DeleteLeft();
                break;
            case ConsoleKey.Delete:
                typed.DeleteRight();
                break;
            default:
                if (!char.IsControl(key.KeyChar))
                    typed.Insert(key.KeyChar.ToString());

                break;
        }

        void Recall(string? line)
        {
            if (line is not null)
                typed.Set(line);
        }
    }

    private void Complete()
    {
        var before = "";
        Type(typed => before = typed.BeforeCursor);
        var candidates = complete(before);

        if (candidates.Count == 0)
            return;

        var word = before[(before.LastIndexOf(' ') + 1)..];
        var common = candidates.Aggregate(CommonBegin);

        if (common.Length > word.Length || candidates.Count == 1)
            Type(typed => typed.Insert(common[word.Length..] + (candidates.Count == 1 ? " " : "")));
        else
            screen.Write(InColumns(candidates));
    }

    private static string CommonBegin(string one, string other)
    {
        var length = one.AsSpan().CommonPrefixLength(other);
        return one[..length];
    }

    private IEnumerable<Line> InColumns(IReadOnlyList<string> words)
    {
        const int MostWords = 60;
        var width = words.Max(TextWidth.Of) + 2;
        var perLine = Math.Max(1, (screen.Columns - 2) / width);

        foreach (var row in words.Take(MostWords).Chunk(perLine))
        {
            var line = new Line();

            for (var index = 0; index < row.Length; index++)
                line.At(2 + index * width).Add(row[index], Look.Quiet);

            yield return line;
        }

        if (words.Count > MostWords)
            yield return new Line().At(2).Add($"and {words.Count - MostWords} more", Look.Quiet);
    }
}
