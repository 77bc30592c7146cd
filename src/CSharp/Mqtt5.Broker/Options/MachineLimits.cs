using System.Globalization;
using Mqtt5.Hosting;

namespace Mqtt5;

// What the machine has for this process, and the limits that follow where the application left them at their defaults: a
// broker must not promise what would end the process. Budgets of memory are parts of what there is, so that they add up to
// less.
internal sealed class MachineLimits(long connections, long memoryBytes)
{
    // What a connection costs at rest with its session, TLS included, in bytes.
    private const long BytesOfConnection = 32 * 1024;

    private readonly List<string> lowered = [];

    // Those that were lowered, with their values; empty: none.
    public string Lowered => string.Join(", ", lowered);

    public static MachineLimits Of(int listeners) =>
        new(Descriptors.ForConnections(listeners), GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);

    public long MemoryMegabytes => memoryBytes / (1024 * 1024);

    // The limit as it is to hold.
    public long Lower(LimitName limit, long value, long packetBytesBeforeConnect)
    {
        var rule = LimitTable.Of(limit);
        var most = limit switch
        {
            LimitName.Connections => Math.Min(connections, memoryBytes / 4 / BytesOfConnection),
            LimitName.PendingConnections => Math.Min(connections, memoryBytes / 8 / (packetBytesBeforeConnect + BytesOfConnection)),
            LimitName.TotalQueuedBytes => memoryBytes / 4,
            LimitName.RetainedBytes => memoryBytes / 8,
            _ => long.MaxValue,
        };

        if (value != rule.Default || value <= most)
            return value;

        most = Math.Max(most, 1);
        lowered.Add(string.Create(CultureInfo.InvariantCulture, $"{rule.Key} {most}"));
        return most;
    }
}
