namespace Mqtt5.Engine;

// The message of an exception with those of its inner exceptions, so that the root cause is visible: each text once, and
// without references to an inner exception.
internal static class CauseText
{
    private const int MostLevels = 8;
    private const string Pointer = "inner exception";

    public static string Of(Exception failure)
    {
        var texts = new List<string>();
        Add(failure, texts);
        return texts.Count > 0 ? string.Join(": ", texts) : failure.GetType().Name;
    }

    private static void Add(Exception failure, List<string> texts)
    {
        if (texts.Count >= MostLevels)
            return;

        if (failure is AggregateException all)
        {
            foreach (var one in all.InnerExceptions)
                Add(one, texts);

            return;
        }

        var text = WithoutPointer(failure.Message);

        if (text.Length > 0 && !texts.Exists(known => known.Contains(text, StringComparison.Ordinal)))
            texts.Add(failure.InnerException is null ? text : text.TrimEnd('.'));

        if (failure.InnerException is { } inner)
            Add(inner, texts);
    }

    // Without the clause that refers to the inner exception.
    private static string WithoutPointer(string text)
    {
        var at = text.IndexOf(Pointer, StringComparison.OrdinalIgnoreCase);

        if (at < 0)
            return text.Trim();

        var begin = text.LastIndexOfAny([',', '.', ';', '(', ':'], at);
        var end = text.IndexOfAny(['.', ';', ')'], at);
        var rest = end < 0 ? "" : text[(end + 1)..];
        return WithoutPointer(begin < 0 ? rest : $"{text[..begin]} {rest}");
    }
}
