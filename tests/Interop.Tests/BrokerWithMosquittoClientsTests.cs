using System.Globalization;
using static Mqtt5.Interop.Tests.MosquittoClients;

namespace Mqtt5.Interop.Tests;

// Our broker with mosquitto_pub and mosquitto_sub.
public sealed class BrokerWithMosquittoClientsTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Lines_of_every_QoS_arrive_once_and_in_order(int qos)
    {
        await using var broker = await StartAsync();
        await using var subscriber = await SubscribeAsync(broker, 1, "-t", "a/#", "-q", "2", "-C", "500", "-F", "%q %t %p");
        await PublishLinesAsync(broker, 500, "-t", "a/b", "-q", Text(qos));
        Assert.Equal(Enumerable.Range(0, 500).Select(index => $"{qos} a/b {index}"), await subscriber.ReadLinesAsync(500));
        await subscriber.EndAsync();
    }

    [Fact]
    public async Task Properties_go_through()
    {
        await using var broker = await StartAsync();
        await using var subscriber = await SubscribeAsync(
            broker, 1, "-t", "a", "-q", "1", "-C", "1", "-D", "SUBSCRIBE", "subscription-identifier", "7", "-F", "%C|%R|%D|%F|%P|%S|%p");
        await PublishAsync(
            broker, "-t", "a", "-q", "1", "-m", "x", "-D", "PUBLISH", "content-type", "t", "-D", "PUBLISH", "response-topic", "r", "-D",
            "PUBLISH", "correlation-data", "c", "-D", "PUBLISH", "payload-format-indicator", "1", "-D", "PUBLISH", "user-property", "k", "1",
            "-D", "PUBLISH", "user-property", "k", "2");
        Assert.Equal(["t|r|c|1|k:1 k:2|7|x"], await subscriber.ReadLinesAsync(1));
    }

    [Fact]
    public async Task Retained_messages_come_with_the_subscription_until_they_are_removed()
    {
        await using var broker = await StartAsync();
        await PublishAsync(broker, "-t", "kept/1", "-m", "x", "-r", "-q", "1");
        await PublishAsync(broker, "-t", "kept/2", "-m", "y", "-r", "-q", "2");
        var seen = await ForeignProgram.RunAsync("mosquitto_sub", To(broker, "-t", "kept/#", "-q", "2", "-C", "2", "-W", "10", "-F", "%r %q %t %p"));
        Assert.Equal(["1 1 kept/1 x", "1 2 kept/2 y"], seen.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order());
        await PublishAsync(broker, "-t", "kept/1", "-n", "-r");
        seen = await ForeignProgram.RunAsync("mosquitto_sub", To(broker, "-t", "kept/#", "-C", "1", "-W", "10", "-F", "%t"));
        Assert.Equal("kept/2\n", seen);
    }

    [Fact]
    public async Task A_will_comes_after_its_delay_when_the_client_is_killed()
    {
        await using var broker = await StartAsync();
        await using var watcher = await SubscribeAsync(broker, 1, "-t", "will", "-q", "1", "-C", "1");
        long since;
        await using (var client = await SubscribeAsync(
            broker, 2, "-t", "nothing", "-c", "-i", "dying", "-x", "60", "--will-topic", "will",
            "--will-payload", "gone", "--will-qos", "1", "-D", "WILL", "will-delay-interval", "1"))
        {
            since = Environment.TickCount64;
            client.Kill();
        }

        Assert.Equal(["gone"], await watcher.ReadLinesAsync(1));
        Assert.InRange(Environment.TickCount64 - since, 500, 30_000);
    }

    [Fact]
    public async Task A_shared_subscription_gives_each_message_to_one_member()
    {
        await using var broker = await StartAsync();
        await using var one = await SubscribeAsync(broker, 1, "-t", "$share/g/a", "-q", "1", "-C", "100");
        await using var two = await SubscribeAsync(broker, 2, "-t", "$share/g/a", "-q", "1", "-C", "100");
        await PublishLinesAsync(broker, 200, "-t", "a", "-q", "1");
        string[] all = [.. await one.ReadLinesAsync(100), .. await two.ReadLinesAsync(100)];
        Assert.Equal(Enumerable.Range(0, 200), all.Select(line => int.Parse(line, CultureInfo.InvariantCulture)).Order());
    }

    [Fact]
    public async Task A_Topic_Alias_stands_for_the_topic_of_the_lines_that_follow()
    {
        await using var broker = await StartAsync();
        await using var subscriber = await SubscribeAsync(broker, 1, "-t", "#", "-q", "1", "-C", "100", "-F", "%t %p");
        await PublishLinesAsync(broker, 100, "-t", "a/long/topic", "-q", "1", "-D", "PUBLISH", "topic-alias", "3");
        Assert.Equal(Enumerable.Range(0, 100).Select(index => $"a/long/topic {index}"), await subscriber.ReadLinesAsync(100));
    }

    [Fact]
    public async Task A_Receive_Maximum_of_1_loses_nothing()
    {
        await using var broker = await StartAsync(options => options.Limits.ReceiveMaximum = 1);
        await using var subscriber = await SubscribeAsync(
            broker, 1, "-t", "a", "-q", "2", "-C", "300", "-D", "CONNECT", "receive-maximum", "1");
        await PublishLinesAsync(broker, 300, "-t", "a", "-q", "2");
        Assert.Equal(Enumerable.Range(0, 300).Select(Text), await subscriber.ReadLinesAsync(300));
    }

    [Fact]
    public async Task What_expired_while_a_client_was_away_does_not_come()
    {
        await using var broker = await StartAsync();
        string[] away = ["-t", "a", "-q", "1", "-c", "-i", "away", "-x", "60"];
        await ForeignProgram.RunAsync("mosquitto_sub", To(broker, [.. away, "-E"]));

        // The broker knows that it is away, or it would count what comes now as sent.
        for (var left = 3_000; broker.ConnectionCount > 0; left--)
        {
            Assert.True(left > 0, "mosquitto_sub is still connected");
            await Task.Delay(10);
        }

        await PublishAsync(broker, "-t", "a", "-q", "1", "-m", "short", "-D", "PUBLISH", "message-expiry-interval", "1");
        await PublishAsync(broker, "-t", "a", "-q", "1", "-m", "long", "-D", "PUBLISH", "message-expiry-interval", "100");
        await Task.Delay(2_500);
        var line = await ForeignProgram.RunAsync("mosquitto_sub", To(broker, [.. away, "-C", "1", "-W", "10", "-F", "%p %E"]));
        Assert.Matches("^long 9[0-8]\n$", line);
    }

    [Fact]
    public async Task A_password_is_asked_for()
    {
        await using var broker = await StartAsync(options =>
            options.Authenticator = MqttPasswordFile.Parse(MqttPasswordFile.Line("anna", "secret"u8)));
        await PublishAsync(broker, "-t", "a", "-m", "x", "-q", "1", "-u", "anna", "-P", "secret");
        await using var wrong = ForeignProgram.Start("mosquitto_pub", To(broker, "-t", "a", "-m", "x", "-q", "1", "-u", "anna", "-P", "guess"));
        await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(wrong.EndAsync);
    }
}
