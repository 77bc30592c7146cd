namespace Mqtt5.BrokerTests;

// Many clients that come, go, take over and subscribe at random, all at once.
public sealed class ChurnTests
{
    private const int Clients = 16;
    private const int Lives = 25;

    [Fact]
    public async Task Nothing_hangs_and_nothing_is_left_behind()
    {
        await using var broker = await Brokers.StartAsync(options => options.Limits.QueuedMessages = 50);
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(seed => Task.Run(() => LiveAsync(broker, new Random(seed))))).WaitAsync(TimeSpan.FromSeconds(60));

        var registry = broker.Engine.Registry.Current;
        Assert.True(BrokerModule.Sound(registry).IsNone);

        foreach (var session in broker.Engine.Registry.Sessions)
            Assert.True(ServerStateModule.Sound(session.State).IsNone);

        // What was sent last may still be on its way, CONNECT as well.
        await Waits.UntilAsync(() => broker.Engine.Totals.Read(0).ConnectionsOpened == Clients * Lives && broker.Engine.Served == 0);
        Assert.Equal(0, broker.ConnectionCount);

        foreach (var session in broker.Sessions)
            Assert.True(broker.EndSession(session.ClientId));

        Assert.Empty(broker.Engine.Registry.Sessions);
        Assert.Equal(0, broker.Engine.Registry.Current.Subscriptions.Count);

        // A turn that still goes on, as one that routes a Will, tells what it queued at its end.
        await Waits.UntilAsync(() => broker.Engine.Totals.Read(0) is { MessagesQueued: 0, BytesQueued: 0 });

        // It still works.
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"last\"");
        await client.SubscribeAsync("\"last\"");
        await client.SendAsync("PUBLISH topic=\"last\"");
        await client.ExpectAsync("PUBLISH topic=\"last\"");
    }

    private static async Task LiveAsync(MqttBroker broker, Random random)
    {
        for (var life = 0; life < Lives; life++)
        {
            // Few identifiers, so that clients take each other's sessions over.
            var keeps = random.Next(2) == 0 ? " props{SessionExpiryInterval=100}" : "";
            var will = random.Next(3) == 0 ? " will[topic=\"t/0\" payload=\"will\"]" : "";
            var client = await RawClient.OpenAsync(broker);
            // No message is acknowledged; some clients do not even read.
            var reading = random.Next(3) > 0 ? ReadAsync(client) : Task.CompletedTask;

            try
            {
                await client.SendAsync($"CONNECT clean={random.Next(2)} clientid=\"c{random.Next(10)}\"{keeps}{will}");

                for (var step = 0; step < 20; step++)
                {
                    var topic = $"t/{random.Next(4)}";
                    await client.SendAsync(random.Next(6) switch
                    {
                        0 => $"SUBSCRIBE id={step + 1} filters[\"{topic}\" qos={random.Next(3)}, \"$share/g/t/+\" qos=1]",
                        1 => $"UNSUBSCRIBE id={step + 1} filters[\"{topic}\"]",
                        2 => $"PUBLISH topic=\"{topic}\" payload=\"0\"",
                        3 => $"PUBLISH retain=1 qos=1 topic=\"{topic}\" id={step + 100} payload=\"1\"",
                        4 => $"PUBLISH qos=2 topic=\"{topic}\" id={step + 200} payload=\"2\"",
                        _ => "PINGREQ",
                    });
                }

                if (random.Next(2) == 0)
                    await client.SendAsync("DISCONNECT");
            }
            catch (IOException)
            {
                // Another client took the session over.
            }

            await client.DisposeAsync();
            await reading;
        }
    }

    private static async Task ReadAsync(RawClient client)
    {
        try
        {
            while (await client.ReadPacketAsync() is not null)
            {
            }
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            // The client left.
        }
    }
}
