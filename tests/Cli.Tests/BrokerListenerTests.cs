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
