using System.Diagnostics;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Threading.Channels;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Does on sockets what a replay demands, tells it what comes back, and shows both. It decides nothing.</summary>
/// <param name="transport">Opens connections.</param>
/// <param name="server">The server.</param>
/// <param name="patience">How long it may take to open a connection, and to take what is sent.</param>
/// <param name="output">Where the packets are shown.</param>
internal sealed class ReplayPlayer(IMqttTransport transport, Uri server, TimeSpan patience, TraceOutput output) : IAsyncDisposable
{
    private const int BufferBytes = 64 * 1024;

    // Silence is judged and Keep Alives are looked at as often as this.
    private const long TickMilliseconds = 1_000;

    // How long the server may take to close a connection whose client has left.
    private static readonly TimeSpan ClosingTime = TimeSpan.FromSeconds(2);

    // What happened, in order. The end of a connection is a read of no bytes.
    private readonly Channel<(int Connection, byte[] Bytes, ReplayInput? Opening)> arrived = Channel.CreateUnbounded<(int, byte[], ReplayInput?)>();
    private readonly Dictionary<int, (IMqttConnection Connection, Task Reading, PacketCutter Cutter)> open = [];
    private readonly List<Task> closing = [];
    private readonly Stopwatch clock = new();
    private ReplayRun? run;

    /// <summary>Plays it to its end, or until it is told to stop.</summary>
    /// <returns>Its last state.</returns>
    public async Task<ReplayRun> PlayAsync(ReplayRun replay, CancellationToken stop)
    {
        run = replay;
        clock.Start();

        try
        {
            await PlayToTheEndAsync(stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The findings up to here are reported.
        }

        return run;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var number in open.Keys.ToArray())
            Forget(number, TimeSpan.Zero);

        await Task.WhenAll(closing);
    }

    private static long Now() => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    private static bool IsLoss(Exception exception) =>
        exception is IOException or SocketException or WebSocketException or MqttException
            or OperationCanceledException or ObjectDisposedException or InvalidOperationException;

    private async Task PlayToTheEndAsync(CancellationToken stop)
    {
        await StepAsync(ReplayInput.Tick, stop);

        while (!run!.IsDone)
        {
            output.Flush();

            if (await NextAsync(Math.Min(run.Deadline - clock.ElapsedMilliseconds, TickMilliseconds), stop) is { } one)
            {
                if (one.Opening is { } opening)
                    await StepAsync(opening, stop);
                else
                    await TakeAsync(one.Connection, one.Bytes, stop);
            }
            else
            {
                output.Tick(Now());
                await StepAsync(ReplayInput.Tick, stop);
            }
        }
    }

    private async Task<(int Connection, byte[] Bytes, ReplayInput? Opening)?> NextAsync(long milliseconds, CancellationToken stop)
    {
        using var time = CancellationTokenSource.CreateLinkedTokenSource(stop);
        time.CancelAfter(TimeSpan.FromMilliseconds(Math.Max(1, milliseconds)));

        try
        {
            return await arrived.Reader.ReadAsync(time.Token);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return null;
        }
    }

    private async Task StepAsync(ReplayInput input, CancellationToken stop)
    {
        var (next, demands) = ReplayRunModule.Step(run!, clock.ElapsedMilliseconds, input);
        run = next;

        foreach (var demand in demands)
            await DoAsync(demand, stop);
    }

    private async Task TakeAsync(int number, byte[] bytes, CancellationToken stop)
    {
        // Packets after the client's end are ignored.
        if (!open.TryGetValue(number, out var one))
            return;

        if (bytes.Length == 0)
        {
            output.Closed(Now(), number, Direction.ServerToClient);
            Forget(number, TimeSpan.Zero);
            await StepAsync(ReplayInput.NewClosed(number), stop);
            return;
        }

        output.Passed(Now(), number, Direction.ServerToClient, bytes);

        foreach (var frame in one.Cutter.Add(bytes))
        {
            await StepAsync(
                frame.Packet is { } packet ? ReplayInput.NewReceived(number, packet) : ReplayInput.NewBroken(number, frame.Fault!.Detail), stop);
        }
    }

    private async Task DoAsync(ReplayDemand demand, CancellationToken stop)
    {
        switch (demand)
        {
            case ReplayDemand.Open wanted:
                await OpenAsync(wanted.Connection, stop);
                break;
            case ReplayDemand.Write write when open.TryGetValue(write.Connection, out var one):
                output.Passed(Now(), write.Connection, Direction.ClientToServer, write.Bytes.Span);
                await GuardAsync(one.Connection, async (connection, time) =>
                {
                    await connection.Stream.WriteAsync(write.Bytes.Memory, time);
                    await connection.Stream.FlushAsync(time);
                }, stop);
                break;
            case ReplayDemand.Close close when open.TryGetValue(close.Connection, out var left):
                output.Closed(Now(), close.Connection, Direction.ClientToServer);
                await GuardAsync(left.Connection, static (connection, time) => connection.CompleteAsync(time), stop);
                Forget(close.Connection, ClosingTime);
                break;
        }
    }

    private async Task OpenAsync(int number, CancellationToken stop)
    {
        using var time = CancellationTokenSource.CreateLinkedTokenSource(stop);
        time.CancelAfter(patience);

        try
        {
            var connection = await transport.ConnectAsync(server, time.Token);
            output.Opened(Now(), number);
            open.Add(number, (connection, ReadAsync(number, connection.Stream), new PacketCutter(Direction.ServerToClient, new TracedConnection())));
            // Not at once: the rest of what the replay wants done has to be done before what it wants then.
            arrived.Writer.TryWrite((number, [], ReplayInput.NewOpened(number)));
        }
        catch (Exception exception) when (IsLoss(exception) && !stop.IsCancellationRequested)
        {
            arrived.Writer.TryWrite((number, [], ReplayInput.NewNotOpened(number, exception.Message)));
        }
    }

    private async Task GuardAsync(IMqttConnection connection, Func<IMqttConnection, CancellationToken, ValueTask> act, CancellationToken stop)
    {
        using var time = CancellationTokenSource.CreateLinkedTokenSource(stop);
        time.CancelAfter(patience);

        try
        {
            await act(connection, time.Token);
        }
        catch (Exception exception) when (IsLoss(exception) && !stop.IsCancellationRequested)
        {
            // The reading side tells that the connection has ended; of one that takes nothing, this does.
            await connection.DisposeAsync();
        }
    }

    private void Forget(int number, TimeSpan time)
    {
        if (open.Remove(number, out var one))
            closing.Add(CloseAsync(one.Connection, one.Reading, time));
    }

    private static async Task CloseAsync(IMqttConnection connection, Task reading, TimeSpan time)
    {
        await Task.WhenAny(reading, Task.Delay(time));
        await connection.DisposeAsync();
        await reading;
    }

    private async Task ReadAsync(int number, Stream stream)
    {
        var buffer = new byte[BufferBytes];

        try
        {
            while (await stream.ReadAsync(buffer) is var count and > 0)
                arrived.Writer.TryWrite((number, buffer.AsSpan(0, count).ToArray(), null));
        }
        catch (Exception exception) when (IsLoss(exception))
        {
            // It was cut.
        }

        arrived.Writer.TryWrite((number, [], null));
    }
}
