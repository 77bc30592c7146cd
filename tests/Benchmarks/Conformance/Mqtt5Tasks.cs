using System.Globalization;
using System.Text;

namespace Mqtt5.Benchmarks;

/// <summary>
/// Our client as a program that does a task of <c>mqtt5 verify-client</c>: <c>mqtt5-client ROLE</c>, with the values of the
/// task in the environment. What the client leaves to its options is left at its defaults, unless the task asks for it. The
/// client chooses Topic Aliases by itself.
/// </summary>
internal static class Mqtt5Tasks
{
    public static async Task<int> RunAsync(string role)
    {
        try
        {
            await using var client = await MqttClient.ConnectAsync(Options(role)).ConfigureAwait(false);
            await DoAsync(client, role).ConfigureAwait(false);
            return 0;
        }
        catch (MqttException exception)
        {
            await Console.Error.WriteLineAsync(exception.Message).ConfigureAwait(false);
            return 1;
        }
    }

    private static Task DoAsync(MqttClient client, string role) => role switch
    {
        "publish" or "publish-session" or "login" or "alias" => PublishAsync(client, Message()),
        "retain" => PublishAsync(client, Message(retain: true)),
        "expiring" => PublishAsync(client, Message(expiry: TimeSpan.FromSeconds(Number("expiry")))),
        "request" => PublishAsync(client, Message(responseTopic: Value("response"))),
        "subscribe" or "subscribe-session" or "websocket" => SubscribeAsync(client),
        "unsubscribe" => UnsubscribeAsync(client),
        "will" => Task.Delay(Timeout.Infinite),
        "authenticate" => AuthenticateAsync(client),
        _ => throw new ArgumentException($"there is no role '{role}'", nameof(role)),
    };

    private static string Value(string name) => Environment.GetEnvironmentVariable($"MQTT5_{name.ToUpperInvariant()}")!;

    private static int Number(string name) => int.Parse(Value(name), CultureInfo.InvariantCulture);

    private static bool IsV5 => Value("version") == "5";

    private static QoS QoS => (QoS)Number("qos");

    private static MqttMessage Message(bool retain = false, TimeSpan? expiry = null, string? responseTopic = null) => new()
    {
        Topic = Value("topic"),
        Text = Value("message"),
        QoS = QoS,
        Retain = retain,
        Expiry = expiry,
        ResponseTopic = responseTopic,
    };

    private static MqttClientOptions Options(string role)
    {
        var options = MqttClientOptions.For(Value("url"));
        options.KeepAlive = TimeSpan.FromSeconds(Number("keepalive"));
        options.Version = IsV5 ? MqttVersion.Mqtt5 : MqttVersion.Mqtt311;

        if (role is "publish-session" or "subscribe-session" or "alias" or "expiring")
        {
            options.ClientId = Value("id");
            options.SessionExpiry = TimeSpan.FromSeconds(1000);
        }
        else if (!IsV5)
        {
            // MQTT 3.1.1 has no session that begins anew and outlives its connection.
            options.SessionExpiry = null;
        }

        if (IsV5 && role is ("subscribe" or "subscribe-session"))
            options.TopicAliasMaximum = 10;

        if (role == "will")
            options.Will = new MqttWill { Message = Message() };

        if (role == "login")
            options.Credentials = MqttCredentials.Of(Value("user"), Value("password"));

        if (role == "authenticate")
            options.Authenticator = new Answers();

        return options;
    }

    // All at once: what may be under way at the same time is for the client to know.
    private static async Task PublishAsync(MqttClient client, MqttMessage message)
    {
        await Task.WhenAll(Enumerable.Range(0, Number("count")).Select(async _ =>
        {
            try
            {
                await client.PublishAsync(message).ConfigureAwait(false);
            }
            catch (MqttException exception)
            {
                await Console.Error.WriteLineAsync(exception.Message).ConfigureAwait(false);
            }
        })).ConfigureAwait(false);
        await client.DisconnectAsync().ConfigureAwait(false);
    }

    private static async Task SubscribeAsync(MqttClient client)
    {
        await using var subscription = await client.SubscribeAsync(Value("topic"), QoS).ConfigureAwait(false);

        await foreach (var message in ((IAsyncEnumerable<MqttReceivedMessage>)subscription).ConfigureAwait(false))
            Console.WriteLine(message.Text);
    }

    private static async Task UnsubscribeAsync(MqttClient client)
    {
        await using var subscription = await client.SubscribeAsync(Value("topic"), QoS).ConfigureAwait(false);
        await client.UnsubscribeAsync(Value("topic")).ConfigureAwait(false);
        await client.DisconnectAsync().ConfigureAwait(false);
    }

    private static async Task AuthenticateAsync(MqttClient client)
    {
        await client.ReauthenticateAsync().ConfigureAwait(false);
        await Task.Delay(Timeout.Infinite).ConfigureAwait(false);
    }

    private sealed class Answers : IMqttAuthenticator, IMqttAuthenticationExchange
    {
        public string Method => Value("method");

        public IMqttAuthenticationExchange Begin() => this;

        public ValueTask<ReadOnlyMemory<byte>?> StartAsync(CancellationToken cancellationToken) =>
            ValueTask.FromResult<ReadOnlyMemory<byte>?>(Encoding.UTF8.GetBytes(Value("message")));

        public ValueTask<ReadOnlyMemory<byte>?> ContinueAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken) =>
            StartAsync(cancellationToken);

        public ValueTask CompleteAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken) => ValueTask.CompletedTask;
    }
}
