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

    // A client whose transport takes nothing while it writes a send buffer that is almost full.
    private static async Task<Stalled> StalledAsync(Action<MqttQueueOptions>? configure = null)
    {
        var going = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var entered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
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
        stream!.Writing = async _ =>
        {
            entered.TrySetResult();
            await going.Task;
        };
        var left = LimitBytes;

        // The link takes all of it at once, since it cannot write meanwhile.
        lock (world.Client.Engine.Gate)
        {
            for (; left > 2 * MessageBytes; left -= MessageBytes)
                Assert.True(world.Client.TryPublish("a", new byte[MessageBytes - 7].AsSpan()));
        }

        await entered.Task.Bounded();
        return new Stalled(world, going, left);
    }

    // Free: the room that is left in the send buffer.
    private sealed record Stalled(World World, TaskCompletionSource Going, int Free) : IAsyncDisposable
    {
        // From now on the transport takes everything.
        public void Go() => Going.TrySetResult();

        public async ValueTask DisposeAsync()
        {
            Go();
            await World.DisposeAsync();
        }
    }
}
