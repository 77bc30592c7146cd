namespace Mqtt5.Cli;

/// <summary>The lines that were typed, so many at most, and where in them a person is.</summary>
internal sealed class LineHistory
{
    private const int MostLines = 500;

    private readonly List<string> lines = [];
    private int place;
    private string draft = "";

    /// <summary>Adds a line, unless it is empty or the last one again. The person is behind it now.</summary>
    public void Add(string line)
    {
        if (!string.IsNullOrWhiteSpace(line) && (lines.Count == 0 || lines[^1] != line))
        {
            lines.Add(line);

            if (lines.Count > MostLines)
                lines.RemoveAt(0);
        }

        Leave();
    }

    /// <summary>Forgets where the person is.</summary>
    public void Leave()
    {
        place = lines.Count;
        draft = "";
    }

    /// <summary>The line before; null: there is none. What was typed is kept.</summary>
    public string? Earlier(string typed)
    {
        if (place == 0)
            return null;

        if (place == lines.Count)
            draft = typed;

        return lines[--place];
    }

    /// <summary>The line behind, at last what was typed; null: there is none.</summary>
    public string? Later()
    {
        if (place == lines.Count)
            return null;

        return ++place == lines.Count ? draft : lines[place];
    }
}
