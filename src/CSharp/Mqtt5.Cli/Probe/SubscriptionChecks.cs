namespace Mqtt5.Cli;

/// <summary>What subscriptions can do.</summary>
internal static class SubscriptionChecks
{
    private const string Group = "Subscriptions";
    private const int SharedMessages = 10;

    /// <summary>All of them.</summary>
    public static IEnumerable<ProbeCheck> All =>
    [
        new(Group, "Wildcards", WildcardsAsync),
        new(Group, "Shared", SharedAsync),
        new(Group, "Identifiers", IdentifiersAsync) { NeedsMqtt5 = true },
        new(Group, "No Local", NoLocalAsync) { NeedsMqtt5 = true },
        new(Group, "Overlapping", OverlappingAsync),
        new(Group, "Retained messages", RetainedAsync),
        new(Group, "Retain As Published", RetainAsPublishedAsync) { NeedsMqtt5 = true },
        new(Group, "Retain Handling", RetainHandlingAsync) { NeedsMqtt5 = true },
    ];

    private static async Task<ProbeFinding> WildcardsAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        if (!world.Server.WildcardSubscriptionAvailable)
            return ProbeFinding.Absent("announced");

        var topic = world.Topic();
        var subscriber = await world.SubscriberAsync(cancellationToken);
        var plus = await Inbox.OpenAsync(subscriber, new MqttTopicFilter($"{topic}/+/c", world.Acknowledged), cancellationToken);
        var hash = await Inbox.OpenAsync(subscriber, new MqttTopicFilter($"{topic}/x/#", world.Acknowledged), cancellationToken);
        var publisher = await world.PublisherAsync(cancellationToken);
        await publisher.PublishAsync($"{topic}/b/c", "probe", world.Acknowledged, cancellationToken: cancellationToken);
        await publisher.PublishAsync($"{topic}/b/d", "probe", world.Acknowledged, cancellationToken: cancellationToken);
        await publisher.PublishAsync($"{topic}/x", "probe", world.Acknowledged, cancellationToken: cancellationToken);
        await publisher.PublishAsync($"{topic}/x/y/z", "probe", world.Acknowledged, cancellationToken: cancellationToken);
        await Inbox.ComeAsync(3, cancellationToken, plus, hash);
        var ofPlus = (await plus.UntilQuietAsync(ProbeWorld.Quiet, cancellationToken)).Select(message => message.Topic[topic.Length..]).ToArray();
        var ofHash = (await hash.UntilQuietAsync(ProbeWorld.Quiet, cancellationToken)).Select(message => message.Topic[topic.Length..]).ToArray();
        return ProbeFinding.Of(
            ofPlus is ["/b/c"] && ofHash is ["/x", "/x/y/z"],
            "+ and # match what they should",
            $"+/c matched {string.Join(" ", ofPlus)}, x/# matched {string.Join(" ", ofHash)}");
    }

    private static async Task<ProbeFinding> SharedAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        if (!world.Server.SharedSubscriptionAvailable)
            return ProbeFinding.Absent("announced");

        var topic = world.Topic();
        var filter = new MqttTopicFilter($"$share/probe/{topic}", world.Acknowledged);
        var one = await Inbox.OpenAsync(await world.ConnectAsync(null, cancellationToken), filter, cancellationToken);
        var other = await Inbox.OpenAsync(await world.ConnectAsync(null, cancellationToken), filter, cancellationToken);
        var publisher = await world.PublisherAsync(cancellationToken);

        for (var number = 0; number < SharedMessages; number++)
            await publisher.PublishAsync(topic, $"{number}", world.Acknowledged, cancellationToken: cancellationToken);

        await Inbox.ComeAsync(SharedMessages, cancellationToken, one, other);
        var ofOne = await one.UntilQuietAsync(ProbeWorld.Quiet, cancellationToken);
        var ofOther = await other.UntilQuietAsync(ProbeWorld.Quiet, cancellationToken);
        var each = ofOne.Concat(ofOther).Select(message => message.Text).Distinct().Count();
        return ProbeFinding.Of(
            each == SharedMessages && ofOne.Count + ofOther.Count == SharedMessages,
            $"{SharedMessages} messages, each to one of two members: {ofOne.Count} and {ofOther.Count}",
            $"of {SharedMessages} messages, two members got {ofOne.Count} and {ofOther.Count}");
    }

    private static async Task<ProbeFinding> IdentifiersAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        if (!world.Server.SubscriptionIdentifierAvailable)
            return ProbeFinding.Absent("announced");

        var topic = world.Topic();
        var inbox = await Inbox.OpenAsync(await world.SubscriberAsync(cancellationToken), new MqttTopicFilter(topic, world.Acknowledged), cancellationToken);
        await (await world.PublisherAsync(cancellationToken)).PublishAsync(topic, "probe", world.Acknowledged, cancellationToken: cancellationToken);
        var message = await inbox.NextAsync(cancellationToken);
        return ProbeFinding.Of(!message.SubscriptionIdentifiers.IsEmpty, "a message names its subscription", "a message does not name its subscription");
    }

    private static async Task<ProbeFinding> NoLocalAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        var topic = world.Topic();
        var client = await world.SubscriberAsync(cancellationToken);
        var inbox = await Inbox.OpenAsync(client, new MqttTopicFilter(topic, world.Acknowledged) { NoLocal = true }, cancellationToken);
        await client.PublishAsync(topic, "own", world.Acknowledged, cancellationToken: cancellationToken);
        await (await world.PublisherAsync(cancellationToken)).PublishAsync(topic, "other", world.Acknowledged, cancellationToken: cancellationToken);
        await Inbox.ComeAsync(1, cancellationToken, inbox);
        var all = await inbox.UntilQuietAsync(ProbeWorld.Quiet, cancellationToken);
        return ProbeFinding.Of(
            all is [{ Text: "other" }],
            "a client's own messages are left out",
            $"came: {string.Join(", ", all.Select(message => message.Text))}");
    }

    private static async Task<ProbeFinding> OverlappingAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        if (!world.Server.WildcardSubscriptionAvailable)
            return ProbeFinding.Absent("not tried: it needs wildcards");

        var topic = world.Topic();
        // Without identifiers the client could not tell copies apart; here only their number matters.
        using var trace = new StringWriter();
        var client = await world.ConnectAsync(options => options.Transport = new TracingTransport(options.CreateTransport(), trace), cancellationToken);
        await Inbox.OpenAsync(client, new MqttTopicFilter($"{topic}/+", world.Acknowledged), cancellationToken);
        var last = await Inbox.OpenAsync(client, new MqttTopicFilter($"{topic}/#", world.Acknowledged), cancellationToken);
        await (await world.PublisherAsync(cancellationToken)).PublishAsync($"{topic}/a", "probe", world.Acknowledged, cancellationToken: cancellationToken);
        await Inbox.ComeAsync(1, cancellationToken, last);
        await last.UntilQuietAsync(ProbeWorld.Quiet, cancellationToken);
        await client.DisposeAsync();
        var copies = trace.ToString().Split('\n').Count(line => line.StartsWith("[s>c] PUBLISH", StringComparison.Ordinal));
        return copies switch
        {
            1 => ProbeFinding.Figure("a message that two filters match comes once"),
            2 => ProbeFinding.Figure("a message that two filters match comes twice"),
            _ => ProbeFinding.Fails($"a message that two filters match came {copies} times"),
        };
    }

    private static async Task<ProbeFinding> RetainedAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        if (!world.Server.RetainAvailable)
            return ProbeFinding.Absent("announced");

        var topic = world.Topic();
        await world.RetainAsync(Retained(world, topic), cancellationToken);
        var client = await world.ConnectAsync(null, cancellationToken);
        var message = await (await Inbox.OpenAsync(client, new MqttTopicFilter(topic), cancellationToken)).NextAsync(cancellationToken);

        if (!message.Retain)
            return ProbeFinding.Fails("a retained message came without its flag");

        await (await world.PublisherAsync(cancellationToken)).PublishAsync(
            topic, ReadOnlyMemory<byte>.Empty, world.Acknowledged, retain: true, cancellationToken);
        var late = await world.ConnectAsync(null, cancellationToken);
        var left = await (await Inbox.OpenAsync(late, new MqttTopicFilter(topic), cancellationToken)).UntilQuietAsync(ProbeWorld.Quiet, cancellationToken);
        return ProbeFinding.Of(left.Count == 0, "kept for later, and cleared by an empty one", "an empty one does not clear it");
    }

    private static async Task<ProbeFinding> RetainAsPublishedAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        if (!world.Server.RetainAvailable)
            return ProbeFinding.Absent("not tried: it needs retained messages");

        var topic = world.Topic();
        var keeps = await Inbox.OpenAsync(
            await world.SubscriberAsync(cancellationToken), new MqttTopicFilter(topic, world.Acknowledged) { RetainAsPublished = true }, cancellationToken);
        var usual = await Inbox.OpenAsync(
            await world.ConnectAsync(null, cancellationToken), new MqttTopicFilter(topic, world.Acknowledged), cancellationToken);
        await world.RetainAsync(Retained(world, topic), cancellationToken);
        var kept = await keeps.NextAsync(cancellationToken);
        var plain = await usual.NextAsync(cancellationToken);
        return ProbeFinding.Of(
            kept.Retain && !plain.Retain,
            "the flag is kept where it is asked for",
            $"the flag is {(kept.Retain ? "kept" : "lost")} with it and {(plain.Retain ? "kept" : "lost")} without");
    }

    private static async Task<ProbeFinding> RetainHandlingAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        if (!world.Server.RetainAvailable)
            return ProbeFinding.Absent("not tried: it needs retained messages");

        var topic = world.Topic();
        await world.RetainAsync(Retained(world, topic), cancellationToken);
        var client = await world.ConnectAsync(null, cancellationToken);
        var never = await CountAsync(RetainHandling.DoNotSend, due: 0);
        await client.UnsubscribeAsync(topic, cancellationToken: cancellationToken);
        var first = await CountAsync(RetainHandling.SendIfNew, due: 1);
        var again = await CountAsync(RetainHandling.SendIfNew, due: 0);
        var always = await CountAsync(RetainHandling.SendAtSubscribe, due: 1);
        return ProbeFinding.Of(
            (never, first, again, always) == (0, 1, 0, 1),
            "always, for new subscriptions only, and never",
            $"never: {never}, new: {first}, not new: {again}, always: {always} messages");

        async Task<int> CountAsync(RetainHandling handling, int due)
        {
            var filter = new MqttTopicFilter(topic, world.Acknowledged) { RetainHandling = handling };
            var inbox = await Inbox.OpenAsync(client, filter, cancellationToken);
            await Inbox.ComeAsync(due, cancellationToken, inbox);
            return (await inbox.UntilQuietAsync(ProbeWorld.Quiet, cancellationToken)).Count;
        }
    }

    private static MqttMessage Retained(ProbeWorld world, string topic) =>
        new() { Topic = topic, Text = "probe", QoS = world.Acknowledged, Retain = true };
}
