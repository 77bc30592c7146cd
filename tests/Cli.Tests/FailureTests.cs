using System.Net;
using System.Net.Sockets;
using Mqtt5.Cli;
using Mqtt5.Tests;

namespace Mqtt5.CliTests;

// Errors of the user or the machine are reported as such, not as defects.
public sealed class FailureTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    public static TheoryData<string, string> FileOptions { get; } =
        new(from verb in CommandLineApplication.Verbs
            let command = verb.Create(NoTerminal())
            from option in command.Options
            where option.HelpName is "FILE" or "FOLDER"
            select (verb.Name, option.Name));

    [Theory]
    [MemberData(nameof(FileOptions))]
    public async Task An_empty_name_of_a_file_is_refused_before_anything_begins(string verb, string option)
    {
        string[] rest = verb switch
        {
            "pub" => ["-t", "a", "-m", "x"],
            "sub" => ["-t", "a"],
            "rr" => ["-t", "a", "-m", "x"],
            "trace" => ["--listen", "0", "mqtt://127.0.0.1:1"],
            "replay" => ["/there/is/none", "mqtt://127.0.0.1:1"],
            _ => [],
        };
        var run = await CommandInProcess.RunAsync([verb, option, "", .. rest]);
        Assert.Contains(verb == "decode" ? "this cannot be the name of a file" : "the name of a file is missing", run.Error, StringComparison.Ordinal);
        Assert.Contains(option, run.Error, StringComparison.Ordinal);
        Assert.InRange(run.ExitCode, 1, 2);
    }

    [Theory]
    [InlineData("/there/is/none", "trace", "--listen", "0", "mqtt://127.0.0.1:1", "--write", "/there/is/none")]
    [InlineData("/there/is/none", "trace", "--listen", "0", "mqtt://127.0.0.1:1", "--pcapng", "/there/is/none")]
    [InlineData("--listen: 192.0.2.7:", "trace", "--listen", "0", "--address", "192.0.2.7", "mqtt://127.0.0.1:1")]
    [InlineData("--json: /there/is/none", "verify", "--embedded", "--json", "/there/is/none")]
    [InlineData("--junit: /there/is/none", "verify", "--embedded", "--junit", "/there/is/none")]
    [InlineData("--html: /there/is/none", "verify", "--embedded", "--html", "/there/is/none")]
    [InlineData("--html: /there/is/none", "verify-client", "--html", "/there/is/none", "--", "true")]
    [InlineData("/there/is/none", "passwd", "/there/is/none", "anna")]
    [InlineData("NAME: the name is empty", "passwd", "/tmp", "")]
    [InlineData("FILE: the name of a file is missing", "passwd", "", "anna")]
    [InlineData("/tmp", "passwd", "/tmp", "anna")]
    [InlineData("password-file: /there/is/none", "broker", "--port", "0", "--password-file", "/there/is/none")]
    [InlineData("password-file: /", "broker", "--port", "0", "--password-file", "/")]
    [InlineData("access-file: /there/is/none", "broker", "--port", "0", "--access-file", "/there/is/none")]
    [InlineData("cert: /there/is/none", "broker", "--tls-port", "0", "--cert", "/there/is/none")]
    [InlineData("tls-port needs cert", "broker", "--tls-port", "0")]
    [InlineData("wss-port needs cert", "broker", "--wss-port", "0")]
    [InlineData("", "broker", "--port", "0", "--host", "192.0.2.7", "--allow-anonymous")]
    [InlineData("give --password-file, or --allow-anonymous", "broker", "--port", "0", "--host", "0.0.0.0")]
    [InlineData("--proxy-protocol: everybody", "broker", "--port", "0", "--proxy-protocol")]
    [InlineData("--client-id-is-user-name needs --password-file", "broker", "--port", "0", "--client-id-is-user-name")]
    [InlineData("", "broker", "--unix", "/there/is/none/socket")]
    [InlineData("--config: /there/is/none", "broker", "--config", "/there/is/none")]
    [InlineData("there is no such file", "replay", "/there/is/none", "mqtt://127.0.0.1:1")]
    [InlineData("/there/is/none", "verify-client", "--commands", "/there/is/none")]
    [ShowsOption("broker", "--allow-anonymous")]
    public async Task What_the_machine_does_not_have_is_told_without_words_of_HTTP(string message, params string[] arguments)
    {
        var run = await CommandInProcess.RunWithAsync("a password\n"u8.ToArray(), arguments);
        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith("mqtt5: ", run.Error, StringComparison.Ordinal);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("defect", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("http", run.Error, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("inner exception", run.Error, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Parameter '", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_that_is_taken_is_told_without_words_of_HTTP()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = $"{((IPEndPoint)taken.LocalEndpoint).Port}";

        foreach (var option in (string[])["--port", "--ws-port"])
        {
            var run = await CommandInProcess.RunAsync("broker", option, port);
            Assert.Equal(2, run.ExitCode);
            Assert.Contains(port, run.Error, StringComparison.Ordinal);
            Assert.Contains("in use", run.Error, StringComparison.Ordinal);
            Assert.DoesNotContain("http", run.Error, StringComparison.OrdinalIgnoreCase);
        }

        var traced = await CommandInProcess.RunAsync("trace", "--listen", port, "mqtt://127.0.0.1:1");
        Assert.Equal(2, traced.ExitCode);
        Assert.Contains($"127.0.0.1:{port}", traced.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_that_the_user_may_not_have_is_told()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists("/usr/bin/setpriv"), "setpriv of util-linux takes the right away");
        Assert.SkipUnless(File.ReadAllText("/proc/sys/net/ipv4/ip_unprivileged_port_start").Trim() == "1024", "every user has these ports");
        var run = await Script.RunAsync("exec setpriv --bounding-set=-net_bind_service --inh-caps=-net_bind_service $mqtt5 broker --port 80");
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("ermission", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("defect", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("http", run.Error, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    [ShowsOption("broker", "--log-level")]
    public async Task What_the_broker_logs_has_no_words_of_HTTP()
    {
        using var process = CommandProcess.Start("broker", "--port", "0", "--log-level", "debug");
        Assert.StartsWith("listening mqtt://127.0.0.1:", await process.ReadLineAsync(), StringComparison.Ordinal);
        await process.SignalAsync("TERM");
        var run = await process.FinishAsync();
        Assert.Equal(0, run.ExitCode);
        Assert.NotEqual("", run.Error);
        Assert.DoesNotContain("http", run.Error, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Microsoft", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("pub", "-t", "a", "-m", "x", "s3cret")]
    [InlineData("pub", "-t", "a", "-m", "x", "-u", "anna", "s3cret")]
    [InlineData("pub", "-t", "a", "-m", "x", "--pw-s3cret")]
    [InlineData("pub", "-t", "a", "-m", "x", "-p", "s3cret")]
    [InlineData("pub", "-t", "a", "-m", "x", "--password=s3cret")]
    [InlineData("pub", "-t", "a", "-m", "x", "-ps3cret")]
    [InlineData("pub", "-t", "a", "-m", "x", "-Ys3cret")]
    [InlineData("pub", "-t", "a", "-m", "x", "--proxy", "anna:s3cret")]
    [InlineData("pub", "-t", "a", "-m", "x", "-L", "mqtt//anna:s3cret@host")]
    [InlineData("passwd", "file", "anna", "s3cret")]
    [InlineData("conn", "-u", "anna", "s3cret")]
    [InlineData("replay", "a.trace", "mqtt://localhost", "-u", "anna", "s3cret")]
    [InlineData("verify", "-u", "anna", "-p", "s3cret")]
    [InlineData("broker", "--password", "s3cret")]
    [InlineData("broker", "s3cret")]
    [InlineData("-P", "s3cret", "pub", "-t", "a")]
    public async Task A_password_where_none_is_expected_is_not_shown(params string[] arguments)
    {
        var run = await CommandInProcess.RunAsync(arguments);

        // An argument that looks like an option name is a mistyped option.
        var isName = Array.Exists(arguments, argument => argument.StartsWith("--pw-", StringComparison.Ordinal));
        Assert.InRange(run.ExitCode, 1, 2);
        Assert.NotEqual("", run.Error);
        Assert.Equal(isName, run.Error.Contains("s3cret", StringComparison.Ordinal));
        Assert.DoesNotContain("defect", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("-k", "pub", "-t", "a", "-m", "x", "-k", "70000")]
    [InlineData("--id", "pub", "-t", "a", "-m", "x", "-i", "LONG")]
    [InlineData("--username", "pub", "-t", "a", "-m", "x", "-u", "LONG")]
    [InlineData("--will-topic", "pub", "-t", "a", "-m", "x", "--will-topic", "a/#")]
    [InlineData("--id", "conn", "-i", "LONG")]
    [InlineData("--username", "conn", "-u", "LONG")]
    public async Task A_message_names_the_option_of_the_command(string option, params string[] arguments)
    {
        var given = arguments.Select(argument => argument == "LONG" ? new string('x', 70_000) : argument);
        var run = await CommandInProcess.RunAsync([.. given, "-p", fixture.Port]);
        Assert.InRange(run.ExitCode, 1, 2);
        Assert.Contains(option == "-k" ? "--keepalive" : option, run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Parameter '", run.Error, StringComparison.Ordinal);
    }

    private static Terminal NoTerminal() => new(() => Stream.Null, true, TextWriter.Null, TextWriter.Null);
}
