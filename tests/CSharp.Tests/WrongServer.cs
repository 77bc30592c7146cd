using System.Buffers;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.CSharp.Tests;

/// <summary>A server that breaks one rule: it stands before a broker and changes the packets that this sends.</summary>
internal sealed class WrongServer : IAsyncDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource stop = new();
    private readonly Uri broker;
    private readonly Func<byte[], byte[]?> change;
    private readonly Task serving;

    /// <param name="broker">The broker behind it.</param>
    /// <param name="change">What becomes of a packet of the broker; null: it is lost.</param>
    public WrongServer(Uri broker, Func<byte[], byte[]?> change)
    {
        this.broker = broker;
        this.change = change;
        listener.Start();
        serving = ServeAsync();
    }

    public string Url => $"mqtt://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}";

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Stop();
        await serving;
        stop.Dispose();
    }

    private async Task ServeAsync()
    {
        var connections = new List<Task>();

        try
        {
            while (true)
                connections.Add(PassAsync(await listener.AcceptTcpClientAsync(stop.Token)));
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }

        await Task.WhenAll(connections);
    }

    private async Task PassAsync(TcpClient client)
    {
        using var near = client;
        using var far = new TcpClient();

        try
        {
            await far.ConnectAsync(broker.Host, broker.Port, stop.Token);
            var up = UpAsync(near, far);
            await DownAsync(far.GetStream(), near.GetStream());
            near.Close();
            await up;
        }
        catch (Exception failure) when (failure is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // One side is gone; closing tells the other.
        }
    }

    private async Task UpAsync(TcpClient near, TcpClient far)
    {
        try
        {
            await near.GetStream().CopyToAsync(far.GetStream(), stop.Token);
            far.Client.Shutdown(SocketShutdown.Send);
        }
        catch (Exception failure) when (failure is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            far.Close();
        }
    }

    private async Task DownAsync(NetworkStream from, NetworkStream to)
    {
        var buffer = new byte[1 << 16];
        var waiting = Array.Empty<byte>();

        while (await from.ReadAsync(buffer, stop.Token) is var count and > 0)
        {
            waiting = [.. waiting, .. buffer.AsSpan(0, count)];

            while (Framer.Next(Direction.ServerToClient, int.MaxValue, 0, new ReadOnlySequence<byte>(waiting)) is { Tag: Framing.Tags.Frame } frame)
            {
                if (change(waiting[..frame.Length]) is { } changed)
                    await to.WriteAsync(changed, stop.Token);

                waiting = waiting[frame.Length..];
            }
        }
    }
}
