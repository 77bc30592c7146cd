using System.Buffers;
using System.IO.Pipelines;
using Microsoft.FSharp.Core;

namespace Mqtt5.Cli;

/// <summary>
/// Writes each packet of a stream in the notation, or the decoding error, in the given version or that of the last CONNECT.
/// </summary>
internal sealed class PacketDecoder(DecodeRequest request, TextWriter output)
{
    // What is shown of bytes whose packet has no known end.
    private const int BytesOfBrokenFrame = 64;

    // A first byte and the longest Remaining Length.
    private const int BytesOfHeader = 5;

    private long offset;

    private ProtocolVersion version = request.Version ?? ProtocolVersion.V5;

    /// <summary>True when a packet had a fault or was cut off.</summary>
    public bool HasFault { get; private set; }

    /// <summary>True when there was no byte at all.</summary>
    public bool IsEmpty { get; private set; } = true;

    /// <summary>Reads to the end, or to the first byte after which no packet can be told from the next.</summary>
    public async Task RunAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        while (true)
        {
            // Decoded packets are shown at once, while the sender of the rest may be slow.
            await output.FlushAsync(cancellationToken);
            var read = await reader.ReadAsync(cancellationToken);
            var rest = read.Buffer;
            IsEmpty &= rest.IsEmpty;

            if (!Decode(ref rest, read.IsCompleted))
            {
                break;
            }

            if (read.IsCompleted)
            {
                if (!rest.IsEmpty)
                {
                    HasFault = true;
                    output.WriteLine(Explain.CutOffIn(version, request.ShowSecrets, offset, rest.ToArray()));
                }

                break;
            }

            reader.AdvanceTo(rest.Start, rest.End);
        }

        await output.FlushAsync(cancellationToken);
    }

    // Decodes all whole packets; false when it is not known where the next one begins.
    private bool Decode(ref ReadOnlySequence<byte> rest, bool isCompleted)
    {
        while (!rest.IsEmpty)
        {
            var directions = DirectionsOf((PacketType)(rest.FirstSpan[0] >> 4));
            var framings = new List<Framing>(directions.Count);

            foreach (var direction in directions)
            {
                framings.Add(FramingOf(direction, rest));
            }

            if (framings.Exists(framing => framing.IsIncomplete))
            {
                return true;
            }

            var whole = framings.FindIndex(framing => framing.IsFrame);
            long length;

            if (whole >= 0)
            {
                length = framings[whole].Length;
                Show(rest.Slice(0, length).ToArray(), directions);
            }
            else
            {
                var fault = framings[0].Fault!;
                length = SizeDespite(fault, rest);

                if (length > rest.Length && !isCompleted)
                {
                    return true;
                }

                HasFault = true;
                var shown = length > 0 ? length : BytesOfBrokenFrame;
                output.WriteLine(ExplainFault(rest.Slice(0, Math.Min(rest.Length, shown)).ToArray(), fault));

                if (length < 0 || length > rest.Length)
                {
                    output.WriteLine("the next packet cannot be found from here; the rest is not decoded");
                    return false;
                }
            }

            rest = rest.Slice(length);
            offset += length;
        }

        return true;
    }

    // If the version comes from CONNECT, it is unknown until that packet is complete.
    private bool TellsVersion(byte first) => request.Version is null && (PacketType)(first >> 4) == PacketType.Connect;

    private Framing FramingOf(Direction direction, ReadOnlySequence<byte> rest) =>
        TellsVersion(rest.FirstSpan[0])
            ? Framer.First(direction, request.MaximumPacketBytes, offset, rest)
            : Framer.NextIn(version, direction, request.MaximumPacketBytes, offset, rest);

    // The size of a packet whose first byte alone is wrong, so that the next packet can be found; else -1.
    private long SizeDespite(Fault fault, ReadOnlySequence<byte> rest)
    {
        var size = Explain.AnnouncedBytes(rest.Slice(0, Math.Min(rest.Length, BytesOfHeader)).ToArray());
        return fault.Offset != offset || size > request.MaximumPacketBytes ? -1 : size;
    }

    // With a choice, only those directions that the packet type may travel in, so that the fault is about the
    // packet and not about who sent it.
    private IReadOnlyList<Direction> DirectionsOf(PacketType type)
    {
        var possible = request.Directions.Where(direction => Spec.mayTravelIn(version, direction, type)).ToList();
        return possible.Count > 0 ? possible : request.Directions;
    }

    private void Show(byte[] frame, IReadOnlyList<Direction> directions)
    {
        if (TellsVersion(frame[0]))
            version = Greeting.AnswerIn(frame);

        var results = directions.Select(direction => Grammar.ParseIn(version, direction, request.MaximumPacketBytes, offset, frame)).ToList();
        var fit = results.FindIndex(result => result.IsOk);

        if (fit >= 0)
        {
            var packet = results[fit].ResultValue;
            var notation = request.ShowSecrets ? Notation.PrintIn(version, packet) : Notation.PrintRedactedIn(version, packet);
            var remark = Greeting.Find(frame) is { IsSome: true, Value.IsBridge: true } ? " # from a bridge" : "";

            // As in a trace: a direction where the bytes tell it.
            output.WriteLine(IsTold(directions, results) ? $"{Mark(directions[fit])} {notation}{remark}" : notation + remark);
            return;
        }

        HasFault = true;

        // The one that got further says more; the other is told in a line if it is another fault.
        var furthest = results.Select(result => result.ErrorValue).MaxBy(fault => fault.Offset)!;
        output.WriteLine(ExplainFault(frame, furthest));

        for (var index = 0; index < results.Count; index++)
        {
            var other = results[index].ErrorValue;

            if (other.Offset != furthest.Offset || other.Reason != furthest.Reason)
            {
                output.WriteLine($"or      from a {Sender(directions[index])}: {other}");
            }
        }
    }

    // True when both ends were asked about and only one of them may send the packet.
    private bool IsTold(IReadOnlyList<Direction> directions, List<FSharpResult<Packet, Fault>> results) =>
        request.Directions.Count > 1 && (directions.Count == 1 || results.Any(result => result.IsError));

    private static string Mark(Direction direction) => direction.IsClientToServer ? "[c>s]" : "[s>c]";

    private static string Sender(Direction direction) => direction.IsClientToServer ? "client" : "server";

    private string ExplainFault(byte[] frame, Fault fault) =>
        request.ShowSecrets ? Explain.FaultWithSecretsIn(version, offset, frame, fault) : Explain.FaultIn(version, offset, frame, fault);
}
