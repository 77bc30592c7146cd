namespace Mqtt5.BrokerTests;

// Messages of QoS 0 for those who cannot take them.
public sealed class HostileDropTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_a_client_that_is_away_misses_is_counted_and_reported_to_an_observer(bool observed)
    {
        var told = 0;
        await using var broker = await Brokers.StartAsync(options =>
        {
            if (observed)
                options.MessageDropped = (client, topic, _) => Interlocked.Add(ref told, client == "away" && topic == "a" ? 1 : 1_000);
        });

        await using (var away = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"away\" props{SessionExpiryInterval=100}"))
            await away.SubscribeAsync("\"a\" qos=2");

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        await using var here = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"here\" props{MaximumPacketSize=30}");
        await here.SubscribeAsync("\"a\"");

        for (var index = 0; index < 5; index++)
        {
            await here.SendAsync("PUBLISH topic=\"a\" payload=\"x\"");
            await here.ExpectAsync("PUBLISH topic=\"a\" payload=\"x\"");
        }

        await here.SendAsync("PUBLISH topic=\"a\" payload=\"x\"*30");
        await here.ExpectNothingAsync();
        await here.SendAsync("PUBLISH qos=1 topic=\"a\" id=1 payload=\"kept\"");
        await here.ExpectStartAsync("PUBLISH topic=\"a\"");
        await here.ExpectAsync("PUBACK id=1");

        // Six for the client that is away, and one that is too large for the other.
        Assert.Equal(observed ? 1_006 : 0, told);
        Assert.Equal(7, broker.Engine.Totals.Read(0).PublishDropped);
        var drops = broker.Inspection.Drops();
        Assert.Equal(7, drops.Total);
        // Each has its reason, also where no message was looked at.
        Assert.Equal([6, 1], drops.Reasons.Select(one => one.Count));
        Assert.Contains("the client is not connected", drops.Reasons[0].Reason, StringComparison.Ordinal);
        await using var back = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"away\"", "CONNACK sp=1");
        await back.ExpectAsync("PUBLISH qos=1 topic=\"a\" id=1 payload=\"kept\"");
    }
}
