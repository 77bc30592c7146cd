using System.Runtime.CompilerServices;

namespace Mqtt5.BrokerTests;

// What a client holds that does nothing any more.
[Collection("alone")]
public sealed class SilentPublisherTests
{
    [Fact]
    public async Task The_sessions_that_its_last_message_went_to_are_gone_once_they_have_ended()
    {
        await using var broker = await Brokers.StartAsync();
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        var session = await ComeAndGoAsync(broker, publisher);
        await Waits.UntilAsync(() =>
        {
            GC.Collect();
            return !session.TryGetTarget(out _);
        });
        await publisher.SendAsync("PUBLISH qos=1 topic=\"a\" id=1");
        await publisher.ExpectAsync("PUBACK id=1 rc=NoMatchingSubscribers");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<WeakReference<Serving.Session>> ComeAndGoAsync(MqttBroker broker, RawClient publisher)
    {
        await using var subscriber = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"s\"");
        await subscriber.SubscribeAsync("\"a\"");
        await publisher.SendAsync("PUBLISH topic=\"a\"");
        await subscriber.ExpectAsync("PUBLISH topic=\"a\"");
        return new(broker.Engine.Registry.Sessions.Single(session => session.State.ClientId.Text == "s"));
    }
}
