using System.Text;
using BenchmarkDotNet.Attributes;
using Microsoft.FSharp.Core;

namespace Mqtt5.Benchmarks;

/// <summary>
/// 100,000 filters of five levels without wildcard, 100 that end with #, one with two +, and a lone #. Each look-up
/// takes the next of 4,096 topics of five levels, so that the caches of the processor help no more than in use.
/// </summary>
[MemoryDiagnoser]
public class SubscriptionLookUp
{
    private const int Lines = 1000;
    private const int Machines = 100;
    private const int Topics = 4096;

    private readonly SubscriptionMatches<object> matches = new();
    private readonly SubscriptionOptions options = SubscriptionOptions.Of(QoS.AtLeastOnce);
    private readonly object newcomer = new();
    private readonly TopicFilter[] fresh = new TopicFilter[Topics];
    private readonly byte[][] topics = new byte[Topics][];
    private Subscriptions<object> subscriptions = Subscriptions.Empty<object>(HashSeed.Of(1, 2));
    private int next;

    [GlobalSetup]
    public void Setup()
    {
        for (var line = 0; line < Lines; line++)
        {
            for (var machine = 0; machine < Machines; machine++)
            {
                Add($"plant/l{line}/machine/m{machine}/temp");
            }
        }

        for (var line = 0; line < 100; line++)
        {
            Add($"plant/l{line}/#");
        }

        Add("plant/+/machine/+/temp");
        Add("#");

        for (var index = 0; index < Topics; index++)
        {
            topics[index] = Encoding.UTF8.GetBytes($"plant/l{index * 7919 % Lines}/machine/m{index * 104729 % Machines}/temp");
            fresh[index] = TopicFilter.Of($"plant/l{index * 7919 % Lines}/machine/x{index}/temp");
        }

        var found = 0;

        foreach (var topic in topics)
        {
            matches.Clear();
            Subscriptions.Find(topic, matches, subscriptions);
            found += matches.Entries.Length;
        }

        if (found < 3 * Topics)
        {
            throw new InvalidOperationException($"{found} matches in {subscriptions.Count} subscriptions");
        }
    }

    [Benchmark]
    public int Match()
    {
        matches.Clear();
        Subscriptions.Find(topics[next++ & (Topics - 1)], matches, subscriptions);
        return matches.Entries.Length;
    }

    [Benchmark]
    public object Subscribe() =>
        Subscriptions
            .Subscribe(newcomer, fresh[next++ & (Topics - 1)], options, FSharpValueOption<uint>.ValueNone, subscriptions)
            .Item1;

    private void Add(string filter) =>
        subscriptions = Subscriptions
            .Subscribe(new object(), TopicFilter.Of(filter), options, FSharpValueOption<uint>.ValueNone, subscriptions)
            .Item1;
}
