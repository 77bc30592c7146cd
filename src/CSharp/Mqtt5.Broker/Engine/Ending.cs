namespace Mqtt5.Serving;

// An end that few wait for: what they wait on is made when the first of them asks. Used under a lock of its owner.
internal struct Ending
{
    private TaskCompletionSource? source;
    private bool isReached;

    public Task Task
    {
        get
        {
            if (isReached)
                return Task.CompletedTask;

            source ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return source.Task;
        }
    }

    public void Reach()
    {
        isReached = true;
        source?.TrySetResult();
    }
}
