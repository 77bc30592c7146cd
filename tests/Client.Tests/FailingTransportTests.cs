namespace Mqtt5.Client.Tests;

// Transports of the application that do what they should not.
public sealed class FailingTransportTests
{
    [Fact]
    public async Task A_stream_that_cannot_be_had_ends_the_connection()
    {
        await using var world = Over(connection => new WrappedConnection(connection)
        {
            Streaming = () => throw new ObjectDisposedException("the socket"),
        });
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => world.Client.OpenAsync().Bounded());
        Assert.IsType<ObjectDisposedException>(failed.InnerException);
    }

    [Fact]
    public async Task A_transport_that_gives_no_connection_fails_at_once()
    {
        await using var world = Over(_ => null!);
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => world.Client.OpenAsync().Bounded());
        Assert.IsType<InvalidOperationException>(failed.InnerException);
    }

    [Fact]
    public async Task Nobody_is_asked_for_credentials_for_a_connection_that_was_given_up()
    {
        var asked = 0;
        var release = new TaskCompletionSource();
        await using var world = new World(options => options.CredentialsProvider = _ =>
        {
            Interlocked.Increment(ref asked);
            return ValueTask.FromResult(MqttCredentials.Of("user", null));
        });
        // It does not listen to its token.
        world.Transport.Connecting = async (_, _) => await release.Task;
        var opening = world.Client.OpenAsync();
        await Waits.UntilAsync(() => world.Transport.Attempts == 1);
        world.Time.Advance(world.Options.ConnectTimeout);
        await Assert.ThrowsAsync<MqttConnectException>(() => opening.Bounded());
        release.SetResult();
        await (await world.NextPeerAsync()).ExpectEndAsync();
        Assert.Equal(0, asked);
    }

    [Fact]
    public async Task A_peer_that_stops_reading_loses_the_connection_in_a_bounded_time()
    {
        await using var world = new World();
        await world.OpenAsync();

        for (var i = 0; i < 50; i++)
            await world.Client.PublishAsync("a", new byte[10_000]).Bounded();

        world.Time.Advance(TimeSpan.FromSeconds(46));
        world.Time.Advance(world.Options.PingTimeout);
        var peer = await world.ReopenAsync();
        await world.UntilAsync(MqttConnectionStatus.Connected);
        Assert.True(world.Client.TryPublish("b", "x"));
        await peer.ExpectAsync<Packet.Publish>();
    }

    [Fact]
    public async Task Disconnecting_ends_with_a_transport_that_cannot_complete_and_reads_for_ever()
    {
        var never = new TaskCompletionSource<int>();
        WrappedStream? stream = null;
        await using var world = Over(connection =>
        {
            stream = new WrappedStream(connection.Stream);
            return new WrappedConnection(connection)
            {
                Streaming = () => stream,
                Completing = () => throw new NotSupportedException("it has no half"),
            };
        });
        var peer = await world.OpenAsync();
        // The read that is under way takes this; the next one is deaf.
        stream!.Reading = () => new ValueTask<int>(never.Task);
        await peer.PublishAsync("a", "x");
        var disconnecting = world.Client.DisconnectAsync();
        await peer.ExpectAsync<Packet.Disconnect>();
        await disconnecting.Bounded();
    }

    [Fact]
    public async Task Disconnecting_ends_after_the_close_timeout_although_a_write_blocks_its_thread()
    {
        using var release = new ManualResetEventSlim();
        using var blocked = new ManualResetEventSlim();
        WrappedStream? stream = null;
        await using var world = Over(connection =>
        {
            stream = new WrappedStream(connection.Stream);
            return new WrappedConnection(connection) { Streaming = () => stream };
        });
        await world.OpenAsync();
        stream!.Writing = _ =>
        {
            blocked.Set();
            release.Wait(CancellationToken.None);
            return ValueTask.CompletedTask;
        };

        try
        {
            await world.Client.PublishAsync("a", "x").Bounded();
            Assert.True(blocked.Wait(Peer.Patience, CancellationToken.None));
            var disconnecting = world.Client.DisconnectAsync();
            await Waits.StaysAsync(disconnecting);
            world.Time.Advance(world.Options.CloseTimeout);
            await disconnecting.Bounded();
        }
        finally
        {
            release.Set();
        }
    }

    [Fact]
    public async Task A_second_call_to_disconnect_waits_for_the_first_to_be_written()
    {
        await using var world = new World();
        await world.OpenAsync();

        // More than the peer, which reads nothing, leaves room for.
        for (var i = 0; i < 20; i++)
            await world.Client.PublishAsync("a", new byte[10_000]).Bounded();

        var first = world.Client.DisconnectAsync();
        var second = world.Client.DisconnectAsync();
        await Waits.StaysAsync(Task.WhenAny(first, second));
        world.Time.Advance(world.Options.CloseTimeout);
        await Task.WhenAll(first, second).Bounded();
    }

    [Fact]
    public async Task A_write_that_fails_after_its_connection_was_given_up_is_seen()
    {
        using var unobserved = new Unobserved();
        await AbandonWriteAsync(unobserved);
        Assert.Equal(0, await unobserved.CountAsync());
    }

    private static async Task AbandonWriteAsync(Unobserved unobserved)
    {
        var release = new TaskCompletionSource();
        WrappedStream? stream = null;
        await using var world = Over(connection =>
        {
            stream = new WrappedStream(connection.Stream);
            return new WrappedConnection(connection) { Streaming = () => stream };
        });
        await world.OpenAsync();
        var entered = new TaskCompletionSource();
        stream!.Writing = async _ =>
        {
            entered.TrySetResult();
            await release.Task;
            throw unobserved.Failure();
        };
        await world.Client.PublishAsync("a", "x").Bounded();
        await entered.Task.Bounded();
        var disconnecting = world.Client.DisconnectAsync();
        world.Time.Advance(world.Options.CloseTimeout);
        await disconnecting.Bounded();
        release.SetResult();
    }

    [Fact]
    public async Task A_connection_that_cannot_be_disposed_is_seen()
    {
        using var unobserved = new Unobserved();
        await DisposeAsync(unobserved);
        Assert.Equal(0, await unobserved.CountAsync());
    }

    private static async Task DisposeAsync(Unobserved unobserved)
    {
        var disposals = 0;
        await using var world = Over(connection => new WrappedConnection(connection)
        {
            Disposing = async () =>
            {
                Interlocked.Increment(ref disposals);
                await connection.DisposeAsync();
                throw new TimeoutException(unobserved.Mark);
            },
        });
        await world.OpenAsync();
        await world.Connection!.BreakAsync();
        await world.UntilAsync(MqttConnectionStatus.Waiting);
        await Waits.UntilAsync(() => Volatile.Read(ref disposals) > 0);
    }

    [Fact]
    public async Task Code_of_the_transport_that_fails_when_it_is_told_to_stop_ends_nothing_else()
    {
        using var unobserved = new Unobserved();
        await StopAsync(unobserved);
        Assert.Equal(0, await unobserved.CountAsync());
    }

    private static async Task StopAsync(Unobserved unobserved)
    {
        var told = 0;
        await using var world = new World(options => options.CredentialsProvider = stopping =>
        {
            stopping.Register(() =>
            {
                Interlocked.Increment(ref told);
                throw unobserved.Failure();
            });
            return ValueTask.FromResult(MqttCredentials.Of("user", null));
        });
        await world.OpenAsync();
        await world.Connection!.BreakAsync();
        await world.ReopenAsync();
        await Waits.UntilAsync(() => Volatile.Read(ref told) == 1);

        // The peer reads nothing, so the timeout ends this one, on the thread of the clock.
        for (var i = 0; i < 20; i++)
            await world.Client.PublishAsync("a", new byte[10_000]).Bounded();

        var disconnecting = world.Client.DisconnectAsync();
        world.Time.Advance(world.Options.CloseTimeout);
        await disconnecting.Bounded();
        await Waits.UntilAsync(() => Volatile.Read(ref told) == 2);
    }

    [Fact]
    public async Task A_connection_is_closed_although_the_callback_for_credentials_never_returns()
    {
        await using var world = new World(options =>
            options.CredentialsProvider = async _ =>
            {
                await Task.Delay(-1, CancellationToken.None);
                return new MqttCredentials();
            });
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        await Waits.UntilAsync(() => world.Client.State.Status == MqttConnectionStatus.Connecting);
        world.Time.Advance(world.Options.ConnectTimeout);
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => opening.Bounded());
        Assert.Contains("did not answer in time", failed.Message, StringComparison.Ordinal);
        await peer.ExpectEndAsync();
    }

    [Fact]
    public async Task A_callback_for_credentials_that_was_cancelled_itself_is_no_failed_transport()
    {
        await using var world = new World(options =>
            options.CredentialsProvider = _ => throw new TaskCanceledException("the token service is slow"));
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => world.Client.OpenAsync().Bounded());
        Assert.Equal(ReasonCode.NotAuthorized, failed.Reason);
        Assert.IsType<TaskCanceledException>(failed.InnerException);
    }

    private static World Over(Func<IMqttConnection, IMqttConnection> wrap) =>
        new(options => options.Transport = new WrappedTransport(options.Transport!, wrap));
}
