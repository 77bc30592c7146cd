using System.Collections.Concurrent;
using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>
/// Sends four messages of QoS 2 and loses a different packet of the four of each, with the connection. What the subscriber
/// then has is counted.
/// </summary>
internal static class ExactlyOnce
{
    private const string Topic = "plant/7/orders";

    // A second copy would have arrived by then: it is sent right after the reconnect.
    private static readonly TimeSpan QuietTime = TimeSpan.FromMilliseconds(200);
    private static readonly PacketType[] Handshake = [PacketType.Publish, PacketType.Pubrec, PacketType.Pubrel, PacketType.Pubcomp];

    /// <summary>Runs the step; throws when a message does not arrive exactly once.</summary>
    public static async Task RunAsync(DemoStep step, Uri server, MqttClient subscriber, CancellationToken cancellationToken)
    {
        var arrived = new ConcurrentQueue<string>();
        await using var subscription = await subscriber.SubscribeAsync(
            Topic,
            (message, _) =>
            {
                arrived.Enqueue(message.Text);
                return Task.CompletedTask;
            },
            QoS.ExactlyOnce,
            cancellationToken: cancellationToken);

        var transport = new CuttingTransport();
        var options = MqttClientOptions.For(server);
        options.Transport = transport;
        options.Reconnect = new MqttReconnectOptions { InitialDelay = TimeSpan.FromMilliseconds(100) };
        await using var publisher = await MqttClient.ConnectAsync(options, cancellationToken);
        var began = Stopwatch.GetTimestamp();
        step.Tell("the socket is cut in the middle of QoS 2, at each of its packets");

        foreach (var lost in Handshake)
        {
            var order = $"order {(int)lost - 2}";
            transport.Lose(lost);
            await publisher.PublishAsync(Topic, order, QoS.ExactlyOnce, cancellationToken: cancellationToken);
            await WaitAsync(arrived, order, cancellationToken);
            step.Add($"lost {Name(lost),-8} {After(transport),-34} arrived once");
        }

        await Task.Delay(QuietTime, cancellationToken);
        var expected = Handshake.Select(lost => $"order {(int)lost - 2}").ToArray();

        if (!arrived.SequenceEqual(expected))
            throw new DemoException($"the subscriber has {string.Join(", ", arrived)} instead of {string.Join(", ", expected)}");

        if (transport.Cuts != Handshake.Length)
            throw new DemoException($"the connection was cut {transport.Cuts} times instead of {Handshake.Length}");

        step.Took(Stopwatch.GetElapsedTime(began));
        step.Tell($"{expected.Length} messages of QoS 2, {transport.Cuts} cut sockets, {arrived.Count} deliveries");
        step.Prove("Wherever the line breaks: nothing is lost, nothing comes twice.");
    }

    private static async Task WaitAsync(ConcurrentQueue<string> arrived, string order, CancellationToken cancellationToken)
    {
        while (!arrived.Contains(order))
            await Task.Delay(1, cancellationToken);
    }

    // What happened on the connection after the cut.
    private static string After(CuttingTransport transport)
    {
        var passed = transport.Passed;
        var index = passed.ToList().FindLastIndex(packet => packet.IsConnack);

        if (index < 0 || passed[index] is not Packet.Connack { Connack.SessionPresent: true })
            throw new DemoException("the session was not resumed");

        var again = passed.Skip(index + 1).FirstOrDefault() switch
        {
            Packet.Publish { Publish: var publish } => $"PUBLISH id={Id(publish)} dup={(publish.Delivery.IsDup ? 1 : 0)}",
            Packet.Pubrel { Acknowledgement: var release } => $"PUBREL id={release.PacketId.Value}",
            var other => throw new DemoException($"after the reconnect came {other?.GetType().Name ?? "nothing"}"),
        };
        return $"resumed, then {again}";
    }

    private static int Id(Publish publish) => publish.Delivery.PacketId.Value.Value;

    private static string Name(PacketType packet) => packet.ToString().ToUpperInvariant();
}
