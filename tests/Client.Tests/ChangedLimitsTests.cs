namespace Mqtt5.Client.Tests;

// A server that allows less after a reconnect than before.
public sealed class ChangedLimitsTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_waits_and_what_is_under_way_meets_the_new_limits(bool sessionPresent)
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var client = world.Client;
        // Under way.
        var exact = client.PublishAsync("exact", "1", QoS.ExactlyOnce).AsTask();
        var large = client.PublishAsync("large", new byte[200], QoS.AtLeastOnce).AsTask();
        var small = client.PublishAsync("small", "1", QoS.AtLeastOnce).AsTask();

        for (var i = 0; i < 3; i++)
            await peer.ExpectAsync<Packet.Publish>();

        await world.Connection!.BreakAsync();
        await world.UntilAsync(MqttConnectionStatus.Waiting);
        // Waiting.
        var retained = client.PublishAsync("retained", "2", QoS.AtLeastOnce, retain: true).AsTask();
        var second = client.PublishAsync("exact", "2", QoS.ExactlyOnce).AsTask();
        var most = client.PublishAsync("large", new byte[200]).AsTask();
        var last = client.PublishAsync("small", "2", QoS.AtLeastOnce).AsTask();
        var subscribing = client.SubscribeAsync("$share/group/a");
        peer = await world.ReopenAsync(sessionPresent, new ConnackBuilder
        {
            MaximumQoS = QoS.AtLeastOnce,
            RetainAvailable = false,
            MaximumPacketSize = 100,
            SharedAvailable = false,
            ReceiveMaximum = 1,
        }.Build());

        foreach (var refused in new[] { exact, large, retained, second, most, (Task)subscribing })
            await Assert.ThrowsAsync<MqttRejectedException>(() => refused.Bounded());

        foreach (var text in new[] { "1", "2" })
        {
            var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
            Assert.Equal("small", ((TopicReference.Name)publish.Topic).Name.Text);
            Assert.Equal(text, System.Text.Encoding.UTF8.GetString(publish.Payload.Span));
            Assert.Equal(sessionPresent && text == "1", publish.Delivery.IsDup);
            await peer.PubackAsync(publish.Delivery.PacketId.Value);
        }

        await small.Bounded();
        await last.Bounded();
    }

    [Fact]
    public async Task A_cancelled_QoS_2_message_finishes_its_exchange_with_a_Receive_Maximum_of_1()
    {
        await using var world = new World();
        var peer = await world.OpenAsync(properties: new ConnackBuilder { ReceiveMaximum = 1 }.Build());
        using var cancellation = new CancellationTokenSource();
        var publishing = world.Client.PublishAsync("a", "1", QoS.ExactlyOnce, cancellationToken: cancellation.Token).AsTask();
        var behind = world.Client.PublishAsync("a", "2", QoS.AtLeastOnce).AsTask();
        var id = (await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value;
        await peer.PubrecAsync(id);
        await peer.ExpectAsync<Packet.Pubrel>();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => publishing.Bounded());
        var next = peer.ExpectAsync<Packet.Publish>();
        await Waits.StaysAsync(next);
        await peer.PubcompAsync(id);
        await peer.PubackAsync((await next).Publish.Delivery.PacketId.Value);
        await behind.Bounded();
    }
}
