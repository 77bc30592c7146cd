using System.Diagnostics;
using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>
/// Measures brokers side by side in one run: <c>broker [--brokers NAMES] [--loads NAMES] [--warm N] [--rounds N]
/// [--seconds N] [--connections N] [--old DIRECTORY --new DIRECTORY [--at-least N]]</c>. In each load they get it for some
/// time that does not count, then take turns, and the best round of each counts, because other programs can only make one
/// slower; where two builds of ours are compared, the median does. Prints a table in Markdown, and every round to standard
/// error. The exit code is 1 if a rate of the new build is below the given part of the old one's.
/// </summary>
internal static class BrokerLoad
{
    private const int FewMessages = 20_000;
    // So many that what connecting loads and compiles is there before.
    private const int ConnectionsBefore = 2_000;
    private const int IdleConnections = 2_000;
    private const int IdleSubscriptions = 100_000;

    // Memory is taken after a while without any work, as it is with clients that are idle.
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(12);

    private static readonly string[] All =
        [BrokerProcess.Relay, BrokerProcess.Mosquitto, BrokerProcess.MqttNet, BrokerProcess.Ours];

    private static readonly string[] Compared =
        [BrokerProcess.Relay, BrokerProcess.Mosquitto, BrokerProcess.Old, BrokerProcess.New];

    public static async Task<int> RunAsync(string[] arguments)
    {
        var options = new BrokerLoadOptions(arguments);
        using var tools = LoadTools.TryBuild();

        if (tools is null)
            return 1;

        string[] all = options.InTurns ? Compared : All;
        var table = new LoadTable([.. all.Where(name => options.Brokers?.Contains(name) ?? true)], options.InTurns);
        var brokers = new List<BrokerProcess>();

        try
        {
            foreach (var name in table.Brokers)
            {
                if (BrokerProcess.Start(name, tools, options) is { } broker)
                    brokers.Add(broker);
                else
                    Console.Error.WriteLine($"{name} is not installed");
            }

            foreach (var load in LoadKind.Rates.Where(options.Wants))
                AddRates(table, load, brokers, options, tools);

            if (options.Wants(LoadKind.Latency))
                AddLatency(table, brokers, options, tools);

            if (options.Wants(LoadKind.Beside))
                AddBeside(table, brokers, options, tools);

            if (options.Names(SteadyLoads.Cost))
                SteadyLoads.AddCost(table, brokers, options, tools);
        }
        finally
        {
            brokers.ForEach(broker => broker.Dispose());
        }

        // A broker with nothing behind it, so that its memory is that of the idle connections.
        if (options.Wants(LoadKind.Memory))
            table.Add(LoadKind.Memory.Title, LoadUnit.Kilobytes, name => Memory(name, options, tools) is { } bytes ? [bytes] : null, Enumerable.Max);

        if (options.Names(SteadyLoads.Connect))
            SteadyLoads.AddConnect(table, options, tools);

        if (options.Names(SteadyLoads.FirstSecond))
            SteadyLoads.AddFirstSecond(table, options, tools);

        if (options.Names(SteadyLoads.Idle))
            SteadyLoads.AddIdle(table, options, tools);

        if (options.Wants(LoadKind.Allocated) && table.Brokers.Contains(BrokerProcess.Ours))
        {
            var bytes = await AllocatedAsync(options, tools).ConfigureAwait(false);
            table.Add(LoadKind.Allocated.Title, LoadUnit.Number, name => name == BrokerProcess.Ours && bytes is { } least ? [least] : null, Enumerable.Min);
        }

        await Console.Out.WriteAsync(table.ToString()).ConfigureAwait(false);
        return options.AtLeast is { } bound && table.IsBelow(bound) ? 1 : 0;
    }

    private static void AddRates(
        LoadTable table, LoadKind load, List<BrokerProcess> brokers, BrokerLoadOptions options, LoadTools tools)
    {
        var rounds = Rounds(load, brokers, options, tools);
        table.Add(load.Title, LoadUnit.Rate, name => Samples(rounds, name, one => one.Delivered), Enumerable.Max);
    }

    private static void AddLatency(
        LoadTable table, List<BrokerProcess> brokers, BrokerLoadOptions options, LoadTools tools)
    {
        var load = LoadKind.Latency;
        var rounds = Rounds(load, brokers, options, tools);
        Add("p50", "the median of the rounds", one => one.Median, LoadTable.Median);
        Add("p99", "the median of the rounds", one => one.Percentile99, LoadTable.Median);

        if (!options.InTurns)
            Add("p99", "the best round", one => one.Percentile99, Enumerable.Min);

        Add("p99.9", "the median of the rounds", one => one.Percentile999, LoadTable.Median);

        void Add(string what, string which, Func<LoadResult, double> value, Func<IEnumerable<double>, double> choose) =>
            table.Add($"{what} in ms at {load.Title} ({which})", LoadUnit.Fine, name => Samples(rounds, name, value), choose);
    }

    private static double[]? Samples(Dictionary<string, List<LoadResult>> rounds, string name, Func<LoadResult, double> value) =>
        rounds.TryGetValue(name, out var all) ? [.. all.Select(value)] : null;

    // Without idle clients and beside them, in turns, as the machine may change meanwhile.
    private static void AddBeside(LoadTable table, List<BrokerProcess> brokers, BrokerLoadOptions options, LoadTools tools)
    {
        var without = new Dictionary<string, List<double>>();
        var beside = new Dictionary<string, List<double>>();

        // The relay knows no subscriptions.
        foreach (var broker in brokers.Where(broker => broker.Name != BrokerProcess.Relay))
        {
            for (var turn = 0; turn < 2; turn++)
            {
                Run(without, broker);
                using var clients = new IdleClients();
                clients.Add(broker.Port, IdleConnections, IdleSubscriptions / IdleConnections);
                Run(beside, broker);
            }
        }

        table.Add($"{LoadKind.OneToOne.Title}, before and after the next row", LoadUnit.Rate, without.GetValueOrDefault, Enumerable.Max);
        table.Add(LoadKind.Beside.Title, LoadUnit.Rate, beside.GetValueOrDefault, Enumerable.Max);

        void Run(Dictionary<string, List<double>> rates, BrokerProcess broker)
        {
            if (Rounds(LoadKind.OneToOne, [broker], options, tools).TryGetValue(broker.Name, out var rounds))
            {
                rates.TryAdd(broker.Name, []);
                rates[broker.Name].AddRange(rounds.Select(one => one.Delivered));
            }
        }
    }

    // The rounds of each broker that got through all of them.
    private static Dictionary<string, List<LoadResult>> Rounds(
        LoadKind load, List<BrokerProcess> brokers, BrokerLoadOptions options, LoadTools tools)
    {
        var paces = new Dictionary<string, LoadResult>();
        var rounds = new Dictionary<string, List<LoadResult>>();

        // The relay knows no acknowledgements.
        foreach (var broker in brokers.Where(broker => (load.QoS == 0 && load.Version == "5") || broker.Name != BrokerProcess.Relay))
        {
            if (WarmUp(load, broker, options, tools) is { } pace)
                paces[broker.Name] = pace;
        }

        for (var round = 0; round < options.Rounds; round++)
        {
            foreach (var broker in brokers.Where(broker => paces.ContainsKey(broker.Name)))
            {
                if (tools.Run(load, broker.Port, Messages(load, paces[broker.Name], options.Seconds)) is not { } result)
                {
                    paces.Remove(broker.Name);
                    rounds.Remove(broker.Name);
                    continue;
                }

                paces[broker.Name] = result;
                rounds.TryAdd(broker.Name, []);
                rounds[broker.Name].Add(result);
                Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{load.Title}: {broker.Name} {result.Delivered:N0}/s p50 {result.Median:0.000} p99 {result.Percentile99:0.000} p99.9 {result.Percentile999:0.000} ms"));
            }
        }

        return rounds;
    }

    // Null: the broker did not get through the load.
    private static LoadResult? WarmUp(LoadKind load, BrokerProcess broker, BrokerLoadOptions options, LoadTools tools)
    {
        var started = Stopwatch.GetTimestamp();
        var pace = tools.Run(load, broker.Port, FewMessages / load.Publishers);

        while (pace is not null && options.WarmSeconds - Stopwatch.GetElapsedTime(started).TotalSeconds is var left and > 0)
            pace = tools.Run(load, broker.Port, Messages(load, pace, Math.Min(left, options.Seconds)));

        return pace;
    }

    private static long Messages(LoadKind load, LoadResult pace, double seconds) =>
        load.Rate > 0
            ? (long)(load.Rate * seconds) / load.Publishers
            : (long)Math.Max(FewMessages, pace.Published * seconds) / load.Publishers;

    private static double? Memory(string name, BrokerLoadOptions options, LoadTools tools)
    {
        // The relay has a large buffer for each connection and no subscriptions.
        if (name == BrokerProcess.Relay)
            return null;

        using var broker = BrokerProcess.Start(name, tools, options);

        if (broker is null)
            return null;

        using var clients = new IdleClients();
        clients.Add(broker.Port, ConnectionsBefore, subscriptions: 1);
        Thread.Sleep(Quiet);
        var before = broker.ResidentBytes;
        clients.Add(broker.Port, options.Connections, subscriptions: 1);
        Thread.Sleep(Quiet);
        return (broker.ResidentBytes - before) / (double)options.Connections;
    }

    // The broker is in this process, where what it allocates can be read; the generator is not.
    private static async Task<double?> AllocatedAsync(BrokerLoadOptions options, LoadTools tools)
    {
        await using var broker = await MqttBroker.StartAsync(one => one.Listen(0)).ConfigureAwait(false);
        var load = LoadKind.Allocated;
        var port = broker.Addresses[0].Port;
        var messages = FewMessages;
        double? least = null;

        for (var round = 0; round < options.Rounds + 2; round++)
        {
            var before = GC.GetTotalAllocatedBytes(precise: true);

            if (tools.Run(load, port, messages) is null)
                return null;

            var bytes = (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)messages;
            least = Math.Min(least ?? bytes, bytes);
            messages = 5_000_000;
        }

        return least;
    }
}
