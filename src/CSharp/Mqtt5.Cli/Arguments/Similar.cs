namespace Mqtt5.Cli;

/// <summary>Suggests the intended name for a mistyped one.</summary>
internal static class Similar
{
    private const int MostEdits = 2;

    /// <summary>
    /// The closest name, or one that is a prefix of the typed name or has it as a prefix; null: none is close.
    /// </summary>
    public static string? To(string typed, IEnumerable<string> names)
    {
        // A prefix counts as an abbreviation.
        if (names.FirstOrDefault(name => IsLonger(name, typed)) is { } longer)
            return longer;

        var (best, distance) = (default(string), int.MaxValue);

        foreach (var name in names)
        {
            var edits = Edits(typed, name);

            if (edits < distance && edits < Math.Min(typed.Length, name.Length))
                (best, distance) = (name, edits);
        }

        return distance <= MostEdits ? best : names.FirstOrDefault(name => IsLonger(typed, name));
    }

    /// <summary>The suggestion as the end of a sentence, as in "; did you mean 'pub'?".</summary>
    public static string Hint(string typed, IEnumerable<string> names) =>
        To(typed, names) is { } meant ? $"; did you mean '{meant}'?" : "";

    private static bool IsLonger(string one, string other) =>
        other.TrimStart('-').Length >= 2 && one.StartsWith(other, StringComparison.OrdinalIgnoreCase);

    // The edit distance, counting a swap of adjacent letters as one edit (optimal string alignment).
    private static int Edits(string from, string to)
    {
        var table = new int[from.Length + 1, to.Length + 1];

        for (var row = 0; row <= from.Length; row++)
            table[row, 0] = row;

        for (var column = 0; column <= to.Length; column++)
            table[0, column] = column;

        for (var row = 1; row <= from.Length; row++)
        {
            for (var column = 1; column <= to.Length; column++)
            {
                var cost = from[row - 1] == to[column - 1] ? 0 : 1;
                var least = Math.Min(Math.Min(table[row - 1, column], table[row, column - 1]) + 1, table[row - 1, column - 1] + cost);

                if (row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1])
                    least = Math.Min(least, table[row - 2, column - 2] + 1);

                table[row, column] = least;
            }
        }

        return table[from.Length, to.Length];
    }
}
