namespace Mqtt5.Benchmarks;

/// <summary>
/// Measures brokers side by side in one run: <c>broker [--brokers NAMES] [--loads NAMES] [--rounds N] [--seconds N]
/// [--connections N]</c>. They take turns in each load, and the best round of each counts, because other programs can
/// only make one slower. Prints a table in Markdown.
/// </summary>
internal static class BrokerLoad
{
    private const int WarmUpMessages = 20_000;
    private const int ConnectionsBefore = 500;
    private const int IdleConnections = 2_000;
    private const int IdleSubscriptions = 100_000;

    // Memory is taken after a while without any work, as it is with clients that are idle.
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(12);

    private static readonly string[] All =
        [BrokerProcess.Relay, BrokerProcess.Mosquitto, BrokerProcess.MqttNet, BrokerProcess.Ours];

    public static async Task<int> RunAsync(string[] arguments)
    {
        var options = new BrokerLoadOptions(arguments);
        using var tools = Tools();

        if (tools is null)
            return 1;

        var table = new LoadTable([.. All.Where(name => options.Brokers?.Contains(name) ?? true)]);
        var brokers = new List<BrokerProcess>();

        try
        {
            foreach (var name in table.Brokers)
            {
                if (BrokerProcess.Start(name, tools) is { } broker)
                    brokers.Add(broker);
                else
                    Console.Error.WriteLine($"{name} is not installed");
            }

            foreach (var load in LoadKind.Rates.Where(options.Wants))
                table.AddRates(load.Title, brokers, broker => Rate(load, broker, options, tools));

            if (options.Wants(LoadKind.Latency))
                AddLatency(table, brokers, options, tools);
        }
        finally
        {
            brokers.ForEach(broker => broker.Dispose());
        }

        // A broker with nothing behind it, so that its memory is that of the idle connections.
        if (options.Wants(LoadKind.Memory))
            table.AddBytes(LoadKind.Memory.Title, name => Alone(name, tools, broker => Memory(broker, options)));

        if (options.Wants(LoadKind.Idle))
            table.AddRates(LoadKind.Idle.Title, name => Alone(name, tools, broker => BesideIdle(broker, options, tools)));

        await Console.Out.WriteAsync(table.ToString()).ConfigureAwait(false);
        return 0;
    }

    private static LoadTools? Tools()
    {
        try
        {
            return new LoadTools();
        }
        catch (InvalidOperationException exception)
        {
            Console.Error.WriteLine(exception.Message);
            return null;
        }
    }

    // The relay knows no acknowledgements.
    private static bool Takes(BrokerProcess broker, LoadKind load) => broker.Name != BrokerProcess.Relay || load.QoS == 0;

    private static double? Rate(LoadKind load, BrokerProcess broker, BrokerLoadOptions options, LoadTools tools)
    {
        if (!Takes(broker, load))
            return null;

        var pace = tools.Run(load, broker.Port, WarmUpMessages / load.Publishers);
        double? best = null;

        for (var round = 0; round < options.Rounds && pace is not null; round++)
        {
            var messages = (long)Math.Max(WarmUpMessages, pace.Published * options.Seconds) / load.Publishers;
            pace = tools.Run(load, broker.Port, messages);

            if (pace is not null)
                best = Math.Max(best ?? 0, pace.Delivered);
        }

        return best;
    }

    private static void AddLatency(
        LoadTable table, List<BrokerProcess> brokers, BrokerLoadOptions options, LoadTools tools)
    {
        var load = LoadKind.Latency;
        var best = new Dictionary<string, LoadResult>();
        var messages = (long)(load.Rate * options.Seconds) / load.Publishers;

        for (var round = 0; round < options.Rounds; round++)
        {
            foreach (var broker in brokers.Where(broker => Takes(broker, load)))
            {
                if (tools.Run(load, broker.Port, messages) is { } result
                    && (!best.TryGetValue(broker.Name, out var known) || result.Percentile99 < known.Percentile99))
                {
                    best[broker.Name] = result;
                }
            }
        }

        table.AddTimes($"p50 in ms at {load.Title}", name => best.GetValueOrDefault(name)?.Median);
        table.AddTimes($"p99 in ms at {load.Title}", name => best.GetValueOrDefault(name)?.Percentile99);
    }

    private static double? Alone(string name, LoadTools tools, Func<BrokerProcess, double?> measure)
    {
        // The relay has a large buffer for each connection and no subscriptions.
        if (name == BrokerProcess.Relay)
            return null;

        using var broker = BrokerProcess.Start(name, tools);
        return broker is null ? null : measure(broker);
    }

    private static double? Memory(BrokerProcess broker, BrokerLoadOptions options)
    {
        using var clients = new IdleClients();
        clients.Add(broker.Port, ConnectionsBefore, subscriptions: 1);
        Thread.Sleep(Quiet);
        var before = broker.ResidentBytes;
        clients.Add(broker.Port, options.Connections, subscriptions: 1);
        Thread.Sleep(Quiet);
        return (broker.ResidentBytes - before) / (double)options.Connections;
    }

    private static double? BesideIdle(BrokerProcess broker, BrokerLoadOptions options, LoadTools tools)
    {
        using var clients = new IdleClients();
        clients.Add(broker.Port, IdleConnections, IdleSubscriptions / IdleConnections);
        return Rate(LoadKind.Idle, broker, options, tools);
    }
}
