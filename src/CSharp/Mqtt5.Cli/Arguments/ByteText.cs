using System.Buffers;
using System.Text;

namespace Mqtt5.Cli;

/// <summary>
/// Command-line text that need not be UTF-8. A byte that is not part of a valid sequence is represented as a lone surrogate,
/// U+DC00 plus the byte, which valid text never contains: text options refuse it, and binary options restore the bytes.
/// </summary>
internal static class ByteText
{
    private const int Escape = 0xDC00;
    private const int FirstEscape = Escape + 0x80;
    private const int LastEscape = Escape + 0xFF;

    /// <summary>The string for some bytes.</summary>
    public static string FromBytes(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);

        while (!bytes.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(bytes, out var rune, out var length) == OperationStatus.Done)
            {
                text.Append(rune.ToString());
            }
            else
            {
                foreach (var one in bytes[..length])
                    text.Append((char)(Escape + one));
            }

            bytes = bytes[length..];
        }

        return text.ToString();
    }

    /// <summary>Encodes a string as UTF-8, and restores preserved bytes.</summary>
    public static byte[] ToBytes(string text)
    {
        if (!text.Any(IsEscape))
            return Encoding.UTF8.GetBytes(text);

        var bytes = new ArrayBufferWriter<byte>(text.Length);
        var rest = text.AsSpan();

        while (!rest.IsEmpty)
        {
            if (Rune.DecodeFromUtf16(rest, out var rune, out var length) == OperationStatus.Done)
                bytes.Advance(rune.EncodeToUtf8(bytes.GetSpan(4)));
            else if (IsEscape(rest[0]))
                bytes.Write([(byte)(rest[0] - Escape)]);
            else
                bytes.Write("\uFFFD"u8);

            rest = rest[length..];
        }

        return bytes.WrittenSpan.ToArray();
    }

    /// <summary>Whether the string is valid text, without preserved bytes.</summary>
    public static bool IsText(string text)
    {
        for (var at = 0; at < text.Length; at++)
        {
            if (char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]))
                at++;
            else if (IsEscape(text[at]))
                return false;
        }

        return true;
    }

    private static bool IsEscape(char one) => one is >= (char)FirstEscape and <= (char)LastEscape;
}
