namespace Mqtt5.BrokerTests;

// The command with little memory, most of which is in use by what its limits allow.
[Collection("alone")]
public sealed class MemoryShortageTests : CommandProcesses
{
    private const int HeapBytes = 128 * 1024 * 1024;
    private const int PayloadBytes = 60_000;
    private const int Between = 16;

    [Fact]
    public async Task New_connections_wait_while_memory_is_short_and_are_served_once_there_is_room()
    {
        var process = StartLimited(
            $"export DOTNET_GCHeapHardLimit={HeapBytes:X}", "", "broker", "--port", "0", "--max-retained-bytes", "1073741824");
        var line = await process.StandardOutput.ReadLineAsync().Bounded();
        var port = new Uri(line!["listening ".Length..]).Port;
        var paused = new TaskCompletionSource();
        _ = ReadLogAsync(process.StandardError, paused);
        await using var publisher = await ConnectAsync(port, "publisher");
        await publisher.ExpectStartAsync("CONNACK rc=Success");
        var retained = 0;

        for (; !paused.Task.IsCompleted; retained++)
        {
            Assert.InRange(retained, 0, HeapBytes / PayloadBytes);
            await publisher.SendAsync($"PUBLISH qos=1 retain=1 topic=\"large/{retained}\" id=1 payload=\"x\"*{PayloadBytes}");
            await publisher.ExpectStartAsync("PUBACK id=1 rc=NoMatchingSubscribers");

            // The broker looks when a connection comes.
            if (retained % Between == 0)
            {
                await using var client = await RawClient.OpenAsync(port);
                await Task.WhenAny(paused.Task, Task.Delay(50));
            }
        }

        await using var late = await ConnectAsync(port, "late");
        var answer = late.ReadPacketAsync();
        await Task.Delay(500);
        Assert.False(answer.IsCompleted);
        await publisher.SendAsync("PINGREQ");
        await publisher.ExpectAsync("PINGRESP");

        for (var number = 0; number < retained; number++)
            await publisher.SendAsync($"PUBLISH retain=1 topic=\"large/{number}\"");

        Assert.True((await answer.Bounded())?.IsConnack);
        Assert.False(process.HasExited);
    }

    private static async Task<RawClient> ConnectAsync(int port, string clientId)
    {
        var client = await RawClient.OpenAsync(port);
        await client.SendAsync($"CONNECT clean=1 clientid=\"{clientId}\"");
        return client;
    }

    private static async Task ReadLogAsync(StreamReader log, TaskCompletionSource paused)
    {
        while (await log.ReadLineAsync() is { } line)
        {
            if (line.Contains("No more connections are accepted", StringComparison.Ordinal))
                paused.TrySetResult();
        }
    }
}
