using System.Globalization;

namespace Mqtt5.Interop.Tests;

// The client in MQTT 3.1.1 and 3.1 against mosquitto over real sockets.
public sealed class MosquittoVersionTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData(MqttVersion.Mqtt311, QoS.AtMostOnce)]
    [InlineData(MqttVersion.Mqtt311, QoS.AtLeastOnce)]
    [InlineData(MqttVersion.Mqtt311, QoS.ExactlyOnce)]
    [InlineData(MqttVersion.Mqtt31, QoS.AtMostOnce)]
    [InlineData(MqttVersion.Mqtt31, QoS.AtLeastOnce)]
    [InlineData(MqttVersion.Mqtt31, QoS.ExactlyOnce)]
    public async Task Messages_of_every_QoS_arrive_once_and_in_order(MqttVersion version, QoS qos)
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var client = await MqttClient.ConnectAsync(Options(broker, version));
        Assert.Equal(version, client.Version);
        await using var subscription = await client.SubscribeAsync("a/+", QoS.ExactlyOnce);
        // All calls at once: what the server may have in flight is the client's matter.
        var publishing = Enumerable.Range(0, 300).Select(number => client.PublishAsync("a/b", Text(number), qos).AsTask()).ToArray();
        Assert.Equal(Enumerable.Range(0, 300).Select(Text), await TakeAsync(subscription, 300));
        await Task.WhenAll(publishing).WaitAsync(Patience);
        await subscription.UnsubscribeAsync().WaitAsync(Patience);
    }

    [Theory]
    [InlineData(MqttVersion.Mqtt311)]
    [InlineData(MqttVersion.Mqtt31)]
    public async Task A_session_is_resumed_and_a_clean_start_discards_it(MqttVersion version)
    {
        await using var broker = await Mosquitto.StartAsync();
        var first = await MqttClient.ConnectAsync(Kept(broker, version, cleanStart: true));
        await first.SubscribeAsync("kept", QoS.ExactlyOnce);
        await first.DisposeAsync();
        await using var other = await MqttClient.ConnectAsync(broker.Uri);
        await other.PublishAsync("kept", "waited", QoS.ExactlyOnce);
        await using var second = new MqttClient(Kept(broker, version, cleanStart: false));
        var subscribing = second.SubscribeAsync("kept", QoS.ExactlyOnce);
        var answer = await second.OpenAsync().WaitAsync(Patience);
        Assert.Equal(version == MqttVersion.Mqtt311, answer.SessionPresent);
        Assert.Equal(["waited"], await TakeAsync(await subscribing.WaitAsync(Patience), 1));
        await second.DisposeAsync();
        await using var third = new MqttClient(Kept(broker, version, cleanStart: true));
        Assert.False((await third.OpenAsync().WaitAsync(Patience)).SessionPresent);
        await other.PublishAsync("kept", "lost", QoS.AtLeastOnce);
        await using var anew = await third.SubscribeAsync("kept", QoS.ExactlyOnce);
        await other.PublishAsync("kept", "new", QoS.AtLeastOnce);
        Assert.Equal(["new"], await TakeAsync(anew, 1));
    }

    [Fact]
    public async Task Properties_of_a_publisher_of_MQTT_5_do_not_hinder_and_a_Will_comes_when_the_connection_is_closed()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var older = await MqttClient.ConnectAsync(Options(broker, MqttVersion.Mqtt311));
        await using var subscription = await older.SubscribeAsync("m/#");
        await using var newer = await MqttClient.ConnectAsync(broker.Uri);
        await newer.PublishAsync(new MqttMessage { Topic = "m/1", Text = "x", QoS = QoS.AtLeastOnce, ContentType = "t", ResponseTopic = "r" });
        var options = Options(broker, MqttVersion.Mqtt311);
        options.Will = new MqttWill { Message = new MqttMessage { Topic = "m/2", Text = "gone", QoS = QoS.AtLeastOnce } };
        await using var leaving = await MqttClient.ConnectAsync(options);
        await leaving.DisconnectAsync(ReasonCode.DisconnectWithWillMessage);
        Assert.Equal(["x", "gone"], await TakeAsync(subscription, 2));
    }

    [Fact]
    public async Task Negotiation_stays_with_MQTT_5()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var client = await MqttClient.ConnectAsync(Options(broker, MqttVersion.Negotiate));
        Assert.Equal(MqttVersion.Mqtt5, client.Version);
    }

    private static MqttClientOptions Options(Mosquitto broker, MqttVersion version)
    {
        var options = MqttClientOptions.For(broker.Uri);
        options.Version = version;
        return options;
    }

    private static MqttClientOptions Kept(Mosquitto broker, MqttVersion version, bool cleanStart)
    {
        var options = Options(broker, version);
        options.ClientId = "kept";
        options.CleanStart = cleanStart;
        return options;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static async Task<string[]> TakeAsync(MqttSubscription subscription, int count)
    {
        using var deadline = new CancellationTokenSource(Patience);
        var all = new List<string>();

        await foreach (var message in subscription.WithCancellation(deadline.Token))
        {
            all.Add(message.Text);

            if (all.Count == count)
                break;
        }

        return [.. all];
    }
}
