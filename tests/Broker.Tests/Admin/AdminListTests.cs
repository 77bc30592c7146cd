using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Mqtt5.Admin;

namespace Mqtt5.BrokerTests;

// Lists in pages, events, metrics, and the OpenAPI document.
public sealed class AdminListTests
{
    private const int Clients = 1_000;

    [Fact]
    public async Task A_thousand_clients_are_listed_once_each_while_others_come_and_go()
    {
        await using var setup = await AdminSetup.StartAsync();
        var clients = new ConcurrentBag<MqttClient>();
        using var stop = new CancellationTokenSource();

        try
        {
            await Parallel.ForEachAsync(Enumerable.Range(0, Clients), async (index, cancellationToken) =>
                clients.Add(await setup.Broker.ConnectInProcessAsync(options => options.ClientId = $"steady-{index:D4}", cancellationToken)));
            var comings = 0;
            var churn = Task.Run(async () =>
            {
                while (!stop.IsCancellationRequested)
                {
                    await using var client = await setup.Broker.ConnectInProcessAsync(options => options.ClientId = $"steady-{Random.Shared.Next(Clients):D4}-passing");
                    Interlocked.Increment(ref comings);
                }
            });
            await Waits.UntilAsync(() => Volatile.Read(ref comings) > 0);
            var before = Volatile.Read(ref comings);

            foreach (var limit in (int[])[1_000, 100, 7])
            {
                var names = await AllAsync(setup, "clients", limit, one => one.GetProperty("clientId").GetString()!);
                Assert.Equal(names.Order(StringComparer.Ordinal), names);
                Assert.Equal(
                    Enumerable.Range(0, Clients).Select(index => $"steady-{index:D4}"),
                    names.Where(name => !name.EndsWith("passing", StringComparison.Ordinal)));
            }

            Assert.True(Volatile.Read(ref comings) > before, "nothing came or went meanwhile");
            await stop.CancelAsync();
            await churn.Bounded();
        }
        finally
        {
            await stop.CancelAsync();
            await Parallel.ForEachAsync(clients, async (client, _) => await client.DisposeAsync());
        }
    }

    [Fact]
    public async Task Subscriptions_groups_and_retained_messages_are_listed_once_each_in_pages()
    {
        await using var setup = await AdminSetup.StartAsync();

        foreach (var name in (string[])["one", "two", "three"])
        {
            var client = await setup.ConnectAsync(name, TimeSpan.FromHours(1));
            var filters = Enumerable.Range(0, 20).SelectMany(index => new[] { $"f/{index}", $"$share/g{index}/s" });
            await Task.WhenAll(filters.Select(filter => client.SubscribeAsync(filter))).Bounded();
        }

        foreach (var index in Enumerable.Range(0, 50))
            setup.Broker.Publish(new MqttMessage { Topic = $"r/{index % 7}/{index}", Payload = "x"u8.ToArray(), Retain = true });

        foreach (var limit in (int[])[1, 7, 1_000])
        {
            var subscriptions = await AllAsync(setup, "subscriptions", limit, one => one.GetProperty("clientId").GetString() + " " + one.GetProperty("filter").GetString());
            Assert.Equal((120, 120), (subscriptions.Count, subscriptions.Distinct().Count()));
            var groups = await AllAsync(setup, "groups", limit, one => one.GetProperty("filter").GetString()!);
            Assert.Equal(Enumerable.Range(0, 20).Select(index => $"$share/g{index}/s").Order(StringComparer.Ordinal), groups);
            var retained = await AllAsync(setup, "retained", limit, one => one.GetProperty("topic").GetString()!);
            Assert.Equal((50, 50), (retained.Count, retained.Distinct().Count()));
        }
    }

    [Fact]
    public async Task Events_are_told_as_they_happen()
    {
        await using var setup = await AdminSetup.StartAsync(options => options.Limits.Set(LimitName.QueuedMessages, 1));
        using var http = setup.Client(MqttAdminRole.Viewer);
        using var answer = await http.GetAsync("events", HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType?.MediaType);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync());
        Assert.Equal(": events follow", await reader.ReadLineAsync().Bounded());
        await using var raw = await RawClient.ConnectAsync(setup.Broker, "CONNECT clean=1 clientid=\"<b>slow\" props{ReceiveMaximum=1}");
        await raw.SubscribeAsync("\"work\" qos=1");

        foreach (var _ in Enumerable.Range(0, 3))
            setup.Broker.Publish(new MqttMessage { Topic = "work", QoS = QoS.AtLeastOnce });

        setup.Broker.EndSession("<b>slow");
        var events = new List<JsonElement>();

        while (!events.Exists(one => one.GetProperty("kind").GetString() == "disconnected") || !events.Exists(one => one.GetProperty("kind").GetString() == "session-ended"))
        {
            if (await reader.ReadLineAsync().Bounded() is { } line && line.StartsWith("data: ", StringComparison.Ordinal))
            {
                Assert.DoesNotContain('<', line);
                events.Add(JsonDocument.Parse(line[6..]).RootElement);
            }
        }

        Assert.Equal("connected", events[0].GetProperty("kind").GetString());
        Assert.Equal(["connected", "disconnected", "dropped", "limit", "session-ended"], events.Select(one => one.GetProperty("kind").GetString()!).Distinct().Order(StringComparer.Ordinal));
        Assert.Equal("work", events.First(one => one.GetProperty("kind").GetString() == "dropped").GetProperty("topic").GetString());
        Assert.Equal(events.Select(one => one.GetProperty("number").GetInt64()).Order(), events.Select(one => one.GetProperty("number").GetInt64()));
    }

    [Fact]
    public async Task Streams_of_events_are_limited_and_end_with_their_readers_and_the_server()
    {
        var setup = await AdminSetup.StartAsync(configureAdmin: options => options.Api.EventStreams = 1);

        using (var http = setup.Client(MqttAdminRole.Viewer))
        {
            using var first = await http.GetAsync("events", HttpCompletionOption.ResponseHeadersRead);
            using var second = await http.GetAsync("events", HttpCompletionOption.ResponseHeadersRead);
            Assert.Equal(System.Net.HttpStatusCode.TooManyRequests, second.StatusCode);
        }

        // Its place is free once the server has noticed.
        using var next = setup.Client(MqttAdminRole.Viewer);
        var deadline = Environment.TickCount64 + (long)RawClient.Patience.TotalMilliseconds;
        HttpResponseMessage answer;

        do
        {
            answer = await next.GetAsync("events", HttpCompletionOption.ResponseHeadersRead);
        }
        while (answer.StatusCode != System.Net.HttpStatusCode.OK && Environment.TickCount64 < deadline);

        Assert.Equal(System.Net.HttpStatusCode.OK, answer.StatusCode);
        await setup.DisposeAsync().AsTask().Bounded();
        answer.Dispose();
    }

    [Fact]
    public async Task A_watcher_that_does_not_read_costs_a_bounded_number_of_events()
    {
        await using var setup = await AdminSetup.StartAsync();
        await using var events = setup.Broker.Inspection.WatchAsync().GetAsyncEnumerator();
        var first = events.MoveNextAsync();

        foreach (var index in Enumerable.Range(0, 1_500))
            setup.Broker.Engine.Exceeded(LimitName.PublishRate);

        Assert.True(await first.Bounded());
        var numbers = new List<long> { events.Current.Number };

        while (numbers[^1] < 1_500 && await events.MoveNextAsync().Bounded())
            numbers.Add(events.Current.Number);

        Assert.InRange(numbers.Count, 1_024, 1_026);
        Assert.Equal(numbers.Order(), numbers);
        Assert.Equal(1_500, setup.Broker.Inspection.LimitsExceeded()[LimitTable.Of(LimitName.PublishRate).Key]);
    }

    [Fact]
    public async Task A_parser_of_others_reads_the_metrics()
    {
        Assert.SkipUnless(Python("import prometheus_client", "", out _), "python3-prometheus-client is not installed");
        await using var setup = await AdminSetup.StartAsync();
        await using var client = await setup.ConnectAsync("gauge-1");
        var text = await MetricsAsync(setup);
        const string Program = """
            import sys
            from prometheus_client.parser import text_string_to_metric_families as parse
            for family in parse(sys.stdin.read()):
                for sample in family.samples:
                    print(family.type, sample.name, ','.join(sorted(sample.labels)), sample.value)
            """;
        Assert.True(Python(Program, text, out var output), output);
        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains(lines, line => line.StartsWith("gauge mqtt5_broker_connections  ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("counter mqtt5_broker_connected_total mqtt5_version ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("counter mqtt5_broker_published_total  ", StringComparison.Ordinal));
        Assert.Equal(text.Split('\n').Count(line => line.Length > 0 && line[0] != '#'), lines.Length);
    }

    [Fact]
    public async Task No_label_of_a_metric_is_chosen_by_a_peer()
    {
        await using var setup = await AdminSetup.StartAsync();
        await using var client = await setup.ConnectAsync("gauge-secret");
        await client.PublishAsync("topic-secret", "x", QoS.AtLeastOnce).Bounded();
        var text = await MetricsAsync(setup);
        Assert.DoesNotContain("secret", text, StringComparison.Ordinal);
        var labels = System.Text.RegularExpressions.Regex.Matches(text, @"[{,]([a-z0-9_]+)=").Select(match => match.Groups[1].Value).Distinct();
        Assert.All(labels, label => Assert.Contains(label, (string[])["mqtt5_version", "mqtt5_listener", "mqtt5_limit", "mqtt5_reason", "le"]));
    }

    [Fact]
    public void The_text_format_has_histograms_escapes_and_units()
    {
        using var meter = new System.Diagnostics.Metrics.Meter("Mqtt5");
        using var collector = new MetricsCollector();
        var histogram = meter.CreateHistogram<double>("mqtt5.broker.test.duration", "s", "How \\ long\nit took.");
        var counter = meter.CreateCounter<long>("mqtt5.broker.test.size", "By");
        histogram.Record(0.0005);
        histogram.Record(0.3);
        histogram.Record(70);
        counter.Add(5, new KeyValuePair<string, object?>("mqtt5.limit", "a\"b\\c\nd"));
        var text = collector.Write();
        Assert.Contains("# HELP mqtt5_broker_test_duration_seconds How \\\\ long\\nit took.\n# TYPE mqtt5_broker_test_duration_seconds histogram\n", text, StringComparison.Ordinal);
        Assert.Contains("mqtt5_broker_test_duration_seconds_bucket{le=\"0.0005\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("mqtt5_broker_test_duration_seconds_bucket{le=\"0.5\"} 2\n", text, StringComparison.Ordinal);
        Assert.Contains("mqtt5_broker_test_duration_seconds_bucket{le=\"+Inf\"} 3\n", text, StringComparison.Ordinal);
        Assert.Contains("mqtt5_broker_test_duration_seconds_sum 70.3005\n", text, StringComparison.Ordinal);
        Assert.Contains("mqtt5_broker_test_duration_seconds_count 3\n", text, StringComparison.Ordinal);
        Assert.Contains("mqtt5_broker_test_size_bytes_total{mqtt5_limit=\"a\\\"b\\\\c\\nd\"} 5\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_OpenAPI_document_is_valid_and_has_every_operation()
    {
        await using var setup = await AdminSetup.StartAsync();
        using var http = setup.Client(MqttAdminRole.Viewer);
        await using var stream = new MemoryStream(await http.GetByteArrayAsync("openapi.json"));
        var read = await Microsoft.OpenApi.OpenApiDocument.LoadAsync(stream, "json");
        Assert.Empty(read.Diagnostic!.Errors);
        Assert.Empty(read.Diagnostic.Warnings);
        var operations = read.Document!.Paths.SelectMany(path => path.Value.Operations!.Select(operation => $"{operation.Key.Method} {path.Key[1..]}"));
        Assert.Equal(AdminRoutes.All.Select(route => $"{route.Method} {route.Pattern}").Order(StringComparer.Ordinal), operations.Order(StringComparer.Ordinal));
        Assert.All(read.Document.Paths.SelectMany(path => path.Value.Operations!.Values), operation => Assert.NotNull(operation.OperationId));
        var ids = read.Document.Paths.SelectMany(path => path.Value.Operations!.Values).Select(operation => operation.OperationId).ToArray();
        Assert.Equal(ids.Length, ids.Distinct().Count());
        var overview = read.Document.Paths["/overview"].Operations![HttpMethod.Get].Responses!["200"].Content!["application/json"].Schema!;
        Assert.Contains("publishDropped", overview.Properties!.Keys);
    }

    private static async Task<string> MetricsAsync(AdminSetup setup)
    {
        using var http = setup.Client(MqttAdminRole.Viewer);
        using var answer = await http.GetAsync("metrics");
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", answer.Content.Headers.ContentType?.ToString());
        return await answer.Content.ReadAsStringAsync();
    }

    private static async Task<List<T>> AllAsync<T>(AdminSetup setup, string path, int limit, Func<JsonElement, T> of)
    {
        using var http = setup.Client(MqttAdminRole.Viewer);
        var all = new List<T>();
        string? cursor = null;

        do
        {
            using var page = JsonDocument.Parse(await http.GetStringAsync($"{path}?limit={limit}{(cursor is null ? "" : $"&cursor={cursor}")}"));
            Assert.InRange(page.RootElement.GetProperty("items").GetArrayLength(), 0, limit);
            all.AddRange(page.RootElement.GetProperty("items").EnumerateArray().Select(of));
            cursor = page.RootElement.TryGetProperty("next", out var next) ? next.GetString() : null;
        }
        while (cursor is not null);

        return all;
    }

    // False: it is not there, or it failed.
    private static bool Python(string program, string input, out string output)
    {
        var start = new System.Diagnostics.ProcessStartInfo("/usr/bin/python3", ["-c", program])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = new UTF8Encoding(false),
        };

        try
        {
            using var process = System.Diagnostics.Process.Start(start)!;
            var reading = process.StandardOutput.ReadToEndAsync();
            var error = process.StandardError.ReadToEndAsync();
            process.StandardInput.Write(input);
            process.StandardInput.Close();
            var hasEnded = process.WaitForExit(RawClient.Patience);
            output = hasEnded && process.ExitCode == 0 ? reading.Result : hasEnded ? error.Result : "it did not end";
            return hasEnded && process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            output = "there is no python3";
            return false;
        }
    }
}
