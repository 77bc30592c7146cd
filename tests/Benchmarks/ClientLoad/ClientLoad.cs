using System.Diagnostics;
using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>
/// Measures clients against a server that runs already: <c>client --port PORT [--qos 0,1] [--receive] [--messages N]
/// [--window N] [--bytes N] [--rounds N] [--server PROCESS-ID] [--ours]</c>. Ours and MQTTnet's take turns in one run, and
/// the best round of each counts. Above QoS 0 the generator in C takes part as well: it does nothing but send and count,
/// so it shows what the server takes from any client.
/// </summary>
internal static class ClientLoad
{
    // All of one processor, and what the clocks of two processes may differ by.
    private const double OneProcessorPercent = 105;

    public static async Task<int> RunAsync(string[] arguments)
    {
        var options = new ClientLoadOptions(arguments);
        using var tools = options.OursAlone || options.QoS.All(qos => qos == 0) ? null : LoadTools.TryBuild();
        var notes = new List<string>();
        Console.WriteLine("| load | client | messages a second | bytes allocated a message | client's processor, us a message | server's processor, us a message | server's processor, % of one |");
        Console.WriteLine("|---|---|---|---|---|---|---|");

        foreach (var qos in options.QoS)
        {
            var load = $"publish QoS {qos}, {(qos == 0 ? "one after another" : $"{options.Window} under way")}";
            var figures = await CompareAsync(
                load,
                options,
                client => client.PublishAsync(qos, options),
                tools is null || qos == 0 ? [] : Generated(qos, options.Window),
                tools).ConfigureAwait(false);

            if (qos > 0 && Bound(load, figures) is { } note)
                notes.Add(note);
        }

        if (options.Receive)
            await CompareAsync("receive QoS 0", options, client => client.ReceiveAsync(options), [], tools).ConfigureAwait(false);

        foreach (var note in notes)
            Console.WriteLine($"{Environment.NewLine}{note}");

        return 0;
    }

    // Sending for each acknowledgement as it comes, and in runs of half the window.
    private static LoadKind[] Generated(int qos, int window) =>
    [
        new("single", "generator in C, as acknowledged", 1, 0, qos, Window: window),
        new("runs", "generator in C, in runs", 1, 0, qos, Window: window, Refill: Math.Max(1, window / 2)),
    ];

    private static async Task<ClientFigures[]> CompareAsync(
        string load, ClientLoadOptions options, Func<ILoadedClient, Task> run, LoadKind[] generated, LoadTools? tools)
    {
        ILoadedClient[] clients = options.OursAlone ? [new OurClient()] : [new OurClient(), new MqttNetClient()];
        ClientFigures[] figures =
        [
            .. clients.Select(client => new ClientFigures(client.Name)),
            .. generated.Select(kind => new ClientFigures(kind.Title)),
        ];

        for (var round = 0; round < options.Rounds; round++)
        {
            for (var index = 0; index < clients.Length; index++)
                await RunAsync(clients[index], options, run, figures[index]).ConfigureAwait(false);

            for (var index = 0; index < generated.Length; index++)
                Generate(generated[index], options, tools!, figures[clients.Length + index]);
        }

        foreach (var figure in figures)
            Console.WriteLine(figure.Row(load));

        return figures;
    }

    private static async Task RunAsync(
        ILoadedClient client, ClientLoadOptions options, Func<ILoadedClient, Task> run, ClientFigures figures)
    {
        await client.ConnectAsync(options.Port).ConfigureAwait(false);
        var before = GC.GetTotalAllocatedBytes(precise: true);
        var workBefore = Environment.CpuUsage.TotalTime;
        var serverBefore = ProcessorSeconds(options.Server);
        var started = Stopwatch.GetTimestamp();
        await run(client).ConfigureAwait(false);
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var worked = Environment.CpuUsage.TotalTime - workBefore;
        var served = ProcessorSeconds(options.Server) - serverBefore;
        var bytes = GC.GetTotalAllocatedBytes(precise: true) - before;
        await client.DisconnectAsync().ConfigureAwait(false);
        figures.Add(options.Messages, seconds, bytes, worked.TotalSeconds, served);
    }

    private static void Generate(LoadKind kind, ClientLoadOptions options, LoadTools tools, ClientFigures figures)
    {
        var serverBefore = ProcessorSeconds(options.Server);
        var result = tools.Run(kind, options.Port, options.Messages, options.Payload.Length)
            ?? throw new InvalidOperationException($"the {kind.Title} did not come to an end");
        var served = ProcessorSeconds(options.Server) - serverBefore;
        figures.Add(options.Messages, options.Messages / result.Published, null, result.ProcessorSeconds, served);
    }

    // The most that the server can take, from the least that it took of its processor for a message from any client. Nothing
    // can be said of a server that uses more than one.
    private static string? Bound(string load, ClientFigures[] figures)
    {
        var least = figures.Min(figure => figure.ServerMicroseconds);

        if (!double.IsFinite(least) || figures.Any(figure => figure.ServerPercent > OneProcessorPercent))
            return null;

        var most = 1_000_000 / least;
        var ratios = figures.Select(figure => string.Create(CultureInfo.InvariantCulture, $"{most / figure.Rate:F1} times {figure.Name}"));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{load}: at {least:F2} us of its one processor for a message the server serves at most {most:N0} messages a second, {string.Join(", ", ratios)}.");
    }

    private static double? ProcessorSeconds(Process? process)
    {
        process?.Refresh();
        return process?.TotalProcessorTime.TotalSeconds;
    }
}
