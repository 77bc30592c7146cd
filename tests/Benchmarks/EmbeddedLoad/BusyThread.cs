namespace Mqtt5.Benchmarks;

/// <summary>
/// A thread that does nothing but take one processor, outside of the application: what any busy program of the machine costs
/// its requests, to compare the broker with.
/// </summary>
internal sealed class BusyThread : ILoadBeside
{
    private readonly Thread thread;
    private volatile bool isStopping;

    public BusyThread()
    {
        thread = new Thread(() =>
        {
            while (!isStopping)
                Thread.SpinWait(100);
        });
        thread.Start();
    }

    public double Finish()
    {
        isStopping = true;
        thread.Join();
        return 0;
    }

    public void Dispose() => Finish();
}
