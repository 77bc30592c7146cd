using System.IO.Pipelines;
using Microsoft.FSharp.Core;
using Mqtt5.Engine;

namespace Mqtt5.Testing;

/// <summary>
/// A server that a test plays packet by packet, written in the notation of the core. It does nothing of its own: it
/// answers no PINGREQ and keeps no session. It reads and writes packets in the version of the client's CONNECT.
/// </summary>
public sealed class ScriptedPeer : IAsyncDisposable
{
    private readonly IMqttConnection connection;
    private readonly PipeReader reader;
    private ProtocolVersion? version;
    private long offset;

    /// <summary>Plays the server on an open connection, and owns it from now on.</summary>
    /// <param name="connection">The server's end.</param>
    public ScriptedPeer(IMqttConnection connection)
    {
        ArgumentNullException.ThrowIfNull(connection);
        this.connection = connection;
        reader = PipeReader.Create(connection.Stream, new StreamPipeReaderOptions(leaveOpen: true));
    }

    /// <summary>The version of the client's CONNECT; null before it was received.</summary>
    public MqttVersion? Version => version?.ToPublic();

    /// <summary>Waits for the next connection of a client and plays the server on it.</summary>
    /// <param name="transport">The transport of the client.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The server.</returns>
    public static async Task<ScriptedPeer> AcceptAsync(InMemoryTransport transport, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(transport);
        return new ScriptedPeer(await transport.AcceptAsync(cancellationToken).ConfigureAwait(false));
    }

    /// <summary>
    /// Plays a trace, one packet a line: <c>[c&gt;s]</c> lines are awaited from the client and have to be equal,
    /// <c>[s&gt;c]</c> lines are sent to it.
    /// </summary>
    /// <param name="trace">The trace.</param>
    /// <param name="cancellationToken">Ends the play.</param>
    /// <returns>When the last line was played.</returns>
    /// <exception cref="ScriptException">The client sent something else, or closed.</exception>
    /// <exception cref="FormatException">The text is no trace, or a line has no direction.</exception>
    public async Task PlayAsync(string trace, CancellationToken cancellationToken = default)
    {
        var parsed = Notation.ParseTrace(trace);

        if (parsed.IsError)
            throw new FormatException(parsed.ErrorValue.ToString());

        foreach (var line in parsed.ResultValue)
        {
            if (line.Direction.IsNone)
                throw new FormatException("a line does not say which way its packet goes");

            if (line.Direction.Value.IsClientToServer)
                await ExpectAsync(line.Packet, cancellationToken).ConfigureAwait(false);
            else
                await SendAsync(line.Packet, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Waits for the next packet of the client.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The packet; null when the client has closed.</returns>
    /// <exception cref="ScriptException">The client sent what is no packet.</exception>
    public async Task<Packet?> ReceiveAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            var result = await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            var framing = version is { } known
                ? Framer.NextIn(known, Direction.ClientToServer, Spec.MaximumPacketBytes, offset, result.Buffer)
                : Framer.First(Direction.ClientToServer, Spec.MaximumPacketBytes, offset, result.Buffer);

            if (framing.Tag == Framing.Tags.Broken)
                throw new ScriptException(framing.Fault!.ToString());

            if (framing.Tag == Framing.Tags.Frame)
            {
                var frame = Framer.Copy(framing.Length, result.Buffer);
                reader.AdvanceTo(result.Buffer.GetPosition(framing.Length));
                var parsed = Parse(frame);
                offset += framing.Length;
                return parsed.IsOk ? parsed.ResultValue : throw new ScriptException(parsed.ErrorValue.ToString());
            }

            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);

            if (result.IsCompleted)
                return null;
        }
    }

    /// <summary>Waits for the next packet of the client, which has to be of this type.</summary>
    /// <param name="type">The type.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The packet.</returns>
    /// <exception cref="ScriptException">The client sent something else, or closed.</exception>
    public async Task<Packet> ExpectAsync(PacketType type, CancellationToken cancellationToken = default)
    {
        var packet = await ReceiveAsync(cancellationToken).ConfigureAwait(false);

        return packet?.Type == type
            ? packet
            : throw new ScriptException($"expected a packet of the type {type}, got {Described(packet)}");
    }

    /// <summary>Waits for the next packet of the client, which has to be equal to this one.</summary>
    /// <param name="packet">The packet in notation.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>When it came.</returns>
    /// <exception cref="ScriptException">The client sent something else, or closed.</exception>
    public Task ExpectAsync(string packet, CancellationToken cancellationToken = default) =>
        ExpectAsync(Parse(packet), cancellationToken);

    /// <summary>Sends a packet.</summary>
    /// <param name="packet">The packet in notation.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>When it is written.</returns>
    public Task SendAsync(string packet, CancellationToken cancellationToken = default) =>
        SendAsync(Parse(packet), cancellationToken);

    /// <summary>Sends a packet that a server may send.</summary>
    /// <param name="packet">The packet.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>When it is written.</returns>
    public Task SendAsync(Packet packet, CancellationToken cancellationToken = default)
    {
        var bytes = Encode.ToBytesIn(version ?? default, Direction.ServerToClient, packet);

        return bytes.IsOk
            ? SendBytesAsync(bytes.ResultValue, cancellationToken)
            : throw new ScriptException(bytes.ErrorValue.ToString());
    }

    /// <summary>Sends bytes, right or wrong.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>When they are written.</returns>
    public async Task SendBytesAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default)
    {
        await connection.Stream.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
        await connection.Stream.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Closes the connection.</summary>
    /// <returns>When it is closed.</returns>
    public ValueTask DisposeAsync() => connection.DisposeAsync();

    // A packet of the client; the first one tells the version.
    private FSharpResult<Packet, Fault> Parse(ReadOnlyMemory<byte> frame)
    {
        if (version is { } known)
            return Grammar.ParseIn(known, Direction.ClientToServer, Spec.MaximumPacketBytes, offset, frame);

        var (protocol, parsed) = Grammar.ParseFirst(Direction.ClientToServer, Spec.MaximumPacketBytes, offset, frame);
        version = protocol.Version;
        return parsed;
    }

    private static Packet Parse(string packet)
    {
        var parsed = Notation.Parse(packet);
        return parsed.IsOk ? parsed.ResultValue : throw new FormatException(parsed.ErrorValue.ToString());
    }

    // Packets are equal when their notation is.
    private async Task ExpectAsync(Packet expected, CancellationToken cancellationToken)
    {
        var packet = await ReceiveAsync(cancellationToken).ConfigureAwait(false);

        if (packet is null || Notation.PrintIn(version ?? default, packet) != Notation.PrintIn(version ?? default, expected))
            throw new ScriptException($"expected {Described(expected)}, got {Described(packet)}");
    }

    private static string Described(Packet? packet) =>
        packet is null ? "the end of the connection" : Notation.PrintRedacted(packet);
}
