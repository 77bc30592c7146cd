namespace Mqtt5.Cli;

/// <summary>What becomes of a message on its way.</summary>
internal static class DeliveryChecks
{
    private const string Group = "Messages";
    private const int PayloadBytes = 10_000;
    private const int AliasedMessages = 3;

    /// <summary>All of them.</summary>
    public static IEnumerable<ProbeCheck> All =>
    [
        new(Group, "QoS 0", (world, token) => QoSAsync(world, QoS.AtMostOnce, token)),
        new(Group, "QoS 1", (world, token) => QoSAsync(world, QoS.AtLeastOnce, token)),
        new(Group, "QoS 2", (world, token) => QoSAsync(world, QoS.ExactlyOnce, token)),
        new(Group, "Binary payload", PayloadAsync),
        new(Group, "Properties", PropertiesAsync) { NeedsMqtt5 = true },
        new(Group, "Topic Aliases to it", AliasesToServerAsync) { NeedsMqtt5 = true },
        new(Group, "Topic Aliases from it", AliasesFromServerAsync) { NeedsMqtt5 = true },
        new(Group, "Message Expiry", ExpiryAsync) { NeedsMqtt5 = true },
        new(Group, "Receive Maximum of clients", ReceiveMaximumAsync) { NeedsMqtt5 = true },
        new(Group, "Packet size of clients", PacketSizeAsync) { NeedsMqtt5 = true },
    ];

    private static async Task<ProbeFinding> QoSAsync(ProbeWorld world, QoS qos, CancellationToken cancellationToken)
    {
        if (qos > world.Server.MaximumQoS)
            return ProbeFinding.Absent($"announced: the Maximum QoS is {(int)world.Server.MaximumQoS}");

        var topic = world.Topic();
        var inbox = await Inbox.OpenAsync(await world.SubscriberAsync(cancellationToken), new MqttTopicFilter(topic, qos), cancellationToken);
        var publisher = await world.PublisherAsync(cancellationToken);
        await publisher.PublishAsync(topic, "probe", qos, cancellationToken: cancellationToken);
        var message = await inbox.NextAsync(cancellationToken);
        var more = await inbox.UntilQuietAsync(ProbeWorld.Quiet / 3, cancellationToken);
        return message.QoS != qos
            ? ProbeFinding.Fails($"arrived with QoS {(int)message.QoS}")
            : ProbeFinding.Of(more.Count == 0, "arrived once, with its QoS", $"arrived {more.Count + 1} times");
    }

    private static async Task<ProbeFinding> PayloadAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        var payload = new byte[PayloadBytes];
        Random.Shared.NextBytes(payload);
        var message = await SendAsync(world, topic => new MqttMessage { Topic = topic, Payload = payload, QoS = world.Acknowledged }, cancellationToken);
        var empty = await SendAsync(world, topic => new MqttMessage { Topic = topic, QoS = world.Acknowledged }, cancellationToken);
        return ProbeFinding.Of(
            message.Payload.Span.SequenceEqual(payload) && empty.Payload.IsEmpty,
            $"{Figures.Count(PayloadBytes)} random bytes and no byte: unchanged",
            "it was changed on its way");
    }

    private static async Task<ProbeFinding> PropertiesAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        byte[] correlation = [0, 1, 2, 255];
        var properties = UserProperties.Of([UserProperty.Of("b", "1"), UserProperty.Of("a", "2"), UserProperty.Of("b", "3")]);
        var message = await SendAsync(
            world,
            topic => new MqttMessage
            {
                Topic = topic,
                Text = "probe",
                QoS = world.Acknowledged,
                ContentType = "text/plain",
                ResponseTopic = "answers/here",
                CorrelationData = correlation,
                UserProperties = properties,
            },
            cancellationToken);

        string[] changed =
        [
            .. message.IsText == true ? [] : (string[])["Payload Format Indicator"],
            .. message.ContentType == "text/plain" ? [] : (string[])["Content Type"],
            .. message.ResponseTopic == "answers/here" ? [] : (string[])["Response Topic"],
            .. message.CorrelationData is { } data && data.Span.SequenceEqual(correlation) ? [] : (string[])["Correlation Data"],
            .. message.UserProperties.Select(Pair).SequenceEqual(properties.Select(Pair)) ? [] : (string[])["User Properties"],
        ];
        return ProbeFinding.Of(
            changed.Length == 0,
            "all arrived unchanged, User Properties in order",
            $"changed on their way: {string.Join(", ", changed)}");
    }

    private static async Task<ProbeFinding> AliasesToServerAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        if (world.Server.TopicAliasMaximum == 0)
            return ProbeFinding.Absent("announced: it takes none");

        var topic = world.Topic();
        using var trace = new StringWriter();
        var publisher = await world.ConnectAsync(options => options.Transport = new TracingTransport(options.CreateTransport(), trace), cancellationToken);
        var inbox = await Inbox.OpenAsync(await world.SubscriberAsync(cancellationToken), new MqttTopicFilter(topic, world.Acknowledged), cancellationToken);

        for (var number = 0; number < AliasedMessages; number++)
        {
            await publisher.PublishAsync(topic, "probe", world.Acknowledged, cancellationToken: cancellationToken);
            await inbox.NextAsync(cancellationToken);
        }

        await publisher.DisposeAsync();
        return ProbeFinding.Of(
            UsesAlias(trace, Direction.ClientToServer),
            $"up to {Figures.Count(world.Server.TopicAliasMaximum)}; tried, and the topic came back",
            "this client set none");
    }

    private static async Task<ProbeFinding> AliasesFromServerAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        var topic = world.Topic();
        using var trace = new StringWriter();
        var subscriber = await world.ConnectAsync(
            options =>
            {
                options.TopicAliasMaximum = AliasedMessages;
                options.Transport = new TracingTransport(options.CreateTransport(), trace);
            },
            cancellationToken);
        var inbox = await Inbox.OpenAsync(subscriber, new MqttTopicFilter(topic, world.Acknowledged), cancellationToken);
        var publisher = await world.PublisherAsync(cancellationToken);

        for (var number = 0; number < AliasedMessages; number++)
        {
            await publisher.PublishAsync(topic, "probe", world.Acknowledged, cancellationToken: cancellationToken);

            if ((await inbox.NextAsync(cancellationToken)).Topic != topic)
                return ProbeFinding.Fails("a message arrived with another topic");
        }

        await subscriber.DisposeAsync();
        return UsesAlias(trace, Direction.ServerToClient)
            ? ProbeFinding.Works("it sets them where a client takes some")
            : ProbeFinding.Absent("it sets none, as it may");
    }

    private static async Task<ProbeFinding> ExpiryAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        if (!world.Server.RetainAvailable)
            return ProbeFinding.Absent("not tried: it takes retained messages, which are not available");

        var (brief, lasting) = (world.Topic(), world.Topic());
        await world.RetainAsync(Message(brief, TimeSpan.FromSeconds(1)), cancellationToken);
        await world.RetainAsync(Message(lasting, TimeSpan.FromSeconds(100)), cancellationToken);
        await Task.Delay(TimeSpan.FromSeconds(2.2), cancellationToken);
        var client = await world.ConnectAsync(null, cancellationToken);
        var left = await (await Inbox.OpenAsync(client, new MqttTopicFilter(lasting), cancellationToken)).NextAsync(cancellationToken);
        var gone = await (await Inbox.OpenAsync(client, new MqttTopicFilter(brief), cancellationToken)).UntilQuietAsync(ProbeWorld.Quiet, cancellationToken);

        if (gone.Count > 0)
            return ProbeFinding.Fails("a message of 1 s was delivered after 2.2 s");

        return left.Expiry is { TotalSeconds: < 100 and > 90 } rest
            ? ProbeFinding.Works($"1 s expired; of 100 s, {rest.TotalSeconds} s were left after 2.2 s")
            : ProbeFinding.Fails($"of 100 s, {(left.Expiry is { } told ? $"{told.TotalSeconds} s" : "nothing is told that")} were left after 2.2 s");

        MqttMessage Message(string topic, TimeSpan expiry) =>
            new() { Topic = topic, Text = "probe", QoS = world.Acknowledged, Retain = true, Expiry = expiry };
    }

    private static async Task<ProbeFinding> ReceiveMaximumAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        if (world.Acknowledged == QoS.AtMostOnce)
            return ProbeFinding.Absent("not tried: it needs QoS 1");

        var topic = world.Topic();
        var client = await world.ConnectAsync(options => options.ReceiveMaximum = 1, cancellationToken);
        var inbox = await Inbox.OpenAsync(client, new MqttTopicFilter(topic), cancellationToken, new MqttSubscribeOptions { ManualAcknowledgement = true });
        var publisher = await world.PublisherAsync(cancellationToken);

        for (var number = 0; number < 3; number++)
            await publisher.PublishAsync(topic, "probe", QoS.AtLeastOnce, cancellationToken: cancellationToken);

        await Inbox.ComeAsync(1, cancellationToken, inbox);
        var first = await inbox.UntilQuietAsync(ProbeWorld.Quiet, cancellationToken);

        if (first.Count != 1)
            return ProbeFinding.Fails($"{first.Count} messages came at a time to a client that takes 1");

        first[0].Acknowledge();
        await inbox.NextAsync(cancellationToken);
        return ProbeFinding.Works("one at a time where a client takes no more");
    }

    private static async Task<ProbeFinding> PacketSizeAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        const int limit = 400;
        var topic = world.Topic();
        var client = await world.ConnectAsync(options => options.MaximumPacketSize = limit, cancellationToken);
        var inbox = await Inbox.OpenAsync(client, new MqttTopicFilter(topic, world.Acknowledged), cancellationToken);
        var publisher = await world.PublisherAsync(cancellationToken);
        await publisher.PublishAsync(topic, new byte[limit], world.Acknowledged, cancellationToken: cancellationToken);
        await publisher.PublishAsync(topic, "small", world.Acknowledged, cancellationToken: cancellationToken);
        var message = await inbox.NextAsync(cancellationToken);
        return ProbeFinding.Of(message.Text == "small", "a larger message is left out, the next one comes", "a larger message came");
    }

    private static async Task<MqttReceivedMessage> SendAsync(
        ProbeWorld world, Func<string, MqttMessage> make, CancellationToken cancellationToken)
    {
        var message = make(world.Topic());
        var inbox = await Inbox.OpenAsync(
            await world.SubscriberAsync(cancellationToken), new MqttTopicFilter(message.Topic, world.Acknowledged), cancellationToken);
        await (await world.PublisherAsync(cancellationToken)).PublishAsync(message, cancellationToken);
        return await inbox.NextAsync(cancellationToken);
    }

    private static bool UsesAlias(StringWriter trace, Direction direction) =>
        trace.ToString().Split('\n').Any(line =>
            line.StartsWith(direction.IsClientToServer ? "[c>s] PUBLISH" : "[s>c] PUBLISH", StringComparison.Ordinal)
            && line.Contains("TopicAlias=", StringComparison.Ordinal));

    private static (string Name, string Value) Pair(UserProperty property) => (property.Name.Text, property.Value.Text);
}
