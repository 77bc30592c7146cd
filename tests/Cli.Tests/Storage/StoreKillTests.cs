using System.Collections.Concurrent;
using System.Globalization;

namespace Mqtt5.CliTests.Storage;

// The broker is killed at random times under numbered load, and started again from its store: nothing that was acknowledged
// is lost, and nothing of QoS 2 comes twice. MQTT5_KILLS says how often; without it, a few times.
public sealed class StoreKillTests : IDisposable
{
    private const int FewKills = 3;
    private const int Window = 40;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-kill-").FullName;
    private readonly ConcurrentDictionary<string, int> stayed = new();
    private readonly ConcurrentDictionary<string, int> visited = new();
    private readonly ConcurrentDictionary<string, bool> acknowledged = new();

    public StoreKillTests() => Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no SIGKILL to send");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task Nothing_acknowledged_is_lost_and_nothing_of_QoS_2_comes_twice()
    {
        var kills = int.Parse(Environment.GetEnvironmentVariable("MQTT5_KILLS") ?? $"{FewKills}", CultureInfo.InvariantCulture);
        var random = new Random(kills);
        var store = Path.Combine(folder, "store");
        var broker = await BrokerProcess.StartAsync("--port", "0", "--store", store);

        try
        {
            var server = broker.Address;
            await using var subscriber = await StayAsync(server);
            await VisitAsync(server);
            using var stop = new CancellationTokenSource();
            await using var once = new MqttClient(Options(server, "publisher-1"));
            await using var twice = new MqttClient(Options(server, "publisher-2"));
            await Task.WhenAll(once.OpenAsync(), twice.OpenAsync()).WaitAsync(Patience);
            Task[] publishing = [PublishAsync(once, QoS.AtLeastOnce, stop.Token), PublishAsync(twice, QoS.ExactlyOnce, stop.Token)];

            for (var kill = 0; kill < kills; kill++)
            {
                await Task.Delay(random.Next(20, 600));
                // A session that comes and goes: it has subscribed, and may be about to go.
                var subscribed = new TaskCompletionSource();
                var visiting = VisitAsync(server, subscribed);
                await subscribed.Task.WaitAsync(Patience);
                await Task.Delay(random.Next(0, 150));
                await broker.DisposeAsync();
                broker = await BrokerProcess.StartAsync("--port", $"{server.Port}", "--store", store);
                await visiting.WaitAsync(Patience);
            }

            await stop.CancelAsync();
            await Task.WhenAll(publishing).WaitAsync(Patience);
            await VisitAsync(server);
            Assert.InRange(acknowledged.Count, 50, int.MaxValue);
            await UntilAsync(() => acknowledged.Keys.All(stayed.ContainsKey), stayed);
            await UntilAsync(() => acknowledged.Keys.All(visited.ContainsKey), visited, () => VisitAsync(server));
            Assert.Empty(stayed.Where(one => one.Key.StartsWith("2/", StringComparison.Ordinal) && one.Value > 1).Select(one => one.Key));
        }
        finally
        {
            await broker.DisposeAsync();
        }
    }

    private static MqttClientOptions Options(Uri server, string client) => new()
    {
        Servers = { server },
        ClientId = client,
        CleanStart = false,
        SessionExpiry = TimeSpan.FromHours(1),
        Reconnect = new() { InitialDelay = TimeSpan.FromMilliseconds(50), MaximumDelay = TimeSpan.FromMilliseconds(200), RetryFirstConnection = true },
    };

    // A subscriber whose session is resumed after each kill, so that its side of QoS 2 goes on.
    private async Task<MqttClient> StayAsync(Uri server)
    {
        var client = await MqttClient.ConnectAsync(Options(server, "stays")).WaitAsync(Patience);
        var messages = await client.SubscribeAsync("n/#", QoS.ExactlyOnce).WaitAsync(Patience);
        _ = ReadAsync(messages, stayed);
        return client;
    }

    // A subscriber that comes, reads for a moment, and goes.
    private async Task VisitAsync(Uri server, TaskCompletionSource? subscribed = null)
    {
        await using var client = new MqttClient(Options(server, "visits"));
        var subscribing = client.SubscribeAsync("n/#", QoS.AtLeastOnce);
        await client.OpenAsync().WaitAsync(Patience);
        _ = ReadAsync(await subscribing.WaitAsync(Patience), visited);
        subscribed?.TrySetResult();
        await Task.Delay(100);
    }

    private static async Task ReadAsync(MqttSubscription messages, ConcurrentDictionary<string, int> seen)
    {
        await foreach (var message in messages)
            seen.AddOrUpdate(message.Text, 1, (_, times) => times + 1);
    }

    private async Task PublishAsync(MqttClient client, QoS qos, CancellationToken stop)
    {
        using var window = new SemaphoreSlim(Window);
        var under = new ConcurrentBag<Task>();

        for (var number = 1; !stop.IsCancellationRequested; number++)
        {
            await window.WaitAsync(CancellationToken.None);
            var text = $"{(int)qos}/{number}";
            under.Add(PublishAsync(client, qos, text, window));
            await Task.Delay(1, CancellationToken.None);
        }

        await Task.WhenAll(under);
    }

    private async Task PublishAsync(MqttClient client, QoS qos, string text, SemaphoreSlim window)
    {
        var result = await client.PublishAsync("n/" + text, text, qos);
        Assert.Equal(ReasonCode.Success, result.Reason);
        acknowledged[text] = true;
        window.Release();
    }

    private async Task UntilAsync(Func<bool> holds, ConcurrentDictionary<string, int> seen, Func<Task>? again = null)
    {
        var deadline = DateTime.UtcNow + Patience;

        while (!holds())
        {
            var lost = acknowledged.Keys.Where(one => !seen.ContainsKey(one)).Take(5);
            Assert.True(DateTime.UtcNow < deadline, $"lost of {acknowledged.Count}: {string.Join(", ", lost)}");
            await (again?.Invoke() ?? Task.Delay(20));
        }
    }
}
