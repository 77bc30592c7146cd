using System.Buffers;
using System.Globalization;
using System.Text;

namespace Mqtt5.Cli;

/// <summary>
/// A part of a format: text, or a letter with the flags, the width and the precision that stood before it. How a value
/// fills its width is as odd in places as mosquitto_sub does it.
/// </summary>
internal sealed record FormatPart(
    FormatPartKind Kind, string Text, char Specifier, bool IsLeft, char Padding, int Width, int? Precision)
{
    /// <summary>The bytes of literal text.</summary>
    public byte[] Bytes { get; } = ByteText.ToBytes(Text);

    /// <summary>Text that stands for itself.</summary>
    public static FormatPart OfLiteral(string text) => new(FormatPartKind.Literal, text, '\0', false, ' ', 0, null);

    /// <summary>A part of the time.</summary>
    public static FormatPart OfTime(char specifier) => new(FormatPartKind.Time, "", specifier, false, ' ', 0, null);

    /// <summary>Writes a number, or its width in blanks or zeros.</summary>
    public void WriteNumber(long? value, IBufferWriter<byte> output)
    {
        if (value is not { } number)
        {
            Pad(Padding, Width, output);
            return;
        }

        var digits = number.ToString(CultureInfo.InvariantCulture);
        var text = IsLeft ? digits.PadRight(Width) : digits.PadLeft(Width, Padding);
        Encoding.UTF8.GetBytes(text, output);
    }

    /// <summary>Writes text. Width and precision count bytes.</summary>
    public void WriteText(string value, IBufferWriter<byte> output)
    {
        var bytes = Encoding.UTF8.GetBytes(value).AsSpan();

        if (Precision is { } precision && precision < bytes.Length)
            bytes = bytes[..precision];

        var missing = Width - bytes.Length;

        if (!IsLeft)
            Pad(' ', missing, output);

        output.Write(bytes);

        if (IsLeft)
            Pad(' ', missing, output);
    }

    /// <summary>Writes bytes. The width is also the greatest number of them.</summary>
    public void WriteBytes(ReadOnlySpan<byte> value, IBufferWriter<byte> output)
    {
        if (Width > 0 && value.Length > Width)
            value = value[..Width];

        var missing = Width - value.Length;

        if (!IsLeft)
            Pad(Padding, missing, output);

        output.Write(value);

        if (IsLeft)
            Pad(' ', missing, output);
    }

    /// <summary>Writes bytes in hexadecimal. With a width, half of those that fit into it are written.</summary>
    public void WriteHex(ReadOnlySpan<byte> value, bool isUpper, IBufferWriter<byte> output)
    {
        if (Width > 0)
            value = value[..(Math.Min(value.Length, Width) / 2)];

        var missing = Width > 0 ? Width - (2 * value.Length) : 0;

        if (!IsLeft)
            Pad(Padding, missing, output);

        Encoding.UTF8.GetBytes(isUpper ? Convert.ToHexString(value) : Convert.ToHexStringLower(value), output);

        if (IsLeft)
            Pad(' ', missing, output);
    }

    private static void Pad(char padding, int count, IBufferWriter<byte> output)
    {
        for (; count > 0; count--)
            output.Write([(byte)padding]);
    }
}
