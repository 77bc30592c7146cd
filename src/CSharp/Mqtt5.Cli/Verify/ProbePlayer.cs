using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Threading.Channels;
using Microsoft.FSharp.Core;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Does on sockets what a run of a probe demands, and tells the run what comes back. It decides nothing.</summary>
/// <param name="server">The server.</param>
/// <param name="transport">How to connect to it.</param>
internal sealed class ProbePlayer(Uri server, IMqttTransport transport)
{
    private static readonly TimeSpan CleanUpTime = TimeSpan.FromSeconds(2);

    /// <summary>Whether WebSocket frames can be seen and chosen.</summary>
    public bool IsWebSocket => server.Scheme == "ws";

    /// <summary>Plays a probe to its end, and removes what it left on the server, also when it is cancelled.</summary>
    public async Task<ProbeResult> PlayAsync(Probe probe, ProbeSettings settings, CancellationToken cancellationToken)
    {
        var inputs = Channel.CreateUnbounded<ProbeInput>();
        var connections = new Dictionary<string, Connection>();
        var clock = Stopwatch.StartNew();
        var run = ProbeRunModule.Start(settings, probe, 0);
        var input = ProbeInput.Tick;

        try
        {
            while (true)
            {
                var (next, demands) = ProbeRunModule.Step(run, clock.ElapsedMilliseconds, input);
                run = next;

                foreach (var demand in demands)
                    await DoAsync(demand, connections, inputs.Writer, cancellationToken);

                if (run.Outcome.IsValueSome)
                    break;

                input = await NextAsync(inputs.Reader, run.Deadline - clock.ElapsedMilliseconds, cancellationToken);
            }
        }
        finally
        {
            foreach (var connection in connections.Values)
                await connection.DisposeAsync();

            await Task.WhenAll(ProbeRunModule.CleanUp(run).Select(bytes => SendAloneAsync(bytes.Memory)));
        }

        return new ProbeResult(probe, run.Outcome.Value, run.Exchanges);
    }

    /// <summary>Asks the server what it has: the answer to a usual CONNECT.</summary>
    /// <exception cref="IOException">There is no such answer.</exception>
    public async Task<Connack> AskAsync(ProbeSettings settings, CancellationToken cancellationToken)
    {
        var probe = ProbeSyntax.Probe([], "3.1.4-5", "CONNECT is answered", "c joins\nc > DISCONNECT");
        var result = await PlayAsync(probe, settings, cancellationToken);
        var connack = result.Exchanges.FirstOrDefault(one => one.Text.StartsWith("CONNACK", StringComparison.Ordinal))?.Text;

        return result.Outcome.Verdict == Verdict.Pass && connack is not null && Notation.Parse(connack) is { IsOk: true, ResultValue: Packet.Connack packet }
            ? packet.Connack
            : throw new IOException($"the server does not take a usual CONNECT: {result.Outcome.Expected} {result.Outcome.Seen}");
    }

    /// <summary>Finds out why nobody can sign in to the server with SCRAM-SHA-256; absent: it is possible.</summary>
    public async Task<FSharpValueOption<string>> AskForScramAsync(ProbeSettings settings, CancellationToken cancellationToken)
    {
        var result = await PlayAsync(AuthenticationProbes.Question, settings, cancellationToken);
        return AuthenticationProbes.LacksScram(settings, result.Exchanges);
    }

    // Opens a connection, sends bytes, and waits a moment for the server to close.
    private async Task SendAloneAsync(ReadOnlyMemory<byte> bytes)
    {
        using var time = new CancellationTokenSource(CleanUpTime);

        try
        {
            await using var connection = await OpenAsync(time.Token);
            await connection.Stream.WriteAsync(bytes, time.Token);
            var buffer = new byte[4096];

            while (await connection.Stream.ReadAsync(buffer, time.Token) > 0)
            {
            }
        }
        catch (Exception exception) when (IsLoss(exception))
        {
            // The server is gone or slow; there is nothing more to remove it with.
        }
    }

    /// <summary>Opens a connection to the server.</summary>
    public ValueTask<IMqttConnection> OpenAsync(CancellationToken cancellationToken) =>
        transport.ConnectAsync(server, cancellationToken);

    /// <summary>Whether an exception says that a connection is lost or cannot be made.</summary>
    public static bool IsLoss(Exception exception) =>
        exception is IOException or System.Net.Sockets.SocketException or WebSocketException or MqttException
            or OperationCanceledException or ObjectDisposedException or InvalidOperationException;

    private static async Task<ProbeInput> NextAsync(ChannelReader<ProbeInput> inputs, long milliseconds, CancellationToken cancellationToken)
    {
        using var time = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        time.CancelAfter(TimeSpan.FromMilliseconds(Math.Max(1, milliseconds)));

        try
        {
            return await inputs.ReadAsync(time.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return ProbeInput.Tick;
        }
    }

    private async Task DoAsync(
        ProbeDemand demand, Dictionary<string, Connection> connections, ChannelWriter<ProbeInput> inputs, CancellationToken cancellationToken)
    {
        switch (demand)
        {
            case ProbeDemand.Open open:
                try
                {
                    var connection = new Connection(await OpenConnectionAsync(cancellationToken), open.Client, inputs);
                    connections[open.Client] = connection;
                    inputs.TryWrite(ProbeInput.NewOpened(open.Client));
                    connection.Start();
                }
                catch (Exception exception) when (IsLoss(exception) && !cancellationToken.IsCancellationRequested)
                {
                    inputs.TryWrite(ProbeInput.NewNotOpened(open.Client, exception.Message));
                }

                break;
            case ProbeDemand.Write write:
                await connections[write.Client].WriteAsync(write.Bytes.Memory, cancellationToken);
                break;
            case ProbeDemand.WriteText text:
                await connections[text.Client].WriteTextAsync(text.Text, cancellationToken);
                break;
            case ProbeDemand.Close close:
                if (connections.Remove(close.Client, out var gone))
                    await gone.DisposeAsync();

                break;
        }
    }

    private async Task<object> OpenConnectionAsync(CancellationToken cancellationToken)
    {
        if (!IsWebSocket)
            return await OpenAsync(cancellationToken);

        // Frames are part of what is looked at, so this is no stream of bytes.
        var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("mqtt");

        try
        {
            await socket.ConnectAsync(server, cancellationToken);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // A connection of a probe. What comes on it goes to the run until the connection is disposed of.
    private sealed class Connection(object inner, string client, ChannelWriter<ProbeInput> inputs) : IAsyncDisposable
    {
        private readonly CancellationTokenSource ending = new();
        private Task reading = Task.CompletedTask;

        public void Start() => reading = ReadAsync();

        public async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            try
            {
                if (inner is ClientWebSocket socket)
                    await socket.SendAsync(bytes, WebSocketMessageType.Binary, endOfMessage: true, cancellationToken);
                else
                    await ((IMqttConnection)inner).Stream.WriteAsync(bytes, cancellationToken);
            }
            catch (Exception exception) when (IsLoss(exception) && !cancellationToken.IsCancellationRequested)
            {
                // The reading side tells that the connection has ended.
            }
        }

        public async Task WriteTextAsync(string text, CancellationToken cancellationToken)
        {
            if (inner is ClientWebSocket socket)
                await socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, endOfMessage: true, cancellationToken);
        }

        public async ValueTask DisposeAsync()
        {
            await ending.CancelAsync();

            if (inner is ClientWebSocket socket)
                socket.Abort();
            else
                await ((IMqttConnection)inner).DisposeAsync();

            await reading;
            ending.Dispose();
        }

        private async Task ReadAsync()
        {
            var buffer = new byte[16 * 1024];

            try
            {
                if (inner is ClientWebSocket { SubProtocol: not "mqtt" } other)
                    inputs.TryWrite(ProbeInput.NewViolated(client, "MQTT-6.0.0-4", "the subprotocol mqtt", other.SubProtocol ?? "none"));

                while (await ReadOnceAsync(buffer) is var count and > 0)
                    inputs.TryWrite(ProbeInput.NewReceived(client, new Bytes(buffer.AsSpan(0, count).ToArray())));
            }
            catch (Exception exception) when (IsLoss(exception))
            {
            }

            if (!ending.IsCancellationRequested)
                inputs.TryWrite(ProbeInput.NewClosed(client));
        }

        private async ValueTask<int> ReadOnceAsync(byte[] buffer)
        {
            if (inner is not ClientWebSocket socket)
                return await ((IMqttConnection)inner).Stream.ReadAsync(buffer, ending.Token);

            var result = await socket.ReceiveAsync(buffer.AsMemory(), ending.Token);

            if (result.MessageType == WebSocketMessageType.Text)
                inputs.TryWrite(ProbeInput.NewViolated(client, "MQTT-6.0.0-1", "binary frames", "a frame of text"));

            return result.MessageType == WebSocketMessageType.Close ? 0 : result.Count;
        }
    }
}
