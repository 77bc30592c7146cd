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

    // Before MQTT 5 a server can only close the connection; it does so before it acknowledges anything that came with the message.
    [Theory]
    [InlineData(QoS.AtLeastOnce, MqttVersion.Mqtt311, true)]
    [InlineData(QoS.ExactlyOnce, MqttVersion.Mqtt311, true)]
    [InlineData(QoS.AtLeastOnce, MqttVersion.Mqtt31, false)]
    public async Task A_message_that_a_server_before_MQTT_5_always_closes_for_is_settled(QoS qos, MqttVersion version, bool kept)
    {
        await using var world = new World(options => (options.Version, options.CleanStart) = (version, false));
        var peer = await world.OpenAsync();
        var first = world.Client.PublishAsync("good", "1", qos).AsTask();
        var bad = world.Client.PublishAsync("bad", "2", qos).AsTask();
        var last = world.Client.PublishAsync("good", "3", qos).AsTask();
        var closed = 0;

        while (!last.IsCompleted && closed < 20)
        {
            if (await ServeUntilBadAsync(peer, qos, last))
                break;

            closed++;
            await world.Connection!.DisposeAsync();
            peer = await world.ReopenAsync(sessionPresent: kept);
        }

        await first.Bounded();
        await last.Bounded();
        var rejected = await Assert.ThrowsAsync<MqttRejectedException>(() => bad.Bounded());
        Assert.Equal(MqttReasonSource.Client, rejected.ReasonSource);
        Assert.Contains("5 connections in a row", rejected.Message, StringComparison.Ordinal);
        // Two with all three messages, and five with the one alone.
        Assert.Equal(7, closed);
    }

    // A network that fails looks the same; a message that went with a few connections is still sent.
    [Fact]
    public async Task A_message_is_sent_again_while_few_connections_end_with_it()
    {
        await using var world = new World(options => (options.Version, options.CleanStart) = (MqttVersion.Mqtt311, false));
        var peer = await world.OpenAsync();
        var publishing = world.Client.PublishAsync("a", "1", QoS.AtLeastOnce).AsTask();

        for (var closed = 0; closed < 4; closed++)
        {
            await peer.ExpectAsync<Packet.Publish>();
            await world.Connection!.DisposeAsync();
            peer = await world.ReopenAsync(sessionPresent: true);
        }

        await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value);
        Assert.Equal(ReasonCode.Success, (await publishing.Bounded()).Reason);
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

    // Reads all that arrives together, and acknowledges it unless the bad message is with it. Whether the last message is settled.
    private static async Task<bool> ServeUntilBadAsync(Peer peer, QoS qos, Task last)
    {
        var reading = peer.ReadAsync();
        var unanswered = new Queue<PacketId>();

        while (true)
        {
            if (await Task.WhenAny(reading, last, Task.Delay(unanswered.Count > 0 ? 50 : 30_000)) != reading)
            {
                if (last.IsCompleted)
                    return true;

                while (unanswered.TryDequeue(out var id))
                    await (qos == QoS.AtLeastOnce ? peer.PubackAsync(id) : peer.PubrecAsync(id));

                continue;
            }

            switch (await reading)
            {
                case Packet.Publish { Publish: var publish } when TopicOf(publish) == "bad":
                    return false;
                case Packet.Publish { Publish: var publish }:
                    unanswered.Enqueue(publish.Delivery.PacketId.Value);
                    break;
                case Packet.Pubrel { Acknowledgement: var released }:
                    await peer.PubcompAsync(released.PacketId);
                    break;
            }

            reading = peer.ReadAsync();
        }
    }

    private static string TopicOf(Publish publish) => ((TopicReference.Name)publish.Topic).Name.Text;
}
