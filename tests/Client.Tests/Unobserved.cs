using System.Collections.Concurrent;

namespace Mqtt5.Client.Tests;

// Exceptions of tasks that were never observed. They show once the task is collected, so a task of the test's own that fails
// in the same way says when that has happened.
internal sealed class Unobserved : IDisposable
{
    private readonly ConcurrentQueue<string> seen = new();

    public Unobserved() => TaskScheduler.UnobservedTaskException += Add;

    // The messages of the exceptions of failed tasks that this test made hold it.
    public string Mark { get; } = Guid.NewGuid().ToString();

    public Exception Failure() => new IOException(Mark);

    // How many failures with this message were not observed, as of now.
    public async Task<int> CountAsync(string? message = null)
    {
        for (var round = 0; round < 2; round++)
        {
            var control = Guid.NewGuid().ToString();
            Drop(control);
            await Waits.UntilAsync(() =>
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
                return seen.Contains(control);
            });
        }

        return seen.Count(one => one == (message ?? Mark));
    }

    public void Dispose() => TaskScheduler.UnobservedTaskException -= Add;

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static void Drop(string control) => _ = Task.FromException(new IOException(control));

    private void Add(object? sender, UnobservedTaskExceptionEventArgs args)
    {
        foreach (var one in args.Exception.Flatten().InnerExceptions)
            seen.Enqueue(one.Message);
    }
}
