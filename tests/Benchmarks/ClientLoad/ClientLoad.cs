using System.Diagnostics;
using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>
/// Measures clients against a server that runs already: <c>client --port PORT [--qos 0,1] [--receive] [--messages N]
/// [--window N] [--bytes N] [--rounds N] [--server PROCESS-ID] [--ours]</c>. Ours and MQTTnet's take turns in one run, and the best round of each
/// counts, because other programs can only make one slower.
/// </summary>
internal static class ClientLoad
{
    public static async Task<int> RunAsync(string[] arguments)
    {
        var options = new ClientLoadOptions(arguments);
        Console.WriteLine("| load | client | messages a second | bytes allocated a message | client's processor, us a message | server's processor, % of one |");
        Console.WriteLine("|---|---|---|---|---|---|");

        foreach (var qos in options.QoS)
        {
            await CompareAsync(
                $"publish QoS {qos}, {(qos == 0 ? "one after another" : $"{options.Window} under way")}",
                options,
                client => client.PublishAsync(qos, options)).ConfigureAwait(false);
        }

        if (options.Receive)
        {
            await CompareAsync("receive QoS 0", options, client => client.ReceiveAsync(options)).ConfigureAwait(false);
        }

        return 0;
    }

    private static async Task CompareAsync(string load, ClientLoadOptions options, Func<ILoadedClient, Task> run)
    {
        ILoadedClient[] clients = options.OursAlone ? [new OurClient()] : [new OurClient(), new MqttNetClient()];
        var rates = new double[clients.Length];
        var allocated = new double[clients.Length];
        var work = new double[clients.Length];
        var busy = new double[clients.Length];
        Array.Fill(allocated, double.MaxValue);
        Array.Fill(work, double.MaxValue);

        for (var round = 0; round < options.Rounds; round++)
        {
            for (var index = 0; index < clients.Length; index++)
            {
                await clients[index].ConnectAsync(options.Port).ConfigureAwait(false);
                var before = GC.GetTotalAllocatedBytes(precise: true);
                var workBefore = Environment.CpuUsage.TotalTime;
                var serverBefore = ProcessorTime(options.Server);
                var started = Stopwatch.GetTimestamp();
                await run(clients[index]).ConfigureAwait(false);
                var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
                var worked = Environment.CpuUsage.TotalTime - workBefore;
                var served = ProcessorTime(options.Server) - serverBefore;
                var bytes = GC.GetTotalAllocatedBytes(precise: true) - before;
                await clients[index].DisconnectAsync().ConfigureAwait(false);
                work[index] = Math.Min(work[index], worked.TotalMicroseconds / options.Messages);

                if (options.Messages / seconds > rates[index])
                {
                    rates[index] = options.Messages / seconds;
                    busy[index] = 100 * served.TotalSeconds / seconds;
                }

                allocated[index] = Math.Min(allocated[index], (double)bytes / options.Messages);
            }
        }

        for (var index = 0; index < clients.Length; index++)
        {
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {load} | {clients[index].Name} | {rates[index]:N0} | {allocated[index]:N0} | {work[index]:F2} | {(options.Server is null ? "-" : $"{busy[index]:F0}")} |"));
        }
    }

    private static TimeSpan ProcessorTime(Process? process)
    {
        process?.Refresh();
        return process?.TotalProcessorTime ?? TimeSpan.Zero;
    }
}
