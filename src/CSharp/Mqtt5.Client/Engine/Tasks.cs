namespace Mqtt5.Engine;

internal static class Tasks
{
    // Nobody waits for the task any more; its failure is seen, so that it is not reported as unobserved.
    public static void Forget(this Task task) =>
        task.ContinueWith(
            static done => done.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
}
