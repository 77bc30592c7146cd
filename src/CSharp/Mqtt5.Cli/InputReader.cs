using System.Buffers;
using System.IO.Pipelines;

namespace Mqtt5.Cli;

/// <summary>Opens an input as a reader of the bytes that it stands for.</summary>
internal static class InputReader
{
    // Enough to tell: a packet that begins with four printable characters would need a topic of more
    // than 2,303 bytes in fewer than 127.
    private const int Sample = 4;

    private static readonly StreamPipeReaderOptions Options = new(bufferSize: 64 * 1024, minimumReadSize: 4 * 1024);

    /// <summary>Opens a stream; the source names it in complaints.</summary>
    public static async Task<PipeReader> OpenAsync(
        Stream stream,
        InputFormat format,
        string source,
        CancellationToken cancellationToken)
    {
        var reader = PipeReader.Create(stream, Options);

        if (format == InputFormat.Detect)
        {
            var start = await reader.ReadAtLeastAsync(Sample, cancellationToken);

            if (IsText(start.Buffer))
            {
                format = InputFormat.Hex;
                source += ", taken as hexadecimal text";
            }

            reader.AdvanceTo(start.Buffer.Start);
        }

        return format == InputFormat.Hex
            ? PipeReader.Create(new HexStream(reader.AsStream(), source), Options)
            : reader;
    }

    /// <summary>Reads the hexadecimal arguments of a command line, each of whole bytes.</summary>
    public static byte[] FromArguments(IReadOnlyList<string> arguments)
    {
        var bytes = new ArrayBufferWriter<byte>();

        for (var index = 0; index < arguments.Count; index++)
        {
            var number = index + 1;
            var text = new byte[arguments[index].Length];

            for (var at = 0; at < text.Length; at++)
            {
                // A character beyond ASCII is wrong whatever it is.
                text[at] = char.IsAscii(arguments[index][at]) ? (byte)arguments[index][at] : (byte)0xFF;
            }

            var reader = new HexReader((_, _, character) => $"argument {number}, character {character}");
            bytes.Advance(reader.Read(text, bytes.GetSpan(text.Length + 1)));
            reader.End();
        }

        return bytes.WrittenSpan.ToArray();
    }

    // Any text: one with a mistake in it is better told where the mistake is than taken for packets.
    private static bool IsText(ReadOnlySequence<byte> start)
    {
        var sample = start.Slice(0, Math.Min(start.Length, 4096)).ToArray().AsSpan();

        if (sample.StartsWith("\uFEFF"u8))
        {
            sample = sample[3..];
        }

        foreach (var character in sample)
        {
            if (character is not ((>= 0x20 and < 0x7F) or (>= 9 and <= 13)))
            {
                return false;
            }
        }

        return true;
    }
}
