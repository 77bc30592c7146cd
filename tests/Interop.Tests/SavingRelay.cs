using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.Interop.Tests;

// Stands between clients and a mosquitto that saves its state to a file. mosquitto acknowledges first and saves then, so
// what it acknowledged may be gone when it is killed. The relay holds what mosquitto sends until the file was replaced
// after that, which one thread of mosquitto does: then what a client was told is saved, and nothing may be lost.
internal sealed class SavingRelay : IAsyncDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentDictionary<Socket, Socket> connections = new();
    private readonly CancellationTokenSource stop = new();
    private readonly Mosquitto broker;
    private readonly string file;
    private readonly Task accepting;

    public SavingRelay(Mosquitto broker)
    {
        this.broker = broker;
        file = Path.Combine(broker.Folder, "mosquitto.db");
        listener.Start();
        accepting = AcceptAsync();
    }

    public string Uri => $"mqtt://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}";

    // How many connections were cut with bytes that mosquitto had sent and maybe not saved.
    public int CutWhileHolding { get; private set; }

    // Kills mosquitto. What it sent since it last saved is not delivered.
    public async Task KillBrokerAsync()
    {
        await broker.KillAsync();

        foreach (var (client, server) in connections)
        {
            client.Dispose();
            server.Dispose();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Stop();

        foreach (var (client, server) in connections)
        {
            client.Dispose();
            server.Dispose();
        }

        await accepting.WaitAsync(TimeSpan.FromSeconds(30));
        stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await listener.AcceptSocketAsync(stop.Token);
                client.NoDelay = true;
                _ = RelayAsync(client);
            }
        }
        catch (Exception failure) when (failure is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Stopped.
        }
    }

    private async Task RelayAsync(Socket client)
    {
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var owned = client;

        try
        {
            await server.ConnectAsync(IPAddress.Loopback, broker.Port, stop.Token);
            connections[client] = server;
            await await Task.WhenAny(ForwardAsync(client, server), HoldAsync(server, client));
        }
        catch (Exception failure) when (failure is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Either end is gone, and so both are.
        }
        finally
        {
            connections.TryRemove(client, out _);
        }
    }

    private async Task ForwardAsync(Socket from, Socket to)
    {
        var buffer = new byte[64 * 1024];

        while (await from.ReceiveAsync(buffer, stop.Token) is > 0 and var count)
            await SendAsync(to, buffer.AsMemory(0, count));
    }

    private async Task HoldAsync(Socket server, Socket client)
    {
        var held = new ConcurrentQueue<(byte[] Bytes, DateTime Saved)>();
        var receiving = ReceiveAsync(server, held);

        while (!receiving.IsCompleted)
        {
            while (held.TryPeek(out var first) && first.Saved != File.GetLastWriteTimeUtc(file))
            {
                held.TryDequeue(out _);
                await SendAsync(client, first.Bytes);
            }

            await Task.WhenAny(receiving, Task.Delay(2, stop.Token));
        }

        if (!held.IsEmpty)
            CutWhileHolding++;

        await receiving;
    }

    private async Task ReceiveAsync(Socket server, ConcurrentQueue<(byte[] Bytes, DateTime Saved)> held)
    {
        var buffer = new byte[64 * 1024];

        // The time of the file is read after the bytes, so another time means that it was replaced after they were sent.
        while (await server.ReceiveAsync(buffer, stop.Token) is > 0 and var count)
            held.Enqueue((buffer[..count], File.GetLastWriteTimeUtc(file)));
    }

    private async Task SendAsync(Socket to, ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
            bytes = bytes[await to.SendAsync(bytes, stop.Token)..];
    }
}
