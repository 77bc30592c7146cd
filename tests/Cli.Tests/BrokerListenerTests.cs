using System.Net.Sockets;
using System.Net.WebSockets;
using Mqtt5.Tests;

namespace Mqtt5.CliTests;

// Listener options of mqtt5 broker.
public sealed class BrokerListenerTests
{
    private const string OwnPage = "https://plant.example";

    [Fact]
    [ShowsOption("broker", "--ws-path", "--ws-origins", "--ws-subprotocol")]
    public async Task Web_sockets_are_served_at_a_path_for_some_pages_and_by_a_subprotocol()
    {
        await using var broker = await BrokerProcess.StartAsync(
            "--ws-port", "0", "--ws-path", "/plant", "--ws-origins", OwnPage, "--ws-subprotocol", "plant.mqtt");
        Assert.Equal("/plant", broker.Address.AbsolutePath);
        Assert.Null(await FailureAsync(broker.Address, "plant.mqtt", OwnPage));
        Assert.NotNull(await FailureAsync(broker.Address, "mqtt", OwnPage));
        Assert.NotNull(await FailureAsync(broker.Address, "plant.mqtt", "https://elsewhere.example"));
        Assert.NotNull(await FailureAsync(new Uri(broker.Address, "/mqtt"), "plant.mqtt", OwnPage));
    }

    [Fact]
    [ShowsOption("broker", "--unix-mode")]
    public async Task A_socket_of_the_file_system_has_the_mode_that_was_asked_for()
    {
        if (OperatingSystem.IsWindows())
            return;

        var folder = Directory.CreateTempSubdirectory("mqtt5-listen-").FullName;

        try
        {
            var path = Path.Combine(folder, "socket");
            await using var broker = await BrokerProcess.StartAsync("--unix", path, "--unix-mode", "600");
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    [ShowsOption("broker", "--versions", "--when-refused", "--shared-before-5")]
    public async Task Older_versions_are_taken_as_the_options_say()
    {
        await using var broker = await BrokerProcess.StartAsync(
            "--port", "0", "--versions", "5,mqttv311", "--when-refused", "close", "--shared-before-5", "false");
        // MQTT 3.1 is refused with return code 1.
        Assert.Equal("20020001", await AnswerAsync(broker.Address, "100F00064D514973647003020000000163", 4));
        // $share/g/t is refused with 0x80, and a PUBLISH to $SYS/x ends the connection.
        const string connect = "100D00044D51545404020000000163";
        Assert.Equal(
            "20020000" + "9003000180",
            await AnswerAsync(broker.Address, connect + "820F0001000A2473686172652F672F7400" + "320A0006245359532F780001", 100));
    }

    [Theory]
    [InlineData("5", true, false, false)]
    [InlineData("311", false, true, false)]
    [InlineData("31", false, false, true)]
    [InlineData("mqttv31,311", false, true, true)]
    public async Task Versions_that_are_not_named_are_refused(string versions, bool takes5, bool takes311, bool takes31)
    {
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--versions", versions);
        // The fourth byte of CONNACK is the reason code, which is 0x84 in MQTT 5, or the return code, which is 1 before it.
        Assert.Equal(takes5 ? "00" : "84", (await AnswerAsync(broker.Address, "100D00044D51545405020000000000", 4))[6..]);
        Assert.Equal(takes311 ? "00" : "01", (await AnswerAsync(broker.Address, "100D00044D51545404020000000163", 4))[6..]);
        Assert.Equal(takes31 ? "00" : "01", (await AnswerAsync(broker.Address, "100F00064D514973647003020000000163", 4))[6..]);
    }

    // What the broker answers, at most so many bytes.
    private static async Task<string> AnswerAsync(Uri address, string bytes, int most)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var client = new TcpClient();
        await client.ConnectAsync(address.Host, address.Port, patience.Token);
        var stream = client.GetStream();
        await stream.WriteAsync(Convert.FromHexString(bytes), patience.Token);
        var answer = new byte[most];
        var count = await stream.ReadAtLeastAsync(answer, most, throwOnEndOfStream: false, patience.Token);
        return Convert.ToHexString(answer.AsSpan(0, count));
    }

    [Fact]
    [ShowsOption("broker", "--threads")]
    public async Task There_are_as_many_event_loops_as_were_asked_for()
    {
        if (!OperatingSystem.IsLinux())
            return;

        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--threads", "3");
        Assert.Equal(3, broker.CountThreads("mqtt5 loop"));
    }

    [Fact]
    [ShowsOption("broker", "--when-sessions-full")]
    public async Task A_new_client_may_take_the_place_of_the_one_that_has_been_away_longest()
    {
        await using var strict = await BrokerProcess.StartAsync("--port", "0", "--max-sessions", "1", "--when-sessions-full", "refuse");
        await using var lenient = await BrokerProcess.StartAsync("--port", "0", "--max-sessions", "1", "--when-sessions-full", "end-oldest");

        foreach (var (broker, expected) in new[] { (strict, 0x97), (lenient, 0) })
        {
            string[] at = ["-h", "localhost", "-p", $"{broker.Address.Port}"];
            Assert.Equal(0, (await CommandInProcess.RunAsync(["conn", .. at, "-i", "first", "-x", "600"])).ExitCode);
            var second = -1;

            // Until the broker has read the DISCONNECT of the first client, it is not away.
            for (var attempt = 0; attempt < 100 && second != expected; attempt++)
                second = (await CommandInProcess.RunAsync(["conn", .. at, "-i", "second"])).ExitCode;

            Assert.Equal(expected, second);
        }
    }

    [Fact]
    [ShowsOption("broker", "--client-id-is-user-name")]
    public async Task A_client_identifier_may_have_to_be_the_user_name()
    {
        var folder = Directory.CreateTempSubdirectory("mqtt5-names-").FullName;

        try
        {
            var passwords = Path.Combine(folder, "passwords");
            await File.WriteAllTextAsync(passwords, MqttPasswordFile.Line("anna", "secret"u8) + "\n");
            await using var broker = await BrokerProcess.StartAsync("--port", "0", "--password-file", passwords, "--client-id-is-user-name");
            string[] at = ["conn", "-h", "localhost", "-p", $"{broker.Address.Port}", "-u", "anna", "-P", "secret", "-i"];
            Assert.Equal(0, (await CommandInProcess.RunAsync([.. at, "anna"])).ExitCode);
            Assert.Equal(0x85, (await CommandInProcess.RunAsync([.. at, "bob"])).ExitCode);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    [ShowsOption("broker", "--client-id-is-certificate-name")]
    public async Task A_client_without_a_certificate_has_no_name_to_be_its_identifier()
    {
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--client-id-is-certificate-name");
        Assert.Equal(0x87, (await CommandInProcess.RunAsync("conn", "-h", "localhost", "-p", $"{broker.Address.Port}", "-i", "anna")).ExitCode);
    }

    // Null: it was accepted.
    private static async Task<Exception?> FailureAsync(Uri address, string subProtocol, string origin)
    {
        using var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol(subProtocol);
        socket.Options.SetRequestHeader("Origin", origin);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        return await Record.ExceptionAsync(() => socket.ConnectAsync(address, patience.Token));
    }
}
