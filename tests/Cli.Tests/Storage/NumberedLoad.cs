using System.Collections.Concurrent;

namespace Mqtt5.CliTests.Storage;

// Messages with numbers for a session that is away: which were acknowledged, and when.
internal sealed class NumberedLoad
{
    private const string Prefix = "n/";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly ConcurrentDictionary<string, DateTime> acknowledged = new();

    // Numbers with the time at which their acknowledgment had come.
    public IReadOnlyDictionary<string, DateTime> Acknowledged => acknowledged;

    // Makes the session that the messages are for, and leaves it.
    public static async Task SubscribeAsync(Uri server)
    {
        await using var client = await MqttClient.ConnectAsync(Options(server, "away")).WaitAsync(Patience);
        await client.SubscribeAsync(Prefix + "#", QoS.ExactlyOnce).WaitAsync(Patience);
    }

    // Publishes so many at QoS 1 and 2 in turns, some at once, until the connection ends or the time is over.
    public Task PublishAsync(Uri server, int count, int atOnce, TimeSpan most) => PublishAsync(server, 1, count, atOnce, most);

    // The same from another number on.
    public async Task PublishAsync(Uri server, int first, int count, int atOnce, TimeSpan most)
    {
        using var end = new CancellationTokenSource(most);
        using var window = new SemaphoreSlim(atOnce);
        await using var client = new MqttClient(Options(server, "publisher"));

        try
        {
            await client.OpenAsync(end.Token);
            await Task.WhenAll(Enumerable.Range(first, count).Select(number => PublishAsync(client, number, window, end.Token)));
        }
        catch (Exception failure) when (failure is MqttException or OperationCanceledException)
        {
            // What was not acknowledged is not looked for.
        }
    }

    // Resumes the session until everything that was acknowledged has come. The result is how often each number came.
    public async Task<IReadOnlyDictionary<string, int>> ReceiveAsync(Uri server)
    {
        var seen = new ConcurrentDictionary<string, int>();
        await using var client = new MqttClient(Options(server, "away"));
        var subscribing = client.SubscribeAsync(Prefix + "#", QoS.ExactlyOnce);
        Assert.True((await client.OpenAsync().WaitAsync(Patience)).SessionPresent);
        var reading = ReadAsync(await subscribing.WaitAsync(Patience), seen);
        var deadline = DateTime.UtcNow + Patience;

        while (acknowledged.Keys.Where(one => !seen.ContainsKey(one)).Take(5).ToArray() is { Length: > 0 } lost)
        {
            Assert.True(DateTime.UtcNow < deadline, $"lost of {acknowledged.Count}: {string.Join(", ", lost)}");
            await Task.WhenAny(reading, Task.Delay(20));
        }

        return seen;
    }

    private static MqttClientOptions Options(Uri server, string client) =>
        new() { Servers = { server }, ClientId = client, CleanStart = false, SessionExpiry = TimeSpan.FromHours(1), Reconnect = null };

    private static async Task ReadAsync(MqttSubscription messages, ConcurrentDictionary<string, int> seen)
    {
        await foreach (var message in messages)
            seen.AddOrUpdate(message.Text, 1, (_, times) => times + 1);
    }

    private async Task PublishAsync(MqttClient client, int number, SemaphoreSlim window, CancellationToken end)
    {
        await window.WaitAsync(end);

        try
        {
            var qos = number % 2 == 0 ? QoS.ExactlyOnce : QoS.AtLeastOnce;
            var text = $"{(int)qos}/{number}";

            if ((await client.PublishAsync(Prefix + text, text, qos, cancellationToken: end)).Reason == ReasonCode.Success)
                acknowledged[text] = DateTime.UtcNow;
        }
        finally
        {
            window.Release();
        }
    }
}
