using Microsoft.Extensions.Logging;

namespace Mqtt5.Client.Tests;

// What the engine does at its edges: far times, effects that fail, code of the application that is told of them.
public sealed class EngineEndingTests
{
    [Theory]
    [InlineData(50)]
    [InlineData(40_000)]
    public async Task A_message_can_expire_later_than_a_timer_can_wait(int days)
    {
        await using var world = new World(options => options.KeepAlive = TimeSpan.Zero);
        var expiry = TimeSpan.FromDays(days);
        var publishing = world.Client.PublishAsync(
            new MqttMessage { Topic = "a", Text = "x", QoS = QoS.AtLeastOnce, Expiry = expiry }).AsTask();
        await Waits.StaysAsync(publishing);
        var peer = await world.OpenAsync();
        var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        Assert.Equal((uint)expiry.TotalSeconds, publish.Properties.MessageExpiryInterval.Value);
        await peer.PubackAsync(publish.Delivery.PacketId.Value);
        await publishing.Bounded();
    }

    [Fact]
    public async Task A_far_expiry_comes()
    {
        await using var world = new World();
        var publishing = world.Client.PublishAsync(
            new MqttMessage { Topic = "a", Text = "x", Expiry = TimeSpan.FromDays(60) }).AsTask();
        world.Time.Advance(TimeSpan.FromDays(50));
        await Waits.StaysAsync(publishing);
        world.Time.Advance(TimeSpan.FromDays(11));
        await Assert.ThrowsAsync<MqttMessageExpiredException>(() => publishing.Bounded());
    }

    [Fact]
    public async Task A_start_that_comes_after_the_disposal_opens_nothing()
    {
        await using var world = new World();
        await world.Client.DisposeAsync().Bounded();
        // As by a call to open that had looked before the disposal began.
        Assert.Throws<ObjectDisposedException>(() => world.Client.Engine.Start());
        Assert.Equal(0, world.Transport.Attempts);
    }

    [Fact]
    public async Task An_effect_that_fails_ends_the_connection_and_not_the_client()
    {
        await using var world = new World();
        await world.OpenAsync();

        // The peer reads nothing. Once the pipe holds this much, the write in progress stays pending, and later packets stay
        // in the send buffer. Before that, a write may still drain the buffer.
        const int PipeBytes = 64 * 1024;

        for (var i = 0; i < 8; i++)
            await world.Client.PublishAsync("a", new byte[10_000]).Bounded();

        await Waits.UntilAsync(() =>
        {
            if (!world.Connection!.Input.TryRead(out var unread))
                return false;

            var bytes = unread.Buffer.Length;
            world.Connection.Input.AdvanceTo(unread.Buffer.Start);
            return bytes >= PipeBytes;
        });
        await world.Client.PublishAsync("a", new byte[10_000]).Bounded();
        var engine = world.Client.Engine;
        const int LeftBytes = 20_000;

        lock (engine.Gate)
            engine.Current!.Advance(int.MaxValue - LeftBytes);

        var publishing = world.Client.PublishAsync("b", new byte[LeftBytes], QoS.AtLeastOnce).AsTask();
        var peer = await world.ReopenAsync();
        var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        await peer.PubackAsync(publish.Delivery.PacketId.Value);
        await publishing.Bounded();
    }

    [Fact]
    public async Task What_waits_for_the_transport_ends_with_the_client_as_all_else_does()
    {
        await using var world = new World(options => options.SendBufferBytes = 1);
        await world.OpenAsync();
        var last = Task.CompletedTask;

        for (var i = 0; i < 10; i++)
            last = world.Client.PublishAsync("a", new byte[100_000]).AsTask();

        Assert.False(last.IsCompleted);
        var disconnecting = world.Client.DisconnectAsync();
        await Assert.ThrowsAsync<MqttDisconnectedException>(() => last.Bounded());
        world.Time.Advance(world.Options.CloseTimeout);
        await disconnecting.Bounded();
    }

    [Fact]
    public async Task The_oldest_of_what_waits_for_the_transport_is_dropped_where_the_options_say_so()
    {
        await using var world = new World(options =>
        {
            options.SendBufferBytes = 1;
            options.Queue.MaximumMessages = 2;
            options.Queue.WhenFull = WhenFull.DropOldest;
        });
        await world.OpenAsync();
        var waiting = new List<Task>();

        // The first is under way and the second in the buffer, in whichever order the threads take them.
        while (waiting.Count == 0 || waiting[0].IsCompleted)
            waiting = [world.Client.PublishAsync("a", new byte[100_000]).AsTask()];

        for (var i = 0; i < 3; i++)
            waiting.Add(world.Client.PublishAsync("a", new byte[100_000]).AsTask());

        await Assert.ThrowsAsync<MqttQueueFullException>(() => waiting[0].Bounded());
        await Assert.ThrowsAsync<MqttQueueFullException>(() => waiting[1].Bounded());
        Assert.False(waiting[2].IsCompleted || waiting[3].IsCompleted);
        await world.DisposeAsync();
        await Assert.ThrowsAsync<MqttDisconnectedException>(() => waiting[3].Bounded());
    }

    [Fact]
    public async Task A_log_that_fails_ends_nothing()
    {
        var calls = 0;
        await using var world = new World(options => options.LoggerFactory = new Loggers(() =>
        {
            Interlocked.Increment(ref calls);
            throw new InvalidOperationException("the disk is full");
        }));
        var peer = await world.OpenAsync();
        var subscribing = world.Client.SubscribeAsync("a", (_, _) => throw new InvalidOperationException("handler"));
        await peer.GrantAsync();
        await subscribing.Bounded();

        for (ushort id = 1; id <= 2; id++)
        {
            await peer.PublishAsync("a", "x", id, QoS.AtLeastOnce);
            Assert.Equal(ReasonCode.UnspecifiedError, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.Outcome.Reason);
        }

        await world.Connection!.BreakAsync();
        peer = await world.ReopenAsync(sessionPresent: true);
        await world.UntilAsync(MqttConnectionStatus.Connected);
        Assert.True(world.Client.TryPublish("a", "x"));
        await peer.ExpectAsync<Packet.Publish>();
        await Waits.UntilAsync(() => Volatile.Read(ref calls) > 5);
    }

    [Fact]
    public async Task The_last_line_is_written_when_the_client_is_disposed_of()
    {
        var calls = 0;
        await using var world = new World(options => options.LoggerFactory = new Loggers(() => Interlocked.Increment(ref calls)));
        await world.OpenAsync();
        await world.DisposeAsync();
        var before = Volatile.Read(ref calls);
        await Task.Delay(50);
        Assert.True(before > 3);
        Assert.Equal(before, Volatile.Read(ref calls));
    }

    [Fact]
    public async Task A_log_that_blocks_holds_up_nothing()
    {
        using var release = new ManualResetEventSlim();
        await using var world = new World(options => options.LoggerFactory = new Loggers(() => release.Wait(CancellationToken.None)));

        try
        {
            var peer = await world.OpenAsync();
            var publishing = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask();
            await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value);
            await publishing.Bounded();
            Assert.Equal(MqttConnectionStatus.Connected, world.Client.State.Status);
            var disposing = world.Client.DisposeAsync().AsTask();
            await peer.ExpectAsync<Packet.Disconnect>();
            await Waits.StaysAsync(disposing);
            world.Time.Advance(world.Options.CloseTimeout);
            await disposing.Bounded();
        }
        finally
        {
            release.Set();
        }
    }

    // Calls back for each line of the log.
    private sealed class Loggers(Action called) : ILoggerFactory, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            called();

        public void Dispose()
        {
        }
    }
}
