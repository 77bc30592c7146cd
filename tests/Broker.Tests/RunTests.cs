namespace Mqtt5.BrokerTests;

// Packets of QoS 0 that arrive together are forwarded together, which no client can observe.
public sealed class RunTests
{
    private const int Messages = 600;

    // Topics change, other packets come in between, and payloads are of all lengths, so that packets lie across the
    // pieces of the broker's input.
    private static readonly string[] Sent =
        [.. Enumerable.Range(0, Messages).Select(index => (index % 50) switch
        {
            7 => $"PUBLISH topic=\"b\" payload=\"{index}\"",
            23 => $"PUBLISH qos=1 topic=\"a\" id={index} payload=\"{index}\"",
            31 => $"PUBLISH topic=\"a\" payload=\"{index}{new string('x', 300)}\"",
            47 => $"PUBLISH topic=\"a\" payload=\"{index}{new string('y', 5_000 + (40 * index))}\"",
            _ => $"PUBLISH topic=\"a\" payload=\"{index}{new string('z', index % 37)}\"",
        })];

    [Fact]
    public async Task Every_subscriber_gets_each_message_in_order_in_the_form_that_is_due_to_it()
    {
        await using var broker = await Brokers.StartAsync();
        await using var plain = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"plain\"");
        await plain.SubscribeAsync("\"a\"");
        await using var identified = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"identified\"");
        await identified.SubscribeAsync("\"#\"", " props{SubscriptionIdentifier=5}");
        await using var small = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"small\" props{MaximumPacketSize=200}");
        await small.SubscribeAsync("\"a\"");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        await publisher.SubscribeAsync("\"b\"");

        var bytes = Sent.SelectMany(Bytes).ToArray();
        var sending = publisher.SendAsync(bytes);
        await ExpectAsync(plain, Sent.Where(packet => packet.Contains("\"a\"", StringComparison.Ordinal)));
        await ExpectAsync(identified, Sent.Select(packet => packet.Replace(" payload", " props{SubscriptionIdentifier=5} payload", StringComparison.Ordinal)));
        await ExpectAsync(small, Sent.Where(packet => packet.Contains("\"a\"", StringComparison.Ordinal) && packet.Length < 150));
        await sending;
        await ExpectAsync(
            publisher,
            Sent.Where(packet => packet.Contains("\"b\"", StringComparison.Ordinal) || packet.Contains("qos=1", StringComparison.Ordinal))
                .Select(packet => packet.Contains("qos=1", StringComparison.Ordinal)
                    ? $"PUBACK {packet.Split(' ')[3]}"
                    : packet));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Subscribers_of_each_version_get_each_message_in_their_layout(bool isFive)
    {
        var old = ProtocolVersion.V311;
        var version = isFive ? ProtocolVersion.V5 : old;
        var texts = Sent.Where(packet => packet.Contains("\"a\"", StringComparison.Ordinal)).ToArray();
        // Every second message has a property, where there are properties.
        string[] rich =
            [.. texts.Select((packet, index) => isFive && index % 2 == 0
                ? packet.Replace(" payload", " props{ContentType=\"t\"} payload", StringComparison.Ordinal)
                : packet)];
        await using var broker = await Brokers.StartAsync();
        await using var five = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"five\"");
        await using var first = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"first\"", version: old);
        await using var second = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"second\"", version: ProtocolVersion.V31);
        await using var small = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"small\" props{MaximumPacketSize=200}");

        foreach (var subscriber in new[] { five, first, second, small })
            await subscriber.SubscribeAsync("\"a\"");

        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"", version: version);
        var sending = publisher.SendAsync([.. rich.SelectMany(packet =>
            Encode.ToBytesIn(version, Direction.ClientToServer, Notation.Parse(packet).ResultValue).ResultValue)]);
        await ExpectAsync(five, rich);
        await ExpectAsync(first, texts);
        await ExpectAsync(second, texts);
        await ExpectAsync(small, rich.Where(packet => packet.Length < 150));
        await sending;
    }

    private static async Task ExpectAsync(RawClient client, IEnumerable<string> packets)
    {
        // The subscriptions are of QoS 0.
        foreach (var packet in packets)
        {
            await client.ExpectAsync(packet.StartsWith("PUBLISH qos=1", StringComparison.Ordinal)
                ? string.Join(' ', packet.Split(' ').Where(part => !part.StartsWith("qos=", StringComparison.Ordinal) && !part.StartsWith("id=", StringComparison.Ordinal)))
                : packet);
        }

        await client.ExpectNothingAsync();
    }

    private static byte[] Bytes(string packet) =>
        Encode.ToBytes(Direction.ClientToServer, Notation.Parse(packet).ResultValue).ResultValue;
}
