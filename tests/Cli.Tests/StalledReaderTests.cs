using System.Diagnostics;
using System.Globalization;
using Mqtt5.Cli;

namespace Mqtt5.CliTests;

// A stalled reader of the output does not exhaust memory.
public sealed class StalledReaderTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    private const int PayloadBytes = 32 * 1024;
    private const int Messages = 24_000;
    // Garbage included: collections are rare with this much memory. The published messages total 750 MB.
    private const long MostBytes = 512L * 1024 * 1024;

    [Fact]
    public async Task Messages_of_QoS_0_wait_within_a_number_of_bytes()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the memory of a process is read from /proc");
        await using var client = await MqttClient.ConnectAsync(MqttClientOptions.For(fixture.Broker.Addresses[0]));
        await client.PublishAsync("stalled/0", "first", QoS.AtLeastOnce, retain: true);
        using var process = CommandProcess.Start("sub", "-t", "stalled/#", "-p", fixture.Port);
        Assert.Equal("first", await process.ReadLineAsync());
        var payload = new byte[PayloadBytes];
        Array.Fill(payload, (byte)'x');

        // 750 MB, of which the pipe buffers 64 KiB. The broker drops messages that the subscriber does not receive in time,
        // so the publisher pauses now and then.
        for (var number = 0; number < Messages; number++)
        {
            await client.PublishAsync("stalled/1", payload, number % 64 == 0 ? QoS.AtLeastOnce : QoS.AtMostOnce);
        }

        var used = ResidentBytes(process.Process);
        Assert.InRange(used, 1, MostBytes);
        await process.SignalAsync("TERM");
        var run = await process.FinishAsync();
        Assert.Equal(0, run.ExitCode);
        Assert.Matches("[0-9,]+ messages of QoS 0 were dropped", run.Error);
    }

    [Fact]
    public async Task A_backlog_that_waits_while_its_subscription_is_canceled_does_not_end_as_if_there_were_no_more()
    {
        await using var client = await MqttClient.ConnectAsync(MqttClientOptions.For(fixture.Broker.Addresses[0]));
        await using var subscription = await client.SubscribeAsync("backlog/canceled");
        using var stop = new CancellationTokenSource();
        using var ended = new CancellationTokenSource();
        var backlog = new Backlog(3, 5_000);
        var filling = backlog.FillAsync(subscription, ended.Token);
        var next = backlog.NextAsync(stop.Token).AsTask();

        // Callbacks run in reverse order, so the waiting call hears of the end before it hears of the cancellation.
        using var earlier = stop.Token.Register(() =>
        {
            ended.Cancel();
            SpinWait.SpinUntil(() => filling.IsCompleted);
        });
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => filling);
    }

    [Fact]
    public async Task A_backlog_holds_a_number_and_an_amount_of_QoS_0_and_everything_else()
    {
        await using var client = await MqttClient.ConnectAsync(MqttClientOptions.For(fixture.Broker.Addresses[0]));
        await using var received = await client.SubscribeAsync("backlog", QoS.AtLeastOnce);
        var messages = new List<MqttReceivedMessage>();

        foreach (var (size, qos) in ((int, QoS)[])[(10_000, QoS.AtMostOnce), (10, QoS.AtMostOnce), (10, QoS.AtLeastOnce)])
        {
            await client.PublishAsync("backlog", new byte[size], qos);
            messages.Add(await Receiver.NextAsync(received));
        }

        var (large, small, safe) = (messages[0], messages[1], messages[2]);
        Assert.Equal((1, 2), await FillAsync(new Backlog(3, 5_000), large, safe, small));
        Assert.Equal((1, 3), await FillAsync(new Backlog(2, 1_000_000), small, small, small, safe));
        Assert.Equal((0, 3), await FillAsync(new Backlog(2, 5_000), small, small, safe));
        Assert.Equal((2, 2), await FillAsync(new Backlog(3, 5_000), small, large, large, safe));
    }

    [Theory]
    [InlineData(16 * 1024 * 1024)]
    [InlineData(4_096, "--max-packet-bytes", "4096")]
    [InlineData(5_000, "-D", "connect", "maximum-packet-size", "5000")]
    [InlineData(100_000_000, "--max-packet-bytes", "100000000")]
    public async Task The_greatest_packet_is_announced(int expected, params string[] given)
    {
        var run = await fixture.RunAsync(["sub", "-t", "a", "-E", "-d", .. given]);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"MaximumPacketSize={expected}"), run.Error, StringComparison.Ordinal);
        Assert.Contains("ReceiveMaximum=20", run.Error, StringComparison.Ordinal);
    }

    private static async Task<(long Dropped, int Kept)> FillAsync(Backlog backlog, params MqttReceivedMessage[] messages)
    {
        foreach (var message in messages)
            backlog.Add(message);

        var kept = 0;

        for (; !backlog.IsEmpty; kept++)
            Assert.NotNull(await backlog.NextAsync(TestContext.Current.CancellationToken));

        Assert.Equal(0, backlog.TakeDropped() - (messages.Length - kept));

        // There is room again.
        backlog.Add(messages[0]);
        Assert.Same(messages[0], await backlog.NextAsync(TestContext.Current.CancellationToken));
        return (messages.Length - kept, kept);
    }

    private static long ResidentBytes(Process process)
    {
        process.Refresh();
        return process.WorkingSet64;
    }
}
