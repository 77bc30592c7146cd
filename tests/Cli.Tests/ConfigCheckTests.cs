using System.Net;
using System.Net.Sockets;
using Mqtt5.Tests;

namespace Mqtt5.CliTests;

// mqtt5 broker --check-config: the answer of a start, without one.
public sealed class ConfigCheckTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-check-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    [ShowsOption("broker", "--check-config")]
    public async Task A_configuration_that_can_be_used_is_one_and_nothing_is_started_or_made()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        await WriteAsync("rules", "everyone\nallow all #\n");
        await WriteAsync("broker.json", $$"""{"port":{{port}},"access-file":"rules","admin-port":0,"admin-token-file":"tokens","store":"store"}""");
        var outcome = await CommandInProcess.RunAsync("broker", "--config", Path.Combine(folder, "broker.json"), "--check-config");
        Assert.Equal((0, "the configuration can be used\n", ""), (outcome.ExitCode, outcome.Output, outcome.Error));
        Assert.Equal(["broker.json", "rules"], Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName).Order());
    }

    [Theory]
    [InlineData("""{"prot":1}""", "", "broker.json: prot: there is no such setting")]
    [InlineData("""{"port":"many"}""", "", "broker.json: port: ")]
    [InlineData("""{"access-file":"rules"}""", "everyone\nallow nothing here\n", "access-file: {0}/rules: line 2")]
    [InlineData("""{"access-file":"absent"}""", "", "access-file: {0}/absent: ")]
    [InlineData("""{"password-file":"rules"}""", "anna:pbkdf2-sha512:x\n", "password-file: {0}/rules: line 1")]
    [InlineData("""{"tls-port":0}""", "", "tls-port needs cert")]
    [InlineData("""{"tls-port":0,"cert":"rules"}""", "nothing", "cert: {0}/rules: ")]
    [InlineData("""{"host":"0.0.0.0"}""", "", "--host: 0.0.0.0 is not a loopback address")]
    [InlineData("""{"admin-port":0,"admin-token-file":"rules"}""", "viewer short", "admin-token-file: {0}/rules: ")]
    [InlineData("""{"store":"rules"}""", "", "store: {0}/rules: it is a file")]
    public async Task One_that_cannot_be_is_told_with_file_and_key(string configuration, string rules, string complaint)
    {
        await WriteAsync("broker.json", configuration);
        await WriteAsync("rules", rules);
        var outcome = await CommandInProcess.RunAsync("broker", "--config", Path.Combine(folder, "broker.json"), "--check-config");
        Assert.Equal((2, ""), (outcome.ExitCode, outcome.Output));
        Assert.Contains(complaint.Replace("{0}", folder, StringComparison.Ordinal), outcome.Error, StringComparison.Ordinal);

        // A start fails too; that of a store has an exit code of its own.
        var started = await CommandInProcess.RunAsync("broker", "--config", Path.Combine(folder, "broker.json"));
        Assert.Equal(configuration.Contains("store", StringComparison.Ordinal) ? 4 : 2, started.ExitCode);
    }

    private Task WriteAsync(string name, string text)
    {
        var file = Path.Combine(folder, name);
        return File.WriteAllTextAsync(file, text).ContinueWith(
            _ =>
            {
                if (!OperatingSystem.IsWindows())
                    File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            },
            TaskScheduler.Default);
    }
}
