namespace Mqtt5.BrokerTests;

// A client that reconnects while its earlier connection still exists.
public sealed class TakeoverTests
{
    [Fact]
    [Clause("MQTT-3.1.4-3")]
    public async Task A_Will_of_the_earlier_connection_goes_to_the_new_one()
    {
        await using var broker = await Brokers.StartAsync();
        await using var earlier = await RawClient.ConnectAsync(
            broker,
            "CONNECT clean=1 clientid=\"c\" will[topic=\"w\" payload=\"gone\" qos=1] props{SessionExpiryInterval=60}");
        await earlier.SubscribeAsync("\"w\" qos=1");
        await using var later = await RawClient.ConnectAsync(
            broker, "CONNECT clean=0 clientid=\"c\" props{SessionExpiryInterval=60}", "CONNACK sp=1");
        await later.ExpectAsync("PUBLISH qos=1 topic=\"w\" id=1 payload=\"gone\"");
        // Nothing precedes the DISCONNECT.
        await earlier.ExpectDisconnectAsync(ReasonCode.SessionTakenOver);
        await earlier.ExpectEndAsync();
    }

    // The read loop of the client is busy while it disconnects and reconnects.
    [Fact]
    [Clause("MQTT-3.14.4-3")]
    public async Task A_DISCONNECT_that_was_not_read_yet_is_taken_before_the_client_connects_again()
    {
        using var busy = new ManualResetEventSlim();
        using var begun = new SemaphoreSlim(0);
        await using var broker = await Brokers.StartAsync(options => options.InterceptPublish = publish =>
        {
            if (publish.Topic == "busy")
            {
                begun.Release();
                busy.Wait(RawClient.Patience);
            }
        });
        await using var watcher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"watcher\"");
        await watcher.SubscribeAsync("\"w\"");
        var earlier = await RawClient.ConnectAsync(
            broker, "CONNECT clean=1 clientid=\"c\" will[topic=\"w\" payload=\"gone\"] props{SessionExpiryInterval=60}");
        await earlier.SendAsync("PUBLISH topic=\"busy\"");
        await begun.WaitAsync().Bounded();
        await earlier.SendAsync("DISCONNECT rc=0x00 props{SessionExpiryInterval=0}");
        await earlier.DisposeAsync();
        var connecting = RawClient.ConnectAsync(
            broker, "CONNECT clean=0 clientid=\"c\" props{SessionExpiryInterval=60}", "CONNACK rc=Success");
        await Task.Delay(50);
        busy.Set();
        await using var later = await connecting.Bounded();
        await watcher.ExpectNothingAsync();
    }

    [Fact]
    public async Task A_client_that_never_stops_sending_is_taken_over_all_the_same()
    {
        using var busy = new ManualResetEventSlim();
        using var begun = new SemaphoreSlim(0);
        await using var broker = await Brokers.StartAsync(options => options.InterceptPublish = _ =>
        {
            begun.Release();
            busy.Wait(RawClient.Patience);
        });
        await using var earlier = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await earlier.SendAsync("PUBLISH topic=\"a\"");
        await begun.WaitAsync().Bounded();
        var watch = System.Diagnostics.Stopwatch.StartNew();
        var connecting = RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await earlier.ExpectStartAsync("DISCONNECT rc=SessionTakenOver");
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 10);
        busy.Set();
        await using var later = await connecting.Bounded();
    }

    [Fact]
    public async Task A_message_that_expires_while_it_waits_is_counted()
    {
        await using var broker = await Brokers.StartAsync();
        await using (var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" props{SessionExpiryInterval=60}"))
        {
            await client.SubscribeAsync("\"a\" qos=1");
            await client.SendAsync("DISCONNECT");
            await client.ExpectEndAsync();
        }

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        broker.Publish(new MqttMessage { Topic = "a", Text = "1", QoS = QoS.AtLeastOnce, Expiry = TimeSpan.FromSeconds(1) });
        Assert.Equal(0, broker.Engine.Totals.Read(0).PublishDropped);
        await Waits.UntilAsync(() => broker.Engine.Totals.Read(0).PublishDropped == 1);
    }

    [Fact]
    public async Task A_message_that_a_new_connection_does_not_take_is_dropped_once_and_for_its_own_reason()
    {
        var dropped = new System.Collections.Concurrent.ConcurrentQueue<string>();
        await using var broker = await Brokers.StartAsync(options => options.MessageDropped = (client, topic, why) => dropped.Enqueue($"{client} {topic} {why}"));
        await using (var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" props{SessionExpiryInterval=60}"))
        {
            await client.SubscribeAsync("\"a\" qos=1");
            await client.SendAsync("DISCONNECT");
            await client.ExpectEndAsync();
        }

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        broker.Publish(new MqttMessage { Topic = "a", Text = new string('x', 100), QoS = QoS.AtLeastOnce });
        await using var again = await RawClient.ConnectAsync(
            broker, "CONNECT clean=0 clientid=\"c\" props{SessionExpiryInterval=60, MaximumPacketSize=50}", "CONNACK sp=1");
        await again.ExpectNothingAsync();
        Assert.Equal(["c a the packet would be larger than the client takes"], dropped);
        Assert.Equal(1, broker.Engine.Totals.Read(0).PublishDropped);
    }

    [Fact]
    public async Task A_session_belongs_to_the_user_who_made_it()
    {
        await using var broker = await Brokers.StartAsync(options => options.Authenticator = new AnyPassword());
        await using (var anna = await RawClient.ConnectAsync(
            broker, "CONNECT clean=1 clientid=\"shared\" username=\"anna\" password=\"p\" props{SessionExpiryInterval=60}"))
        {
            await anna.SubscribeAsync("\"secret\" qos=1");
            await anna.SendAsync("DISCONNECT");
            await anna.ExpectEndAsync();
        }

        broker.Publish(new MqttMessage { Topic = "secret", Text = "1", QoS = QoS.AtLeastOnce });
        await using var bob = await RawClient.ConnectAsync(
            broker, "CONNECT clean=0 clientid=\"shared\" username=\"bob\" password=\"p\" props{SessionExpiryInterval=60}", "CONNACK rc=NotAuthorized");
        await bob.ExpectEndAsync();
        await using var again = await RawClient.ConnectAsync(
            broker, "CONNECT clean=0 clientid=\"shared\" username=\"anna\" password=\"p\" props{SessionExpiryInterval=60}", "CONNACK sp=1");
        await again.ExpectStartAsync("PUBLISH qos=1 topic=\"secret\" id=1");
    }

    private sealed class AnyPassword : IMqttBrokerAuthenticator
    {
        public ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken) =>
            new(MqttAuthenticationResult.Accepted);
    }
}
