using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace Mqtt5.Cli;

/// <summary>Cuts a stream at line feeds. Everything else, a carriage return too, stays in the line.</summary>
internal static class InputLines
{
    /// <summary>The lines. Each is valid until the next is requested.</summary>
    /// <exception cref="UsageException">A line is longer than a packet may be.</exception>
    public static async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(
        Stream input, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var reader = PipeReader.Create(input, new StreamPipeReaderOptions(bufferSize: 64 * 1024, minimumReadSize: 4 * 1024));

        while (true)
        {
            var read = await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            var rest = read.Buffer;

            while (rest.PositionOf((byte)'\n') is { } end)
            {
                yield return ToMemory(rest.Slice(0, end));
                rest = rest.Slice(rest.GetPosition(1, end));
            }

            BoundedInput.Check(rest.Length, "a line of standard input");

            if (read.IsCompleted)
            {
                if (!rest.IsEmpty)
                    yield return ToMemory(rest);

                yield break;
            }

            reader.AdvanceTo(rest.Start, rest.End);
        }
    }

    private static ReadOnlyMemory<byte> ToMemory(ReadOnlySequence<byte> line) =>
        line.IsSingleSegment ? line.First : line.ToArray();
}
