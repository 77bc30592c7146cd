namespace Mqtt5.CliTests;

// Reloads of several kinds, one after another, beside a stream of messages of QoS 1 of which none may be lost.
// MQTT5_RELOAD_WHOLE=1 asks for 200 of each kind beside 100,000 messages.
internal static class ReloadLoad
{
    private const string Topic = "load/1";
    private const int MostUnderWay = 100;

    private static readonly bool IsWhole = Environment.GetEnvironmentVariable("MQTT5_RELOAD_WHOLE") == "1";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    // Each kind is called with the number of the reload, and checks what the broker says of it. Both clients stay connected.
    public static async Task RunAsync(MqttClient writer, MqttClient reader, params Func<int, Task>[] kinds)
    {
        var (reloads, messages) = IsWhole ? (200, 100_000) : (10, 2_000);
        await using var received = await reader.SubscribeAsync("load/#", QoS.AtLeastOnce);
        var applied = 0;
        var reloading = Task.Run(async () =>
        {
            foreach (var kind in kinds)
            {
                for (var index = 0; index < reloads; index++)
                {
                    await kind(index);
                    Interlocked.Increment(ref applied);
                }
            }
        });
        var reading = ReadAsync(received, messages);
        var underWay = new Queue<Task<MqttPublishResult>>();

        for (var index = 0; index < messages; index++)
        {
            underWay.Enqueue(writer.PublishAsync(Topic, $"{index}", QoS.AtLeastOnce).AsTask());

            if (underWay.Count == MostUnderWay)
                Assert.Equal(ReasonCode.Success, (await underWay.Dequeue().WaitAsync(Patience)).Reason);

            // No message is far ahead of the reloads, so that each of these has some beside it.
            while (Volatile.Read(ref applied) < ((long)index * kinds.Length * reloads / messages) - 1 && !reloading.IsCompleted)
                await Task.Delay(5);
        }

        await Task.WhenAll(underWay).WaitAsync(Patience);
        await reading.WaitAsync(Patience);
        await reloading.WaitAsync(TimeSpan.FromMinutes(10));
        Assert.Equal((MqttConnectionStatus.Connected, MqttConnectionStatus.Connected), (reader.State.Status, writer.State.Status));
    }

    // All of them, each once and in their order.
    private static async Task ReadAsync(MqttSubscription received, int messages)
    {
        var next = 0;

        await foreach (var message in received)
        {
            Assert.Equal($"{next}", message.Text);

            if (++next == messages)
                return;
        }
    }
}
