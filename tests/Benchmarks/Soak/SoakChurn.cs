using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>What comes and goes beside the lanes of a soak: connections, sessions, subscriptions and retained messages.</summary>
internal static class SoakChurn
{
    private const int Topics = 2_000;

    /// <summary>Retains a message at every topic: as many as there will ever be.</summary>
    public static async Task FillAsync(int port)
    {
        await using var client = await MqttClient.ConnectAsync($"mqtt://127.0.0.1:{port}").ConfigureAwait(false);

        for (var topic = 0; topic < Topics; topic++)
            await client.PublishAsync(Retained(topic)).ConfigureAwait(false);
    }

    /// <summary>Clients that connect, subscribe, publish retained messages and leave, one after another.</summary>
    /// <returns>How many there were.</returns>
    public static async Task<int> ComeAndGoAsync(int port, int seed, CancellationToken stop)
    {
        var random = new Random(seed);
        var lives = 0;

        for (; !stop.IsCancellationRequested; lives++)
        {
            var options = MqttClientOptions.For($"mqtt://127.0.0.1:{port}");
            // Some identifiers come again, and find their session or take it over.
            options.ClientId = $"churn-{seed}-{random.Next(50).ToString(CultureInfo.InvariantCulture)}";
            options.CleanStart = random.Next(2) == 0;
            options.SessionExpiry = TimeSpan.FromSeconds(random.Next(5));
            options.Reconnect = null;
            options.Will = random.Next(4) == 0 ? new MqttWill { Message = new MqttMessage { Topic = "churn/will", Text = "gone" } } : null;
            var client = await MqttClient.ConnectAsync(options, stop).ConfigureAwait(false);

            for (var index = 0; index < 10; index++)
            {
                var retained = Retained(random.Next(Topics));
                await client.SubscribeAsync(random.Next(2) == 0 ? retained.Topic : $"churn/+/{random.Next(Topics)}/#", NothingAsync, QoS.AtLeastOnce, cancellationToken: stop).ConfigureAwait(false);
                await client.PublishAsync(retained, stop).ConfigureAwait(false);
                // As many are removed as are kept.
                await client.PublishAsync(new MqttMessage { Topic = $"churn/{random.Next(Topics)}", QoS = QoS.AtLeastOnce, Retain = true }, stop).ConfigureAwait(false);
            }

            if (random.Next(2) == 0)
                await client.DisconnectAsync(ReasonCode.DisconnectWithWillMessage, cancellationToken: CancellationToken.None).ConfigureAwait(false);

            await client.DisposeAsync().ConfigureAwait(false);
            await Task.Delay(random.Next(100), CancellationToken.None).ConfigureAwait(false);
        }

        return lives;

        static Task NothingAsync(MqttReceivedMessage message, CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private static MqttMessage Retained(int topic) =>
        new() { Topic = $"churn/{topic}", Payload = new byte[100], QoS = QoS.AtLeastOnce, Retain = true };
}
