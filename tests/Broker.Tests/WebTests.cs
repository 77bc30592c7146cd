using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mqtt5.BrokerTests;

// Cross-site WebSocket hijacking: a page of any site can open a WebSocket to this machine, and so can a page after DNS
// rebinding. The browser sends the page's site in Origin, and the requested host in Host.
public sealed class WebTests
{
    private const string Switching = "101";
    private const string Forbidden = "403";

    [Theory]
    [InlineData("127.0.0.1:8080", null, Switching)]
    [InlineData("localhost:8080", null, Switching)]
    [InlineData("[::1]:8080", null, Switching)]
    [InlineData("localhost:8080", "http://localhost:3000", Switching)]
    [InlineData("localhost:8080", "https://127.0.0.1", Switching)]
    [InlineData("localhost:8080", "http://[::1]:3000", Switching)]
    [InlineData("localhost:8080", "http://app.localhost:3000", Switching)]
    [InlineData("127.0.0.1:8080", "https://evil.example", Forbidden)]
    [InlineData("127.0.0.1:8080", "null", Forbidden)]
    [InlineData("127.0.0.1:8080", "file://", Forbidden)]
    [InlineData("127.0.0.1:8080", "http://localhost.evil.example", Forbidden)]
    [InlineData("127.0.0.1:8080", "http://127.0.0.1.evil.example", Forbidden)]
    [InlineData("127.0.0.1:8080", "http://localhost@evil.example", Forbidden)]
    [InlineData("evil.example:8080", "http://evil.example:8080", Forbidden)]
    [InlineData("evil.example:8080", null, Forbidden)]
    [InlineData("evil.example:8080", "http://localhost", Forbidden)]
    public async Task An_anonymous_broker_on_loopback_is_for_pages_of_this_machine_only(string host, string? origin, string status)
    {
        await using var broker = await MqttBroker.StartAsync(options => options.ListenWebSocket(0));
        Assert.Equal(status, await UpgradeAsync(broker, host, origin));
    }

    [Fact]
    public async Task Allowing_anonymous_clients_does_not_open_a_loopback_listener_to_the_web()
    {
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.AllowAnonymous = true;
            options.ListenWebSocket(0);
        });
        Assert.Equal(Forbidden, await UpgradeAsync(broker, "127.0.0.1", "https://evil.example"));
        Assert.Equal(Switching, await UpgradeAsync(broker, "127.0.0.1", null));
    }

    [Fact]
    public async Task Clients_that_have_to_authenticate_may_come_from_any_page()
    {
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.Authenticator = new Asking(_ => MqttAuthenticationResult.Accepted);
            options.ListenWebSocket(0);
        });
        Assert.Equal(Switching, await UpgradeAsync(broker, "broker.example", "https://dashboard.example"));
    }

    [Theory]
    [InlineData(false, "https://dashboard.example", Switching)]
    [InlineData(false, "HTTPS://Dashboard.Example:443", Switching)]
    [InlineData(false, "https://dashboard.example:8443", Forbidden)]
    [InlineData(false, "http://dashboard.example", Forbidden)]
    [InlineData(false, "https://evil.example", Forbidden)]
    [InlineData(false, null, Switching)]
    [InlineData(true, "https://dashboard.example", Switching)]
    [InlineData(true, "https://evil.example", Forbidden)]
    [InlineData(true, null, Switching)]
    public async Task A_list_of_origins_holds_with_and_without_an_authenticator(bool authenticates, string? origin, string status)
    {
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.WebSocketOrigins.Add("https://dashboard.example/");
            options.Authenticator = authenticates ? new Asking(_ => MqttAuthenticationResult.Accepted) : null;
            options.ListenWebSocket(0);
        });
        Assert.Equal(status, await UpgradeAsync(broker, "localhost", origin));
    }

    [Fact]
    public async Task A_star_allows_every_page()
    {
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.WebSocketOrigins.Add("*");
            options.ListenWebSocket(0);
        });
        Assert.Equal(Switching, await UpgradeAsync(broker, "evil.example", "https://evil.example"));
    }

    [Fact]
    public async Task Path_and_subprotocols_are_options()
    {
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.WebSocketSubProtocols.Add("mqttv5");
            options.ListenWebSocket(0, "/broker/ws");
        });
        Assert.Equal(Switching, await UpgradeAsync(broker, "localhost", null, "/broker/ws"));
        Assert.Equal(Switching, await UpgradeAsync(broker, "localhost", null, "/broker/ws", "chat, mqttv5"));
        Assert.Equal("400", await UpgradeAsync(broker, "localhost", null, "/broker/ws", "chat"));
        Assert.Equal("404", await UpgradeAsync(broker, "localhost", null, "/mqtt"));
    }

    // The status of the response to an upgrade request.
    internal static async Task<string> UpgradeAsync(
        MqttBroker broker, string host, string? origin, string path = "/mqtt", string protocol = "mqtt")
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, broker.Addresses.First(one => one.Scheme == "ws").Port).Bounded();
        var stream = socket.GetStream();
        var request = $"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + $"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n"
            + (origin is null ? "" : $"Origin: {origin}\r\n") + "\r\n";
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request)).AsTask().Bounded();
        using var reader = new StreamReader(stream, Encoding.ASCII);
        return (await reader.ReadLineAsync().Bounded())!.Split(' ')[1];
    }
}
