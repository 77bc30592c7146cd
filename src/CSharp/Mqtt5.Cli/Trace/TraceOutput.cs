using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Where traced events go: they are judged, shown, and written to files. To be used by one caller at a time.</summary>
internal sealed class TraceOutput(TraceRequest request, Terminal terminal, StreamWriter? file, PcapngWriter? capture)
{
    // How many bytes of a payload are shown unless all are asked for.
    private const int PayloadStartBytes = 64;

    private readonly Dictionary<int, TracedConnection> traced = [];
    private readonly Dictionary<(int Connection, Direction Direction), PacketCutter> cutters = [];
    private readonly Dictionary<(int Connection, Direction Direction), InboundTopicAliases> aliases = [];
    private MonitorState state = MonitorState.Empty;
    private int connections;
    private long packets;

    /// <summary>How many rules were broken.</summary>
    public long Violations { get; private set; }

    /// <summary>How many of them the server broke.</summary>
    public long ServerViolations { get; private set; }

    /// <summary>A client connected.</summary>
    public void Opened(long at, int connection)
    {
        connections++;
        capture?.Opened(at, connection);
        Show(new TraceRecord(at, connection, TraceEvent.Opened), "OPENED");
    }

    /// <summary>Bytes passed.</summary>
    public void Passed(long at, int connection, Direction direction, ReadOnlySpan<byte> bytes)
    {
        if (!cutters.TryGetValue((connection, direction), out var cutter))
            cutters.Add((connection, direction), cutter = new PacketCutter(direction, Traced(connection)));

        foreach (var frame in cutter.Add(bytes))
        {
            if (frame.Packet is { } packet)
                Packet(at, connection, direction, packet, frame.Bytes);
            else
                Malformed(at, connection, direction, frame);
        }
    }

    /// <summary>An end closed a connection.</summary>
    public void Closed(long at, int connection, Direction direction)
    {
        capture?.Closed(at, connection, direction);
        state = ProtocolMonitor.Closed(connection, state);

        foreach (var way in (Direction[])[Direction.ClientToServer, Direction.ServerToClient])
        {
            cutters.Remove((connection, way));
            aliases.Remove((connection, way));
        }

        traced.Remove(connection);

        Show(new TraceRecord(at, connection, TraceEvent.NewClosed(direction)), $"{TraceText.PrintDirection(direction)} CLOSED");
    }

    /// <summary>An event that a trace file holds.</summary>
    public void Recorded(TraceRecord record)
    {
        switch (record.Event)
        {
            case TraceEvent.Packet one:
                Packet(record.At, record.Connection, one.Direction, one.Packet, null, one.WireBytes);
                break;
            case TraceEvent.Malformed one:
                capture?.Sent(record.At, record.Connection, one.Direction, one.Bytes.Span);
                Show(record, $"{TraceText.PrintDirection(one.Direction)} {one.WireBytes} bytes that are no packet");
                Judge(ProtocolMonitor.Malformed(
                    record.At, record.Connection, one.Direction, PacketType.Reserved, one.Clause, "the bytes are no packet", state));
                break;
            case TraceEvent.Closed one:
                Closed(record.At, record.Connection, one.Direction);
                break;
            default:
                Opened(record.At, record.Connection);
                break;
        }
    }

    /// <summary>Time went by.</summary>
    public void Tick(long at)
    {
        var before = Violations - 1;

        // A gap in a file can make two things overdue at once.
        while (before != Violations)
        {
            before = Violations;
            Judge(ProtocolMonitor.Tick(at, state));
        }
    }

    /// <summary>Tells what was found.</summary>
    public void Finish()
    {
        Flush();
        terminal.Output.WriteLine($"connections {connections}, packets {packets}, violations {Violations}");
    }

    /// <summary>Lets a reader see what was shown and written so far.</summary>
    public void Flush()
    {
        terminal.Output.Flush();
        file?.Flush();
    }

    /// <summary>A packet as it is shown: in notation, with as much of its payload and secrets as was asked for.</summary>
    public string Describe(Packet packet) => Text(ProtocolVersion.V5, Kept(packet));

    private void Packet(long at, int connection, Direction direction, Packet packet, byte[]? frame, int wireBytes = 0)
    {
        packets++;
        var size = frame?.Length ?? wireBytes;
        var kept = Kept(packet);
        var version = Traced(connection).Version;
        file?.WriteLine(TraceText.Print(new TraceRecord(at, connection, TraceEvent.NewPacket(direction, size, kept))));

        // The bytes as they were, unless something of them is hidden.
        if (capture is not null)
        {
            if (frame is not null && ReferenceEquals(kept, packet))
                capture.Sent(at, connection, direction, frame);
            else if (Encode.ToBytesIn(version, direction, kept) is { IsOk: true } encoded)
                capture.Sent(at, connection, direction, encoded.ResultValue);
        }

        if (IsShown(connection, direction, packet))
            terminal.Output.WriteLine($"{Head(at, connection)} {TraceText.PrintDirection(direction)} {Text(version, kept)}");

        Judge(ProtocolMonitor.StepIn(version, at, connection, direction, size, packet, state));
    }

    private void Malformed(long at, int connection, Direction direction, CutFrame frame)
    {
        var fault = frame.Fault!;
        // A secret may stand anywhere in bytes that are no packet.
        var kept = request.ShowsSecrets ? frame.Bytes : frame.Bytes[..1];
        file?.WriteLine(TraceText.Print(new TraceRecord(
            at, connection, TraceEvent.NewMalformed(direction, frame.Bytes.Length, fault.Clause, Bytes.OfArray(kept)))));
        var shown = new byte[frame.Bytes.Length];
        kept.CopyTo(shown, 0);
        capture?.Sent(at, connection, direction, shown);
        terminal.Output.WriteLine($"{Head(at, connection)} {TraceText.PrintDirection(direction)} bytes that are no packet:");
        terminal.Output.WriteLine(request.ShowsSecrets
            ? Explain.FaultWithSecretsIn(Traced(connection).Version, frame.Offset, frame.Bytes, fault)
            : Explain.FaultIn(Traced(connection).Version, frame.Offset, frame.Bytes, fault));

        if (cutters.TryGetValue((connection, direction), out var cutter) && cutter.IsLost)
            terminal.Output.WriteLine($"{Head(at, connection)} {TraceText.PrintDirection(direction)} the rest is passed on without being read");

        Judge(ProtocolMonitor.Malformed(at, connection, direction, fault.Packet, fault.Clause, fault.Detail, state));
    }

    private void Judge((MonitorState State, ProtocolViolation[] Found) judged)
    {
        state = judged.State;

        foreach (var violation in judged.Found)
        {
            Violations++;

            if (violation.Direction.IsServerToClient)
                ServerViolations++;

            var line = $"{Head(violation.At, violation.Connection)} VIOLATION {violation}";
            terminal.Output.WriteLine(line);
            file?.WriteLine($"# {line}");
        }
    }

    private void Show(TraceRecord record, string text)
    {
        file?.WriteLine(TraceText.Print(record));
        terminal.Output.WriteLine($"{Head(record.At, record.Connection)} {text}");
    }

    private static string Head(long at, int connection) => $"{TraceText.PrintTime(at)} #{connection}";

    // What files keep of a packet.
    private Packet Kept(Packet packet)
    {
        var kept = request.ShowsSecrets ? packet : TraceRedaction.WithoutSecrets(packet);
        return request.Payloads == PayloadDisplay.Hidden ? TraceRedaction.WithoutPayload(kept) : kept;
    }

    private TracedConnection Traced(int connection)
    {
        if (!traced.TryGetValue(connection, out var one))
            traced.Add(connection, one = new TracedConnection());

        return one;
    }

    private string Text(ProtocolVersion version, Packet packet)
    {
        var suffix = "";

        if (request.Payloads == PayloadDisplay.Start && packet is Mqtt5.Packet.Publish { Publish: { Payload.Length: > PayloadStartBytes } publish })
        {
            suffix = $"... ({publish.Payload.Length} bytes)";
            packet = Mqtt5.Packet.NewPublish(new Publish(
                publish.Delivery, publish.Retain, publish.Topic, publish.Properties, new Bytes(publish.Payload.Memory[..PayloadStartBytes])));
        }

        return (request.ShowsSecrets ? Notation.PrintIn(version, packet) : Notation.PrintRedactedIn(version, packet)) + suffix;
    }

    private bool IsShown(int connection, Direction direction, Packet packet)
    {
        var matches = request.Topic is null || packet is not Mqtt5.Packet.Publish { Publish: var publish } || Matches(connection, direction, publish);
        return matches && (request.Only.Count == 0 || request.Only.Contains(packet.Type));
    }

    private bool Matches(int connection, Direction direction, Publish publish)
    {
        var known = aliases.GetValueOrDefault((connection, direction)) ?? InboundTopicAliases.Empty(direction, ushort.MaxValue);
        var resolved = known.Resolve(publish.Topic);

        if (resolved.IsError)
            return true;

        aliases[(connection, direction)] = resolved.ResultValue.Item2;
        return Topic.matches(request.Topic!, resolved.ResultValue.Item1);
    }
}
