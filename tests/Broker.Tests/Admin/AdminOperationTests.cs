using System.Net;
using System.Text;
using Mqtt5.Admin;

namespace Mqtt5.BrokerTests;

// What the operations of the HTTP API tell and do.
public sealed class AdminOperationTests
{
    [Fact]
    public async Task The_overview_and_the_listeners_are_those_of_the_broker()
    {
        await using var setup = await AdminSetup.StartAsync();
        await using var client = await setup.ConnectAsync("gauge-1");
        await client.SubscribeAsync("a/#").Bounded();
        await client.PublishAsync("kept", "x", QoS.AtLeastOnce, retain: true).Bounded();
        var overview = await setup.GetAsync("overview");
        Assert.True(overview.GetProperty("isReady").GetBoolean());
        Assert.Equal((1, 1, 1, 1), (Number("connections"), Number("sessions"), Number("subscriptions"), Number("retained")));
        Assert.True(Number("publishReceived") >= 1);
        var listener = Assert.Single((await setup.GetAsync("listeners")).GetProperty("items").EnumerateArray());
        Assert.Equal(setup.Broker.Addresses[0].ToString().TrimEnd('/'), listener.GetProperty("address").GetString());
        Assert.Equal(["5", "3.1.1", "3.1"], listener.GetProperty("versions").EnumerateArray().Select(one => one.GetString()));

        int Number(string name) => overview.GetProperty(name).GetInt32();
    }

    [Theory]
    [InlineData("gauge-1")]
    [InlineData("a/b%2Fc d?e#f")]
    [InlineData("<script>alert('ö')</script>\"&\\")]
    [InlineData("..")]
    [InlineData("-")]
    public async Task Any_client_can_be_named_read_disconnected_and_ended(string clientId)
    {
        await using var setup = await AdminSetup.StartAsync();
        await using var client = await setup.ConnectAsync(clientId, TimeSpan.FromHours(1));
        var query = $"?client={Uri.EscapeDataString(clientId)}";
        var path = clientId == ".." ? $"-{query}" : Uri.EscapeDataString(clientId);
        var found = await setup.GetAsync($"clients/{path}");
        Assert.Equal((clientId, true, "5"), (found.GetProperty("clientId").GetString(), found.GetProperty("isConnected").GetBoolean(), found.GetProperty("version").GetString()));
        Assert.Equal(clientId, (await setup.GetAsync($"clients/-{query}")).GetProperty("clientId").GetString());

        using var disconnected = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Delete, $"clients/{path}");
        Assert.Equal(HttpStatusCode.NoContent, disconnected.StatusCode);
        await Waits.UntilAsync(() => setup.Broker.Inspection.Client(clientId) is { IsConnected: false, AwaySince: not null, EndsAt: not null });
        using var again = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Delete, $"clients/{path}");
        Assert.Equal("client", await AdminSetup.ProblemAsync(again, HttpStatusCode.Conflict));

        using var ended = await setup.ChangeAsync(MqttAdminRole.Administrator, HttpMethod.Delete, $"sessions/{path}");
        Assert.Equal(HttpStatusCode.NoContent, ended.StatusCode);
        await Waits.UntilAsync(() => setup.Broker.Inspection.Client(clientId) is null);
        await setup.GetAsync($"clients/{path}", HttpStatusCode.NotFound);
        using var gone = await setup.ChangeAsync(MqttAdminRole.Administrator, HttpMethod.Delete, $"sessions/{path}");
        Assert.Equal("client", await AdminSetup.ProblemAsync(gone, HttpStatusCode.NotFound));
    }

    [Fact]
    public async Task Clients_are_filtered_by_text_state_and_version()
    {
        await using var setup = await AdminSetup.StartAsync();
        await using var here = await setup.ConnectAsync("gauge-here");

        await using (await setup.ConnectAsync("gauge-away", TimeSpan.FromHours(1)))
        {
        }

        var old = Brokers.For(setup.Broker, "mqtt", "older");
        old.Version = MqttVersion.Mqtt311;
        await using var older = await MqttClient.ConnectAsync(old).Bounded();
        await Waits.UntilAsync(() => setup.Broker.Inspection.Client("gauge-away") is { IsConnected: false });
        Assert.Equal(["gauge-away", "gauge-here", "older"], await NamesAsync(""));
        Assert.Equal(["gauge-here", "older"], await NamesAsync("?state=connected"));
        Assert.Equal(["gauge-away"], await NamesAsync("?state=away"));
        Assert.Equal(["gauge-away", "gauge-here"], await NamesAsync("?contains=gauge"));
        Assert.Equal(["older"], await NamesAsync("?version=3.1.1"));
        Assert.Empty(await NamesAsync("?version=3.1"));

        async Task<string?[]> NamesAsync(string query) =>
            [.. (await setup.GetAsync("clients" + query)).GetProperty("items").EnumerateArray().Select(one => one.GetProperty("clientId").GetString())];
    }

    [Fact]
    public async Task Subscriptions_and_shared_groups_tell_who_gets_what()
    {
        await using var setup = await AdminSetup.StartAsync();
        await using var one = await setup.ConnectAsync("one");
        await using var two = await setup.ConnectAsync("two");
        await one.SubscribeAsync("plant/+/temp", QoS.AtLeastOnce).Bounded();
        await one.SubscribeAsync("$share/workers/jobs/#", QoS.ExactlyOnce).Bounded();
        await two.SubscribeAsync("$share/workers/jobs/#", QoS.ExactlyOnce).Bounded();
        var all = await setup.GetAsync("subscriptions");
        Assert.Equal(3, all.GetProperty("items").GetArrayLength());
        Assert.Equal(2, (await setup.GetAsync("sessions/one/subscriptions")).GetProperty("items").GetArrayLength());
        Assert.Equal(2, (await setup.GetAsync($"subscriptions?filter={Uri.EscapeDataString("$share/workers/jobs/#")}")).GetProperty("items").GetArrayLength());
        var match = Assert.Single((await setup.GetAsync("subscriptions?topic=plant/7/temp")).GetProperty("items").EnumerateArray());
        Assert.Equal(("one", "plant/+/temp", 1), (match.GetProperty("clientId").GetString(), match.GetProperty("filter").GetString(), match.GetProperty("qos").GetInt32()));
        var group = Assert.Single((await setup.GetAsync("groups")).GetProperty("items").EnumerateArray());
        Assert.Equal(("workers", 2), (group.GetProperty("shareName").GetString(), group.GetProperty("memberCount").GetInt32()));
        Assert.Equal(["one", "two"], group.GetProperty("members").EnumerateArray().Select(member => member.GetString()));
    }

    [Fact]
    public async Task What_is_in_flight_and_what_waits_is_listed()
    {
        await using var setup = await AdminSetup.StartAsync();
        await using var raw = await RawClient.ConnectAsync(setup.Broker, "CONNECT clean=1 clientid=\"slow\" props{ReceiveMaximum=1}");
        await raw.SubscribeAsync("\"work/#\" qos=1");

        foreach (var index in Enumerable.Range(0, 3))
            Assert.Equal(ReasonCode.Success, setup.Broker.Publish(new MqttMessage { Topic = $"work/{index}", Payload = "abc"u8.ToArray(), QoS = QoS.AtLeastOnce }));

        var under = Assert.Single((await setup.GetAsync("sessions/slow/inflight")).GetProperty("items").EnumerateArray());
        Assert.Equal(("work/0", "puback", 3), (under.GetProperty("topic").GetString(), under.GetProperty("waitsFor").GetString(), under.GetProperty("payloadBytes").GetInt32()));
        Assert.False(under.TryGetProperty("payload", out _));
        var waiting = (await setup.GetAsync("sessions/slow/queue")).GetProperty("items").EnumerateArray().Select(one => one.GetProperty("topic").GetString());
        Assert.Equal(["work/1", "work/2"], waiting);
        Assert.Single((await setup.GetAsync("sessions/slow/queue?limit=1")).GetProperty("items").EnumerateArray());
    }

    [Fact]
    public async Task Messages_are_published_retained_read_and_removed()
    {
        await using var setup = await AdminSetup.StartAsync();
        await using var client = await setup.ConnectAsync("reader");
        await using var messages = (await client.SubscribeAsync("door/#", QoS.AtLeastOnce).Bounded()).GetAsyncEnumerator();
        using var published = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Post, "publish", """{"topic":"door/1","payload":"öpen","qos":1,"retain":true,"contentType":"text/plain"}""");
        Assert.Equal("0x00", (await AdminSetup.JsonOf(published)).GetProperty("code").GetString());
        Assert.True(await messages.MoveNextAsync().AsTask().Bounded());
        Assert.Equal(("öpen", "text/plain", QoS.AtLeastOnce), (messages.Current.Text, messages.Current.ContentType, messages.Current.QoS));

        var listed = Assert.Single((await setup.GetAsync("retained?filter=door/%2B")).GetProperty("items").EnumerateArray());
        Assert.Equal(("door/1", 5), (listed.GetProperty("topic").GetString(), listed.GetProperty("payloadBytes").GetInt32()));
        var read = await setup.GetAsync("retained/message?topic=door/1");
        Assert.Equal("öpen", Encoding.UTF8.GetString(read.GetProperty("payload").GetBytesFromBase64()));

        using var removed = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Delete, "retained/message?topic=door/1");
        Assert.Equal(HttpStatusCode.NoContent, removed.StatusCode);
        await setup.GetAsync("retained/message?topic=door/1", HttpStatusCode.NotFound);
        using var again = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Delete, "retained/message?topic=door/1");
        Assert.Equal("topic", await AdminSetup.ProblemAsync(again, HttpStatusCode.NotFound));
        using var unheard = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Post, "publish", """{"topic":"elsewhere","payloadBase64":"AP8="}""");
        Assert.Equal("0x10", (await AdminSetup.JsonOf(unheard)).GetProperty("code").GetString());
    }

    [Fact]
    public async Task A_payload_is_cut_and_its_size_is_told()
    {
        await using var setup = await AdminSetup.StartAsync();
        setup.Broker.Publish(new MqttMessage { Topic = "large", Payload = new byte[100_000], Retain = true });
        var read = await setup.GetAsync("retained/message?topic=large");
        Assert.Equal((100_000, 65_536), (read.GetProperty("payloadBytes").GetInt32(), read.GetProperty("payload").GetBytesFromBase64().Length));
    }

    [Fact]
    public async Task Explain_says_why_a_client_gets_a_message_or_does_not()
    {
        await using var setup = await AdminSetup.StartAsync();
        await using var client = await setup.ConnectAsync("gauge-7");
        await using var other = await setup.ConnectAsync("gauge-8");
        await client.SubscribeAsync("plant/#", QoS.AtLeastOnce).Bounded();
        await client.SubscribeAsync("$share/g/jobs", QoS.AtLeastOnce).Bounded();
        await other.SubscribeAsync("$share/g/jobs", QoS.AtLeastOnce).Bounded();
        var sent = await setup.GetAsync("explain?client=gauge-7&topic=plant/7/temp");
        Assert.Equal(("sent", true, 1), (sent.GetProperty("verdict").GetString(), sent.GetProperty("isDelivered").GetBoolean(), sent.GetProperty("qos").GetInt32()));
        Assert.Equal(["plant/#"], sent.GetProperty("filters").EnumerateArray().Select(one => one.GetString()));
        Assert.Equal("no-subscription", (await setup.GetAsync("explain?client=gauge-7&topic=other")).GetProperty("verdict").GetString());
        Assert.Equal("no-session", (await setup.GetAsync("explain?client=absent&topic=other")).GetProperty("verdict").GetString());
        var shared = await setup.GetAsync("explain?client=gauge-7&topic=jobs");
        Assert.Equal("shared-with", shared.GetProperty("verdict").GetString());
        Assert.Equal(["gauge-7", "gauge-8"], shared.GetProperty("members").EnumerateArray().Select(one => one.GetString()).Order());
    }

    [Fact]
    public async Task Drops_limits_and_refusals_are_counted_by_reason()
    {
        await using var setup = await AdminSetup.StartAsync(options => options.Limits.Set(LimitName.QueuedMessages, 1));
        await using var raw = await RawClient.ConnectAsync(setup.Broker, "CONNECT clean=1 clientid=\"slow\" props{ReceiveMaximum=1}");
        await raw.SubscribeAsync("\"work\" qos=1");

        foreach (var _ in Enumerable.Range(0, 4))
            setup.Broker.Publish(new MqttMessage { Topic = "work", QoS = QoS.AtLeastOnce });

        var dropped = await setup.GetAsync("dropped");
        Assert.Equal(2, dropped.GetProperty("total").GetInt64());
        var reason = Assert.Single(dropped.GetProperty("reasons").EnumerateArray());
        Assert.Equal(("max-queued-messages", 2), (reason.GetProperty("limit").GetString(), reason.GetProperty("count").GetInt64()));
        Assert.Equal(2, (await setup.GetAsync("limits")).GetProperty("exceeded").GetProperty("max-queued-messages").GetInt64());
    }

    [Fact]
    public async Task Health_turns_to_503_when_the_broker_stops()
    {
        await using var setup = await AdminSetup.StartAsync();
        using var anonymous = setup.Client(null);
        using var ready = await anonymous.GetAsync("health/ready");
        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
        await setup.Broker.StopAsync();
        using var stopped = await anonymous.GetAsync("health/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, stopped.StatusCode);
        using var live = await anonymous.GetAsync("health/live");
        Assert.Equal(HttpStatusCode.OK, live.StatusCode);
    }
}
