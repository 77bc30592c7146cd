using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Mqtt5.BrokerTests;

// What the metrics of the API tell, and the dashboard that queries them.
public sealed partial class MetricsTests
{
    [Fact]
    public async Task The_time_to_authenticate_is_a_histogram()
    {
        await using var setup = await AdminSetup.StartAsync(options => options.Authenticator = new Asking(context =>
        {
            Thread.Sleep(30);
            return context.ClientId == "refused" ? MqttAuthenticationResult.Refused() : MqttAuthenticationResult.Accepted;
        }));
        var text = await TextAsync(setup);
        Assert.Contains("# TYPE mqtt5_broker_authentication_duration_seconds histogram\n", text, StringComparison.Ordinal);
        var before = ValueOf(text, "mqtt5_broker_authentication_duration_seconds_count");
        var sum = ValueOf(text, "mqtt5_broker_authentication_duration_seconds_sum");
        await using var client = await setup.ConnectAsync("accepted");
        await Assert.ThrowsAnyAsync<MqttException>(() => setup.ConnectAsync("refused"));
        text = await TextAsync(setup);
        // Other tests of the process may authenticate meanwhile.
        Assert.True(ValueOf(text, "mqtt5_broker_authentication_duration_seconds_count") >= before + 2, text);
        Assert.True(ValueOf(text, "mqtt5_broker_authentication_duration_seconds_sum") >= sum + 0.05, text);
        Assert.Contains("mqtt5_broker_authentication_duration_seconds_bucket{le=\"+Inf\"} ", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bytes_of_payloads_are_counted_in_and_out()
    {
        await using var setup = await AdminSetup.StartAsync();
        await using var client = await setup.ConnectAsync("sizes");
        await using var subscription = await client.SubscribeAsync("sizes", QoS.AtLeastOnce).Bounded();
        await client.PublishAsync("sizes", new string('x', 200_000), QoS.AtLeastOnce).Bounded();
        await Waits.UntilAsync(() => subscription.Waiting > 0);
        var text = await TextAsync(setup);
        Assert.True(ValueOf(text, "mqtt5_broker_published_size_bytes_total") >= 200_000, text);
        Assert.True(ValueOf(text, "mqtt5_broker_delivered_size_bytes_total") >= 200_000, text);
    }

    [Fact]
    public async Task Connections_are_counted_by_listener_and_version()
    {
        await using var setup = await AdminSetup.StartAsync(options => options.ListenWebSocket(0, "/of-this-test"));
        var options = Brokers.For(setup.Broker, "ws", "web");
        options.Version = MqttVersion.Mqtt311;
        await using var first = await MqttClient.ConnectAsync(options).Bounded();
        const string line = "mqtt5_broker_connections_listener{mqtt5_listener=\"ws://127.0.0.1:0/of-this-test\",mqtt5_version=\"MQTT 3.1.1\"} 1\n";
        Assert.Contains(line, await TextAsync(setup), StringComparison.Ordinal);
        await first.DisposeAsync();
        await Waits.UntilAsync(() => setup.Broker.ConnectionCount == 0);
        Assert.DoesNotContain(line, await TextAsync(setup), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_time_from_receipt_to_sending_is_a_histogram_of_some_reads()
    {
        await using var setup = await AdminSetup.StartAsync();
        await using var client = await setup.ConnectAsync("times");
        var before = ValueOf(await TextAsync(setup), "mqtt5_broker_publish_duration_seconds_count");

        for (var index = 0; index < 200; index++)
            await client.PublishAsync("times", "x", QoS.AtLeastOnce).Bounded();

        var text = await TextAsync(setup);
        Assert.True(ValueOf(text, "mqtt5_broker_publish_duration_seconds_count") > before, text);
        Assert.True(ValueOf(text, "mqtt5_broker_publish_duration_seconds_sum") > 0, text);
    }

    [Fact]
    public async Task The_dashboard_of_Grafana_queries_what_the_metrics_give()
    {
        await using var setup = await AdminSetup.StartAsync();
        var kinds = TypeLine().Matches(await TextAsync(setup)).ToDictionary(match => match.Groups[1].Value, match => match.Groups[2].Value);
        using var dashboard = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(Root(), "deploy", "grafana", "mqtt5.json")));
        var queries = dashboard.RootElement.GetProperty("panels").EnumerateArray()
            .SelectMany(panel => panel.GetProperty("targets").EnumerateArray())
            .Select(target => target.GetProperty("expr").GetString()!)
            .Append(dashboard.RootElement.GetProperty("templating").GetProperty("list")[1].GetProperty("query").GetString()!)
            .ToArray();
        Assert.True(queries.Length >= 25);

        foreach (var query in queries)
        {
            var names = MetricName().Matches(Labels().Replace(query, "")).Select(match => match.Value).ToArray();
            Assert.NotEmpty(names);

            foreach (var name in names)
            {
                var family = PartOfHistogram().Replace(name, "");
                Assert.True(kinds.TryGetValue(kinds.ContainsKey(name) ? name : family, out var kind), $"{name} of {query} is no metric");
                Assert.True(kind == "histogram" == (family != name), $"{name} of {query} is a {kind}");
                // What only rises is shown as a rate.
                Assert.Equal(kind != "gauge", query.Contains($"rate({name}{{", StringComparison.Ordinal));
            }

            foreach (var label in By().Matches(query).Select(match => match.Groups[1].Value))
                Assert.Contains(label, (string[])["le", "mqtt5_version", "mqtt5_listener", "mqtt5_limit", "mqtt5_reason"]);
        }
    }

    private static async Task<string> TextAsync(AdminSetup setup)
    {
        using var http = setup.Client(Mqtt5.Admin.MqttAdminRole.Viewer);
        using var answer = await http.GetAsync("metrics");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return await answer.Content.ReadAsStringAsync();
    }

    // 0: it has no value yet.
    private static double ValueOf(string text, string name) =>
        text.Split('\n').FirstOrDefault(line => line.StartsWith(name + " ", StringComparison.Ordinal)) is { } line
            ? double.Parse(line[(name.Length + 1)..], System.Globalization.CultureInfo.InvariantCulture)
            : 0;

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);

        while (!File.Exists(Path.Combine(folder.FullName, "Mqtt5.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException($"no Mqtt5.sln above {AppContext.BaseDirectory}");

        return folder.FullName;
    }

    [GeneratedRegex("^# TYPE ([a-z0-9_]+) ([a-z]+)$", RegexOptions.Multiline)]
    private static partial Regex TypeLine();

    [GeneratedRegex("mqtt5_[a-z0-9_]+")]
    private static partial Regex MetricName();

    [GeneratedRegex(@"\{[^}]*\}|by \([^)]*\)")]
    private static partial Regex Labels();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex PartOfHistogram();

    [GeneratedRegex(@"by \(([a-z0-9_]+)\)")]
    private static partial Regex By();
}
