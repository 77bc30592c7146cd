using System.Globalization;
using System.Text;
using MQTTnet;
using MQTTnet.Formatter;
using MQTTnet.Protocol;

namespace Mqtt5.Benchmarks;

using MqttClientOptions = MQTTnet.MqttClientOptions;

/// <summary>
/// MQTTnet's client as a program that does a task of <c>mqtt5 verify-client</c>: <c>mqttnet-client ROLE</c>, with the values of
/// the task in the environment. What MQTTnet leaves to its options is left at its defaults, unless the task asks for it.
/// </summary>
internal static class MqttNetTasks
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(200);

    public static async Task<int> RunAsync(string role)
    {
        using var client = new MqttClientFactory().CreateMqttClient();

        client.ApplicationMessageReceivedAsync += arrived =>
        {
            if (arrived.ApplicationMessage.Topic == Value("topic"))
                Console.WriteLine(arrived.ApplicationMessage.ConvertPayloadToString());

            return Task.CompletedTask;
        };

        await (role switch
        {
            "publish" or "login" => PublishAsync(client, Options(role), _ => { }),
            "publish-session" => PublishInSessionAsync(client, Options(role), _ => { }),
            "retain" => PublishAsync(client, Options(role), message => message.WithRetainFlag()),
            "alias" => PublishInSessionAsync(client, Options(role), message => message.WithTopicAlias(ushort.Parse(Value("alias"), CultureInfo.InvariantCulture))),
            "expiring" => PublishInSessionAsync(client, Options(role), message => message.WithMessageExpiryInterval(uint.Parse(Value("expiry"), CultureInfo.InvariantCulture))),
            "request" => PublishAsync(client, Options(role), message => message.WithResponseTopic(Value("response"))),
            "subscribe" or "websocket" => SubscribeAsync(client, Options(role)),
            "subscribe-session" => StayConnectedAsync(client, Options(role), connack => connack.IsSessionPresent ? Task.CompletedTask : SubscribeAsync(client)),
            "unsubscribe" => UnsubscribeAsync(client, Options(role)),
            "will" => ConnectAndStayAsync(client, Options(role)),
            "authenticate" => AuthenticateAsync(client, Options(role)),
            _ => throw new ArgumentException($"there is no role '{role}'", nameof(role)),
        }).ConfigureAwait(false);
        return 0;
    }

    private static string Value(string name) => Environment.GetEnvironmentVariable($"MQTT5_{name.ToUpperInvariant()}")!;

    private static bool IsV5 => Value("version") == "5";

    private static MqttQualityOfServiceLevel QoS => (MqttQualityOfServiceLevel)int.Parse(Value("qos"), CultureInfo.InvariantCulture);

    private static MqttClientOptions Options(string role)
    {
        var options = new MqttClientOptionsBuilder()
            .WithTcpServer(Value("host"), int.Parse(Value("port"), CultureInfo.InvariantCulture))
            .WithProtocolVersion(IsV5 ? MqttProtocolVersion.V500 : MqttProtocolVersion.V311)
            .WithKeepAlivePeriod(TimeSpan.FromSeconds(int.Parse(Value("keepalive"), CultureInfo.InvariantCulture)));

        if (role is "publish-session" or "subscribe-session" or "alias" or "expiring")
            options.WithClientId(Value("id")).WithCleanStart(false);

        if (IsV5 && role is ("publish-session" or "subscribe-session" or "alias" or "expiring"))
            options.WithSessionExpiryInterval(1000);

        if (IsV5 && role is ("subscribe" or "subscribe-session"))
            options.WithTopicAliasMaximum(10);

        if (role == "websocket")
            options.WithWebSocketServer(server => server.WithUri(Value("url")));

        if (role == "will")
            options.WithWillTopic(Value("topic")).WithWillPayload(Value("message")).WithWillQualityOfServiceLevel(QoS);

        if (role == "login")
            options.WithCredentials(Value("user"), Value("password"));

        if (role == "authenticate")
            options.WithEnhancedAuthentication(Value("method"), AuthenticationData).WithEnhancedAuthenticationHandler(new Answers());

        return options.Build();
    }

    private static byte[] AuthenticationData => Encoding.UTF8.GetBytes(Value("message"));

    // All at once: what may be under way at the same time is for MQTTnet to know.
    private static Task PublishAllAsync(IMqttClient client, Action<MqttApplicationMessageBuilder> configure) =>
        Task.WhenAll(Enumerable.Range(0, int.Parse(Value("count"), CultureInfo.InvariantCulture)).Select(async _ =>
        {
            var message = new MqttApplicationMessageBuilder().WithTopic(Value("topic")).WithPayload(Value("message")).WithQualityOfServiceLevel(QoS);
            configure(message);

            try
            {
                await client.PublishAsync(message.Build()).ConfigureAwait(false);
            }
            catch (Exception exception)
            {
                await Console.Error.WriteLineAsync(exception.Message).ConfigureAwait(false);
            }
        }));

    private static async Task PublishAsync(IMqttClient client, MqttClientOptions options, Action<MqttApplicationMessageBuilder> configure)
    {
        await client.ConnectAsync(options).ConfigureAwait(false);
        await PublishAllAsync(client, configure).ConfigureAwait(false);
        await client.DisconnectAsync().ConfigureAwait(false);
    }

    private static Task PublishInSessionAsync(IMqttClient client, MqttClientOptions options, Action<MqttApplicationMessageBuilder> configure)
    {
        Task? publishing = null;

        // What was under way when a connection was lost is the session's, not the program's.
        return StayConnectedAsync(client, options, _ => publishing ??= PublishAllAsync(client, configure));
    }

    // As the samples of MQTTnet do it that are recommended there: by looking from time to time.
    private static async Task StayConnectedAsync(IMqttClient client, MqttClientOptions options, Func<MqttClientConnectResult, Task> whenConnected)
    {
        while (true)
        {
            if (!client.IsConnected)
            {
                try
                {
                    await whenConnected(await client.ConnectAsync(options).ConfigureAwait(false)).ConfigureAwait(false);
                }
                catch (Exception exception)
                {
                    await Console.Error.WriteLineAsync(exception.Message).ConfigureAwait(false);
                }
            }

            await Task.Delay(LookInterval).ConfigureAwait(false);
        }
    }

    private static Task<MqttClientSubscribeResult> SubscribeAsync(IMqttClient client) => client.SubscribeAsync(Value("topic"), QoS);

    private static async Task SubscribeAsync(IMqttClient client, MqttClientOptions options)
    {
        await client.ConnectAsync(options).ConfigureAwait(false);
        await SubscribeAsync(client).ConfigureAwait(false);
        await Task.Delay(Timeout.Infinite).ConfigureAwait(false);
    }

    private static async Task UnsubscribeAsync(IMqttClient client, MqttClientOptions options)
    {
        await client.ConnectAsync(options).ConfigureAwait(false);
        await SubscribeAsync(client).ConfigureAwait(false);
        await client.UnsubscribeAsync(Value("topic")).ConfigureAwait(false);
        await client.DisconnectAsync().ConfigureAwait(false);
    }

    private static async Task ConnectAndStayAsync(IMqttClient client, MqttClientOptions options)
    {
        await client.ConnectAsync(options).ConfigureAwait(false);
        await Task.Delay(Timeout.Infinite).ConfigureAwait(false);
    }

    private static async Task AuthenticateAsync(IMqttClient client, MqttClientOptions options)
    {
        await client.ConnectAsync(options).ConfigureAwait(false);
        var again = new MqttEnhancedAuthenticationExchangeData { ReasonCode = MqttAuthenticateReasonCode.ReAuthenticate, AuthenticationData = AuthenticationData };
        await client.SendEnhancedAuthenticationExchangeDataAsync(again).ConfigureAwait(false);
        await Task.Delay(Timeout.Infinite).ConfigureAwait(false);
    }

    private sealed class Answers : IMqttEnhancedAuthenticationHandler
    {
        public Task HandleEnhancedAuthenticationAsync(MqttEnhancedAuthenticationEventArgs asked) =>
            asked.ReasonCode == MqttAuthenticateReasonCode.ContinueAuthentication
                ? asked.SendAsync(new SendMqttEnhancedAuthenticationDataOptions { Data = AuthenticationData })
                : Task.CompletedTask;
    }
}
