using System.Globalization;
using MQTTnet;
using MQTTnet.Formatter;
using MQTTnet.Protocol;

namespace Mqtt5.Benchmarks;

/// <summary>
/// A client of .NET that sends or receives a few messages, as a process of its own:
/// <c>steady-client-host Mqtt5|MQTTnet PORT none|send|receive</c>. It goes on until it is ended.
/// </summary>
internal static class SteadyClientHost
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);
    private static readonly byte[] Payload = "0123456789abcdef"u8.ToArray();

    public static async Task<int> RunAsync(string[] arguments)
    {
        var port = int.Parse(arguments[1], CultureInfo.InvariantCulture);
        var publish = arguments[0] == BrokerProcess.Ours
            ? await ConnectOursAsync(port, arguments[2]).ConfigureAwait(false)
            : await ConnectMqttNetAsync(port, arguments[2]).ConfigureAwait(false);

        while (true)
        {
            await Task.Delay(Pause).ConfigureAwait(false);

            if (arguments[2] == SteadyClients.Send)
                await publish().ConfigureAwait(false);
        }
    }

    private static async Task<Func<Task>> ConnectOursAsync(int port, string role)
    {
        var client = await MqttClient.ConnectAsync($"mqtt://127.0.0.1:{port}").ConfigureAwait(false);

        if (role == SteadyClients.Receive)
            await client.SubscribeAsync(SteadyClients.Incoming, (_, _) => Task.CompletedTask, QoS.AtMostOnce).ConfigureAwait(false);

        return () => client.PublishAsync(SteadyClients.Outgoing, (ReadOnlyMemory<byte>)Payload, QoS.AtLeastOnce).AsTask();
    }

    private static async Task<Func<Task>> ConnectMqttNetAsync(int port, string role)
    {
        var client = new MqttClientFactory().CreateMqttClient();
        client.ApplicationMessageReceivedAsync += _ => Task.CompletedTask;
        await client.ConnectAsync(new MqttClientOptionsBuilder()
            .WithTcpServer("127.0.0.1", port)
            .WithProtocolVersion(MqttProtocolVersion.V500)
            .Build()).ConfigureAwait(false);

        if (role == SteadyClients.Receive)
            await client.SubscribeAsync(SteadyClients.Incoming).ConfigureAwait(false);

        return () => client.PublishAsync(new MqttApplicationMessage
        {
            Topic = SteadyClients.Outgoing,
            PayloadSegment = Payload,
            QualityOfServiceLevel = MqttQualityOfServiceLevel.AtLeastOnce,
        });
    }
}
