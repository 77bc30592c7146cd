using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Reads a recording, which is a trace file or a capture, as the events of a trace.</summary>
internal static class ReplayFile
{
    /// <summary>Reads all of it.</summary>
    /// <exception cref="UsageException">It cannot be used.</exception>
    public static IEnumerable<TraceRecord> Read(string path, int serverPort) =>
        TraceFile.Capture(path, serverPort) is { } segments ? Records(path, segments) : TraceFile.Records(path);

    private static IEnumerable<TraceRecord> Records(string path, IReadOnlyList<CapturedSegment> segments)
    {
        var connections = new Dictionary<int, TracedConnection>();
        var cutters = new Dictionary<(int Connection, Direction Direction), PacketCutter>();

        foreach (var segment in segments)
        {
            if (!connections.TryGetValue(segment.Connection, out var connection))
                connections.Add(segment.Connection, connection = new TracedConnection());

            if (!cutters.TryGetValue((segment.Connection, segment.Direction), out var cutter))
                cutters.Add((segment.Connection, segment.Direction), cutter = new PacketCutter(segment.Direction, connection));

            foreach (var frame in cutter.Add(segment.Bytes.Span))
            {
                if (!connection.Version.IsV5)
                    throw new UsageException($"{path}: connection {segment.Connection} is one of {Spec.version(connection.Version).Name}; only MQTT 5 is played again");

                yield return new TraceRecord(
                    segment.At,
                    segment.Connection,
                    frame.Packet is { } packet
                        ? TraceEvent.NewPacket(segment.Direction, frame.Bytes.Length, packet)
                        : TraceEvent.NewMalformed(segment.Direction, frame.Bytes.Length, frame.Fault!.Clause, Bytes.OfArray(frame.Bytes)));
            }
        }
    }
}
