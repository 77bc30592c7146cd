using System.Threading.Tasks.Sources;

namespace Mqtt5.Engine;

// Wakes one waiter without allocating. Its members are called under one gate; the waiter goes on elsewhere.
internal sealed class Signal : IValueTaskSource
{
    private ManualResetValueTaskSourceCore<bool> source = new() { RunContinuationsAsynchronously = true };
    private bool waiting;

    // Only called when there is nothing to do; a Set before it does not count.
    public ValueTask WaitAsync()
    {
        source.Reset();
        waiting = true;
        return new ValueTask(this, source.Version);
    }

    public void Set()
    {
        if (!waiting)
            return;

        waiting = false;
        source.SetResult(true);
    }

    public void GetResult(short token) => source.GetResult(token);

    public ValueTaskSourceStatus GetStatus(short token) => source.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        source.OnCompleted(continuation, state, token, flags);
}
