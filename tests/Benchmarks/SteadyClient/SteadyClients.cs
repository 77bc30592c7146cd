using System.Diagnostics;
using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>
/// What a client costs that has little to do, beside MQTTnet and Eclipse Paho in C:
/// <c>steady-client [--rounds N] [--seconds N]</c>.
/// </summary>
internal static class SteadyClients
{
    public const string Send = "send";
    public const string Receive = "receive";
    public const string Incoming = "steady/in";
    public const string Outgoing = "steady/out";

    private const string Paho = "Paho C";
    private const string NoMessages = "none";

    private static readonly TimeSpan Warm = TimeSpan.FromSeconds(15);

    private static readonly (string Role, string Title)[] Roles =
        [(NoMessages, "connected, no messages"), (Send, "10 sent a second, QoS 1"), (Receive, "1,000 received a second, QoS 0")];

    public static int Run(string[] arguments)
    {
        var rounds = Option(arguments, "--rounds", 3);
        var time = TimeSpan.FromSeconds(Option(arguments, "--seconds", 10));
        using var tools = LoadTools.TryBuild();

        if (tools is null)
            return 1;

        var paho = tools.TryBuild("pahoclient", "-lpaho-mqtt3a");
        string[] clients = paho is null ? [BrokerProcess.Ours, BrokerProcess.MqttNet] : [BrokerProcess.Ours, BrokerProcess.MqttNet, Paho];
        using var broker = BrokerProcess.Start(BrokerProcess.Ours, tools, new BrokerLoadOptions([]))!;
        Console.WriteLine($"| share of a core, in percent | {string.Join(" | ", clients)} |");
        Console.WriteLine($"|---|{string.Concat(clients.Select(_ => "---|"))}");

        foreach (var (role, title) in Roles)
        {
            using var feeder = role == Receive ? new Feeder(broker.Port) : null;
            var shares = clients.Select(client => Measure(client, paho, broker.Port, role, rounds, time));
            Console.WriteLine($"| {title} | {string.Join(" | ", shares.Select(share => (100 * share).ToString("0.00", CultureInfo.InvariantCulture)))} |");
        }

        return 0;
    }

    // The median of the rounds.
    private static double Measure(string client, string? paho, int port, string role, int rounds, TimeSpan time)
    {
        var number = port.ToString(CultureInfo.InvariantCulture);
        using var process = client == Paho
            ? Process.Start(paho!, [number, role])
            : Process.Start(Environment.ProcessPath!, ["steady-client-host", client, number, role]);

        try
        {
            // Compilers have come to rest then.
            Thread.Sleep(Warm);
            return Enumerable.Range(0, rounds).Select(_ => Share(process, time)).Order().ElementAt(rounds / 2);
        }
        finally
        {
            process.Kill();
            process.WaitForExit();
        }
    }

    private static double Share(Process process, TimeSpan time)
    {
        var (started, before) = (Stopwatch.GetTimestamp(), Processor(process));
        Thread.Sleep(time);
        return (Processor(process) - before) / Stopwatch.GetElapsedTime(started);
    }

    private static TimeSpan Processor(Process process)
    {
        if (process.HasExited)
            throw new InvalidOperationException($"{process.StartInfo.FileName} ended with exit code {process.ExitCode}");

        process.Refresh();
        return process.TotalProcessorTime;
    }

    private static int Option(string[] arguments, string name, int value) =>
        Array.IndexOf(arguments, name) is >= 0 and var at ? int.Parse(arguments[at + 1], CultureInfo.InvariantCulture) : value;

    // Publishes a message each millisecond.
    private sealed class Feeder : IDisposable
    {
        private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(1);

        private readonly RawMqtt client;
        private readonly Thread thread;
        private volatile bool isStopping;

        public Feeder(int port)
        {
            client = RawMqtt.Connect(port, "feeder");
            thread = new Thread(Publish);
            thread.Start();
        }

        public void Dispose()
        {
            isStopping = true;
            thread.Join();
            client.Dispose();
        }

        private void Publish()
        {
            var packet = RawMqtt.Bytes($"PUBLISH topic=\"{Incoming}\" payload=\"0123456789abcdef\"");
            var started = Stopwatch.GetTimestamp();

            for (var sent = 1L; !isStopping; sent++)
            {
                client.Send(packet);

                while (Stopwatch.GetElapsedTime(started) < sent * Pause)
                    Thread.Sleep(Pause);
            }
        }
    }
}
