using System.Globalization;
using Mqtt5.Hosting;

namespace Mqtt5;

// The resources of this process, and the limits derived from them where the application kept the defaults: a broker must
// not accept so much that it runs out of them. Memory budgets are fractions of the total, and add up to less than it.
internal sealed class MachineLimits(long connections, long memoryBytes)
{
    // The memory of an idle connection with its session, TLS included, in bytes.
    private const long BytesOfConnection = 32 * 1024;

    // The same of a session whose client is away, with names as long as they may be.
    private const long BytesOfSession = 8 * 1024;

    private readonly List<string> lowered = [];

    // The limits that were lowered, with their values; empty: none.
    public string Lowered => string.Join(", ", lowered);

    public static MachineLimits Of(int listeners) =>
        new(Descriptors.ForConnections(listeners), GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);

    // The same for limits that were changed: what is free by now says nothing about what the process may have.
    public MachineLimits Again() => new(connections, memoryBytes);

    public long MemoryMegabytes => memoryBytes / (1024 * 1024);

    // The effective value of a limit.
    public long Lower(LimitName limit, long value)
    {
        var rule = LimitTable.Of(limit);
        var most = limit switch
        {
            LimitName.Connections => Math.Min(connections, memoryBytes / 4 / BytesOfConnection),
            LimitName.PendingConnections => Math.Min(connections, memoryBytes / 16 / BytesOfConnection),
            LimitName.Sessions => memoryBytes / 8 / BytesOfSession,
            LimitName.TotalQueuedBytes => memoryBytes / 16 * 3,
            LimitName.RetainedBytes => memoryBytes / 16,
            LimitName.TotalSubscriptionBytes => memoryBytes / 16,
            LimitName.TotalWillBytes => memoryBytes / 32,
            LimitName.TotalUnparsedBytes => memoryBytes / 16,
            LimitName.TotalSendBufferBytes => memoryBytes / 16,
            _ => long.MaxValue,
        };

        if (value != rule.Default || value <= most)
            return value;

        most = Math.Max(most, 1);
        lowered.Add(string.Create(CultureInfo.InvariantCulture, $"{rule.Key} {most}"));
        return most;
    }
}
