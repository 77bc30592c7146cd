using BenchmarkDotNet.Attributes;
using MQTTnet.Formatter;
using MQTTnet.Formatter.V5;
using MQTTnet.Packets;
using MQTTnet.Protocol;

namespace Mqtt5.Benchmarks;

[MemoryDiagnoser]
public class PublishEncode
{
    private readonly byte[] destination = new byte[4096];
    private readonly byte[] topic = System.Text.Encoding.UTF8.GetBytes(PublishFrames.Topic);
    private readonly MqttBufferWriter writer = new(4096, 65535);
    private Packet packet = Packet.Pingreq;
    private byte[] payload = [];
    private MqttV5PacketEncoder encoder = null!;
    private MqttPublishPacket other = null!;

    [Params(0, 1)]
    public int QoS { get; set; }

    [Params(16, 1024)]
    public int PayloadBytes { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        packet = PublishFrames.Packet(QoS, PayloadBytes);
        payload = PublishFrames.Payload(PayloadBytes);
        encoder = new MqttV5PacketEncoder(writer);
        other = new MqttPublishPacket
        {
            Topic = PublishFrames.Topic,
            QualityOfServiceLevel = (MqttQualityOfServiceLevel)QoS,
            PacketIdentifier = QoS == 0 ? (ushort)0 : PublishFrames.PacketId,
            PayloadSegment = payload,
        };

        var expected = PublishFrames.Frame(QoS, PayloadBytes);

        if (!destination.AsSpan(0, Record()).SequenceEqual(expected)
            || !destination.AsSpan(0, Parts()).SequenceEqual(expected)
            || !MqttNetPacket().ToArray().AsSpan().SequenceEqual(expected))
        {
            throw new InvalidOperationException("the encoders write different bytes");
        }
    }

    /// <summary>Size, then one write of the packet with its payload.</summary>
    [Benchmark(Baseline = true)]
    public int Record() => Encode.Size(packet) <= destination.Length ? Encode.Write(packet, destination) : 0;

    /// <summary>The same from parts, as a broker forwards.</summary>
    [Benchmark]
    public int Parts()
    {
        var head = Encode.PublishHead(
            (QoS)QoS, false, false, topic, QoS == 0 ? (ushort)0 : PublishFrames.PacketId, default, payload.Length, destination);
        payload.CopyTo(destination.AsSpan(head));
        return head + payload.Length;
    }

    /// <summary>MQTTnet refers to the payload and does not copy it.</summary>
    [Benchmark]
    public MqttPacketBuffer MqttNetPacket()
    {
        writer.Reset(5);
        return encoder.Encode(other);
    }
}
