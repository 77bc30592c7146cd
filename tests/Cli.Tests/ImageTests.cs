using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;

namespace Mqtt5.CliTests;

// What the image holds, without an engine for containers: in a root of its own that is read-only but for /data, as the user
// of the image. MQTT5_IMAGE_PUBLISHED names the folder of a native publish; without it, the built command runs on the
// runtime of the tests, which is mounted beside it.
public sealed class ImageTests : IAsyncDisposable
{
    private const string PublishedVariable = "MQTT5_IMAGE_PUBLISHED";
    private const string User = "1654";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-image-").FullName;
    private readonly string? published = Environment.GetEnvironmentVariable(PublishedVariable);
    private Process? process;

    private string Root => Path.Combine(folder, "root");

    [Fact]
    public async Task The_image_serves_read_only_and_without_rights_and_drains_at_SIGTERM()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "it needs mount namespaces of Linux");
        Assert.SkipUnless(Environment.UserName == "root", "it needs root, to mount and to change the user");
        Assert.SkipUnless(File.Exists("/usr/bin/unshare") && File.Exists("/usr/sbin/chroot"), "it needs unshare and chroot");

        await RunAsync(Path.Combine(GuidePages.Root, "deploy/container/make-root"), published ?? Path.GetDirectoryName(CommandProcess.Assembly)!, Root);
        Assert.Equal(0, (await CommandProcess.RunAsync("secret\n"u8.ToArray(), "passwd", Path.Combine(Root, "etc/mqtt5/passwords"), "anna")).ExitCode);
        await RunAsync("/bin/chmod", "0644", Path.Combine(Root, "etc/mqtt5/passwords"));

        var (address, admin) = await StartAsync();
        await AssertConfinedAsync();
        using (var http = new HttpClient())
            Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(new Uri(admin + "/health/ready")).WaitAsync(Patience)).StatusCode);

        // The health check of the image, as it stands in the Containerfile.
        Assert.Contains("CMD [\"/opt/mqtt5/mqtt5\", \"ctl\", \"health\"]", GuidePages.Read("deploy/container/Containerfile"), StringComparison.Ordinal);
        using (var check = Process.Start(Command("ctl", "health", "--url", admin))!)
        {
            await check.WaitForExitAsync().WaitAsync(Patience);
            Assert.Equal(0, check.ExitCode);
        }

        await using var client = await ConnectAsync(address);
        await client.PublishAsync(new MqttMessage { Topic = "kept", Text = "here", QoS = QoS.AtLeastOnce, Retain = true });
        var lost = new TaskCompletionSource<ReasonCode?>(TaskCreationOptions.RunContinuationsAsynchronously);
        client.Disconnected += (_, loss) => lost.TrySetResult(loss.Cause?.Reason);
        Assert.Equal(0, await StopAsync());
        Assert.Equal(ReasonCode.ServerShuttingDown, await lost.Task.WaitAsync(Patience));

        // A new container with the same volume has what was acknowledged.
        (address, _) = await StartAsync();
        await using var later = await ConnectAsync(address);
        await using var kept = await later.SubscribeAsync("kept");
        Assert.Equal("here", (await Receiver.NextAsync(kept)).Text);
        Assert.Equal(0, await StopAsync());
    }

    public async ValueTask DisposeAsync()
    {
        if (process is { HasExited: false })
        {
            process.Kill();
            await process.WaitForExitAsync().WaitAsync(Patience);
        }

        process?.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private static Task<MqttClient> ConnectAsync(Uri address)
    {
        var options = MqttClientOptions.For(new UriBuilder(address) { Host = "127.0.0.1" }.Uri);
        options.Credentials = MqttCredentials.Of("anna", "secret");
        options.Reconnect = null;
        return MqttClient.ConnectAsync(options).WaitAsync(Patience);
    }

    private static async Task RunAsync(string command, params string[] arguments)
    {
        using var one = Process.Start(command, arguments);
        await one.WaitForExitAsync().WaitAsync(Patience);
        Assert.Equal(0, one.ExitCode);
    }

    private async Task<(Uri Address, string Admin)> StartAsync()
    {
        process?.Dispose();
        process = Process.Start(Command("broker", "--config", "/etc/mqtt5/broker.json", "--port", "0", "--admin-port", "0"))!;
        var error = process.StandardError.ReadToEndAsync();
        var listening = await process.StandardOutput.ReadLineAsync().WaitAsync(Patience);
        Assert.True(listening is not null, listening is null ? await error.WaitAsync(Patience) : "");
        var admin = await process.StandardOutput.ReadLineAsync().WaitAsync(Patience);
        return (new Uri(listening!["listening ".Length..]), admin!["admin ".Length..]);
    }

    private async Task<int> StopAsync()
    {
        await RunAsync("/bin/kill", "-TERM", $"{process!.Id}");
        await process.WaitForExitAsync().WaitAsync(Patience);
        return process.ExitCode;
    }

    // Not root, without rights, and nothing but /data can be written.
    private async Task AssertConfinedAsync()
    {
        var status = await File.ReadAllLinesAsync($"/proc/{process!.Id}/status");
        Assert.Contains(status, line => line.StartsWith($"Uid:\t{User}\t{User}\t{User}\t{User}", StringComparison.Ordinal));
        Assert.Contains("CapEff:\t0000000000000000", status);
        // As the process sees it, and even for root.
        var seen = $"/proc/{process.Id}/root";
        Assert.Throws<IOException>(() => File.WriteAllText(seen + "/etc/mqtt5/broker.json", "{}"));
        Assert.Throws<IOException>(() => File.WriteAllText(seen + "/opt/mqtt5/new", ""));
        Assert.True(File.Exists(seen + "/data/store/journal.db"));
    }

    // The command of the image: every step replaces the one before, so the process is the broker in the end.
    private ProcessStartInfo Command(params string[] arguments)
    {
        var runtime = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        string[] program = published is null ? ["/dotnet/dotnet", "/opt/mqtt5/mqtt5.dll"] : ["/opt/mqtt5/mqtt5"];
        var script = $$"""
            set -e
            root=$1; runtime=$2; shift 2
            mount --bind "$root" "$root"
            for place in usr proc dev data{{(published is null ? " dotnet" : "")}}; do mkdir -p "$root/$place"; done
            for link in lib lib64; do [ -L "$root/$link" ] || ln -s "usr/$link" "$root/$link"; done
            mount --rbind /usr "$root/usr"
            mount --rbind /proc "$root/proc"
            mount --rbind /dev "$root/dev"
            [ ! -d "$root/dotnet" ] || mount --bind "$runtime" "$root/dotnet"
            mount --bind "$root/data" "$root/data"
            mount -o remount,bind,ro "$root"
            exec chroot --userspec={{User}}:{{User}} "$root" "$@"
            """;
        var start = new ProcessStartInfo(
            "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", script, "sh", Root, runtime, .. program, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Clear();
        return start;
    }
}
