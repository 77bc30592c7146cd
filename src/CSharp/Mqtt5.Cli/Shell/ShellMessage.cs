using System.Globalization;
using System.Text;
using System.Text.Unicode;

namespace Mqtt5.Cli;

/// <summary>A message as the shell shows it.</summary>
internal static class ShellMessage
{
    // More is for 'mqtt5 sub' and a file.
    private const int LongestText = 2_000;
    private const int LongestHexBytes = 64;

    /// <summary>The topic, what is special about the message, and its payload: as text if it is text, else in hexadecimal.</summary>
    /// <param name="message">The message.</param>
    /// <param name="time">When it came; null: that is not shown.</param>
    public static IEnumerable<Line> ToLines(MqttReceivedMessage message, DateTimeOffset? time)
    {
        var head = new Line();

        if (time is { } came)
            head.Add(came.ToString("HH:mm:ss  ", CultureInfo.InvariantCulture), Look.Quiet);

        head.Add(message.Topic, Look.Accent);
        var indent = head.Width;
        var special = Special(message);
        var lines = PayloadLines(message.Payload.Span);

        if (lines.Length == 1)
        {
            yield return head.Add(lines[0].Length == 0 ? "  (empty)" : $"  {lines[0]}").Add(special, Look.Quiet);
            yield break;
        }

        yield return head.Add(special, Look.Quiet);

        foreach (var line in lines)
            yield return new Line().At(time is null ? 2 : Math.Min(indent, 10)).Add(line);
    }

    private static string Special(MqttReceivedMessage message)
    {
        var words = new List<string>();

        if (message.QoS != QoS.AtMostOnce)
            words.Add($"QoS {(int)message.QoS}");

        if (message.Retain)
            words.Add("retained");

        return words.Count == 0 ? "" : $"  [{string.Join(", ", words)}]";
    }

    private static string[] PayloadLines(ReadOnlySpan<byte> payload)
    {
        if (!Utf8.IsValid(payload))
        {
            var hex = Convert.ToHexString(payload[..Math.Min(payload.Length, LongestHexBytes)]);
            return [$"0x{hex}{(payload.Length > LongestHexBytes ? $"… {Figures.Count(payload.Length)} bytes" : "")}"];
        }

        var text = Encoding.UTF8.GetString(payload);

        if (text.Length > LongestText)
            text = $"{text[..LongestText]}… {Figures.Count(payload.Length)} bytes";

        return text.TrimEnd('\n').ReplaceLineEndings("\n").Split('\n');
    }
}
