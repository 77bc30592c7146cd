namespace Mqtt5.Serving;

// A completion source whose Task is allocated on first use. Guarded by a lock of its owner.
internal struct Completion
{
    private TaskCompletionSource? source;
    private bool isCompleted;

    public readonly bool IsCompleted => isCompleted;

    public Task Task
    {
        get
        {
            if (isCompleted)
                return Task.CompletedTask;

            source ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return source.Task;
        }
    }

    public void Complete()
    {
        isCompleted = true;
        source?.TrySetResult();
    }
}
