using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Http;
using Mqtt5.HttpHook;

namespace Mqtt5.BrokerTests.HttpHook;

// What is asked once, how long answers are kept, and how much at a time.
public sealed class HookCacheTests
{
    private const string Denied = "CONNACK rc=BadUserNameOrPassword";

    [Fact]
    public async Task Answers_are_kept_for_as_long_as_the_options_say()
    {
        await using var setup = await HookBroker.StartAsync(hook =>
        {
            hook.AllowedCacheTime = TimeSpan.FromSeconds(20);
            hook.DeniedCacheTime = TimeSpan.FromSeconds(5);
        });
        setup.Server.Answer = (context, body) => context.Response.WriteAsJsonAsync(new { allow = body.GetProperty("password").GetString() == "secret" });

        async Task AskedAsync(int count)
        {
            await setup.TryAsync();
            await setup.TryAsync(Denied, password: "wrong");
            Assert.Equal(count, setup.Server.Requests.Count);
        }

        await AskedAsync(2);
        await AskedAsync(2);
        setup.Time.Advance(TimeSpan.FromSeconds(4.9));
        await AskedAsync(2);
        setup.Time.Advance(TimeSpan.FromSeconds(0.2));
        await AskedAsync(3);
        setup.Time.Advance(TimeSpan.FromSeconds(4.9));
        await AskedAsync(3);
        setup.Time.Advance(TimeSpan.FromSeconds(10.1));
        await AskedAsync(5);
    }

    [Fact]
    public async Task Zero_keeps_nothing()
    {
        await using var setup = await HookBroker.StartAsync(hook => hook.AllowedCacheTime = hook.DeniedCacheTime = TimeSpan.Zero);
        await setup.TryAsync();
        await setup.TryAsync();
        Assert.Equal(2, setup.Server.Requests.Count);
    }

    [Fact]
    public async Task Every_part_of_the_question_counts()
    {
        await using var setup = await HookBroker.StartAsync();
        await setup.TryAsync();
        await setup.TryAsync(password: "Secret");
        await setup.TryAsync(user: "Anna");
        await setup.TryAsync(clientId: "C");
        // The end of one is not the beginning of another.
        await setup.TryAsync(user: "annas", password: "ecret");
        Assert.Equal(5, setup.Server.Requests.Count);
    }

    [Fact]
    public async Task The_oldest_goes_and_what_is_denied_takes_no_place_of_what_is_allowed()
    {
        await using var setup = await HookBroker.StartAsync(hook => hook.CachedAnswers = 2);
        setup.Server.Answer = (context, body) => context.Response.WriteAsJsonAsync(new { allow = body.GetProperty("password").GetString() == "secret" });
        await setup.TryAsync(clientId: "a");
        await setup.TryAsync(clientId: "b");

        for (var guess = 0; guess < 5; guess++)
            await setup.TryAsync(Denied, password: $"{guess}");

        Assert.Equal(7, setup.Server.Requests.Count);
        await setup.TryAsync(clientId: "b");
        await setup.TryAsync(clientId: "a");
        Assert.Equal(7, setup.Server.Requests.Count);
        await setup.TryAsync(clientId: "c");
        await setup.TryAsync(clientId: "b");
        Assert.Equal(8, setup.Server.Requests.Count);
        await setup.TryAsync(clientId: "a");
        Assert.Equal(9, setup.Server.Requests.Count);
    }

    [Fact]
    public async Task Equal_questions_at_the_same_time_ask_once_and_one_that_gives_up_leaves_the_others_theirs()
    {
        await using var setup = await HookBroker.StartAsync();
        var arrived = new TaskCompletionSource();
        var answer = new TaskCompletionSource();
        setup.Server.Answer = async (context, _) =>
        {
            arrived.TrySetResult();
            await answer.Task;
            await context.Response.WriteAsync("""{"allow":true}""");
        };
        const string Connect = "CONNECT clean=1 username=\"anna\" password=\"secret\"";
        await using var second = await RawClient.OpenAsync(setup.Broker);
        await using var third = await RawClient.OpenAsync(setup.Broker);

        // The first, whose question is sent, gives up.
        await using (var first = await RawClient.OpenAsync(setup.Broker))
        {
            await first.SendAsync(Connect);
            await arrived.Task.Bounded();
            await second.SendAsync(Connect);
            await third.SendAsync(Connect);
            await Waits.UntilAsync(() => setup.Broker.Inspection.Overview().ConnectionsPending == 3);
        }

        await Waits.UntilAsync(() => setup.Broker.Inspection.Overview().ConnectionsPending == 2);
        answer.SetResult();
        await second.ExpectStartAsync("CONNACK rc=Success");
        await third.ExpectStartAsync("CONNACK rc=Success");
        Assert.Single(setup.Server.Requests);
    }

    [Fact]
    public async Task There_is_a_maximum_of_requests_at_the_same_time()
    {
        await using var setup = await HookBroker.StartAsync(hook => hook.MaximumConcurrentRequests = 2);
        var open = 0;
        var most = 0;
        setup.Server.Answer = async (context, _) =>
        {
            var now = Interlocked.Increment(ref open);
            InterlockedMax(ref most, now);
            await Task.Delay(50);
            Interlocked.Decrement(ref open);
            await context.Response.WriteAsync("""{"allow":true}""");
        };
        await Task.WhenAll(Enumerable.Range(0, 8).Select(number => setup.TryAsync(clientId: $"c{number}")));
        Assert.Equal((8, 2), (setup.Server.Requests.Count, most));
    }

    [Fact]
    public async Task Requests_and_answers_from_the_cache_are_measured()
    {
        var seen = new List<string>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Name == MqttHttpHookExtensions.MeterName)
                    self.EnableMeasurementEvents(instrument);
            },
        };

        void Note(string name, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            lock (seen)
                seen.Add($"{name} {string.Join(' ', tags.ToArray().Select(tag => tag.Value))}");
        }

        listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) => Note(instrument.Name, tags));
        listener.SetMeasurementEventCallback<long>((instrument, _, tags, _) => Note(instrument.Name, tags));
        listener.Start();
        await using var setup = await HookBroker.StartAsync(topics: true);
        setup.Server.Answer = (context, body) => context.Response.WriteAsync(context.Request.Path == "/topic" ? """{"allow":false}""" : """{"allow":true}""");
        await setup.TryAsync();
        await using var client = await setup.ConnectAsync();
        await client.SendAsync("SUBSCRIBE id=1 filters[\"a\"]");
        await client.ExpectAsync("SUBACK id=1 codes[NotAuthorized]");
        setup.Server.Say("?");
        await setup.TryAsync("CONNACK rc=ServerUnavailable", clientId: "d");

        // Tests beside this one measure as well.
        lock (seen)
        {
            Assert.Contains("mqtt5.http_hook.request.duration authentication allowed", seen);
            Assert.Contains("mqtt5.http_hook.cached authentication", seen);
            Assert.Contains("mqtt5.http_hook.request.duration authorization denied", seen);
            Assert.Contains("mqtt5.http_hook.request.duration authentication none", seen);
        }
    }

    private static void InterlockedMax(ref int target, int value)
    {
        for (var seen = Volatile.Read(ref target); seen < value;)
            seen = Interlocked.CompareExchange(ref target, value, seen) is var before && before == seen ? value : before;
    }
}
