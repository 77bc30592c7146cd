using System.Text;
using Mqtt5.Tests;

namespace Mqtt5.CliTests;

// The command in MQTT 3.1.1 and 3.1.
public sealed class VersionTests
{
    [Theory]
    [InlineData("311", "CONNECT ver=4")]
    [InlineData("mqttv311", "CONNECT ver=4")]
    [InlineData("31", "CONNECT ver=3")]
    [InlineData("mqttv31", "CONNECT ver=3")]
    [InlineData("5", "CONNECT clean=1")]
    [InlineData(null, "CONNECT clean=1")]
    [ShowsOption("connection", "--protocol-version")]
    public async Task Pub_speaks_the_version_that_is_asked_for(string? version, string connect)
    {
        using var server = new OlderServer();
        string[] asked = version is null ? [] : ["-V", version];
        var (exitCode, _, error) = await RunAsync(["pub", "-p", server.Port, "-t", "a", "-m", "x", "-q", "1", "-d", .. asked]);
        Assert.Equal(0, exitCode);
        Assert.StartsWith(connect, server.Packets.First(), StringComparison.Ordinal);
        Assert.Contains(server.Packets, packet => packet.StartsWith("PUBLISH", StringComparison.Ordinal) && packet.Contains("topic=\"a\"", StringComparison.Ordinal));
        // The packets are shown in their version.
        Assert.Contains($"[c>s] {connect}", error, StringComparison.Ordinal);
        Assert.Contains("[s>c] PUBACK", error, StringComparison.Ordinal);
        Assert.DoesNotContain("clause", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("311")]
    [InlineData("31")]
    public async Task Sub_prints_and_rr_prints_the_answer(string version)
    {
        using var server = new OlderServer();
        var subscribing = RunAsync(["sub", "-p", server.Port, "-t", "a", "-V", version, "-C", "1"]);
        await UntilAsync(() => server.Packets.Any(packet => packet.StartsWith("SUBSCRIBE", StringComparison.Ordinal)));
        Assert.Equal(0, (await RunAsync(["pub", "-p", server.Port, "-t", "a", "-m", "hello", "-V", version])).ExitCode);
        Assert.Equal((0, "hello\n", ""), await subscribing);

        // The server passes the request itself to the topic of the answer.
        Assert.Equal((0, "ask\n", ""), await RunAsync(["rr", "-p", server.Port, "-t", "q", "-e", "q", "-m", "ask", "-V", version, "-W", "60"]));
    }

    [Fact]
    public async Task Conn_tells_the_version_and_that_no_limits_are_told()
    {
        using var server = new OlderServer();
        var told = await RunAsync(["conn", "-p", server.Port, "-V", "311"]);
        Assert.Equal(0, told.ExitCode);
        Assert.Contains("MQTT 3.1.1", told.Output, StringComparison.Ordinal);
        Assert.Contains("not told", told.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("Receive Maximum", told.Output, StringComparison.Ordinal);
        var json = await RunAsync(["conn", "-p", server.Port, "-V", "31", "--json"]);
        Assert.Contains("\"protocolVersion\": \"MQTT 3.1\"", json.Output, StringComparison.Ordinal);
    }

    // The broker takes the one version only, so that a command that speaks another one is refused.
    [Theory]
    [InlineData("311", ProtocolVersions.V311)]
    [InlineData("31", ProtocolVersions.V31)]
    public async Task Bench_and_shell_speak_the_version_that_is_asked_for(string version, ProtocolVersions taken)
    {
        await using var broker = await StartAsync(taken);
        var port = $"{broker.Addresses[0].Port}";
        string[] where = ["-h", "127.0.0.1", "-p", port];
        var bench = await RunAsync(["bench", .. where, "-V", version, "--seconds", "1", "--rate", "200", "-q", "1"]);
        Assert.Equal((0, ""), (bench.ExitCode, bench.Error.Replace("mqtt5: warming up\n", "", StringComparison.Ordinal)));
        Assert.Equal(0, (await RunAsync(["bench", .. where, "-V", version, "--connects", "5"])).ExitCode);
        Assert.NotEqual(0, (await RunAsync(["bench", .. where, "--seconds", "1"])).ExitCode);
        var shell = await RunAsync(["shell", .. where, "-V", version], "sub plant/#\npub plant/7 1 21.5\nwait 1 60\nunsub plant/#\nstatus\n");
        Assert.Equal((0, ""), (shell.ExitCode, shell.Error));
        Assert.Contains("21.5", shell.Output, StringComparison.Ordinal);
        Assert.Contains(version == "311" ? "MQTT 3.1.1" : "MQTT 3.1\n", shell.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Probe_tries_what_the_version_has()
    {
        await using var broker = await StartAsync(ProtocolVersions.V311);
        string[] where = ["-h", "127.0.0.1", "-p", $"{broker.Addresses[0].Port}"];
        var probe = await RunAsync(["probe", .. where, "-V", "311"]);
        Assert.Equal((0, ""), (probe.ExitCode, probe.Error));
        Assert.Contains("none fails", probe.Output, StringComparison.Ordinal);
        Assert.Contains("MQTT 3.1.1 does not have it", probe.Output, StringComparison.Ordinal);
        Assert.NotEqual(0, (await RunAsync(["probe", .. where])).ExitCode);
    }

    [Theory]
    [InlineData(1, "Retain As Published: MQTT 3.1.1 has no Subscription Options", "sub", "-t", "a", "--retain-as-published")]
    public async Task What_the_version_does_not_have_is_named(int exitCode, string message, params string[] arguments)
    {
        using var server = new OlderServer();
        var run = await RunAsync([.. arguments, "-p", server.Port, "-V", "311"]);
        Assert.Equal(exitCode, run.ExitCode);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        var deadline = DateTime.UtcNow + TimeSpan.FromSeconds(60);

        while (!holds())
        {
            Assert.True(DateTime.UtcNow < deadline, "it did not come true in time");
            await Task.Delay(5);
        }
    }

    private static Task<MqttBroker> StartAsync(ProtocolVersions versions) =>
        MqttBroker.StartAsync(options =>
        {
            options.Listen(0);
            options.AllowAnonymous = true;
            options.Versions = versions;
        });

    private static async Task<(int ExitCode, string Output, string Error)> RunAsync(string[] arguments, string input = "")
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        using var bytes = new MemoryStream();
        var terminal = new Mqtt5.Cli.Terminal(() => new MemoryStream(Encoding.UTF8.GetBytes(input)), true, output, error) { OpenOutput = () => bytes };
        var exitCode = await Mqtt5.Cli.CommandLineApplication.RunAsync(arguments, terminal).WaitAsync(TimeSpan.FromSeconds(120));
        return (exitCode, output + Encoding.UTF8.GetString(bytes.ToArray()), error.ToString());
    }
}
