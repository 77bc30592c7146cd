using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Mqtt5.BrokerTests;

// What a broker tells of the versions of its clients.
public sealed class VersionTests
{
    [Fact]
    public async Task Sessions_and_the_counter_of_connections_tell_the_version()
    {
        var counted = new ConcurrentBag<string?>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, one) =>
        {
            if (instrument.Name == "mqtt5.broker.connected")
                one.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((_, _, tags, _) =>
        {
            foreach (var tag in tags)
            {
                if (tag.Key == "mqtt5.version")
                    counted.Add((string?)tag.Value);
            }
        });
        listener.Start();
        await using var broker = await Brokers.StartAsync();
        (string Name, ProtocolVersion Version)[] versions =
            [("MQTT 5", ProtocolVersion.V5), ("MQTT 3.1.1", ProtocolVersion.V311), ("MQTT 3.1", ProtocolVersion.V31)];

        foreach (var (name, version) in versions)
        {
            await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"", version: version);
            Assert.Equal(version, Assert.Single(broker.Sessions).Version);
            // Other tests of this process may count too.
            await Waits.UntilAsync(() => counted.Contains(name));
        }
    }

    [Fact]
    public async Task A_client_that_is_away_has_no_version()
    {
        await using var broker = await Brokers.StartAsync();

        await using (var client = await RawClient.OpenAsync(broker))
        {
            await client.SendAsync(Convert.FromHexString("100D00044D51545404000000000163"));
            await client.ExpectBytesAsync([0x20, 2, 0, 0]);
        }

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        Assert.Null(Assert.Single(broker.Sessions).Version);
    }
}
