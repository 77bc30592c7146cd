namespace Mqtt5.Client.Tests;

// A server that answers each transmission of a message with DISCONNECT.
public sealed class RefusedByDisconnectTests
{
    [Theory]
    [InlineData(QoS.AtLeastOnce, true, ReasonCode.PacketTooLarge)]
    [InlineData(QoS.ExactlyOnce, true, ReasonCode.PayloadFormatInvalid)]
    [InlineData(QoS.AtLeastOnce, false, ReasonCode.PayloadFormatInvalid)]
    public async Task A_message_that_always_ends_the_connection_is_settled_with_its_reason(QoS qos, bool kept, ReasonCode reason)
    {
        await using var world = new World(options => options.OutgoingTopicAliases = 0);
        var peer = await world.OpenAsync();
        var first = world.Client.PublishAsync("good", "1", qos).AsTask();
        var bad = world.Client.PublishAsync("bad", "2", qos).AsTask();
        var last = world.Client.PublishAsync("good", "3", qos).AsTask();
        var connections = 1;

        var reading = peer.ReadAsync();
        var unanswered = new Queue<PacketId>();

        while (!last.IsCompleted && connections < 12)
        {
            // The server reads all packets that arrive together before it acknowledges any.
            if (await Task.WhenAny(reading, last, Task.Delay(unanswered.Count > 0 ? 50 : 30_000)) != reading)
            {
                while (unanswered.TryDequeue(out var id))
                    await (qos == QoS.AtLeastOnce ? peer.PubackAsync(id) : peer.PubrecAsync(id));

                continue;
            }

            switch (await reading)
            {
                case null:
                    unanswered.Clear();
                    peer = await world.ReopenAsync(sessionPresent: kept);
                    connections++;
                    break;
                case Packet.Publish { Publish: var publish } when TopicOf(publish) == "bad":
                    unanswered.Clear();
                    await peer.DisconnectAsync(reason);
                    break;
                case Packet.Publish { Publish: var publish }:
                    unanswered.Enqueue(publish.Delivery.PacketId.Value);
                    break;
                case Packet.Pubrel { Acknowledgement: var released }:
                    await peer.PubcompAsync(released.PacketId);
                    break;
            }

            reading = peer.ReadAsync();
        }

        await first.Bounded();
        var refused = await Assert.ThrowsAsync<MqttRefusedException>(() => bad.Bounded());
        Assert.Equal(reason, refused.Reason);
        await last.Bounded();
    }

    [Fact]
    public async Task The_delay_grows_while_connections_end_before_they_have_done_something()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var delays = new List<double>();

        for (var round = 0; round < 5; round++)
        {
            await peer.DisconnectAsync(ReasonCode.ImplementationSpecificError);
            var waiting = await world.UntilAsync(MqttConnectionStatus.Waiting);
            delays.Add(waiting.Delay.TotalSeconds);
            world.Time.Advance(waiting.Delay);
            peer = await world.NextPeerAsync();
            await peer.AcceptAsync(sessionPresent: true);
            await world.UntilAsync(MqttConnectionStatus.Connected);
        }

        Assert.Equal([1, 2, 4, 8, 16], delays);
        // A delivered message counts as progress.
        var publishing = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask();
        await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value);
        await publishing.Bounded();
        await peer.DisconnectAsync(ReasonCode.ImplementationSpecificError);
        Assert.Equal(1, (await world.UntilAsync(MqttConnectionStatus.Waiting)).Delay.TotalSeconds);
    }

    private static string TopicOf(Publish publish) => ((TopicReference.Name)publish.Topic).Name.Text;
}
