using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>One thing that the demo shows. Its work adds to it while it is drawn.</summary>
internal sealed class DemoStep(string name, Screen screen)
{
    private const int NameColumn = 3;
    private const int TextColumn = 17;
    private const int SpinnerMilliseconds = 120;
    private const string Spinner = "⠖⠲⠴⠦";

    private readonly Lock gate = new();
    private readonly long began = Stopwatch.GetTimestamp();
    private readonly List<Line> details = [];
    private IReadOnlyList<Line> moving = [];
    private string result = "";
    private TimeSpan? took;

    /// <summary>What it found, in a few words.</summary>
    public void Tell(string text)
    {
        lock (gate)
            result = text;
    }

    /// <summary>How long the thing itself took, if that is not the time of the whole step.</summary>
    public void Took(TimeSpan time)
    {
        lock (gate)
            took = time;
    }

    /// <summary>The thing is over, though it may stay on the screen for a moment.</summary>
    public void End()
    {
        lock (gate)
            took ??= Stopwatch.GetElapsedTime(began);
    }

    /// <summary>Adds a line below.</summary>
    public void Add(string text, Spectre.Console.Style? style = null)
    {
        lock (gate)
            details.Add(Detail(text, style ?? Look.Plain));
    }

    /// <summary>Adds a line that says what has been proved.</summary>
    public void Prove(string text)
    {
        lock (gate)
            details.Add(Detail(text, Look.Quiet));
    }

    /// <summary>Shows lines for the moment, instead of those that it showed before.</summary>
    public void Show(IReadOnlyList<Line> lines)
    {
        lock (gate)
            moving = lines;
    }

    /// <summary>The step as it is now, while it goes on.</summary>
    public IReadOnlyList<Line> Draw()
    {
        lock (gate)
        {
            var frame = (int)(Stopwatch.GetElapsedTime(began).TotalMilliseconds / SpinnerMilliseconds) % Spinner.Length;
            return [Head(Spinner[frame].ToString(), Look.Accent), .. details, .. moving];
        }
    }

    /// <summary>The step when it went well.</summary>
    public IReadOnlyList<Line> Finished()
    {
        lock (gate)
        {
            var time = Figures.Duration(took ?? Stopwatch.GetElapsedTime(began));
            return [Head("✓", Look.Good).Right(screen.Columns, time, Look.Quiet), .. details];
        }
    }

    /// <summary>The step when it did not.</summary>
    public IReadOnlyList<Line> Failed(string reason)
    {
        lock (gate)
        {
            result = "failed";
            return [Head("✗", Look.Bad), .. details, Detail(reason, Look.Bad)];
        }
    }

    private static Line Detail(string text, Spectre.Console.Style style) => new Line().At(TextColumn).Add(text, style);

    private Line Head(string mark, Spectre.Console.Style style) =>
        new Line().At(1).Add(mark, style).At(NameColumn).Add(name, Look.Strong).At(TextColumn).Add(result);
}
