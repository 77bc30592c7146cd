namespace Mqtt5.Client.Tests;

// Subscription Identifiers are assigned by the state machine, which never reuses one that is in use.
public sealed class SubscriptionIdentifierTests
{
    [Fact]
    public async Task An_identifier_that_the_application_uses_is_not_assigned()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var given = new HashSet<uint>();

        foreach (var own in new uint?[] { 2, null, null, 4, null, null })
        {
            var subscribing = world.Client.SubscribeAsync(
                $"f/{given.Count}", options: new MqttSubscribeOptions { SubscriptionIdentifier = own });
            var asked = await peer.GrantAsync();
            await subscribing.Bounded();
            Assert.True(given.Add(asked.Properties.SubscriptionIdentifier.Value), "an identifier was given twice");
        }
    }

    [Fact]
    public async Task After_the_greatest_identifier_come_those_that_are_not_in_use()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var given = new List<uint>();

        foreach (var own in new uint?[] { 1, 268_435_455, null, null, 3, null })
        {
            var subscribing = world.Client.SubscribeAsync(
                $"f/{given.Count}", options: new MqttSubscribeOptions { SubscriptionIdentifier = own });
            var asked = await peer.GrantAsync();
            await subscribing.Bounded();
            given.Add(asked.Properties.SubscriptionIdentifier.Value);
        }

        Assert.DoesNotContain(given[2], new uint[] { 1, 268_435_455 });
        Assert.Equal(given.Where((_, index) => index != 4).Distinct(), given.Where((_, index) => index != 4));
        Assert.NotEqual(3u, given[5]);
    }
}
