using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Mqtt5.Loops;

namespace Mqtt5.BrokerTests;

// The sockets of an event loop as pipes. The loop exists on Linux only; elsewhere Kestrel serves all listeners.
public sealed class EventLoopTests : IDisposable
{
    private const int Mebibyte = 1024 * 1024;

    private readonly EventLoop? loop = Poller.IsSupported ? new EventLoop(0, NullLogger.Instance) : null;
    private readonly List<Socket> sockets = [];

    public void Dispose()
    {
        loop?.Dispose();

        foreach (var socket in sockets)
            socket.Dispose();
    }

    [Fact]
    public async Task What_arrives_is_read_and_what_is_left_is_given_again()
    {
        if (loop is null)
            return;

        var (peer, input, _) = Open();
        peer.Send("abc"u8);
        var first = await ReadAsync(input);
        Assert.Equal("abc", Text(first));
        input.AdvanceTo(first.Buffer.GetPosition(1), first.Buffer.End);
        var pending = ReadAsync(input);
        Assert.False(pending.IsCompleted);
        peer.Send("d"u8);
        Assert.Equal("bcd", Text(await pending));
        input.AdvanceTo((await pending).Buffer.Start);
        // Nothing of it was examined.
        Assert.Equal("bcd", Text(await ReadAsync(input)));
    }

    [Fact]
    public async Task A_large_packet_is_collected_whole()
    {
        if (loop is null)
            return;

        var (peer, input, _) = Open();
        var sent = new byte[3 * Mebibyte];
        new Random(1).NextBytes(sent);
        var sending = Task.Run(() => peer.Send(sent));
        ReadResult result;

        while ((result = await ReadAsync(input)).Buffer.Length < sent.Length)
            input.AdvanceTo(result.Buffer.Start, result.Buffer.End);

        Assert.Equal(sent, System.Buffers.BuffersExtensions.ToArray(result.Buffer));
        await sending.Bounded();
    }

    [Fact]
    public async Task The_end_of_the_peer_and_a_cancellation_complete_a_read()
    {
        if (loop is null)
            return;

        var (peer, input, _) = Open();
        var pending = ReadAsync(input);
        input.CancelPendingRead();
        Assert.True((await pending).IsCanceled);
        input.AdvanceTo((await pending).Buffer.End);
        using var soon = new CancellationTokenSource(20);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => input.ReadAsync(soon.Token).Bounded());
        peer.Shutdown(SocketShutdown.Send);
        Assert.True((await ReadAsync(input)).IsCompleted);
    }

    // While an authenticator runs no read is pending; it is told all the same that its client has closed.
    [Fact]
    public async Task The_end_of_the_peer_is_noticed_while_nothing_reads()
    {
        if (loop is null)
            return;

        var (peer, input, _) = Open();
        var pending = ReadAsync(input);
        peer.Send("a"u8);
        await pending;
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var registration = input.Closed.Register(() => gone.TrySetResult());
        peer.Send("b"u8);
        Assert.False(gone.Task.IsCompleted);
        peer.Dispose();
        await gone.Task.Bounded();
    }

    [Fact]
    public async Task What_the_socket_does_not_take_is_sent_once_it_does()
    {
        if (loop is null)
            return;

        var (peer, _, output) = Open();
        var sent = new byte[16 * Mebibyte];
        new Random(2).NextBytes(sent);
        sent.CopyTo(output.GetSpan(sent.Length));
        output.Advance(sent.Length);
        var flush = output.FlushAsync().AsTask();
        Assert.False(flush.IsCompleted);
        Assert.InRange(output.UnflushedBytes, 1, sent.Length);
        // Written while the flush is under way.
        output.GetSpan(1)[0] = 7;
        output.Advance(1);
        var received = new byte[sent.Length + 1];
        var receiving = Task.Run(() => ReceiveAll(peer, received));
        Assert.False((await flush.Bounded()).IsCompleted);
        Assert.Equal(1, output.UnflushedBytes);
        await output.FlushAsync().Bounded();
        await receiving.Bounded();
        Assert.Equal(sent, received[..^1]);
        Assert.Equal(7, received[^1]);
    }

    [Fact]
    public async Task An_abort_ends_what_waits()
    {
        if (loop is null)
            return;

        var (_, input, output) = Open();
        var sent = new byte[16 * Mebibyte];
        sent.CopyTo(output.GetSpan(sent.Length));
        output.Advance(sent.Length);
        var flush = output.FlushAsync().AsTask();
        var read = ReadAsync(input);
        input.Abort();
        Assert.True((await flush.Bounded()).IsCompleted);
        await Assert.ThrowsAnyAsync<Exception>(() => read);
        Assert.True((await output.FlushAsync().Bounded()).IsCompleted);
    }

    // A connection that always has more to read gets one buffer a turn, and those that have little are served before it.
    [Fact]
    public async Task A_busy_connection_does_not_delay_a_quiet_one()
    {
        if (loop is null)
            return;

        var (flooder, busy, _) = Open();
        var (pinger, quiet, _) = Open();
        using var stop = new CancellationTokenSource();
        var flood = Task.Run(() => FloodAsync(flooder, stop.Token));
        var isPinged = 0;
        var largest = 0L;
        var sincePing = 0;
        var mostBetween = 0;
        var rounds = 0;
        var quietReads = ReadQuietAsync();

        // Continues on the thread of the loop, as a connection does, so nothing runs between two turns.
        await foreach (var size in TurnsAsync(busy))
        {
            largest = Math.Max(largest, size);

            if (Volatile.Read(ref isPinged) == 0)
            {
                mostBetween = Math.Max(mostBetween, sincePing);
                sincePing = 0;

                if (++rounds > 200)
                    break;

                Volatile.Write(ref isPinged, 1);
                pinger.Send("x"u8);
            }
            else
            {
                sincePing++;
            }
        }

        await stop.CancelAsync();
        busy.Abort();
        quiet.Abort();
        await quietReads.Bounded();
        await flood.Bounded();
        Assert.InRange(largest, 1, 64 * 1024);
        // The byte may arrive after the loop has asked which sockets are ready.
        Assert.InRange(mostBetween, 0, 2);

        async Task ReadQuietAsync()
        {
            await foreach (var _ in TurnsAsync(quiet))
                Volatile.Write(ref isPinged, 0);
        }
    }

    private static async IAsyncEnumerable<long> TurnsAsync(PipeReader input)
    {
        while (true)
        {
            ReadResult result;

            try
            {
                result = await input.ReadAsync().ConfigureAwait(false);
            }
            catch (Microsoft.AspNetCore.Connections.ConnectionAbortedException)
            {
                yield break;
            }

            var size = result.Buffer.Length;
            input.AdvanceTo(result.Buffer.End);
            yield return size;
        }
    }

    private static async Task FloodAsync(Socket socket, CancellationToken stop)
    {
        var bytes = new byte[256 * 1024];

        try
        {
            while (!stop.IsCancellationRequested)
                await socket.SendAsync(bytes, stop);
        }
        catch (Exception failure) when (failure is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // It was stopped.
        }
    }

    private static void ReceiveAll(Socket socket, byte[] target)
    {
        for (var at = 0; at < target.Length;)
        {
            var count = socket.Receive(target, at, target.Length - at, SocketFlags.None);
            Assert.NotEqual(0, count);
            at += count;
        }
    }

    private static Task<ReadResult> ReadAsync(PipeReader input) => input.ReadAsync().Bounded();

    private static string Text(ReadResult result) => Encoding.ASCII.GetString(result.Buffer);

    private (Socket Peer, SocketInput Input, SocketOutput Output) Open()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var peer = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        peer.Connect(listener.LocalEndPoint!);
        var accepted = listener.Accept();
        accepted.Blocking = false;
        sockets.Add(peer);
        sockets.Add(accepted);
        var input = new SocketInput(loop!, accepted, usesPool: false);
        var output = new SocketOutput(input);
        input.Begin(output);
        return (peer, input, output);
    }
}
