using System.Text.Json;
using Mqtt5.Tests;

namespace Mqtt5.CliTests.Storage;

// mqtt5 broker --store, and mqtt5 store.
public sealed class StoreTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-store-").FullName;

    private string Store => Path.Combine(folder, "store");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    [ShowsOption("broker", "--store")]
    public async Task What_was_acknowledged_outlives_a_kill_and_is_counted_checked_printed_and_copied()
    {
        await PublishAndKillAsync();
        var info = await RunAsync(0, "info", Store);
        Assert.Contains("version 1\n", info, StringComparison.Ordinal);
        Assert.Equal("sound\n", await RunAsync(0, "check", Store));
        var copy = Path.Combine(folder, "copy");
        Assert.Equal("", await RunAsync(0, "backup", Store, copy));

        var lines = (await RunAsync(0, "export", copy)).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement).ToArray();
        Assert.Contains(lines, line => line.GetProperty("kind").GetString() == "session" && line.GetProperty("client").GetString() == "away");
        var message = Assert.Single(lines, line => line.GetProperty("kind").GetString() == "message");
        Assert.Equal("t", message.GetProperty("topic").GetString());
        Assert.Equal("kept"u8.ToArray(), message.GetProperty("payload").GetBytesFromBase64());
        Assert.Single(lines, line => line.GetProperty("kind").GetString() == "retained" && line.GetProperty("topic").GetString() == "r");

        // The copy is a store like the first.
        foreach (var store in (string[])[Store, copy])
        {
            await using var broker = await BrokerProcess.StartAsync("--port", "0", "--store", store);
            Assert.Equal("kept", await ReceiveAsync(broker.Address));
            Assert.Equal(0, await broker.StopAsync());
        }
    }

    [Fact]
    [ShowsOption("broker", "--store-damaged")]
    public async Task A_damaged_store_ends_the_broker_or_is_set_aside()
    {
        await PublishAndKillAsync();
        await File.WriteAllTextAsync(Path.Combine(Store, "store.db"), "SQLite");
        var failed = await CommandProcess.RunAsync(null, "broker", "--port", "0", "--store", Store);
        Assert.Equal(4, failed.ExitCode);
        Assert.StartsWith($"mqtt5: {Path.Combine(Store, "store.db")}: it is damaged: it ends after 6 bytes", failed.Error, StringComparison.Ordinal);
        Assert.Equal("SQLite", await File.ReadAllTextAsync(Path.Combine(Store, "store.db")));
        Assert.Equal(1, (await CommandProcess.RunAsync(null, "store", "check", Store)).ExitCode);

        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--store", Store, "--store-damaged", "aside");
        Assert.Single(Directory.EnumerateFiles(Store, "store.db.damaged-*Z"));
    }

    [Fact]
    public async Task A_store_that_is_used_ends_a_second_broker()
    {
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--store", Store);
        var second = await CommandProcess.RunAsync(null, "broker", "--port", "0", "--store", Store);
        Assert.Equal((4, $"mqtt5: {Store}: another broker uses it; the file 'lock' holds the number of its process\n"), (second.ExitCode, second.Error));
        Assert.Equal("sound\n", await RunAsync(0, "check", Store));
    }

    [Fact]
    [ShowsOption("broker", "--store-min-free")]
    public async Task Without_free_space_what_would_be_stored_is_refused()
    {
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--store", Store, "--store-min-free", "1000000GiB");
        var refused = await Assert.ThrowsAsync<MqttConnectException>(() => MqttClient.ConnectAsync(Away(broker.Address)).WaitAsync(Patience));
        Assert.Equal(ReasonCode.QuotaExceeded, refused.Reason);
    }

    [Theory]
    [InlineData("--store-sync", "often", "'often' is neither every, interval nor none")]
    [InlineData("--store-sync-interval", "0s", "'0s' is no time as 500ms or 1s")]
    [InlineData("--store-min-free", "5MB", "'5MB' is no number of bytes, as 1000000 or 256MiB")]
    [InlineData("--store-damaged", "mend", "'mend' is neither fail nor aside")]
    public async Task Bad_values_are_told(string option, string value, string complaint)
    {
        var outcome = await CommandProcess.RunAsync(null, "broker", "--port", "0", "--store", Store, option, value);
        Assert.Equal((2, $"mqtt5: {option}: {complaint}\n"), (outcome.ExitCode, outcome.Error));
        Assert.False(Directory.Exists(Store));
    }

    [Fact]
    [ShowsOption("broker", "--store-sync", "--store-sync-interval")]
    public async Task The_modes_sync_as_they_say()
    {
        // Only with an interval the journal says up to where it was synced, and only once that is over.
        Assert.Null(await SyncedAsync("every", "20ms", waits: false));
        Assert.Null(await SyncedAsync("interval", "3600s", waits: false));
        Assert.NotNull(await SyncedAsync("interval", "20ms", waits: true));
    }

    private async Task<object?> SyncedAsync(string mode, string interval, bool waits)
    {
        var store = Path.Combine(folder, $"{mode}-{interval}");
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--store", store, "--store-sync", mode, "--store-sync-interval", interval);
        await SubscribeAsync(broker.Address);
        var deadline = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
        object? synced;

        do
        {
            using var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={Path.Combine(store, "journal.db")};Mode=ReadOnly;Pooling=False");
            await connection.OpenAsync();
            await using var command = connection.CreateCommand();
            command.CommandText = "SELECT value FROM meta WHERE key = 'synced'";
            synced = await command.ExecuteScalarAsync();
        }
        while (waits && synced is null && Environment.TickCount64 < deadline);

        return synced;
    }

    // A session that is away, a message for it, and a retained one.
    private async Task PublishAndKillAsync()
    {
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--store", Store);
        await SubscribeAsync(broker.Address);
        await using var publisher = await MqttClient.ConnectAsync(new MqttClientOptions { Servers = { broker.Address } }).WaitAsync(Patience);
        await publisher.PublishAsync("t", "kept", QoS.AtLeastOnce).AsTask().WaitAsync(Patience);
        await publisher.PublishAsync("r", "retained", QoS.AtLeastOnce, retain: true).AsTask().WaitAsync(Patience);
        await broker.SignalAsync("KILL");
    }

    private static async Task SubscribeAsync(Uri server)
    {
        await using var client = await MqttClient.ConnectAsync(Away(server)).WaitAsync(Patience);
        await client.SubscribeAsync("t", QoS.AtLeastOnce).WaitAsync(Patience);
    }

    private static async Task<string> ReceiveAsync(Uri server)
    {
        await using var client = new MqttClient(Away(server));
        var subscribing = client.SubscribeAsync("t", QoS.AtLeastOnce);
        Assert.True((await client.OpenAsync().WaitAsync(Patience)).SessionPresent);
        await using var messages = (await subscribing.WaitAsync(Patience)).GetAsyncEnumerator();
        Assert.True(await messages.MoveNextAsync().AsTask().WaitAsync(Patience));
        return messages.Current.Text;
    }

    private static MqttClientOptions Away(Uri server) =>
        new() { Servers = { server }, ClientId = "away", CleanStart = false, SessionExpiry = TimeSpan.FromHours(1) };

    private static async Task<string> RunAsync(int exitCode, params string[] arguments)
    {
        var outcome = await CommandProcess.RunAsync(null, ["store", .. arguments]);
        Assert.Equal((exitCode, ""), (outcome.ExitCode, outcome.Error));
        return outcome.Output;
    }
}
