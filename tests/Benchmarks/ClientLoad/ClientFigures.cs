using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>The best of a client's rounds, because other programs can only make one slower.</summary>
/// <param name="name">What the client is called in the table.</param>
internal sealed class ClientFigures(string name)
{
    private double allocatedBytes = double.PositiveInfinity;
    private double microseconds = double.PositiveInfinity;

    public string Name => name;

    /// <summary>Messages a second.</summary>
    public double Rate { get; private set; }

    /// <summary>What the server took of its processor for a message, in microseconds; infinite: not known.</summary>
    public double ServerMicroseconds { get; private set; } = double.PositiveInfinity;

    /// <summary>What the server took of one processor in the best round, in percent.</summary>
    public double ServerPercent { get; private set; }

    /// <param name="messages">How many messages the round had.</param>
    /// <param name="seconds">How long it took.</param>
    /// <param name="allocated">The bytes that the client allocated; null: not known.</param>
    /// <param name="worked">The client's time on the processor, in seconds.</param>
    /// <param name="served">The server's time on the processor, in seconds; null: not known.</param>
    public void Add(int messages, double seconds, long? allocated, double worked, double? served)
    {
        if (allocated is { } bytes)
            allocatedBytes = Math.Min(allocatedBytes, (double)bytes / messages);

        microseconds = Math.Min(microseconds, worked * 1_000_000 / messages);

        if (served is { } work)
            ServerMicroseconds = Math.Min(ServerMicroseconds, work * 1_000_000 / messages);

        if (messages / seconds > Rate)
        {
            Rate = messages / seconds;
            ServerPercent = 100 * (served ?? 0) / seconds;
        }
    }

    /// <summary>The client's row of the table.</summary>
    /// <param name="load">What the load is called.</param>
    public string Row(string load)
    {
        var server = double.IsFinite(ServerMicroseconds)
            ? string.Create(CultureInfo.InvariantCulture, $"{ServerMicroseconds:F2} | {ServerPercent:F0}")
            : "- | -";
        var bytes = double.IsFinite(allocatedBytes) ? allocatedBytes.ToString("N0", CultureInfo.InvariantCulture) : "-";
        return string.Create(CultureInfo.InvariantCulture, $"| {load} | {name} | {Rate:N0} | {bytes} | {microseconds:F2} | {server} |");
    }
}
