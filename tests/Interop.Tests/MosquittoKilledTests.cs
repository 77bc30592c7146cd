using System.Collections.Concurrent;
using System.Globalization;

namespace Mqtt5.Interop.Tests;

// A mosquitto that is killed and started again with what it had saved, while messages are under way.
public sealed class MosquittoKilledTests
{
    private const int Messages = 1_000;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(45);

    // That mosquitto may lose what it acknowledged and did not save is its own affair, and kept out by the relay. What is
    // left is the standard's promise: the clients send again what was not acknowledged to them, and each message of
    // QoS 1 arrives at least once, each of QoS 2 exactly once.
    [Fact]
    public async Task Messages_published_while_the_broker_is_killed_all_arrive_and_those_of_QoS2_once()
    {
        await using var broker = await Mosquitto.StartAsync(
            """
            listener {port} 127.0.0.1
            allow_anonymous true
            persistence true
            persistence_location {folder}/
            autosave_on_changes true
            autosave_interval 1
            max_queued_messages 0
            """);
        await using var relay = new SavingRelay(broker);
        using var stop = new CancellationTokenSource();
        var saving = KeepSavingAsync(broker, stop.Token);
        var seen = new ConcurrentQueue<string>();
        await using var subscriber = await ConnectAsync(relay, "subscriber");
        await using var publisher = await ConnectAsync(relay, "publisher");
        await using var subscription = await subscriber.SubscribeAsync(
            "a/+",
            (message, _) =>
            {
                seen.Enqueue($"{message.Topic} {message.Text}");
                return Task.CompletedTask;
            },
            QoS.ExactlyOnce);
        var publishing = Task.WhenAll(Enumerable.Range(0, Messages).Select(async i =>
        {
            await Task.Delay(i * 3);
            await publisher.PublishAsync(i % 2 == 0 ? "a/1" : "a/2", Text(i), i % 2 == 0 ? QoS.AtLeastOnce : QoS.ExactlyOnce);
        }));

        for (var round = 0; round < 5; round++)
        {
            await Task.Delay(400 + (37 * round));
            await relay.KillBrokerAsync();
            await broker.StartAgainAsync();
        }

        await publishing.WaitAsync(Patience);
        await UntilAsync(() => seen.Distinct().Count() == Messages);
        // A second copy would come at once.
        await Task.Delay(500);
        var exactlyOnce = seen.Where(one => one.StartsWith("a/2 ", StringComparison.Ordinal)).ToArray();
        Assert.Equal(Messages / 2, exactlyOnce.Length);
        Assert.Equal(Messages / 2, exactlyOnce.Distinct().Count());
        Assert.True(relay.CutWhileHolding > 0, "no kill hit messages under way");
        await stop.CancelAsync();
        await saving.WaitAsync(Patience);
    }

    private static async Task<MqttClient> ConnectAsync(SavingRelay relay, string id)
    {
        var options = MqttClientOptions.For(relay.Uri);
        options.ClientId = id;
        options.CleanStart = false;
        options.SessionExpiry = TimeSpan.FromHours(1);
        options.Reconnect = new MqttReconnectOptions
        {
            InitialDelay = TimeSpan.FromMilliseconds(20),
            MaximumDelay = TimeSpan.FromMilliseconds(100),
        };
        return await MqttClient.ConnectAsync(options);
    }

    // mosquitto saves after a change, so it gets one all the time; a retained message is one.
    private static async Task KeepSavingAsync(Mosquitto broker, CancellationToken cancellationToken)
    {
        var options = MqttClientOptions.For(broker.Uri);
        options.Reconnect = new MqttReconnectOptions { InitialDelay = TimeSpan.FromMilliseconds(10), MaximumDelay = TimeSpan.FromMilliseconds(20) };
        await using var client = await MqttClient.ConnectAsync(options, cancellationToken: cancellationToken);

        for (var count = 0; !cancellationToken.IsCancellationRequested; count++)
        {
            client.TryPublish("change", Text(count), retain: true);
            await Task.Delay(10, CancellationToken.None);
        }
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static async Task UntilAsync(Func<bool> holds)
    {
        var deadline = Environment.TickCount64 + (long)Patience.TotalMilliseconds;

        while (!holds())
        {
            Assert.True(Environment.TickCount64 < deadline, "it did not come true in time");
            await Task.Delay(10);
        }
    }
}
