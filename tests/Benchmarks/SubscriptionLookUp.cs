using BenchmarkDotNet.Attributes;
using Microsoft.FSharp.Core;

namespace Mqtt5.Benchmarks;

/// <summary>100,000 filters of five levels, a third of them with a wildcard, and topics of five levels.</summary>
[MemoryDiagnoser]
public class SubscriptionLookUp
{
    private const int Filters = 100_000;

    private readonly SubscriptionMatches<object> matches = new();
    private readonly SubscriptionOptions options = SubscriptionOptions.Of(QoS.AtLeastOnce);
    private readonly object newcomer = new();
    private readonly TopicFilter[] fresh = new TopicFilter[1024];
    private readonly byte[][] topics = new byte[1024][];
    private Subscriptions<object> subscriptions = Subscriptions.Empty<object>(HashSeed.Of(1, 2));
    private int next;

    [GlobalSetup]
    public void Setup()
    {
        for (var index = 0; index < Filters; index++)
        {
            var filter = TopicFilter.Of((index % 9) switch
            {
                0 => $"plant/{index % 100}/+/{index % 1000}/s{index}",
                3 => $"plant/{index % 100}/line{index % 10}/{index % 1000}/s{index}/#",
                6 => $"plant/+/line{index % 10}/{index}/temp",
                _ => $"plant/{index % 100}/line{index % 10}/{index % 1000}/s{index}",
            });

            subscriptions = Subscriptions
                .Subscribe(new object(), filter, options, FSharpValueOption<uint>.ValueNone, subscriptions)
                .Item1;
        }

        for (var index = 0; index < topics.Length; index++)
        {
            var number = index * 97;
            topics[index] = System.Text.Encoding.UTF8.GetBytes($"plant/{number % 100}/line{number % 10}/{number % 1000}/s{number}");
            fresh[index] = TopicFilter.Of($"plant/{number % 100}/line{number % 10}/{number % 1000}/new{number}");
        }

        var found = 0;

        foreach (var topic in topics)
        {
            matches.Clear();
            Subscriptions.Find(topic, matches, subscriptions);
            found += matches.Entries.Length;
        }

        if (subscriptions.Count != Filters || found < topics.Length / 2)
        {
            throw new InvalidOperationException($"{found} matches in {subscriptions.Count} subscriptions");
        }
    }

    [Benchmark]
    public int Match()
    {
        matches.Clear();
        Subscriptions.Find(topics[next++ & 1023], matches, subscriptions);
        return matches.Entries.Length;
    }

    [Benchmark]
    public object Subscribe() =>
        Subscriptions
            .Subscribe(newcomer, fresh[next++ & 1023], options, FSharpValueOption<uint>.ValueNone, subscriptions)
            .Item1;
}
