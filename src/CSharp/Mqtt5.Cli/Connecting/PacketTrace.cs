using System.Buffers;
using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>Cuts the bytes of one direction into packets and writes a line for each.</summary>
internal sealed class PacketTrace(Direction direction, TracedConnection connection, TextWriter writer)
{
    // A payload of megabytes is not for a terminal.
    private const int LongestLine = 2_000;

    private ArrayBufferWriter<byte> waiting = new();
    private long offset;
    private bool isBroken;

    /// <summary>Takes the next bytes.</summary>
    public void Add(ReadOnlySpan<byte> bytes)
    {
        if (isBroken)
            return;

        waiting.Write(bytes);
        var all = waiting.WrittenMemory;
        var done = 0;

        while (!isBroken && done < all.Length)
        {
            var framing = connection.Next(direction, offset, new ReadOnlySequence<byte>(all[done..]));

            if (framing.IsIncomplete)
                break;

            if (framing.IsFrame)
            {
                writer.WriteLine(LineOf(all.Slice(done, framing.Length)));
                done += framing.Length;
                offset += framing.Length;
            }
            else
            {
                isBroken = true;
                writer.WriteLine(framing.Fault);
            }
        }

        if (done == 0)
            return;

        var rest = all[done..].ToArray();
        waiting = new ArrayBufferWriter<byte>();
        waiting.Write(rest);
    }

    private string LineOf(ReadOnlyMemory<byte> frame)
    {
        var packet = connection.Parse(direction, offset, frame.ToArray());

        if (packet.IsError)
            return Explain.FaultIn(connection.Version, offset, frame.ToArray(), packet.ErrorValue);

        var line = Notation.PrintTracedIn(connection.Version, direction, packet.ResultValue);

        return line.Length <= LongestLine
            ? line
            : string.Create(CultureInfo.InvariantCulture, $"{line.AsSpan(0, LongestLine)}... ({frame.Length} bytes)");
    }
}
