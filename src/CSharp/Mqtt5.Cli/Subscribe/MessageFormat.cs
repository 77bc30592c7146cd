using System.Buffers;
using System.Globalization;
using System.Text;

namespace Mqtt5.Cli;

/// <summary>A format of mosquitto_sub's option <c>-F</c>.</summary>
internal sealed class MessageFormat
{
    private const string Specifiers = "%ACDEFIJPRSUXjlmpqrtx";
    private const string Escapes = "\\0aenrtv";
    private const string EscapedBytes = "\\\0\a\u001b\n\r\t\v";

    private readonly List<FormatPart> parts = [];

    private MessageFormat()
    {
    }

    /// <summary>Reads a format.</summary>
    /// <exception cref="UsageException">Something in it has no meaning, or its end is missing.</exception>
    public static MessageFormat Parse(string text)
    {
        var format = new MessageFormat();
        var literal = new StringBuilder();
        var at = 0;

        while (at < text.Length)
        {
            var first = text[at++];

            if (first is not ('%' or '@' or '\\'))
            {
                literal.Append(first);
            }
            else if (at == text.Length)
            {
                throw new UsageException($"--format: '{first}' at the end has no meaning");
            }
            else if (first == '\\')
            {
                literal.Append(Escaped(text[at++]));
            }
            else if (text[at] == first)
            {
                literal.Append(first);
                at++;
            }
            else
            {
                format.AddLiteral(literal);
                format.parts.Add(first == '@' ? FormatPart.OfTime(text[at++]) : ReadSpecifier(text, ref at));
            }
        }

        format.AddLiteral(literal);
        return format;
    }

    /// <summary>Writes a message.</summary>
    /// <returns>What is wrong with it; null: nothing.</returns>
    public string? Write(PrintedMessage printed, bool isPretty, IBufferWriter<byte> output)
    {
        string? complaint = null;

        foreach (var part in parts)
        {
            switch (part.Kind)
            {
                case FormatPartKind.Literal:
                    output.Write(part.Bytes);
                    break;
                case FormatPartKind.Time:
                    Encoding.UTF8.GetBytes(TimeFormat.Of(part.Specifier, printed.Time), output);
                    break;
                default:
                    complaint = WriteValue(part, printed, isPretty, output) ?? complaint;
                    break;
            }
        }

        return complaint;
    }

    private static char Escaped(char name) =>
        Escapes.IndexOf(name, StringComparison.Ordinal) is >= 0 and var index
            ? EscapedBytes[index]
            : throw new UsageException($"--format: '\\{name}' has no meaning");

    private static FormatPart ReadSpecifier(string text, ref int at)
    {
        var isLeft = Skip(text, ref at, '-');
        var isZero = Skip(text, ref at, '0');
        var width = ReadNumber(text, ref at);
        int? precision = Skip(text, ref at, '.') ? ReadNumber(text, ref at) : null;

        if (at == text.Length)
            throw new UsageException("--format: the format ends within a parameter");

        var specifier = text[at++];

        return Specifiers.Contains(specifier, StringComparison.Ordinal)
            ? new FormatPart(FormatPartKind.Value, "", specifier, isLeft, isZero ? '0' : ' ', width, precision)
            : throw new UsageException($"--format: '%{specifier}' has no meaning");
    }

    private static bool Skip(string text, ref int at, char expected)
    {
        if (at == text.Length || text[at] != expected)
            return false;

        at++;
        return true;
    }

    private static int ReadNumber(string text, ref int at)
    {
        var start = at;

        while (at < text.Length && char.IsAsciiDigit(text[at]))
            at++;

        if (at == start)
            return 0;

        return int.TryParse(text.AsSpan(start, at - start), CultureInfo.InvariantCulture, out var number) && number <= 10_000
            ? number
            : throw new UsageException("--format: a width is at most 10000");
    }

    private static string? WriteValue(FormatPart part, PrintedMessage printed, bool isPretty, IBufferWriter<byte> output)
    {
        var message = printed.Message;

        switch (part.Specifier)
        {
            case '%':
                output.Write("%"u8);
                break;
            case 'A':
                // The client has put the topic in the place of its alias.
                part.WriteNumber(null, output);
                break;
            case 'C':
                part.WriteText(message.ContentType ?? "", output);
                break;
            case 'D':
                output.Write((message.CorrelationData ?? default).Span);
                break;
            case 'E':
                part.WriteNumber(printed.ExpirySeconds, output);
                break;
            case 'F':
                part.WriteNumber(message.IsText is { } isText ? isText ? 1 : 0 : null, output);
                break;
            case 'I':
                part.WriteText(TimeFormat.Iso8601(printed.Time), output);
                break;
            case 'j':
                MessageJson.Write(printed, isPretty, output);
                break;
            case 'J':
                if (!MessageJson.TryWriteWithPayload(printed, isPretty, output))
                    return $"the payload is not valid JSON on topic {message.Topic}";

                break;
            case 'l':
                part.WriteNumber(message.Payload.Length, output);
                break;
            case 'm':
                part.WriteNumber(message.PacketIdentifier ?? 0, output);
                break;
            case 'P':
                Encoding.UTF8.GetBytes(string.Join(' ', message.UserProperties.Select(one => $"{one.Name.Text}:{one.Value.Text}")), output);
                break;
            case 'p':
                part.WriteBytes(message.Payload.Span, output);
                break;
            case 'q':
                output.Write([(byte)('0' + (int)message.QoS)]);
                break;
            case 'R':
                if (message.ResponseTopic is { } responseTopic)
                    part.WriteText(responseTopic, output);

                break;
            case 'r':
                output.Write(message.Retain ? "1"u8 : "0"u8);
                break;
            case 'S':
                part.WriteNumber(printed.SubscriptionIdentifier, output);
                break;
            case 't':
                part.WriteText(message.Topic, output);
                break;
            case 'U':
                Encoding.UTF8.GetBytes(TimeFormat.Unix(printed), output);
                break;
            default:
                part.WriteHex(message.Payload.Span, part.Specifier == 'X', output);
                break;
        }

        return null;
    }

    private void AddLiteral(StringBuilder literal)
    {
        if (literal.Length > 0)
            parts.Add(FormatPart.OfLiteral(literal.ToString()));

        literal.Clear();
    }
}
