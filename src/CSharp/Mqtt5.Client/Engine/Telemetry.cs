using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Mqtt5.Engine;

// The activity source and the meter, both named Mqtt5.
internal static class Telemetry
{
    public const string Name = "Mqtt5";

    private static readonly Meter Meter = new(Name);
    private static readonly Counter<long> PublishedCount =
        Meter.CreateCounter<long>("mqtt5.client.published", "{message}", "Messages that were given to the client to publish.");
    private static readonly Counter<long> ReceivedCount =
        Meter.CreateCounter<long>("mqtt5.client.received", "{message}", "Messages that were received.");
    private static readonly Counter<long> DroppedCount =
        Meter.CreateCounter<long>("mqtt5.client.dropped", "{message}", "Messages of QoS 0 that found the queue of a subscription full.");
    private static readonly Counter<long> UnclaimedCount =
        Meter.CreateCounter<long>("mqtt5.client.unclaimed", "{message}", "Messages that no subscription took and that were dropped.");
    private static readonly Counter<long> ConnectedCount =
        Meter.CreateCounter<long>("mqtt5.client.connected", "{connection}", "Connections that were opened.");
    private static readonly Counter<long> LostCount =
        Meter.CreateCounter<long>("mqtt5.client.lost", "{connection}", "Connections that were lost and attempts that failed.");

    private static readonly KeyValuePair<string, object?>[] QoSTags =
        [new("mqtt.qos", 0), new("mqtt.qos", 1), new("mqtt.qos", 2)];

    public static ActivitySource Source { get; } = new(Name);

    public static void Published(QoS qos)
    {
        if (PublishedCount.Enabled)
            PublishedCount.Add(1, QoSTags[(int)qos]);
    }

    public static void Received(QoS qos)
    {
        if (ReceivedCount.Enabled)
            ReceivedCount.Add(1, QoSTags[(int)qos]);
    }

    public static void Dropped() => DroppedCount.Add(1);

    public static void DroppedUnclaimed() => UnclaimedCount.Add(1);

    public static void Connected() => ConnectedCount.Add(1);

    public static void Lost() => LostCount.Add(1);
}
