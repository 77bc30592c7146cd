using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>
/// The broker of a soak, in a process of its own so that its memory can be measured alone. It prints its port, and answers a
/// line <c>memory</c> with a <see cref="SoakSample"/>; <c>kick ID</c> ends a connection; the end of its input ends it.
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
        var values = new Dictionary<string, long>();
        using var meters = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument is { Meter.Name: "Mqtt5", IsObservable: true })
                    listener.EnableMeasurementEvents(instrument);
            },
        };
        meters.SetMeasurementEventCallback<long>((instrument, value, _, _) => values[instrument.Name] = value);
        meters.Start();
        Console.WriteLine(broker.Addresses[0].Port.ToString(CultureInfo.InvariantCulture));

        while (await Console.In.ReadLineAsync().ConfigureAwait(false) is { } line)
        {
            if (line == "memory")
            {
                meters.RecordObservableInstruments();
                GC.Collect();
                // What outlived this collection, and nothing that was allocated since.
                var memory = GC.GetGCMemoryInfo(GCKind.FullBlocking);
                var sample = new SoakSample(
                    memory.HeapSizeBytes - memory.FragmentedBytes,
                    Environment.WorkingSet,
                    values["mqtt5.broker.sessions"],
                    values["mqtt5.broker.subscriptions"],
                    values["mqtt5.broker.retained"],
                    values["mqtt5.broker.queued.size"],
                    values["mqtt5.broker.dropped"]);
                Console.WriteLine(sample.Line);
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

    /// <summary>What it holds now.</summary>
    public async Task<SoakSample> MeasureAsync()
    {
        await process.StandardInput.WriteLineAsync("memory").ConfigureAwait(false);
        var line = await process.StandardOutput.ReadLineAsync().ConfigureAwait(false)
            ?? throw new InvalidOperationException("the broker is gone");
        return SoakSample.Of(line);
    }

    public Task KickAsync(string clientId) => process.StandardInput.WriteLineAsync($"kick {clientId}");

    public async ValueTask DisposeAsync()
    {
        process.StandardInput.Close();
        await process.WaitForExitAsync().ConfigureAwait(false);
        process.Dispose();
    }
}
