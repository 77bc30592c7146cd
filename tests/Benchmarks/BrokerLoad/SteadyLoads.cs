using System.Globalization;
using System.Text.Json;

namespace Mqtt5.Benchmarks;

/// <summary>
/// The loads that show what a broker costs when it is not at its limit: at a steady rate, while clients connect, in its
/// first second, and with clients that do nothing. They are run only when they are named. The processor of a broker is
/// the system's counter of its process, which the generator reads at the beginning and the end of what is measured.
/// </summary>
internal static class SteadyLoads
{
    public const string Cost = "cost";
    public const string Connect = "connect";
    public const string FirstSecond = "first-second";
    public const string Idle = "idle";

    private const int StormConnections = 5_000;
    private const int StormTimes = 3;
    private const int IdleConnections = 10_000;
    // What connecting loads and compiles is there before memory is taken.
    private const int ConnectionsBefore = 1_000;
    private const int ColdSeconds = 6;
    private const int WarmFrom = 3;
    private const double EnoughOfRate = 0.97;

    // Ours collects once it is quiet.
    private const string QuietSeconds = "12";

    private static readonly int[] Rates = [100, 1_000, 5_000, 10_000, 0];

    /// <summary>Adds what steady rates cost: QoS 1, 10 pairs, payloads of 16 bytes.</summary>
    public static void AddCost(LoadTable table, List<BrokerProcess> brokers, BrokerLoadOptions options, LoadTools tools)
    {
        // The relay knows no acknowledgements.
        var all = brokers.Where(broker => broker.Name != BrokerProcess.Relay).ToList();

        foreach (var broker in all)
            Run(broker, Rates.Max(), options.WarmSeconds)?.Dispose();

        foreach (var rate in Rates)
        {
            var title = string.Create(CultureInfo.InvariantCulture, $"{rate:N0} messages/s, QoS 1, 10 pairs");
            var samples = InTurns(options, all.Select(broker => broker.Name), name =>
            {
                using var json = Run(all.First(broker => broker.Name == name), rate, options.SecondsOr(5));

                if (json?.RootElement is not { } result)
                    return null;

                var times = LoadTools.ResultOf(result);
                var share = Number(result, "watched_share");
                Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{title}: {name} {share:0.0000} of a core, p50 {times.Median:0.000} p99 {times.Percentile99:0.000} p99.9 {times.Percentile999:0.000} ms; generator {Number(result, "gen_share"):0.00} of a core"));

                // Then the figures are those of another load.
                if (rate > 0 && times.Delivered < EnoughOfRate * rate)
                    Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{title}: {name} delivered only {times.Delivered:N0} a second"));

                return [share, times.Median, times.Percentile99, times.Percentile999];
            });
            Add(table, $"share of a core at {title}", LoadUnit.Fine, samples, 0);

            if (rate == 0)
                continue;

            Add(table, $"p50 in ms at {title}", LoadUnit.Fine, samples, 1);
            Add(table, $"p99 in ms at {title}", LoadUnit.Fine, samples, 2);
            Add(table, $"p99.9 in ms at {title}", LoadUnit.Fine, samples, 3);
        }

        JsonDocument? Run(BrokerProcess broker, int rate, double seconds)
        {
            string[] arguments =
            [
                .. Common(broker), "--mode", "pair", "--pubs", "10", "--qos", "1", "--size", "16", "--settle", "0.5",
                "--for", seconds.ToString(CultureInfo.InvariantCulture), "--wait", options.Wait,
                .. rate > 0 ? ["--rate", rate.ToString(CultureInfo.InvariantCulture)] : new[] { "--msgs", "0" },
            ];
            return LoadTools.Measure(tools.Generator, $"{broker.Name}, {rate} messages/s", arguments);
        }
    }

    /// <summary>Adds what it takes to connect, in a process that has just begun and in one that is warm.</summary>
    public static void AddConnect(LoadTable table, BrokerLoadOptions options, LoadTools tools)
    {
        var samples = InTurns(options, table.Brokers, name =>
        {
            using var broker = BrokerProcess.Start(name, tools, options);
            using var json = broker is null ? null : LoadTools.Measure(
                tools.Connections,
                $"{name}, connections",
                [.. Common(broker), "--mode", "connect", "--count", Text(StormConnections), "--times", Text(StormTimes), "--settle", "1"]);

            if (json is null)
                return null;

            var rates = Numbers(json.RootElement, "connects_s");
            var costs = Numbers(json.RootElement, "connect_cpu_us");
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"connections: {name} {string.Join(", ", rates.Select(rate => rate.ToString("N0", CultureInfo.InvariantCulture)))} a second, {string.Join(", ", costs.Select(cost => cost.ToString("0", CultureInfo.InvariantCulture)))} us of the broker's processor each"));
            return [rates[0], rates[^1], costs[0], costs[^1]];
        });
        var title = string.Create(CultureInfo.InvariantCulture, $"{StormConnections:N0} connections");
        Add(table, $"connects a second, {title}, the first time", LoadUnit.Rate, samples, 0);
        Add(table, $"connects a second, {title}, the third time", LoadUnit.Rate, samples, 1);
        Add(table, $"processor for a connect in us, {title}, the first time", LoadUnit.Microseconds, samples, 2);
        Add(table, $"processor for a connect in us, {title}, the third time", LoadUnit.Microseconds, samples, 3);
    }

    /// <summary>Adds the rate of the first second after the start, and of later ones.</summary>
    public static void AddFirstSecond(LoadTable table, BrokerLoadOptions options, LoadTools tools)
    {
        // The relay knows no acknowledgements.
        var samples = InTurns(options, table.Brokers.Where(name => name != BrokerProcess.Relay), name =>
        {
            using var broker = BrokerProcess.Start(name, tools, options);
            using var json = broker is null ? null : LoadTools.Measure(
                tools.Generator,
                $"{name}, first second",
                [.. Common(broker), "--mode", "pair", "--pubs", "1", "--qos", "1", "--size", "16", "--for", Text(ColdSeconds)]);

            if (json is null)
                return null;

            var seconds = Numbers(json.RootElement, "by_second");
            var later = seconds.Skip(WarmFrom).Take(ColdSeconds - WarmFrom).Average();
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"QoS 1, 1 to 1, by the second: {name} {string.Join(", ", seconds.Select(one => one.ToString("N0", CultureInfo.InvariantCulture)))}"));
            return [seconds[0], later, seconds[0] / later];
        });
        Add(table, "QoS 1, 1 to 1, first second after the start", LoadUnit.Rate, samples, 0);
        Add(table, "QoS 1, 1 to 1, fourth to sixth second", LoadUnit.Rate, samples, 1);
        Add(table, "QoS 1, 1 to 1, first second in proportion to the fourth to sixth", LoadUnit.Number, samples, 2);
    }

    /// <summary>Adds what connections cost that do nothing.</summary>
    public static void AddIdle(LoadTable table, BrokerLoadOptions options, LoadTools tools)
    {
        // The relay has a large buffer for each connection.
        var samples = InTurns(options, table.Brokers.Where(name => name != BrokerProcess.Relay), name =>
        {
            using var broker = BrokerProcess.Start(name, tools, options);
            using var json = broker is null ? null : LoadTools.Measure(
                tools.Connections,
                $"{name}, idle connections",
                [
                    .. Common(broker), "--mode", "idle", "--count", Text(IdleConnections), "--first", Text(ConnectionsBefore),
                    "--settle", QuietSeconds, "--for", options.SecondsOr(10).ToString(CultureInfo.InvariantCulture),
                ]);

            if (json is null)
                return null;

            double[] figures = [Number(json.RootElement, "watched_share"), Number(json.RootElement, "bytes_a_connection")];
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"idle connections: {name} {figures[0]:0.0000} of a core, {figures[1] / 1024:0.00} KB each"));
            return figures;
        });
        var title = string.Create(CultureInfo.InvariantCulture, $"{IdleConnections:N0} idle connections");
        Add(table, $"share of a core with {title}", LoadUnit.Fine, samples, 0);
        Add(table, $"KB an idle connection, from {ConnectionsBefore:N0} to {IdleConnections:N0}", LoadUnit.Kilobytes, samples, 1);
    }

    // The figures of each round of each broker. One that fails in a round has no figures at all.
    private static Dictionary<string, List<double[]>> InTurns(
        BrokerLoadOptions options, IEnumerable<string> brokers, Func<string, double[]?> measure)
    {
        var samples = brokers.ToDictionary(name => name, _ => new List<double[]>());

        for (var round = 0; round < options.Rounds; round++)
        {
            foreach (var name in samples.Keys.ToArray())
            {
                if (measure(name) is { } figures)
                    samples[name].Add(figures);
                else
                    samples.Remove(name);
            }
        }

        return samples;
    }

    private static void Add(LoadTable table, string title, LoadUnit unit, Dictionary<string, List<double[]>> samples, int figure) =>
        table.Add(
            title,
            unit,
            name => samples.TryGetValue(name, out var rounds) ? [.. rounds.Select(figures => figures[figure])] : null,
            LoadTable.Median);

    private static string[] Common(BrokerProcess broker) => ["--port", Text(broker.Port), "--watch", Text(broker.ProcessId)];

    private static double Number(JsonElement result, string name) => result.GetProperty(name).GetDouble();

    private static double[] Numbers(JsonElement result, string name) =>
        [.. result.GetProperty(name).EnumerateArray().Select(one => one.GetDouble())];

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
