using System.Diagnostics;
using System.Threading.Channels;

namespace Mqtt5.Cli;

/// <summary>The broker of the demo and its two clients: one publishes over TCP, one subscribes over WebSocket.</summary>
internal sealed class DemoWorld : IAsyncDisposable
{
    private const string Filter = "plant/+/temp";

    private readonly Channel<MqttReceivedMessage> received = Channel.CreateUnbounded<MqttReceivedMessage>();
    private MqttBroker? broker;
    private MqttClient? tcpClient;
    private MqttClient? webSocketClient;

    /// <summary>Where the broker listens for TCP.</summary>
    public Uri Tcp => Address("mqtt");

    /// <summary>The client over WebSocket.</summary>
    public MqttClient WebSocketClient => webSocketClient ?? throw new InvalidOperationException("the clients are not connected yet");

    /// <summary>Starts the broker on free ports.</summary>
    public async Task StartBrokerAsync(DemoStep step, CancellationToken cancellationToken)
    {
        broker = await MqttBroker.StartAsync(options => options.Listen(0).ListenWebSocket(0), cancellationToken);
        step.Tell($"listens at {Shown(Tcp)}");
        step.Add($"       and at {Shown(Address("ws"))}");
        step.Prove("The broker is a library: one call starts it.");
    }

    /// <summary>Connects both clients, and subscribes with the one over WebSocket.</summary>
    public async Task ConnectAsync(DemoStep step, CancellationToken cancellationToken)
    {
        tcpClient = await MqttClient.ConnectAsync(MqttClientOptions.For(Tcp), cancellationToken);
        webSocketClient = await MqttClient.ConnectAsync(MqttClientOptions.For(Address("ws")), cancellationToken);
        await webSocketClient.SubscribeAsync(
            Filter, async (message, stopping) => await received.Writer.WriteAsync(message, stopping), QoS.ExactlyOnce, cancellationToken: cancellationToken);
        step.Tell("one client over TCP, one over WebSocket");

        if (tcpClient.Server is { } server)
            step.Prove($"CONNACK told the limits: {Figures.Count(server.MaximumPacketSize ?? 0)} bytes, {server.ReceiveMaximum} in flight.");
    }

    /// <summary>Publishes over TCP and receives over WebSocket.</summary>
    public async Task DeliverAsync(DemoStep step, QoS qos, CancellationToken cancellationToken)
    {
        var text = $"21.{(int)qos}";
        step.Tell(qos switch
        {
            QoS.AtMostOnce => "PUBLISH",
            QoS.AtLeastOnce => "PUBLISH, PUBACK",
            _ => "PUBLISH, PUBREC, PUBREL, PUBCOMP",
        });
        var began = Stopwatch.GetTimestamp();
        await tcpClient!.PublishAsync("plant/7/temp", text, qos, cancellationToken: cancellationToken);
        var message = await received.Reader.ReadAsync(cancellationToken);
        step.Took(Stopwatch.GetElapsedTime(began));

        if (message.Text != text || message.QoS != qos)
            throw new DemoException($"{text} of {qos} was published, {message.Text} of {message.QoS} arrived");

        if (qos == QoS.ExactlyOnce)
            step.Prove("All three went from TCP to WebSocket and arrived as they were.");
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (tcpClient is not null)
            await tcpClient.DisposeAsync();

        if (webSocketClient is not null)
            await webSocketClient.DisposeAsync();

        if (broker is not null)
            await broker.DisposeAsync();
    }

    private static string Shown(Uri address) => address.ToString().TrimEnd('/');

    private Uri Address(string scheme) => broker!.Addresses.First(address => address.Scheme == scheme);
}
