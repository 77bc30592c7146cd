namespace Mqtt5.BrokerTests;

// Attackers whose few bytes cause much work: retained messages, look-ups.
public sealed partial class HostileCostTests
{
    // 5,000 retained messages below "retained".
    private static async Task<Clients> RetainAsync(MqttBroker broker)
    {
        var clients = new Clients();
        var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"retaining\"");
        clients.Add(client);
        await client.SendAsync([.. Enumerable.Range(0, 5_000).SelectMany(
            index => HealthyPair.Bytes($"PUBLISH retain=1 topic=\"retained/{index}\" payload=\"x\""))]);
        await client.SendAsync("PINGREQ");
        await client.ExpectAsync("PINGRESP");
        return clients;
    }

    private static async Task SubscribesToRetainedAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"a{number}\"");
        var sending = client.SendAsync([.. Enumerable.Range(0, 100).SelectMany(
            index => (byte[])[
                .. HealthyPair.Bytes($"SUBSCRIBE id={(2 * index) + 1} filters[\"retained/#\"]"),
                .. HealthyPair.Bytes($"UNSUBSCRIBE id={(2 * index) + 2} filters[\"retained/#\"]")])]);

        for (var answers = 0; answers < 100;)
        {
            var packet = await client.ReadPacketAsync();
            Assert.NotNull(packet);
            answers += packet.IsUnsuback ? 1 : 0;
        }

        await sending;
    }

    // Clients with 1,000 filters each, of which none matches, but all but for the last level.
    private static async Task<Clients> AlmostMatchAsync(MqttBroker broker)
    {
        var clients = new Clients();

        for (var number = 0; number < 8; number++)
        {
            var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"almost {number}\"");
            clients.Add(client);

            for (var index = 0; index < 1_000; index++)
            {
                var levels = Enumerable.Range(0, 10).Select(level => ((index >> level) & 1) == 0 ? "a" : "+");
                await client.SendAsync($"SUBSCRIBE id={index + 1} filters[\"{string.Join('/', levels)}/{number}\"]");
            }

            for (var index = 0; index < 1_000; index++)
                await client.ExpectStartAsync("SUBACK");
        }

        return clients;
    }

    private static async Task AlmostMatchesAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"a{number}\"");
        await client.SendAsync([.. Enumerable.Range(0, 5_000).SelectMany(
            index => HealthyPair.Bytes($"PUBLISH topic=\"{Deepest}/{index % 100}x\" payload=\"x\""))]);
        await client.SendAsync("PINGREQ");
        await client.ExpectAsync("PINGRESP");
    }
}
