using System.Globalization;
using System.Text.Json;

namespace Mqtt5.CliTests.Storage;

// The power fails while the broker runs with a store: what was written and not synced is gone, or a random part of it.
// MQTT5_CRASH_POINTS says at how many points; without it, a few. Each of them is tried both ways.
public sealed class StorePowerLossTests : IDisposable
{
    private const int FewPoints = 5;

    // What a sync takes, beyond the interval after which it begins.
    private static readonly TimeSpan SyncTime = TimeSpan.FromMilliseconds(500);
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-power-").FullName;

    public StorePowerLossTests() => Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists(StoreImage.Tracer), "strace is not installed");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public Task Nothing_acknowledged_is_lost_with_a_sync_for_every_group() => RunAsync(TimeSpan.Zero, "every");

    [Fact]
    public Task At_most_an_interval_is_lost_with_a_sync_each_interval() => RunAsync(TimeSpan.FromMilliseconds(500) + SyncTime, "interval", "--store-sync-interval", "500ms");

    private async Task RunAsync(TimeSpan lost, string mode, params string[] more)
    {
        var image = Path.Combine(folder, "image");
        var store = Path.Combine(folder, "store");
        var log = Path.Combine(folder, "log");
        await StoreImage.MakeAsync(image);
        StoreImage.Copy(image, store);
        var load = new NumberedLoad();
        DateTime ended;

        // Long enough for the changes to be brought to the tables several times.
        await using (var broker = await BrokerProcess.StartUnderAsync(DiskTrace.Tracer(log), ["--port", "0", "--store", store, "--store-sync", mode, .. more]))
        {
            for (var began = DateTime.UtcNow; DateTime.UtcNow - began < TimeSpan.FromSeconds(4);)
                await load.PublishAsync(broker.Address, load.Acknowledged.Count + 1, 50, 8, TimeSpan.FromSeconds(20));

            ended = DateTime.UtcNow;
        }

        var trace = await DiskTrace.ReadAsync(image, store, log);
        Assert.InRange(load.Acknowledged.Count, 100, int.MaxValue);
        Assert.InRange(trace.Times.Count, 100, int.MaxValue);
        var points = int.Parse(Environment.GetEnvironmentVariable("MQTT5_CRASH_POINTS") ?? $"{FewPoints}", CultureInfo.InvariantCulture);
        var random = new Random(points);

        for (var point = 0; point < points; point++)
        {
            // When all is over, or just when a call has begun.
            var time = point == 0 ? ended : trace.Times[random.Next(trace.Times.Count)];

            foreach (var survives in (Random?[])[null, random])
            {
                var crashed = Path.Combine(folder, $"crash-{point}-{survives is null}");
                trace.Crash(time, crashed, survives);
                await AssertKeptAsync(crashed, load.Acknowledged.Where(one => one.Value < time - lost).Select(one => one.Key), $"point {point} at {time:O}");
                Directory.Delete(crashed, recursive: true);
            }
        }
    }

    private static async Task AssertKeptAsync(string store, IEnumerable<string> acknowledged, string where)
    {
        var export = await CommandInProcess.RunAsync("store", "export", store);
        Assert.True(export is { ExitCode: 0, Error: "" }, $"{where}: {export.Error}");
        var kept = export.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonDocument.Parse(line).RootElement)
            .Where(line => line.GetProperty("kind").GetString() == "message")
            .Select(line => line.GetProperty("topic").GetString()!)
            .ToArray();
        Assert.Equal(kept.Length, kept.Distinct().Count());
        var missing = acknowledged.Where(one => !kept.Contains("n/" + one)).ToArray();
        Assert.True(missing.Length == 0, $"{where}: {missing.Length} were lost, {string.Join(", ", missing.Take(5))}");
    }
}
