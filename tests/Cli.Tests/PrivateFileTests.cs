using System.Runtime.Versioning;
using Mqtt5.Tests;

namespace Mqtt5.CliTests;

// Traces and captures are confidential, since they contain MQTT traffic.
[UnsupportedOSPlatform("windows")]
public sealed class PrivateFileTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    [Theory]
    [InlineData("trace", false)]
    [InlineData("trace", true)]
    [InlineData("replay", false)]
    [InlineData("replay", true)]
    [ShowsOption("trace", "--write", "--pcapng", "--listen", "--connections")]
    [ShowsOption("replay", "--write", "--pcapng")]
    public async Task Traces_and_captures_are_for_their_owner_only(string verb, bool isThere)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "files have no modes");
        var source = fixture.FilePath($"{verb}-{isThere}-source.trace");
        var trace = fixture.FilePath($"{verb}-{isThere}.trace");
        var capture = fixture.FilePath($"{verb}-{isThere}.pcapng");
        await RecordAsync(source);
        Assert.Equal(OwnerOnly, File.GetUnixFileMode(source));

        foreach (var file in isThere ? [trace, capture] : Array.Empty<string>())
        {
            await File.WriteAllTextAsync(file, "older");
            File.SetUnixFileMode(file, OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        }

        string[] server = verb == "replay" ? [$"mqtt://127.0.0.1:{fixture.Port}"] : [];
        var run = await CommandInProcess.RunAsync([verb, source, .. server, "--write", trace, "--pcapng", capture]);
        Assert.Equal("", run.Error);
        Assert.Equal(0, run.ExitCode);
        Assert.Equal(OwnerOnly, File.GetUnixFileMode(trace));
        Assert.Equal(OwnerOnly, File.GetUnixFileMode(capture));
        Assert.DoesNotContain("older", await File.ReadAllTextAsync(trace), StringComparison.Ordinal);
    }

    // A client connected through a proxy.
    private async Task RecordAsync(string file)
    {
        using var process = CommandProcess.Start("trace", "--listen", "0", "--connections", "1", $"mqtt://127.0.0.1:{fixture.Port}", "--write", file);
        var line = await process.ReadLineAsync();
        var client = MqttClientOptions.For(line.Split(' ', ',')[1]);
        client.Reconnect = null;
        await using (await MqttClient.ConnectAsync(client))
        {
        }

        Assert.Equal(0, (await process.FinishAsync()).ExitCode);
    }

    [Fact]
    public async Task A_device_keeps_its_mode()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "files have no modes");
        var before = File.GetUnixFileMode("/dev/null");
        var source = fixture.FilePath("device.trace");
        await File.WriteAllTextAsync(source, Mqtt5.Verification.TraceText.Heading + "\n");
        Assert.Equal(0, (await CommandInProcess.RunAsync("trace", source, "--write", "/dev/null")).ExitCode);
        Assert.Equal(before, File.GetUnixFileMode("/dev/null"));
    }
}
