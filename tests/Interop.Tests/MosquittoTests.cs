using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using Mqtt5.Client.Tests;

namespace Mqtt5.Interop.Tests;

// The client against mosquitto over real sockets.
public sealed class MosquittoTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData(QoS.AtMostOnce)]
    [InlineData(QoS.AtLeastOnce)]
    [InlineData(QoS.ExactlyOnce)]
    public async Task Messages_of_every_QoS_arrive_once_and_in_order(QoS qos)
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var client = await MqttClient.ConnectAsync(broker.Uri);
        await using var subscription = await client.SubscribeAsync("a/+", QoS.ExactlyOnce);
        var publishing = Task.Run(async () =>
        {
            for (var i = 0; i < 500; i++)
                await client.PublishAsync("a/b", Text(i), qos);
        });
        Assert.Equal(Enumerable.Range(0, 500).Select(Text), await TakeAsync(subscription, 500, message => message.Text));
        await publishing.WaitAsync(Patience);
    }

    [Fact]
    public async Task Properties_and_retained_messages_come_back_as_they_were_sent()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var client = await MqttClient.ConnectAsync(broker.Uri);
        await client.PublishAsync(new MqttMessage
        {
            Topic = "kept",
            Text = "x",
            QoS = QoS.AtLeastOnce,
            Retain = true,
            ContentType = "t",
            ResponseTopic = "r",
            CorrelationData = new byte[] { 1 },
            Expiry = TimeSpan.FromMinutes(5),
            UserProperties = UserProperties.Of([UserProperty.Of("k", "1"), UserProperty.Of("k", "2")]),
        });
        await using var subscription = await client.SubscribeAsync("#");
        var message = (await TakeAsync(subscription, 1, message => message)).Single();
        Assert.Equal(("kept", true, "t", "r", true), (message.Topic, message.Retain, message.ContentType, message.ResponseTopic, message.IsText));
        Assert.Equal(["1", "2"], message.UserProperties.Select(one => one.Value.Text));
        Assert.InRange(message.Expiry!.Value.TotalMinutes, 4, 5);
    }

    [Fact]
    public async Task A_will_is_published_after_its_delay()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var watcher = await MqttClient.ConnectAsync(broker.Uri);
        await using var subscription = await watcher.SubscribeAsync("will");
        var options = MqttClientOptions.For(broker.Uri);
        options.Will = new MqttWill { Message = new MqttMessage { Topic = "will", Text = "gone" }, Delay = TimeSpan.FromSeconds(1) };
        var client = await MqttClient.ConnectAsync(options);
        var since = DateTime.UtcNow;
        await client.DisconnectAsync(ReasonCode.DisconnectWithWillMessage);
        Assert.Equal(["gone"], await TakeAsync(subscription, 1, message => message.Text));
        Assert.InRange((DateTime.UtcNow - since).TotalSeconds, 0.5, 30);
        await client.DisposeAsync();
    }

    [Fact]
    public async Task A_shared_subscription_gives_each_message_to_one_member()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var one = await MqttClient.ConnectAsync(broker.Uri);
        await using var two = await MqttClient.ConnectAsync(broker.Uri);
        var seen = new ConcurrentQueue<string>();
        await using var first = await one.SubscribeAsync("$share/g/a", HandleAsync);
        await using var second = await two.SubscribeAsync("$share/g/a", HandleAsync);

        for (var i = 0; i < 200; i++)
            await one.PublishAsync("a", Text(i), QoS.AtLeastOnce);

        await UntilAsync(() => seen.Count >= 200);
        Assert.Equal(Enumerable.Range(0, 200).Select(Text).Order(), seen.Order());

        Task HandleAsync(MqttReceivedMessage message, CancellationToken cancellationToken)
        {
            seen.Enqueue(message.Text);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task Topic_Aliases_of_both_ends_are_used()
    {
        await using var broker = await Mosquitto.StartAsync("listener {port} 127.0.0.1\nallow_anonymous true\nmax_topic_alias 5");
        var options = MqttClientOptions.For(broker.Uri);
        options.TopicAliasMaximum = 10;
        await using var client = await MqttClient.ConnectAsync(options);
        Assert.Equal(5, client.Server!.TopicAliasMaximum);
        await using var subscription = await client.SubscribeAsync("#", QoS.AtLeastOnce);

        // More topics than aliases, each several times.
        for (var i = 0; i < 100; i++)
            await client.PublishAsync($"topic/{i % 7}", Text(i), QoS.AtLeastOnce);

        Assert.Equal(
            Enumerable.Range(0, 100).Select(i => $"topic/{i % 7} {i}"),
            await TakeAsync(subscription, 100, message => $"{message.Topic} {message.Text}"));
    }

    [Fact]
    public async Task Flow_control_works_at_a_Receive_Maximum_of_1()
    {
        await using var broker = await Mosquitto.StartAsync(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 1");
        var options = MqttClientOptions.For(broker.Uri);
        options.ReceiveMaximum = 1;
        await using var client = await MqttClient.ConnectAsync(options);
        await using var subscription = await client.SubscribeAsync("a", QoS.ExactlyOnce);
        var publishing = Task.WhenAll(Enumerable.Range(0, 200).Select(i =>
            client.PublishAsync("a", Text(i), i % 2 == 0 ? QoS.AtLeastOnce : QoS.ExactlyOnce).AsTask()));
        var seen = await TakeAsync(subscription, 200, message => message.Text);
        Assert.Equal(200, seen.Distinct().Count());
        await publishing.WaitAsync(Patience);
    }

    [Fact]
    public async Task TLS_with_a_client_certificate()
    {
        using var certificates = new TestCertificates();
        var authority = await Mosquitto.WriteAsync("ca.pem", certificates.Authority.ExportCertificatePem());
        var certificate = await Mosquitto.WriteAsync("server.pem", certificates.Server.ExportCertificatePem());
        var key = await Mosquitto.WriteAsync("server.key", certificates.Server.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        await using var broker = await Mosquitto.StartAsync(
            $"listener {{port}} 127.0.0.1\ncafile {authority}\ncertfile {certificate}\nkeyfile {key}\nrequire_certificate true\nuse_identity_as_username true\nallow_anonymous false");
        var options = MqttClientOptions.For($"mqtts://localhost:{broker.Port}");
        options.Tls.CertificateAuthorities.Add(certificates.Authority);
        options.Tls.ClientCertificates.Add(certificates.Client);
        await using (var client = await MqttClient.ConnectAsync(options))
            await client.PublishAsync("a", "x", QoS.ExactlyOnce);

        options.Tls.ClientCertificates.Clear();
        options.Reconnect = null;
        await Assert.ThrowsAsync<MqttConnectException>(() => MqttClient.ConnectAsync(options).WaitAsync(Patience));
    }

    [Fact]
    public async Task WebSocket()
    {
        // Version 2.0 does not start with nothing but a WebSocket listener.
        await using var broker = await Mosquitto.StartAsync(
            "allow_anonymous true\nlistener {other} 127.0.0.1\nlistener {port} 127.0.0.1\nprotocol websockets");
        await using var client = await MqttClient.ConnectAsync($"ws://127.0.0.1:{broker.Port}/mqtt");
        await using var subscription = await client.SubscribeAsync("a");
        await client.PublishAsync("a", new byte[200_000], QoS.AtLeastOnce);
        Assert.Equal([200_000], await TakeAsync(subscription, 1, message => message.Payload.Length));
    }

    [Fact]
    public async Task A_broker_that_restarts_while_messages_are_published_loses_none_and_doubles_no_QoS2()
    {
        await using var broker = await Mosquitto.StartAsync(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\nmax_queued_messages 0");
        var options = MqttClientOptions.For(broker.Uri);
        options.ClientId = "keeper";
        options.CleanStart = false;
        options.Reconnect = new MqttReconnectOptions { InitialDelay = TimeSpan.FromMilliseconds(50), MaximumDelay = TimeSpan.FromMilliseconds(200) };
        await using var client = await MqttClient.ConnectAsync(options);
        var seen = new ConcurrentQueue<string>();
        await using var subscription = await client.SubscribeAsync(
            "a/#",
            (message, _) =>
            {
                seen.Enqueue(message.Topic + message.Text);
                return Task.CompletedTask;
            },
            QoS.ExactlyOnce);
        var publishing = Task.WhenAll(Enumerable.Range(0, 1_000).Select(async i =>
        {
            await Task.Delay(i);
            await client.PublishAsync(i % 2 == 0 ? "a/1/" : "a/2/", Text(i), i % 2 == 0 ? QoS.AtLeastOnce : QoS.ExactlyOnce);
        }));

        for (var round = 0; round < 3; round++)
        {
            await Task.Delay(250);
            await broker.StopAsync();
            await broker.StartAgainAsync();
        }

        await publishing.WaitAsync(Patience);
        await UntilAsync(() => seen.Distinct().Count() == 1_000);
        Assert.Equal(500, seen.Count(one => one.StartsWith("a/2/", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_broker_that_is_killed_leaves_a_client_that_goes_on()
    {
        await using var broker = await Mosquitto.StartAsync();
        var options = MqttClientOptions.For(broker.Uri);
        options.Reconnect = new MqttReconnectOptions { InitialDelay = TimeSpan.FromMilliseconds(50), MaximumDelay = TimeSpan.FromMilliseconds(200) };
        await using var client = await MqttClient.ConnectAsync(options);
        var resubscribed = 0;
        client.Resubscribed += (_, args) => resubscribed += args.Result.IsGranted ? 1 : 0;
        await using var subscription = await client.SubscribeAsync("after");

        for (var round = 1; round <= 3; round++)
        {
            var publishing = Task.WhenAll(Enumerable.Range(0, 200).Select(i =>
                client.PublishAsync("during", Text(i), i % 2 == 0 ? QoS.AtLeastOnce : QoS.ExactlyOnce).AsTask()));
            await broker.KillAsync();
            await broker.StartAgainAsync();
            await publishing.WaitAsync(Patience);
            await UntilAsync(() => Volatile.Read(ref resubscribed) == round);
            await client.PublishAsync("after", "x", QoS.AtLeastOnce);
            Assert.Equal(["x"], await TakeAsync(subscription, 1, message => message.Text));
        }
    }

    [Fact]
    public async Task An_idle_connection_is_kept_alive()
    {
        await using var broker = await Mosquitto.StartAsync();
        var options = MqttClientOptions.For(broker.Uri);
        options.KeepAlive = TimeSpan.FromSeconds(1);
        options.Reconnect = null;

        // A machine that stalls may keep a PINGREQ back for longer than mosquitto waits, but not each time.
        for (var left = 4; ; left--)
        {
            await using var client = await MqttClient.ConnectAsync(options);
            await Task.Delay(4_000);

            if (client.State.Status != MqttConnectionStatus.Connected && left > 0)
                continue;

            Assert.Equal(MqttConnectionStatus.Connected, client.State.Status);
            await client.PublishAsync("a", "x", QoS.AtLeastOnce);
            break;
        }
    }

    [Fact]
    public async Task Payloads_of_1_MiB()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var client = await MqttClient.ConnectAsync(broker.Uri);
        await using var big = await client.SubscribeAsync("big");
        var payload = new byte[1024 * 1024];
        Random.Shared.NextBytes(payload);

        for (var i = 0; i < 5; i++)
            await client.PublishAsync("big", payload, QoS.AtLeastOnce);

        Assert.All(await TakeAsync(big, 5, message => message.Payload.ToArray()), one => Assert.Equal(payload, one));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Ten_thousand_topics(bool eachSubscribed)
    {
        const int topics = 10_000;
        await using var broker = await Mosquitto.StartAsync("listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0");
        await using var client = await MqttClient.ConnectAsync(broker.Uri);
        var names = Enumerable.Range(0, topics).Select(i => $"many/{i}").ToArray();
        var filters = eachSubscribed ? names : ["many/#"];
        await using var many = await client.SubscribeAsync([.. filters.Select(filter => new MqttTopicFilter(filter, QoS.AtLeastOnce))]);
        Assert.Equal(filters.Length, many.Results.Count(result => result.IsGranted));
        var publishing = Task.WhenAll(names.Select(name => client.PublishAsync(name, "x", QoS.AtLeastOnce).AsTask()));
        Assert.Equal(names.Order(), (await TakeAsync(many, topics, message => message.Topic)).Order());
        await publishing.WaitAsync(Patience);
        var given = await many.UnsubscribeAsync();
        Assert.Equal(filters.Length, given.Count(result => result.Reason == ReasonCode.Success));
    }

    [Fact]
    public async Task Requests_are_answered()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var server = await MqttClient.ConnectAsync(broker.Uri);
        await using var client = await MqttClient.ConnectAsync(broker.Uri);
        await using var responding = await server.RespondAsync("square", (request, _) =>
        {
            var number = int.Parse(request.Text, CultureInfo.InvariantCulture);
            return Task.FromResult(Text(number * number));
        });
        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => client.RequestAsync("square", Text(i), Patience)));
        Assert.Equal(Enumerable.Range(0, 50).Select(i => Text(i * i)), answers.Select(answer => answer.Text));
    }

    [Fact]
    public async Task The_calls_that_a_newcomer_copies()
    {
        await using var broker = await Mosquitto.StartAsync();
        var uri = broker.Uri;
        var saved = new ConcurrentQueue<string>();

        await using var client = await MqttClient.ConnectAsync(uri);

        // Pull: a message is acknowledged when the loop asks for the next one.
        await using var temperatures = await client.SubscribeAsync("plant/+/temp");

        // Push: a message is acknowledged when the handler completes.
        await using var all = await client.SubscribeAsync("plant/#", async (message, cancellationToken) =>
        {
            await Task.Delay(1, cancellationToken);
            saved.Enqueue(message.Text);
        });

        // Completes with PUBACK or PUBCOMP; a refusal throws with its reason code.
        await client.PublishAsync("plant/7/temp", "21.5", QoS.AtLeastOnce);

        await foreach (var message in temperatures)
        {
            Assert.Equal("plant/7/temp = 21.5", $"{message.Topic} = {message.Text}");
            break;
        }

        // Request and response.
        await using var responder = await client.RespondAsync("math/square", (request, _) =>
            Task.FromResult(Text(int.Parse(request.Text, CultureInfo.InvariantCulture) * 12)));
        var answer = await client.RequestAsync("math/square", "12");
        Assert.Equal("144", answer.Text);

        // As fast as it goes, without waiting.
        Assert.True(client.TryPublish("plant/7/tick", "1"));
        await UntilAsync(() => saved.Count == 2);
        await client.DisconnectAsync();
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static async Task<List<T>> TakeAsync<T>(MqttSubscription subscription, int count, Func<MqttReceivedMessage, T> select)
    {
        using var deadline = new CancellationTokenSource(Patience);
        var taken = new List<T>();
        var messages = subscription.GetAsyncEnumerator(deadline.Token);

        while (taken.Count < count && await messages.MoveNextAsync())
        {
            taken.Add(select(messages.Current));
            messages.Current.Acknowledge();
        }

        await messages.DisposeAsync();
        return taken;
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        var deadline = Environment.TickCount64 + (long)Patience.TotalMilliseconds;

        while (!holds())
        {
            Assert.True(Environment.TickCount64 < deadline, "it did not come true in time");
            await Task.Delay(10);
        }
    }
}
