using System.Globalization;

namespace Mqtt5.CliTests.Storage;

// A call of the operating system fails, or takes long, while the broker runs with a store; strace injects that. The broker
// goes on, or ends as docs/durability.md says, and nothing that was acknowledged is lost. MQTT5_DISK_FAULTS=N tries the
// first N calls of each kind; without it, a few of them.
public sealed class StoreDiskFaultTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-disk-").FullName;

    public StoreDiskFaultTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "the tracer that injects faults is one of Linux");

    // What the broker does after it.
    public enum Outcome
    {
        Ends,
        GoesOn,
    }

    public static TheoryData<string, string, Outcome> Faults => new()
    {
        { "fsync", "error=EIO", Outcome.Ends },
        { "pwrite64", "error=EIO", Outcome.Ends },
        { "pwrite64", "error=ENOSPC", Outcome.GoesOn },
        { "fsync", "delay_exit=1000000", Outcome.GoesOn },
    };

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Nothing_acknowledged_is_lost_when_a_call_fails(string call, string fault, Outcome outcome)
    {
        var image = await MakeAsync();
        var most = Environment.GetEnvironmentVariable("MQTT5_DISK_FAULTS");
        IEnumerable<int> few = call == "fsync" ? [1, 9] : [2, 30];
        var calls = most is null ? few : Enumerable.Range(1, int.Parse(most, CultureInfo.InvariantCulture));

        foreach (var number in calls)
        {
            var (injected, why) = await RunAsync(image, $"{call}:{fault}:when={number}", outcome);
            Assert.True(injected || most is not null, $"call {number} was never made: {why}");
        }
    }

    [Fact]
    public async Task Nothing_acknowledged_is_lost_while_the_disk_stays_full()
    {
        var image = await MakeAsync();
        Assert.True((await RunAsync(image, "pwrite64:error=ENOSPC:when=40+", Outcome.GoesOn)).Injected);
    }

    // A file may not grow beyond a limit: the write that reaches it is cut short, and the next one fails.
    [Fact]
    public async Task Nothing_acknowledged_is_lost_when_a_write_is_cut_short()
    {
        var store = Copy(await MakeAsync());
        var kibibytes = new DirectoryInfo(store).EnumerateFiles().Max(file => file.Length) / 1024 + 101;
        // The runtime has large files of its own in memory, unless it is told to do without.
        string[] limited = ["bash", "-c", $"export DOTNET_EnableWriteXorExecute=0; trap '' XFSZ; ulimit -f {kibibytes}; exec \"$@\"", "bash"];
        var load = new NumberedLoad();
        var broker = await BrokerProcess.StartUnderAsync(limited, "--port", "0", "--store", store);

        await using (broker)
        {
            await load.PublishAsync(broker.Address, 400, 10, Patience);
            Assert.InRange(load.Acknowledged.Count, 10, 399);
            await AssertEndedAsync(broker, store);
        }

        await AssertKeptAsync(store, load);
    }

    private static async Task AssertEndedAsync(BrokerProcess broker, string store)
    {
        var (exitCode, error) = await broker.EndsWithinAsync(Patience) ?? throw new TimeoutException("the broker goes on after an I/O error");
        Assert.Equal(5, exitCode);
        Assert.Contains($"mqtt5: {store}", error, StringComparison.Ordinal);
        Assert.Contains("the disk failed", error, StringComparison.Ordinal);
    }

    private static async Task AssertKeptAsync(string store, NumberedLoad load)
    {
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--store", store);
        Assert.DoesNotContain(await load.ReceiveAsync(broker.Address), one => one.Key.StartsWith("2/", StringComparison.Ordinal) && one.Value > 1);
        Assert.Equal(0, await broker.StopAsync());
    }

    private async Task<string> MakeAsync()
    {
        Assert.SkipUnless(File.Exists(StoreImage.Tracer), "strace is not installed");
        var image = Path.Combine(folder, "image");
        await StoreImage.MakeAsync(image);
        return image;
    }

    private string Copy(string image)
    {
        var store = Path.Combine(folder, Guid.NewGuid().ToString("N"));
        StoreImage.Copy(image, store);
        return store;
    }

    private async Task<(bool Injected, string Why)> RunAsync(string image, string injection, Outcome outcome)
    {
        var store = Copy(image);
        var log = store + ".log";
        string[] traced = [StoreImage.Tracer, "-D", "-f", "--seccomp-bpf", "-qq", "-e", "signal=none", "-o", log, "-e", $"trace={injection[..injection.IndexOf(':', StringComparison.Ordinal)]}", "-e", $"inject={injection}"];
        var load = new NumberedLoad();
        var why = "";

        try
        {
            await using var broker = await BrokerProcess.StartUnderAsync(traced, "--port", "0", "--store", store);
            await load.PublishAsync(broker.Address, 40, 2, TimeSpan.FromSeconds(injection.EndsWith('+') ? 3 : 20));

            if (!await WasInjectedAsync(log))
                why = "the load was over";
            else if (outcome == Outcome.Ends && load.Acknowledged.Count < 40)
                await AssertEndedAsync(broker, store);
            else if (!injection.EndsWith('+'))
                Assert.Equal(40, load.Acknowledged.Count);

            if (outcome == Outcome.GoesOn)
                Assert.Null(await broker.EndsWithinAsync(TimeSpan.Zero));
        }
        catch (InvalidOperationException refused)
        {
            // It failed before the broker listened. A message that says both is about the index of the log.
            Assert.StartsWith($"mqtt5: {store}", refused.Message, StringComparison.Ordinal);
            Assert.Matches(injection.Contains("ENOSPC", StringComparison.Ordinal) ? "the disk is full" : "the disk failed|the disk is full, or", refused.Message);
        }

        var injected = await WasInjectedAsync(log);
        await AssertKeptAsync(store, load);
        Directory.Delete(store, recursive: true);
        return (injected, why);
    }

    private static async Task<bool> WasInjectedAsync(string log)
    {
        var text = await File.ReadAllTextAsync(log);
        return text.Contains("(INJECTED)", StringComparison.Ordinal) || text.Contains("(DELAYED)", StringComparison.Ordinal);
    }
}
