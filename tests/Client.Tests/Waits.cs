namespace Mqtt5.Client.Tests;

// Waits that end, so that a test fails instead of hanging.
internal static class Waits
{
    public static Task Bounded(this Task task) => task.WaitAsync(Peer.Patience);

    public static Task<T> Bounded<T>(this Task<T> task) => task.WaitAsync(Peer.Patience);

    public static Task<T> Bounded<T>(this ValueTask<T> task) => task.AsTask().WaitAsync(Peer.Patience);

    public static Task Bounded(this ValueTask task) => task.AsTask().WaitAsync(Peer.Patience);

    // Waits until something holds that has no task of its own.
    public static async Task UntilAsync(Func<bool> holds)
    {
        var deadline = Environment.TickCount64 + (long)Peer.Patience.TotalMilliseconds;

        while (!holds())
        {
            Assert.True(Environment.TickCount64 < deadline, "it did not come true in time");
            await Task.Delay(2);
        }
    }

    // Shows that nothing happens for a while.
    public static async Task StaysAsync(Task task)
    {
        await Task.WhenAny(task, Task.Delay(100));
        Assert.False(task.IsCompleted);
    }
}
