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
