using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using MQTTnet;
using MQTTnet.Formatter;
using MQTTnet.Protocol;

namespace Mqtt5.Interop.Tests;

// Our broker with the client of MQTTnet.
public sealed class BrokerWithMqttNetTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData("mqtt")]
    [InlineData("ws")]
    public async Task Messages_of_every_QoS_arrive_once_and_in_order(string scheme)
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0).ListenWebSocket(0));
        using var peer = await Peer.ConnectAsync(broker, scheme: scheme);
        await peer.SubscribeAsync("a/+");

        for (var qos = 0; qos < 3; qos++)
        {
            var topic = $"a/{qos}";

            // MQTTnet does not look at the Receive Maximum of the server, which is 100.
            for (var index = 0; index < 200; index += 50)
                await Task.WhenAll(Enumerable.Range(index, 50).Select(number => peer.PublishAsync(topic, Text(number), qos)));

            var seen = await peer.TakeAsync(200);
            Assert.Equal(Enumerable.Range(0, 200).Select(Text), seen.Select(message => message.ConvertPayloadToString()));
            Assert.All(seen, message => Assert.Equal(qos, (int)message.QualityOfServiceLevel));
        }

        await peer.ExpectNothingAsync();
    }

    [Fact]
    public async Task CONNACK_and_properties()
    {
        await using var broker = await StartAsync();
        using var peer = await Peer.ConnectAsync(broker, options => options.WithClientId("").WithRequestResponseInformation());
        Assert.NotEmpty(peer.Connack.AssignedClientIdentifier);
        Assert.Equal((ushort?)100, peer.Connack.ReceiveMaximum);
        Assert.StartsWith("response/", peer.Connack.ResponseInformation, StringComparison.Ordinal);
        await peer.SubscribeAsync("a", identifier: 7);
        await peer.PublishAsync("a", "x", 1, message => message
            .WithContentType("t")
            .WithResponseTopic("r")
            .WithCorrelationData([0, 255])
            .WithPayloadFormatIndicator(MqttPayloadFormatIndicator.CharacterData)
            .WithUserProperty("k", "1"u8.ToArray().AsMemory())
            .WithUserProperty("k", "2"u8.ToArray().AsMemory()));
        var seen = Assert.Single(await peer.TakeAsync(1));
        Assert.Equal(("t", "r", MqttPayloadFormatIndicator.CharacterData), (seen.ContentType, seen.ResponseTopic, seen.PayloadFormatIndicator));
        Assert.Equal([0, 255], seen.CorrelationData);
        Assert.Equal(["1", "2"], seen.UserProperties.Select(one => Encoding.UTF8.GetString(one.ValueBuffer.Span)));
        Assert.Equal([7u], seen.SubscriptionIdentifiers);
    }

    [Fact]
    public async Task Retained_messages_come_with_the_subscription_until_they_are_removed()
    {
        await using var broker = await StartAsync();
        using var peer = await Peer.ConnectAsync(broker);
        await peer.PublishAsync("kept", "x", 2, message => message.WithRetainFlag());
        using var other = await Peer.ConnectAsync(broker);
        await other.SubscribeAsync("kept");
        Assert.True(Assert.Single(await other.TakeAsync(1)).Retain);
        await peer.PublishAsync("kept", "", 1, message => message.WithRetainFlag());
        using var late = await Peer.ConnectAsync(broker);
        await late.SubscribeAsync("kept");
        await late.ExpectNothingAsync();
    }

    [Fact]
    public async Task A_will_comes_after_its_delay_unless_the_client_sends_DISCONNECT()
    {
        await using var broker = await StartAsync();
        using var watcher = await Peer.ConnectAsync(broker);
        await watcher.SubscribeAsync("will");
        var dying = await Peer.ConnectAsync(broker, options => options
            .WithWillTopic("will").WithWillPayload("gone").WithWillDelayInterval(1).WithSessionExpiryInterval(60));
        var polite = await Peer.ConnectAsync(broker, options => options.WithWillTopic("will").WithWillPayload("polite"));
        await polite.Client.DisconnectAsync();
        polite.Dispose();
        var since = Environment.TickCount64;
        dying.Dispose();
        Assert.Equal("gone", Assert.Single(await watcher.TakeAsync(1)).ConvertPayloadToString());
        Assert.InRange(Environment.TickCount64 - since, 500, 30_000);
        await watcher.ExpectNothingAsync();
    }

    [Fact]
    public async Task A_shared_subscription_gives_each_message_to_one_member()
    {
        await using var broker = await StartAsync();
        using var one = await Peer.ConnectAsync(broker);
        using var two = await Peer.ConnectAsync(broker);
        await one.SubscribeAsync("$share/g/a");
        await two.SubscribeAsync("$share/g/a");

        for (var index = 0; index < 200; index++)
            await one.PublishAsync("a", Text(index), 1);

        MqttApplicationMessage[] all = [.. await one.TakeAsync(100), .. await two.TakeAsync(100)];
        Assert.Equal(
            Enumerable.Range(0, 200),
            all.Select(message => int.Parse(message.ConvertPayloadToString(), CultureInfo.InvariantCulture)).Order());
    }

    [Fact]
    public async Task Topic_Aliases_stand_for_their_topics()
    {
        await using var broker = await StartAsync();
        using var peer = await Peer.ConnectAsync(broker);
        Assert.True(peer.Connack.TopicAliasMaximum > 7);
        await peer.SubscribeAsync("t/#");

        for (var index = 0; index < 100; index++)
        {
            var alias = (ushort)((index % 7) + 1);
            await peer.PublishAsync(index < 7 ? $"t/{alias}" : "", Text(index), index % 3, message => message.WithTopicAlias(alias));
        }

        var seen = await peer.TakeAsync(100);
        Assert.Equal(
            Enumerable.Range(0, 100).Select(index => $"t/{(index % 7) + 1} {index}"),
            seen.Select(message => $"{message.Topic} {message.ConvertPayloadToString()}"));
    }

    [Fact]
    public async Task A_Receive_Maximum_of_1_loses_nothing()
    {
        await using var broker = await StartAsync();
        using var slow = await Peer.ConnectAsync(broker, options => options.WithReceiveMaximum(1));
        using var publisher = await Peer.ConnectAsync(broker);
        await slow.SubscribeAsync("f");

        for (var index = 0; index < 300; index++)
            await publisher.PublishAsync("f", Text(index), 1 + (index % 2));

        var seen = await slow.TakeAsync(300);
        Assert.Equal(Enumerable.Range(0, 300).Select(Text), seen.Select(message => message.ConvertPayloadToString()));
    }

    [Fact]
    public async Task A_session_waits_and_what_expired_meanwhile_does_not_come()
    {
        await using var broker = await StartAsync();

        using (var first = await Peer.ConnectAsync(broker, Away))
            await first.SubscribeAsync("e");

        // The broker knows that it is away, or it would count what comes now as sent.
        for (var left = 3_000; broker.ConnectionCount > 0; left--)
        {
            Assert.True(left > 0, "the first one is still connected");
            await Task.Delay(10);
        }

        using var publisher = await Peer.ConnectAsync(broker);
        await publisher.PublishAsync("e", "short", 1, message => message.WithMessageExpiryInterval(1));
        await publisher.PublishAsync("e", "long", 1, message => message.WithMessageExpiryInterval(100));
        await Task.Delay(2_500);
        using var again = await Peer.ConnectAsync(broker, Away);
        Assert.True(again.Connack.IsSessionPresent);
        var seen = Assert.Single(await again.TakeAsync(1));
        Assert.Equal("long", seen.ConvertPayloadToString());
        Assert.InRange(seen.MessageExpiryInterval, 90u, 98u);
        await again.ExpectNothingAsync();

        static void Away(MqttClientOptionsBuilder options) =>
            options.WithClientId("away").WithCleanStart(false).WithSessionExpiryInterval(60);
    }

    private static Task<MqttBroker> StartAsync() => MqttBroker.StartAsync(options => options.Listen(0));

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    // A client of MQTTnet that keeps what it is sent.
    private sealed class Peer : IDisposable
    {
        private readonly BlockingCollection<MqttApplicationMessage> seen;

        private Peer(IMqttClient client, MqttClientConnectResult connack, BlockingCollection<MqttApplicationMessage> messages) =>
            (Client, Connack, seen) = (client, connack, messages);

        public IMqttClient Client { get; }

        public MqttClientConnectResult Connack { get; }

        public static async Task<Peer> ConnectAsync(
            MqttBroker broker, Action<MqttClientOptionsBuilder>? configure = null, string scheme = "mqtt")
        {
            var address = broker.Addresses.First(one => one.Scheme == scheme);
            var client = new MqttClientFactory().CreateMqttClient();
            var options = new MqttClientOptionsBuilder().WithProtocolVersion(MqttProtocolVersion.V500);
            _ = scheme == "ws"
                ? options.WithWebSocketServer(web => web.WithUri(address.ToString()))
                : options.WithTcpServer("127.0.0.1", address.Port);
            configure?.Invoke(options);
            var messages = new BlockingCollection<MqttApplicationMessage>();
            client.ApplicationMessageReceivedAsync += args =>
            {
                // The payload is MQTTnet's own again after this.
                args.ApplicationMessage.Payload = new ReadOnlySequence<byte>(args.ApplicationMessage.Payload.ToArray());
                messages.Add(args.ApplicationMessage);
                return Task.CompletedTask;
            };
            var connack = await client.ConnectAsync(options.Build()).WaitAsync(Patience);
            Assert.Equal(MqttClientConnectResultCode.Success, connack.ResultCode);
            return new Peer(client, connack, messages);
        }

        public async Task SubscribeAsync(string filter, uint identifier = 0)
        {
            var options = new MqttClientSubscribeOptionsBuilder().WithTopicFilter(filter, MqttQualityOfServiceLevel.ExactlyOnce);

            if (identifier > 0)
                options.WithSubscriptionIdentifier(identifier);

            var result = await Client.SubscribeAsync(options.Build()).WaitAsync(Patience);
            Assert.Equal(MqttClientSubscribeResultCode.GrantedQoS2, Assert.Single(result.Items).ResultCode);
        }

        public async Task PublishAsync(string topic, string text, int qos, Action<MqttApplicationMessageBuilder>? configure = null)
        {
            var message = new MqttApplicationMessageBuilder()
                .WithTopic(topic).WithPayload(text).WithQualityOfServiceLevel((MqttQualityOfServiceLevel)qos);
            configure?.Invoke(message);
            Assert.True((await Client.PublishAsync(message.Build()).WaitAsync(Patience)).IsSuccess);
        }

        public Task<List<MqttApplicationMessage>> TakeAsync(int count) => Task.Run(() =>
        {
            var taken = new List<MqttApplicationMessage>();

            while (taken.Count < count)
            {
                Assert.True(seen.TryTake(out var message, Patience), $"{taken.Count} messages of {count} arrived");
                taken.Add(message);
            }

            return taken;
        });

        // The answer to a message of its own comes after all that was due.
        public async Task ExpectNothingAsync()
        {
            await SubscribeAsync("mark");
            await PublishAsync("mark", "mark", 0);
            Assert.Equal("mark", Assert.Single(await TakeAsync(1)).ConvertPayloadToString());
        }

        public void Dispose()
        {
            Client.Dispose();
            seen.Dispose();
        }
    }
}
