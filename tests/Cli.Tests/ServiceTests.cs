using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Mqtt5.Cli;

namespace Mqtt5.CliTests;

// The broker as a service of systemd: a socket that stands in for the manager, and the unit file.
public sealed class ServiceTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-service-").FullName;

    public ServiceTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "systemd runs on Linux");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_manager_is_told_when_the_broker_is_ready_alive_reloading_and_stopping(bool isAbstract)
    {
        var path = Path.Combine(folder, "notify");
        var name = isAbstract ? "@" + path : path;
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        manager.Bind(new UnixDomainSocketEndPoint(isAbstract ? '\0' + path : path));
        using var broker = Start(new() { [ServiceManager.SocketVariable] = name, [ServiceManager.WatchdogVariable] = "400000" }, "--port", "0");

        var ready = await ReceiveAsync(manager, "READY=1");
        Assert.StartsWith("READY=1\nSTATUS=listening mqtt://127.0.0.1:", ready, StringComparison.Ordinal);
        // Not only once.
        var beats = Stopwatch.StartNew();
        for (var beat = 0; beat < 3; beat++)
            Assert.Equal("WATCHDOG=1", await ReceiveAsync(manager, "WATCHDOG=1"));

        Assert.True(beats.Elapsed > TimeSpan.FromMilliseconds(200), "every half of the limit, not more often");
        await broker.SignalAsync("HUP");
        var reloading = await ReceiveAsync(manager, "RELOADING=1");
        Assert.True(long.Parse(reloading["RELOADING=1\nMONOTONIC_USEC=".Length..], System.Globalization.CultureInfo.InvariantCulture) > 0);
        await ReceiveAsync(manager, "READY=1");
        await broker.SignalAsync("TERM");
        await ReceiveAsync(manager, "STOPPING=1");
        await broker.Process.WaitForExitAsync().WaitAsync(Patience);
        Assert.Equal(0, broker.Process.ExitCode);
    }

    [Theory]
    [InlineData("400000", "1")] // The time limit is that of another process.
    [InlineData("0", null)]
    [InlineData("-1", null)]
    [InlineData("soon", null)]
    [InlineData(null, null)]
    public async Task Without_a_time_limit_of_its_own_the_watchdog_is_told_nothing(string? limit, string? process)
    {
        var path = Path.Combine(folder, "notify");
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        manager.Bind(new UnixDomainSocketEndPoint(path));
        var environment = new Dictionary<string, string> { [ServiceManager.SocketVariable] = path };

        if (limit is not null)
            environment[ServiceManager.WatchdogVariable] = limit;

        if (process is not null)
            environment["WATCHDOG_PID"] = process;

        using var broker = Start(environment, "--port", "0");
        await ReceiveAsync(manager, "READY=1");
        await broker.SignalAsync("TERM");
        Assert.StartsWith("STOPPING=1", await ReceiveAsync(manager, ""), StringComparison.Ordinal);
        await broker.Process.WaitForExitAsync().WaitAsync(Patience);
    }

    [Fact]
    public async Task A_manager_that_is_gone_does_not_keep_the_broker_from_serving()
    {
        var environment = new Dictionary<string, string>
        {
            [ServiceManager.SocketVariable] = Path.Combine(folder, "nothing"),
            [ServiceManager.WatchdogVariable] = "20000",
        };
        using var broker = Start(environment, "--port", "0");
        var address = (await broker.ReadLineAsync())["listening ".Length..];
        await using (await MqttClient.ConnectAsync(address).WaitAsync(Patience))
            await broker.SignalAsync("TERM");

        await broker.Process.WaitForExitAsync().WaitAsync(Patience);
        Assert.Equal(0, broker.Process.ExitCode);
    }

    [Fact]
    public async Task The_unit_file_is_one_that_systemd_takes()
    {
        var unit = GuidePages.Read("deploy/systemd/mqtt5.service");
        Assert.Contains("\nType=notify\n", unit, StringComparison.Ordinal);
        Assert.Contains("\nWatchdogSec=", unit, StringComparison.Ordinal);
        Assert.SkipUnless(File.Exists("/usr/bin/systemd-analyze"), "systemd-analyze is not installed");
        // The command of the unit has to exist.
        var copy = Path.Combine(folder, "mqtt5.service");
        await File.WriteAllTextAsync(copy, unit.Replace("/usr/local/bin/mqtt5", "/bin/sh", StringComparison.Ordinal));
        Assert.Equal((0, ""), await AnalyzeAsync(copy));
        // What is wrong would be seen.
        await File.WriteAllTextAsync(copy, unit.Replace("ProtectHome=true", "ProtectHome=perhaps", StringComparison.Ordinal));
        Assert.NotEqual((0, ""), await AnalyzeAsync(copy));
    }

    private static CommandProcess Start(Dictionary<string, string> environment, params string[] arguments) =>
        CommandProcess.StartWith(environment, ["broker", .. arguments]);

    // The next message that begins so.
    private static async Task<string> ReceiveAsync(Socket manager, string start)
    {
        var buffer = new byte[4_096];

        while (true)
        {
            var count = await manager.ReceiveAsync(buffer).WaitAsync(Patience);
            var message = Encoding.UTF8.GetString(buffer, 0, count);

            if (message.StartsWith(start, StringComparison.Ordinal))
                return message;
        }
    }

    private static async Task<(int ExitCode, string Output)> AnalyzeAsync(string unit)
    {
        var start = new ProcessStartInfo("/usr/bin/systemd-analyze", ["verify", "--man=no", unit]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(Patience);
        return (process.ExitCode, await output + await error);
    }
}
