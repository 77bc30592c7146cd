using System.Net;
using System.Text;
using Mqtt5.Admin;

namespace Mqtt5.BrokerTests.Dashboard;

// The files of the dashboard, and the operations of the API that its pages have.
public sealed class DashboardFileTests
{
    [Fact]
    public void The_files_are_small_and_have_no_markup_in_scripts_and_no_script_in_markup()
    {
        var files = DashboardFiles.All;
        Assert.InRange(files.Values.Sum(file => file.Content.Length), 20_000, 200_000);
        Assert.Contains("index.html", files.Keys);

        foreach (var (name, file) in files)
        {
            var text = Encoding.UTF8.GetString(file.Content);
            Assert.DoesNotContain("https://", text, StringComparison.Ordinal);

            foreach (var sink in new[] { "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", " style=", " onclick=", "DOMParser" })
                Assert.False(text.Contains(sink, StringComparison.Ordinal), $"{name} has {sink}");
        }
    }

    [Fact]
    public async Task The_page_is_at_the_prefix_and_its_files_are_kept_by_the_browser_until_they_change()
    {
        await using var setup = await AdminSetup.StartAsync();
        using var client = setup.Client(null);
        using var without = await client.GetAsync("/admin");
        Assert.Equal((HttpStatusCode.Redirect, "admin/"), (without.StatusCode, without.Headers.Location?.ToString()));
        using var page = await client.GetAsync("/admin/");
        Assert.Equal((HttpStatusCode.OK, "text/html"), (page.StatusCode, page.Content.Headers.ContentType?.MediaType));
        Assert.StartsWith("default-src 'self';", Assert.Single(page.Headers.GetValues("Content-Security-Policy")), StringComparison.Ordinal);
        Assert.Equal("nosniff", Assert.Single(page.Headers.GetValues("X-Content-Type-Options")));
        using var script = await client.GetAsync("ui/app.js");
        Assert.Equal("text/javascript", script.Content.Headers.ContentType?.MediaType);
        using var again = new HttpRequestMessage(HttpMethod.Get, "ui/app.js");
        again.Headers.IfNoneMatch.Add(script.Headers.ETag!);
        using var same = await client.SendAsync(again);
        Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
        using var absent = await client.GetAsync("ui/../tokens");
        Assert.NotEqual(HttpStatusCode.OK, absent.StatusCode);
    }

    [Theory]
    [InlineData(MqttAdminRole.Viewer)]
    [InlineData(MqttAdminRole.Operator)]
    [InlineData(MqttAdminRole.Administrator)]
    public async Task Everyone_is_told_the_own_role(MqttAdminRole role)
    {
        await using var setup = await AdminSetup.StartAsync();
        using var client = setup.Client(role);
        using var answer = await client.GetAsync("me");
        Assert.Equal(role.ToString().ToLowerInvariant(), (await AdminSetup.JsonOf(answer)).GetProperty("role").GetString());
    }

    [Fact]
    public async Task The_recent_events_are_those_of_an_hour()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        time.SetUtcNow(DateTimeOffset.UtcNow);
        await using var broker = await Brokers.StartAsync();
        using var recent = new RecentEvents(broker.Inspection, time);
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await Waits.UntilAsync(() => recent.Read("c", "connected", 10).Count == 1);
        time.Advance(TimeSpan.FromMinutes(59));
        Assert.Single(recent.Read("c", "connected", 10));
        time.Advance(TimeSpan.FromMinutes(2));
        Assert.Empty(recent.Read(null, null, 10));
    }

    [Fact]
    public async Task The_history_is_an_hour_of_samples_and_no_more()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        await using var broker = await Brokers.StartAsync();
        using var history = new AdminHistory(broker.Inspection, time);
        Assert.Empty(history.Read().Connections);

        foreach (var _ in Enumerable.Range(0, 10))
            broker.Publish(new MqttMessage { Topic = "a", Payload = "x"u8.ToArray(), Retain = true });

        await using var client = await broker.ConnectInProcessAsync().Bounded();
        await client.PublishAsync("a", "x", QoS.AtLeastOnce).Bounded();
        await Waits.UntilAsync(() => broker.Inspection.Overview().PublishReceived == 1);
        time.Advance(TimeSpan.FromSeconds(AdminHistory.IntervalSeconds));
        var first = history.Read();
        Assert.Equal((1L, 1L, 0.2), (Assert.Single(first.Connections), Assert.Single(first.Retained), Assert.Single(first.ReceivedPerSecond)));

        foreach (var _ in Enumerable.Range(0, AdminHistory.Samples + 10))
            time.Advance(TimeSpan.FromSeconds(AdminHistory.IntervalSeconds));

        Assert.Equal(AdminHistory.Samples, history.Read().Connections.Length);
    }

    [Fact]
    public async Task Recent_events_are_those_of_a_client_the_newest_first()
    {
        await using var setup = await AdminSetup.StartAsync();
        await (await setup.ConnectAsync("one")).DisposeAsync();
        await (await setup.ConnectAsync("two")).DisposeAsync();
        string?[] kinds;

        // Events are told in their order, and kept soon after.
        do
            kinds = [.. (await setup.GetAsync("events/recent?client=two")).GetProperty("items").EnumerateArray().Select(one => one.GetProperty("kind").GetString())];
        while (!kinds.Contains("disconnected"));

        Assert.Equal("connected", kinds[^1]);
        kinds = [.. (await setup.GetAsync("events/recent?client=one")).GetProperty("items").EnumerateArray().Select(one => one.GetProperty("kind").GetString())];
        Assert.Equal("connected", kinds[^1]);
        Assert.Single((await setup.GetAsync("events/recent?client=one&kind=connected&limit=1")).GetProperty("items").EnumerateArray());
        await setup.GetAsync("events/recent?kind=other", HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Retained_messages_are_removed_by_a_filter()
    {
        await using var setup = await AdminSetup.StartAsync();

        foreach (var index in Enumerable.Range(0, 2_500))
            setup.Broker.Publish(new MqttMessage { Topic = $"plant/{index}", Payload = "x"u8.ToArray(), Retain = true });

        setup.Broker.Publish(new MqttMessage { Topic = "other", Payload = "x"u8.ToArray(), Retain = true });
        using var missing = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Delete, "retained");
        Assert.Equal("filter", await AdminSetup.ProblemAsync(missing, HttpStatusCode.BadRequest));
        using var wrong = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Delete, "retained?filter=a%23");
        Assert.Equal("filter", await AdminSetup.ProblemAsync(wrong, HttpStatusCode.BadRequest));
        Assert.Equal(2_501, setup.Broker.Inspection.Overview().Retained);
        using var removed = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Delete, "retained?filter=plant/%23");
        var answer = await AdminSetup.JsonOf(removed);
        Assert.Equal((2_500, true), (answer.GetProperty("removed").GetInt32(), answer.GetProperty("isComplete").GetBoolean()));
        Assert.Equal(["other"], setup.Broker.Inspection.Retained("#", 10).Items.Select(one => one.Topic));
    }

    [Theory]
    [InlineData("messages", HttpStatusCode.BadRequest)]
    [InlineData("messages?filter=a%23", HttpStatusCode.BadRequest)]
    [InlineData("messages?filter=%24share/g/a", HttpStatusCode.BadRequest)]
    public async Task Live_messages_need_a_filter_that_takes_nothing_from_others(string path, HttpStatusCode status)
    {
        await using var setup = await AdminSetup.StartAsync();
        await setup.GetAsync(path, status);
    }

    [Fact]
    public async Task Live_messages_are_the_last_of_each_topic_with_their_number()
    {
        await using var setup = await AdminSetup.StartAsync();
        using var client = setup.Client(MqttAdminRole.Viewer);
        using var answer = await client.GetAsync("messages?filter=load/%23", HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync());
        Assert.Equal(": messages follow", await reader.ReadLineAsync().Bounded());

        foreach (var index in Enumerable.Range(0, 1_000))
            setup.Broker.Publish(new MqttMessage { Topic = "load/1", Payload = Encoding.UTF8.GetBytes($"{index} {new string('x', 1_000)}") });

        var count = 0L;

        while (count < 1_000)
        {
            if (await reader.ReadLineAsync().Bounded() is not { } line || !line.StartsWith("data: ", StringComparison.Ordinal))
                continue;

            using var batch = System.Text.Json.JsonDocument.Parse(line["data: ".Length..]);
            var message = Assert.Single(batch.RootElement.GetProperty("messages").EnumerateArray());
            count += message.GetProperty("count").GetInt64();
            Assert.Equal(LiveBatch.PreviewBytes, message.GetProperty("payload").GetBytesFromBase64().Length);
            Assert.InRange(message.GetProperty("payloadBytes").GetInt32(), 1_002, 1_004);
        }

        Assert.Equal(1_000, count);
    }
}
