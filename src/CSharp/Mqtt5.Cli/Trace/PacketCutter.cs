using System.Buffers;

namespace Mqtt5.Cli;

/// <summary>Cuts the bytes of one direction of a connection into packets, and into what is none.</summary>
internal sealed class PacketCutter(Direction direction, TracedConnection connection)
{
    private ArrayBufferWriter<byte> waiting = new();
    private long offset;

    /// <summary>True after bytes behind which no packet can be found.</summary>
    public bool IsLost { get; private set; }

    /// <summary>Takes the next bytes and gives the packets that are whole now.</summary>
    public IReadOnlyList<CutFrame> Add(ReadOnlySpan<byte> bytes)
    {
        var frames = new List<CutFrame>();

        if (IsLost)
            return frames;

        waiting.Write(bytes);
        var all = waiting.WrittenMemory;
        var done = 0;

        while (!IsLost && done < all.Length)
        {
            var rest = all[done..];
            var framing = connection.Next(direction, offset, new ReadOnlySequence<byte>(rest));

            if (framing.IsIncomplete)
                break;

            var length = framing.IsFrame ? framing.Length : rest.Length;
            frames.Add(FrameOf(rest[..length].ToArray(), framing.Fault));
            IsLost |= framing.Fault is not null;
            done += length;
            offset += length;
        }

        if (done > 0)
        {
            var rest = all[done..].ToArray();
            waiting = new ArrayBufferWriter<byte>(Math.Max(rest.Length, 256));
            waiting.Write(rest);
        }

        return frames;
    }

    private CutFrame FrameOf(byte[] bytes, Fault? fault)
    {
        if (fault is not null)
            return new CutFrame(offset, bytes, null, fault);

        var result = connection.Parse(direction, offset, bytes);
        // What follows an unknown version of the protocol cannot be read.
        IsLost |= result.IsError && result.ErrorValue.Reason == ReasonCode.UnsupportedProtocolVersion;
        return result.IsOk ? new CutFrame(offset, bytes, result.ResultValue, null) : new CutFrame(offset, bytes, null, result.ErrorValue);
    }
}
