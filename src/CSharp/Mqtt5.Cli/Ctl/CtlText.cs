using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Mqtt5.Cli;

/// <summary>Answers of the API of a broker as text for people. Texts of peers are escaped and cut.</summary>
internal static class CtlText
{
    private const string Gap = "  ";

    /// <summary>Writes an answer that is no page: an object, or a list without pages; nothing for one without content.</summary>
    public static async Task WriteAsync(TextWriter output, CtlAction action, JsonDocument? answer, bool json)
    {
        if (answer is null)
            return;

        if (action.Columns is { } columns)
            await WriteRowsAsync(output, columns, [.. answer.RootElement.GetProperty("items").EnumerateArray()], json);
        else if (json)
            await output.WriteLineAsync(Compact(answer.RootElement));
        else
            await WriteObjectAsync(output, answer.RootElement, "");
    }

    /// <summary>Writes a table, or an object a line in JSON.</summary>
    public static async Task WriteRowsAsync(TextWriter output, string[] columns, IReadOnlyList<JsonElement> rows, bool json)
    {
        if (json)
        {
            foreach (var row in rows)
                await output.WriteLineAsync(Compact(row));

            return;
        }

        string[][] cells =
        [
            [.. columns.Select(column => Words(column).ToUpperInvariant())],
            .. rows.Select(row => columns.Select(column => row.TryGetProperty(column, out var value) ? Show(value) : "-").ToArray()),
        ];
        var widths = columns.Select((_, index) => cells.Max(row => TextWidth.Of(row[index]))).ToArray();

        foreach (var row in cells)
        {
            var line = new StringBuilder();

            for (var index = 0; index < row.Length; index++)
                line.Append(row[index]).Append(' ', widths[index] - TextWidth.Of(row[index])).Append(Gap);

            await output.WriteLineAsync(line.ToString().TrimEnd());
        }
    }

    // Names and values, one a line; what is within an object stands further in.
    private static async Task WriteObjectAsync(TextWriter output, JsonElement element, string margin)
    {
        var members = element.EnumerateObject().ToArray();
        var width = members.Length == 0 ? 0 : members.Max(member => Words(member.Name).Length);

        foreach (var member in members)
        {
            if (member.Value.ValueKind is JsonValueKind.Object)
            {
                await output.WriteLineAsync($"{margin}{Words(member.Name)}");
                await WriteObjectAsync(output, member.Value, margin + Gap);
            }
            else if (member.Value.ValueKind is JsonValueKind.Array && member.Value.EnumerateArray().Any(item => item.ValueKind is JsonValueKind.Object))
            {
                await output.WriteLineAsync($"{margin}{Words(member.Name)}");

                foreach (var item in member.Value.EnumerateArray())
                    await output.WriteLineAsync($"{margin}{Gap}{string.Join(Gap, item.EnumerateObject().Select(one => $"{Words(one.Name)} {Show(one.Value)}"))}");
            }
            else
            {
                await output.WriteLineAsync($"{margin}{Words(member.Name).PadRight(width)}{Gap}{Show(member.Value)}");
            }
        }
    }

    private static string Show(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => PeerText.Show(value.GetString()!),
        JsonValueKind.True => "yes",
        JsonValueKind.False => "no",
        JsonValueKind.Null => "-",
        JsonValueKind.Array => string.Join(", ", value.EnumerateArray().Select(Show)) is { Length: > 0 } items ? items : "-",
        _ => value.GetRawText(),
    };

    // A name of JSON as words: publishReceived is publish received. The names of limits are as they are.
    private static string Words(string name)
    {
        var text = new StringBuilder();

        foreach (var letter in name.StartsWith("is", StringComparison.Ordinal) && name.Length > 2 && char.IsUpper(name[2]) ? name[2..] : name)
        {
            if (char.IsUpper(letter) && text.Length > 0)
                text.Append(' ');

            text.Append(char.ToLower(letter, CultureInfo.InvariantCulture));
        }

        return PeerText.Show(text.ToString());
    }

    // On one line, and with what is beyond ASCII escaped: it may be of peers.
    private static string Compact(JsonElement element)
    {
        using var buffer = new MemoryStream();

        using (var json = new Utf8JsonWriter(buffer))
            element.WriteTo(json);

        return Encoding.UTF8.GetString(buffer.ToArray());
    }
}
