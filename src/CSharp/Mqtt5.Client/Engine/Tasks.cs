namespace Mqtt5.Engine;

internal static class Tasks
{
    // Observes the failure of an abandoned task, so that it is not reported as unobserved.
    public static void Forget(this Task task) =>
        task.ContinueWith(
            static done => done.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);

    // Waits for code that need not listen to its token: until the token is set, and what the task does then is seen.
    public static Task OrCancelledAsync(this Task task, CancellationToken cancellationToken)
    {
        task.Forget();
        return task.WaitAsync(cancellationToken);
    }

    public static Task<T> OrCancelledAsync<T>(this Task<T> task, CancellationToken cancellationToken)
    {
        task.Forget();
        return task.WaitAsync(cancellationToken);
    }
}
