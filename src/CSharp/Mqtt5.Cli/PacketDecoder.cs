using System.Buffers;
using System.IO.Pipelines;

namespace Mqtt5.Cli;

/// <summary>Writes the notation of each packet of a stream, or what is wrong with it.</summary>
internal sealed class PacketDecoder(DecodeRequest request, TextWriter output)
{
    // What is shown of bytes whose packet has no known end.
    private const int BytesOfBrokenFrame = 64;

    private long offset;

    /// <summary>True when a packet had a fault or was cut off.</summary>
    public bool HasFault { get; private set; }

    /// <summary>True when there was no byte at all.</summary>
    public bool IsEmpty { get; private set; } = true;

    /// <summary>Reads to the end, or to the first byte after which no packet can be told from the next.</summary>
    public async Task RunAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        while (true)
        {
            // What was decoded is seen while the sender of the rest takes its time.
            await output.FlushAsync(cancellationToken);
            var read = await reader.ReadAsync(cancellationToken);
            var rest = read.Buffer;
            IsEmpty &= rest.IsEmpty;

            if (!Decode(ref rest))
            {
                break;
            }

            if (read.IsCompleted)
            {
                if (!rest.IsEmpty)
                {
                    HasFault = true;
                    output.WriteLine(Explain.CutOff(request.ShowSecrets, offset, rest.ToArray()));
                }

                break;
            }

            reader.AdvanceTo(rest.Start, rest.End);
        }

        await output.FlushAsync(cancellationToken);
    }

    // Decodes all whole packets; false when it is not known where the next one begins.
    private bool Decode(ref ReadOnlySequence<byte> rest)
    {
        while (!rest.IsEmpty)
        {
            var directions = DirectionsOf((PacketType)(rest.FirstSpan[0] >> 4));
            Fault? broken = null;
            var length = 0;

            foreach (var direction in directions)
            {
                var framing = Framer.Next(direction, request.MaximumPacketBytes, offset, rest);

                if (framing.IsIncomplete)
                {
                    return true;
                }

                if (framing.IsFrame)
                {
                    length = framing.Length;
                    break;
                }

                broken = framing.Fault;
            }

            if (length == 0)
            {
                HasFault = true;
                var start = rest.Slice(0, Math.Min(rest.Length, BytesOfBrokenFrame)).ToArray();
                output.WriteLine(ExplainFault(start, broken!));
                output.WriteLine("the next packet cannot be found from here; the rest is not decoded");
                return false;
            }

            Show(rest.Slice(0, length).ToArray(), directions);
            rest = rest.Slice(length);
            offset += length;
        }

        return true;
    }

    // With a choice, only those directions that the packet type may travel in, so that the fault is about the
    // packet and not about who sent it.
    private IReadOnlyList<Direction> DirectionsOf(PacketType type)
    {
        var possible = request.Directions.Where(direction => Spec.mayTravel(direction, type)).ToList();
        return possible.Count > 0 ? possible : request.Directions;
    }

    private void Show(byte[] frame, IReadOnlyList<Direction> directions)
    {
        var results = directions.Select(direction => Grammar.Parse(direction, request.MaximumPacketBytes, offset, frame)).ToList();
        var fit = results.FindIndex(result => result.IsOk);

        if (fit >= 0)
        {
            output.WriteLine(Notation.Print(results[fit].ResultValue));

            var misfit = results.FindIndex(result => result.IsError);

            if (misfit >= 0)
            {
                output.WriteLine($"# only from a {Sender(directions[fit])}; from a {Sender(directions[misfit])}: {results[misfit].ErrorValue}");
            }

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

    private static string Sender(Direction direction) => direction.IsClientToServer ? "client" : "server";

    private string ExplainFault(byte[] frame, Fault fault) =>
        request.ShowSecrets ? Explain.FaultWithSecrets(offset, frame, fault) : Explain.Fault(offset, frame, fault);
}
