using System.Text;

namespace Mqtt5.CliTests;

// mqtt5 sub and mqtt5 rr as processes.
public sealed class SubscribeTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    [Fact]
    public async Task Payloads_come_out_byte_for_byte_and_without_colours()
    {
        byte[] payload = [0, 1, 0x80, 0xFF, (byte)'\n', 0x1B];
        byte[] line = [.. payload, (byte)'\n'];
        await PublishAsync("bytes", payload);
        Assert.Equal(line, (await fixture.RunAsync("sub", "-t", "bytes", "-C", "1")).Bytes);
        Assert.Equal(payload, (await fixture.RunAsync("sub", "-t", "bytes", "-C", "1", "-N")).Bytes);
        var json = await fixture.RunAsync("sub", "-t", "bytes", "-C", "1", "-F", "%j");
        Assert.Contains("\"payload\":[0,1,128,255,10,27]", json.Output, StringComparison.Ordinal);
        await PublishAsync("text", Encoding.UTF8.GetBytes("\u20ac \u7530 \U0001F600"));
        Assert.Equal("text \u20ac \u7530 \U0001F600\n", (await fixture.RunAsync("sub", "-t", "text", "-C", "1", "-v")).Output);
    }

    [Fact]
    public async Task Ctrl_C_ends_with_DISCONNECT_and_0()
    {
        using var process = CommandProcess.Start("sub", "-t", "never", "-d", "-p", fixture.Port, "-v", "-t", "interrupt/ready");
        await PublishAsync("interrupt/ready", "yes"u8.ToArray());
        Assert.Equal("interrupt/ready yes", await process.ReadLineAsync());
        await process.SignalAsync("INT");
        var run = await process.FinishAsync();
        Assert.Equal(0, run.ExitCode);
        Assert.EndsWith("[c>s] DISCONNECT\n", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SIGTERM_publishes_the_Will_Message()
    {
        await PublishAsync("terminate/ready", "yes"u8.ToArray());
        using var process = CommandProcess.Start("sub", "-t", "terminate/ready", "-p", fixture.Port, "--will-topic", "gone", "--will-payload", "bye", "--will-retain");
        Assert.Equal("yes", await process.ReadLineAsync());
        await process.SignalAsync("TERM");
        Assert.Equal(0, (await process.FinishAsync()).ExitCode);
        Assert.Equal("bye\n", (await fixture.RunAsync("sub", "-t", "gone", "-C", "1")).Output);
    }

    [Fact]
    public async Task A_reader_that_leaves_ends_it_without_a_word()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a console of Windows does not tell that nobody reads");
        await PublishAsync("pipe/0", "first"u8.ToArray());
        using var process = CommandProcess.Start("sub", "-t", "pipe/#", "-p", fixture.Port);
        Assert.Equal("first", await process.ReadLineAsync());
        process.Process.StandardOutput.Close();
        await PublishAsync("pipe/1", "second"u8.ToArray());
        await process.Process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal("", await process.ErrorAsync());
        Assert.Equal(0, process.Process.ExitCode);
    }

    [Fact]
    public async Task A_lost_connection_is_opened_again()
    {
        var broker = await BrokerFixture.StartAsync(options => options.Listen(0));
        var server = broker.Addresses[0];
        await PublishAsync("again/1", "before"u8.ToArray(), server);
        using var process = CommandProcess.Start("sub", "-t", "again/#", "-C", "2", "-p", $"{server.Port}");
        Assert.Equal("before", await process.ReadLineAsync());
        await broker.DisposeAsync();
        await using var second = await BrokerFixture.StartAtAsync(server.Port);
        await PublishAsync("again/2", "after"u8.ToArray(), server);
        var run = await process.FinishAsync();
        Assert.Equal("after\n", run.Output);
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("trying again", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_session_held_back_is_printed_once()
    {
        string[] session = ["sub", "-c", "-i", "holder", "-t", "held/#", "-q", "2"];
        Assert.Equal(0, (await fixture.RunAsync([.. session, "-E"])).ExitCode);

        for (var number = 1; number <= 5; number++)
            await PublishAsync($"held/{number}", Encoding.UTF8.GetBytes($"{number}"), retain: false);

        Assert.Equal("1\n2\n", (await fixture.RunAsync([.. session, "-C", "2"])).Output);
        Assert.Equal("3\n4\n5\n", (await fixture.RunAsync([.. session, "-C", "3"])).Output);
    }

    [Fact]
    public async Task Refused_subscriptions_end_with_their_reason_code()
    {
        var all = await fixture.RunAsync("sub", "-t", "forbidden/1");
        Assert.Equal((int)ReasonCode.NotAuthorized, all.ExitCode);
        Assert.Contains("Not authorized", all.Error, StringComparison.Ordinal);
        var one = await fixture.RunAsync("sub", "-t", "forbidden/1", "-t", "allowed", "-E");
        Assert.Equal(0, one.ExitCode);
        Assert.Contains("forbidden/1: the server refused", one.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_Subscription_Identifier_is_shown_where_it_was_chosen()
    {
        await PublishAsync("identified", "x"u8.ToArray());
        Assert.Equal("[]\n", (await fixture.RunAsync("sub", "-t", "identified", "-C", "1", "-F", "[%S]")).Output);
        Assert.Equal("[77]\n", (await fixture.RunAsync("sub", "-t", "identified", "-C", "1", "-F", "[%S]", "-D", "subscribe", "subscription-identifier", "77")).Output);
    }

    [Fact]
    public async Task A_request_is_answered_with_and_without_a_topic_for_the_answer()
    {
        await using var responder = await MqttClient.ConnectAsync(MqttClientOptions.For(fixture.Broker.Addresses[0]));
        await using var answering = await responder.RespondAsync("ask", (request, _) => Task.FromResult($"{request.Text}!"));
        Assert.Equal("hello!\n", (await fixture.RunAsync("rr", "-t", "ask", "-m", "hello", "-W", "60")).Output);
        Assert.Equal("answers hi!\n", (await fixture.RunAsync("rr", "-t", "ask", "-e", "answers", "-m", "hi", "-q", "1", "-v", "-W", "60")).Output);
        Assert.Equal(27, (await fixture.RunAsync("rr", "-t", "nobody", "-m", "hi", "-W", "1")).ExitCode);
    }

    private async Task PublishAsync(string topic, byte[] payload, Uri? server = null, bool retain = true)
    {
        await using var client = await MqttClient.ConnectAsync(MqttClientOptions.For(server ?? fixture.Broker.Addresses[0]));
        await client.PublishAsync(topic, payload, QoS.AtLeastOnce, retain);
    }
}
