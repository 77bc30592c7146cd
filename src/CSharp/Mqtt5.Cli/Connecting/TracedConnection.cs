using System.Buffers;
using Microsoft.FSharp.Core;

namespace Mqtt5.Cli;

/// <summary>
/// What both directions of an observed connection share: the version of the protocol, which its CONNECT tells. Before that
/// the packets are those of MQTT 5. Can be used by both directions at the same time.
/// </summary>
internal sealed class TracedConnection
{
    private readonly Lock gate = new();
    private ProtocolVersion version;
    private bool isKnown;

    /// <summary>The version of the packets.</summary>
    public ProtocolVersion Version
    {
        get
        {
            lock (gate)
                return version;
        }
    }

    /// <summary>What the next bytes of a direction are.</summary>
    public Framing Next(Direction direction, long offset, ReadOnlySequence<byte> bytes) =>
        IsFirst(direction)
            ? Framer.First(direction, Spec.MaximumPacketBytes, offset, bytes)
            : Framer.NextIn(Version, direction, Spec.MaximumPacketBytes, offset, bytes);

    /// <summary>The packet of a frame, or its fault.</summary>
    public FSharpResult<Packet, Fault> Parse(Direction direction, long offset, byte[] frame)
    {
        if (!IsFirst(direction))
            return ParseNext(direction, offset, frame);

        var (protocol, parsed) = Grammar.ParseFirst(direction, Spec.MaximumPacketBytes, offset, frame);

        lock (gate)
        {
            version = protocol.Version;
            isKnown = true;
        }

        return parsed;
    }

    private bool IsFirst(Direction direction)
    {
        lock (gate)
            return !isKnown && direction.IsClientToServer;
    }

    // A server that does not take the version of CONNECT answers in the layout of its own.
    private FSharpResult<Packet, Fault> ParseNext(Direction direction, long offset, byte[] frame)
    {
        var parsed = Grammar.ParseIn(Version, direction, Spec.MaximumPacketBytes, offset, frame);

        if (parsed.IsOk || (PacketType)(frame[0] >> 4) != PacketType.Connack)
            return parsed;

        var other = Version.IsV5 ? ProtocolVersion.V311 : ProtocolVersion.V5;
        var answer = Grammar.ParseIn(other, direction, Spec.MaximumPacketBytes, offset, frame);
        return answer.IsOk ? answer : parsed;
    }
}
