namespace Mqtt5.Benchmarks;

/// <summary>The PUBLISH packets that are measured, the same for every codec.</summary>
internal static class PublishFrames
{
    public const string Topic = "plant/7/line/3/temp";

    public const ushort PacketId = 4711;

    public static byte[] Payload(int bytes) => Enumerable.Range(0, bytes).Select(index => (byte)('a' + index % 26)).ToArray();

    public static Packet Packet(int qos, int payloadBytes) =>
        Mqtt5.Packet.NewPublish(
            new Publish(
                qos == 0 ? Delivery.AtMostOnce : Delivery.NewAtLeastOnce(Mqtt5.PacketId.Of(PacketId), false),
                false,
                TopicReference.NewName(TopicName.Of(Topic)),
                PublishProperties.Empty,
                Bytes.OfArray(Payload(payloadBytes))));

    public static byte[] Frame(int qos, int payloadBytes) =>
        Encode.ToBytes(Direction.ClientToServer, Packet(qos, payloadBytes)).ResultValue;
}
