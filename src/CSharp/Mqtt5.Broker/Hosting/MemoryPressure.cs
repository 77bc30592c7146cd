namespace Mqtt5.Hosting;

// Whether the process is about to run out of memory. Then no more connections are accepted: what those that there are may
// hold has budgets, but a new one costs memory before any budget sees it.
internal static class MemoryPressure
{
    // Of the memory that the runtime may use.
    private const double MostPart = 0.85;
    private const long LeastPauseBetweenCollections = 1_000;

    private static readonly long Available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    private static long lastCollection = long.MinValue / 2;

    // A cheap look first: what is used may be garbage, so before it counts as short the heap is collected, once a second
    // at most.
    public static bool IsHigh()
    {
        if (!IsBeyond())
            return false;

        var now = Environment.TickCount64;
        var last = Volatile.Read(ref lastCollection);

        if (now - last >= LeastPauseBetweenCollections && Interlocked.CompareExchange(ref lastCollection, now, last) == last)
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true);

        return IsBeyond();
    }

    private static bool IsBeyond() => GC.GetTotalMemory(forceFullCollection: false) > MostPart * Available;
}
