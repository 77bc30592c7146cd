namespace Mqtt5.Cli;

/// <summary>How far one may go: what the server announced, and what it really takes.</summary>
internal static class LimitChecks
{
    private const string Group = "Limits";
    private const int LongestText = ushort.MaxValue;
    private const int LargestPayloadBytes = 16 * 1024 * 1024;

    /// <summary>All of them.</summary>
    public static IEnumerable<ProbeCheck> All =>
    [
        new(Group, "Receive Maximum", (world, _) => Told($"{Figures.Count(world.Server.ReceiveMaximum)} messages unacknowledged, announced")) { NeedsMqtt5 = true },
        new(Group, "Maximum Packet Size", (world, _) => Told(world.Server.MaximumPacketSize is { } bytes ? $"{Figures.Count(bytes)} bytes, announced" : "none announced")) { NeedsMqtt5 = true },
        new(Group, "Largest payload", PayloadAsync),
        new(Group, "Longest topic", TopicBytesAsync),
        new(Group, "Deepest topic", TopicLevelsAsync),
        new(Group, "Longest identifier", ClientIdAsync),
        new(Group, "Keep Alive", KeepAliveAsync),
    ];

    private static Task<ProbeFinding> Told(string detail) => Task.FromResult(ProbeFinding.Figure(detail));

    private static async Task<ProbeFinding> PayloadAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        // Fixed header, topic and property length have to fit as well.
        var topic = world.Topic();
        var announced = Math.Min(world.Server.MaximumPacketSize ?? LargestPayloadBytes, LargestPayloadBytes);
        var most = (int)announced - topic.Length - 16;
        var largest = await GreatestAsync(most, bytes => TakesAsync(world, topic, new byte[bytes], cancellationToken));
        return largest == most
            ? ProbeFinding.Works($"{Figures.Count(largest)} bytes taken{(announced == LargestPayloadBytes ? ", more not tried" : ", as announced")}")
            : world.Server.MaximumPacketSize is null
                ? ProbeFinding.Figure($"{Figures.Count(largest)} bytes taken, no more, and nothing announced")
                : ProbeFinding.Fails($"{Figures.Count(largest)} bytes taken, fewer than announced");
    }

    private static async Task<ProbeFinding> TopicBytesAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        var topic = world.Topic();
        var most = (int)Math.Min(LongestText, (world.Server.MaximumPacketSize ?? LargestPayloadBytes) - 16);
        var longest = await GreatestAsync(most, bytes => TakesAsync(world, topic.PadRight(bytes, 'p')[..bytes], [], cancellationToken));
        return ProbeFinding.Figure($"{Figures.Count(longest)} bytes taken{(longest == LongestText ? ", the most there is" : "")}");
    }

    private static async Task<ProbeFinding> TopicLevelsAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        var topic = world.Topic();
        var own = topic.Split('/').Length;
        var most = (int)Math.Min(LongestText, (world.Server.MaximumPacketSize ?? LargestPayloadBytes) - 16) - topic.Length + own;
        var deepest = await GreatestAsync(most, levels => TakesAsync(world, topic + new string('/', Math.Max(0, levels - own)), [], cancellationToken));
        return ProbeFinding.Figure($"{Figures.Count(deepest)} levels taken");
    }

    private static async Task<ProbeFinding> ClientIdAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        var id = world.ClientId();
        var longest = await GreatestAsync(LongestText, async bytes =>
        {
            try
            {
                await using var client = await world.ConnectAsync(options => options.ClientId = id.PadRight(bytes, 'p')[..bytes], cancellationToken);
                return true;
            }
            catch (MqttException)
            {
                return false;
            }
        });
        return ProbeFinding.Of(longest >= 23, $"{Figures.Count(longest)} bytes taken{(longest == LongestText ? ", the most there is" : "")}", $"{longest} bytes taken; the standard wants 23");
    }

    private static async Task<ProbeFinding> KeepAliveAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        await using var client = await world.ConnectAsync(options => options.KeepAlive = TimeSpan.FromSeconds(ushort.MaxValue), cancellationToken);
        return ProbeFinding.Figure(client.Server!.KeepAlive is { } wanted
            ? $"{wanted.TotalSeconds} s instead of {ushort.MaxValue} s"
            : $"{Figures.Count(ushort.MaxValue)} s taken, the most there is");
    }

    // Whether the server takes a message. One that does not may refuse it, or end the connection.
    private static async Task<bool> TakesAsync(ProbeWorld world, string topic, byte[] payload, CancellationToken cancellationToken)
    {
        try
        {
            var publisher = await world.PublisherAsync(cancellationToken);
            await publisher.PublishAsync(topic, payload, world.Acknowledged, cancellationToken: cancellationToken);

            // At QoS 0 only the end of the connection tells; the answer to a SUBSCRIBE comes after that.
            if (world.Acknowledged == QoS.AtMostOnce)
                await publisher.SubscribeAsync(world.Topic(), QoS.AtMostOnce, cancellationToken: cancellationToken);

            return true;
        }
        catch (MqttException)
        {
            return false;
        }
    }

    // The greatest number that is taken, if all smaller ones are; first the most there can be.
    private static async Task<int> GreatestAsync(int most, Func<int, Task<bool>> takes)
    {
        if (await takes(most))
            return most;

        var (taken, refused) = (0, most);

        while (refused - taken > 1)
        {
            var middle = taken + ((refused - taken) / 2);

            if (await takes(middle))
                taken = middle;
            else
                refused = middle;
        }

        return taken;
    }
}
