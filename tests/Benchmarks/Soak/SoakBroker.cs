using System.Diagnostics;
using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>
/// The broker of a soak, in a process of its own so that its memory is nobody else's. It prints its port, and answers a
/// line <c>memory</c> with the bytes that live after a collection and the bytes of the process; <c>kick ID</c> ends a
/// connection; the end of its input ends it.
/// </summary>
internal sealed class SoakBroker : IAsyncDisposable
{
    private readonly Process process;

    private SoakBroker(Process process, int port)
    {
        this.process = process;
        Port = port;
    }

    public int Port { get; }

    /// <summary>What the process of the broker does.</summary>
    public static async Task<int> ServeAsync()
    {
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.Listen(0);
            // No message of a client that comes back may be lost to a limit.
            options.Limits.QueuedMessages = 1_000_000;
            options.Limits.QueuedBytes = 256 * 1024 * 1024;
        }).ConfigureAwait(false);
        Console.WriteLine(Text(broker.Addresses[0].Port));

        while (await Console.In.ReadLineAsync().ConfigureAwait(false) is { } line)
        {
            if (line == "memory")
            {
                var live = GC.GetTotalMemory(forceFullCollection: true);
                Console.WriteLine($"{Text(live)} {Text(Environment.WorkingSet)}");
            }
            else
            {
                broker.Disconnect(line["kick ".Length..], ReasonCode.ServerBusy);
            }
        }

        return 0;
    }

    public static async Task<SoakBroker> StartAsync()
    {
        var process = Process.Start(new ProcessStartInfo("dotnet", [typeof(SoakBroker).Assembly.Location, "soak-broker"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        var port = await process.StandardOutput.ReadLineAsync().ConfigureAwait(false)
            ?? throw new InvalidOperationException("the broker does not start");
        return new SoakBroker(process, int.Parse(port, CultureInfo.InvariantCulture));
    }

    /// <summary>The bytes that live after a collection, and those of the process.</summary>
    public async Task<(long Live, long WorkingSet)> MeasureAsync()
    {
        await process.StandardInput.WriteLineAsync("memory").ConfigureAwait(false);
        var line = await process.StandardOutput.ReadLineAsync().ConfigureAwait(false)
            ?? throw new InvalidOperationException("the broker is gone");
        var parts = line.Split(' ');
        return (long.Parse(parts[0], CultureInfo.InvariantCulture), long.Parse(parts[1], CultureInfo.InvariantCulture));
    }

    public Task KickAsync(string clientId) => process.StandardInput.WriteLineAsync($"kick {clientId}");

    public async ValueTask DisposeAsync()
    {
        process.StandardInput.Close();
        await process.WaitForExitAsync().ConfigureAwait(false);
        process.Dispose();
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
