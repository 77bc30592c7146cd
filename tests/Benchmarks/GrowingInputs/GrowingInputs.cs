using System.Diagnostics;
using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>
/// What the broker needs for inputs that grow, each of which a client may send: <c>growing [--rounds N]</c>. A column that grows
/// faster than its input would be a way to hold the broker up.
/// </summary>
internal static class GrowingInputs
{
    // Both ends of as many connections as the greatest have their descriptors in this process.
    private static readonly int[] Sizes = [50, 500, 5_000];

    private static readonly (string Title, Func<int, int, TimeSpan> Measure)[] Inputs =
    [
        ("SUBSCRIBE of so many filters", GrowingPackets.Subscribe),
        ("UNSUBSCRIBE of so many filters", GrowingPackets.Unsubscribe),
        ("PUBLISH of so many User Properties", GrowingPackets.UserProperties),
        ("PUBLISH that so many filters of a client match, each with an identifier", GrowingStates.Matching),
        ("PUBLISH that so many filters match but for the last level", GrowingStates.AlmostMatching),
        ("PUBLISH to a group of so many members", GrowingStates.SharedMembers),
        ("PUBLISH to so many clients", GrowingStates.Clients),
        ("SUBSCRIBE that so many retained messages match", GrowingStates.Retained),
        ("CONNECT that ends a session with so many filters", GrowingStates.SessionWithFilters),
        ("CONNECT that goes on with a session in which so many messages wait", GrowingStates.SessionWithMessages),
    ];

    public static async Task<int> RunAsync(string[] arguments)
    {
        var rounds = Array.IndexOf(arguments, "--rounds") is >= 0 and var at ? int.Parse(arguments[at + 1], CultureInfo.InvariantCulture) : 5;
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.Listen(0);
            options.Limits.Set(LimitName.Subscriptions, 100_000);
            options.Limits.Set(LimitName.SubscriptionBytes, 1L << 30);
            options.Limits.Set(LimitName.TotalSubscriptionBytes, 1L << 31);
            options.Limits.Set(LimitName.Connections, 100_000);
            options.Limits.Set(LimitName.QueuedMessages, 100_000);
            options.Limits.Set(LimitName.SendBufferBytes, 1L << 24);
        }).ConfigureAwait(false);
        var port = broker.Addresses.Single().Port;
        Console.WriteLine($"| microseconds | {string.Join(" | ", Sizes.Select(size => size.ToString("N0", CultureInfo.InvariantCulture)))} | ten times as many |");
        Console.WriteLine($"|---|{string.Concat(Sizes.Select(_ => "---|"))}---|");

        foreach (var (title, measure) in Inputs)
        {
            // The first round compiles.
            var times = Sizes.Select(size => Enumerable.Range(0, rounds + 1).Select(_ => measure(port, size)).Skip(1).Order().ElementAt(rounds / 2)).ToList();
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {title} | {string.Join(" | ", times.Select(time => time.TotalMicroseconds.ToString("N0", CultureInfo.InvariantCulture)))} | {times[^1] / times[^2]:0.0} |"));
        }

        return 0;
    }

    /// <summary>The time from the sending of packets to the last of so many answers.</summary>
    public static TimeSpan Time(RawMqtt client, byte[] packets, int answers = 1)
    {
        var started = Stopwatch.GetTimestamp();
        client.Ask(packets, answers);
        return Stopwatch.GetElapsedTime(started);
    }

    /// <summary>A packet of a client in notation, with so many items in it.</summary>
    public static byte[] Packet(int count, string begin, Func<int, string> item, string separator, string finish) =>
        RawMqtt.Bytes($"{begin}{string.Join(separator, Enumerable.Range(0, count).Select(item))}{finish}");
}
