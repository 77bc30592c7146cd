namespace Mqtt5.Client.Tests;

// What the transport has not taken counts in the send buffer, whether it waits or is being written. All that is beyond waits
// in the state machine, where it expires and is dropped like everything that waits.
public sealed class SendBufferTests
{
    private const int LimitBytes = 100_000;
    private const int MessageBytes = 1_000;

    [Fact]
    public async Task What_is_being_written_counts()
    {
        await using var stalled = await StalledAsync();
        var taken = LimitBytes - stalled.Free;

        while (taken < 3 * LimitBytes && stalled.World.Client.TryPublish("a", new byte[MessageBytes].AsSpan()))
            taken += MessageBytes;

        Assert.InRange(taken, LimitBytes - MessageBytes, LimitBytes + MessageBytes);
        stalled.Go();
        await Waits.UntilAsync(() => stalled.World.Client.TryPublish("a", new byte[MessageBytes].AsSpan()));
    }

    [Fact]
    public async Task A_message_behind_it_expires_where_it_waits()
    {
        await using var stalled = await StalledAsync();
        await stalled.World.Client.PublishAsync("a", new byte[stalled.Free]).Bounded();
        var waiting = stalled.World.Client.PublishAsync(new MqttMessage { Topic = "a", Expiry = TimeSpan.FromSeconds(1) }).AsTask();
        stalled.World.Time.Advance(TimeSpan.FromSeconds(2));
        await Assert.ThrowsAsync<MqttMessageExpiredException>(() => waiting.Bounded());
    }

    [Fact]
    public async Task A_message_behind_it_counts_in_the_queue_and_is_dropped_from_it()
    {
        await using var stalled = await StalledAsync(queue =>
        {
            queue.MaximumMessages = 1;
            queue.WhenFull = WhenFull.DropOldest;
        });
        await stalled.World.Client.PublishAsync("a", new byte[stalled.Free]).Bounded();
        var oldest = stalled.World.Client.PublishAsync("a", "oldest").AsTask();
        var newest = stalled.World.Client.PublishAsync("a", "newest").AsTask();
        await Assert.ThrowsAsync<MqttQueueFullException>(() => oldest.Bounded());
        Assert.False(newest.IsCompleted);
        stalled.Go();
        await newest.Bounded();
    }

    [Fact]
    public async Task Messages_that_waited_get_the_room_that_is_free()
    {
        await using var stalled = await StalledAsync();
        var engine = stalled.World.Client.Engine;
        var outcomes = Enumerable.Range(0, 400).Select(_ => stalled.World.Client.PublishAsync("a", new byte[MessageBytes]).AsTask()).ToArray();
        var most = 0L;

        while (!outcomes[^1].IsCompleted)
        {
            var written = stalled.Writes.Begun;
            stalled.Writes.Finish(1);
            await Waits.UntilAsync(() => stalled.Writes.Begun > written);

            lock (engine.Gate)
                most = Math.Max(most, engine.Current!.UnsentBytes);
        }

        Assert.InRange(most, LimitBytes, LimitBytes + 2 * MessageBytes);
    }

    // A client whose transport takes nothing while it writes a send buffer that is almost full.
    private static async Task<Stalled> StalledAsync(Action<MqttQueueOptions>? configure = null)
    {
        var writes = new Writes();
        WrappedStream? stream = null;
        var world = new World(options =>
        {
            options.SendBufferBytes = LimitBytes;
            options.Transport = new WrappedTransport(options.Transport!, connection =>
            {
                stream = new WrappedStream(connection.Stream);
                return new WrappedConnection(connection) { Streaming = () => stream };
            });
            configure?.Invoke(options.Queue);
        });
        await world.OpenAsync();
        stream!.Writing = _ => writes.WriteAsync();
        var left = LimitBytes;

        // The link takes all of it at once, since it cannot write meanwhile.
        lock (world.Client.Engine.Gate)
        {
            for (; left > 2 * MessageBytes; left -= MessageBytes)
                Assert.True(world.Client.TryPublish("a", new byte[MessageBytes - 7].AsSpan()));
        }

        await Waits.UntilAsync(() => writes.Begun > 0);
        return new Stalled(world, writes, left);
    }

    // Writes that last until the test lets them finish.
    private sealed class Writes : IDisposable
    {
        private readonly SemaphoreSlim finished = new(0);
        private int begun;

        public int Begun => Volatile.Read(ref begun);

        public void Finish(int count) => finished.Release(count);

        public async ValueTask WriteAsync()
        {
            Interlocked.Increment(ref begun);
            await finished.WaitAsync();
        }

        public void Dispose() => finished.Dispose();
    }

    // Free: the room that is left in the send buffer.
    private sealed record Stalled(World World, Writes Writes, int Free) : IAsyncDisposable
    {
        // From now on the transport takes everything.
        public void Go() => Writes.Finish(1_000_000);

        public async ValueTask DisposeAsync()
        {
            Go();
            await World.DisposeAsync();
            Writes.Dispose();
        }
    }
}
