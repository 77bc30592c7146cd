using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace Mqtt5.Cli;

/// <summary>
/// Passes the bytes of connections to a server and back, unchanged and at once, and tells of them in an order in which every
/// packet stands after those that its sender had read.
/// </summary>
internal sealed class TraceProxy(IMqttTransport transport, Uri server, TraceOutput output, TextWriter error) : IAsyncDisposable
{
    private const int BufferBytes = 64 * 1024;

    // How many pieces may wait to be shown before passing on waits as well.
    private const int WaitingPieces = 4_096;

    private static readonly TimeSpan TickPeriod = TimeSpan.FromSeconds(1);

    // How long the other direction may take to end once one has.
    private static readonly TimeSpan ClosingTime = TimeSpan.FromSeconds(5);

    private readonly Channel<Action<TraceOutput>> pieces = Channel.CreateBounded<Action<TraceOutput>>(
        new BoundedChannelOptions(WaitingPieces) { SingleReader = true });

    private Socket? listener;

    /// <summary>Begins to listen, and gives the address with its port.</summary>
    /// <exception cref="SocketException">The port is taken.</exception>
    public EndPoint Listen(IPEndPoint endPoint)
    {
        listener = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(endPoint);
        listener.Listen();
        return listener.LocalEndPoint!;
    }

    /// <summary>Runs until it is told to stop, or that many connections are over.</summary>
    public async Task RunAsync(int? most, CancellationToken stop)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var showing = Task.Run(ShowAsync, CancellationToken.None);
        var ticking = TickAsync(end.Token);
        var open = new List<Task>();

        try
        {
            for (var number = 1; most is null || number <= most; number++)
            {
                var client = await listener!.AcceptAsync(end.Token);
                open.RemoveAll(one => one.IsCompleted);
                var connection = number;
                open.Add(Task.Run(() => PassAsync(connection, client, end.Token), CancellationToken.None));
            }

            await Task.WhenAll(open);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            await Task.WhenAll(open);
        }
        finally
        {
            await end.CancelAsync();
            await ticking;
            pieces.Writer.Complete();
            await showing;
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        listener?.Dispose();
        return ValueTask.CompletedTask;
    }

    private static long Now() => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    private async Task ShowAsync()
    {
        while (await pieces.Reader.WaitToReadAsync())
        {
            while (pieces.Reader.TryRead(out var piece))
                piece(output);

            output.Flush();
        }
    }

    private async Task TickAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(TickPeriod);

        try
        {
            while (await timer.WaitForNextTickAsync(stop))
            {
                var at = Now();
                await pieces.Writer.WriteAsync(to => to.Tick(at), stop);
            }
        }
        catch (OperationCanceledException)
        {
            // The trace ends.
        }
    }

    private async Task PassAsync(int number, Socket client, CancellationToken stop)
    {
        client.NoDelay = true;
        await using var near = new NetworkStream(client, ownsSocket: true);
        IMqttConnection far;
        var opened = Now();
        await pieces.Writer.WriteAsync(to => to.Opened(opened, number), CancellationToken.None);

        try
        {
            far = await transport.ConnectAsync(server, stop);
        }
#pragma warning disable CA1031 // Whatever keeps the server away ends this connection only, and is told.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            await pieces.Writer.WriteAsync(_ => error.WriteLine($"mqtt5: connection {number}: {exception.Message}"), CancellationToken.None);
            await ClosedAsync(number, Direction.ServerToClient);
            return;
        }

        await using (far)
        {
            using var cut = CancellationTokenSource.CreateLinkedTokenSource(stop);
            var up = PumpAsync(number, Direction.ClientToServer, near, far.Stream, cut.Token);
            var down = PumpAsync(number, Direction.ServerToClient, far.Stream, near, cut.Token);
            var first = await Task.WhenAny(up, down);

            // The other direction still gets what is on its way, so the connection ends with it.
            cut.CancelAfter(ClosingTime);
            await HalfCloseAsync(first == up, client, far, cut.Token);
            await Task.WhenAll(up, down);
            await ClosedAsync(number, first == up ? Direction.ClientToServer : Direction.ServerToClient);
        }
    }

    private static async Task HalfCloseAsync(bool isClient, Socket client, IMqttConnection far, CancellationToken cut)
    {
        try
        {
            if (isClient)
                await far.CompleteAsync(cut);
            else
                client.Shutdown(SocketShutdown.Send);
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // It is gone altogether.
        }
    }

    private async Task ClosedAsync(int number, Direction direction)
    {
        var at = Now();
        await pieces.Writer.WriteAsync(to => to.Closed(at, number, direction), CancellationToken.None);
    }

    private async Task PumpAsync(int number, Direction direction, Stream from, Stream target, CancellationToken cut)
    {
        var buffer = new byte[BufferBytes];

        try
        {
            int read;

            while ((read = await from.ReadAsync(buffer, cut)) > 0)
            {
                var at = Now();
                var bytes = buffer.AsSpan(0, read).ToArray();

                // Before it is passed on: what the other end answers to it stands after it.
                await pieces.Writer.WriteAsync(to => to.Passed(at, number, direction, bytes), cut);
                await target.WriteAsync(buffer.AsMemory(0, read), cut);
                await target.FlushAsync(cut);
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The connection was cut, or the trace ends.
        }
    }
}
