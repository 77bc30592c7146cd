namespace Mqtt5.BrokerTests;

// Waits that end, so that a test fails instead of hanging.
internal static class Waits
{
    public static Task Bounded(this Task task) => task.WaitAsync(RawClient.Patience);

    public static Task<T> Bounded<T>(this Task<T> task) => task.WaitAsync(RawClient.Patience);

    public static Task<T> Bounded<T>(this ValueTask<T> task) => task.AsTask().WaitAsync(RawClient.Patience);

    // Waits until something holds that has no task of its own.
    public static async Task UntilAsync(Func<bool> holds, TimeSpan? patience = null)
    {
        var deadline = Environment.TickCount64 + (long)(patience ?? RawClient.Patience).TotalMilliseconds;

        while (!holds())
        {
            Assert.True(Environment.TickCount64 < deadline, "it did not come true in time");
            await Task.Delay(2);
        }
    }
}
