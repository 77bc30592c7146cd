using BenchmarkDotNet.Attributes;
using MQTTnet.Adapter;
using MQTTnet.Formatter;
using MQTTnet.Packets;

namespace Mqtt5.Benchmarks;

[MemoryDiagnoser]
public class PublishDecode
{
    private readonly MqttPacketFormatterAdapter formatter = new(MqttProtocolVersion.V500, new MqttBufferWriter(4096, 65535));
    private readonly MqttBufferReader reader = new();
    private byte[] frame = [];
    private ReceivedMqttPacket received;

    [Params(0, 1)]
    public int QoS { get; set; }

    [Params(16, 1024)]
    public int PayloadBytes { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        frame = PublishFrames.Frame(QoS, PayloadBytes);
        var header = frame[1] < 0x80 ? 2 : 3;
        received = new ReceivedMqttPacket(frame[0], new ArraySegment<byte>(frame, header, frame.Length - header), frame.Length);

        if (!FastPath.TryPublish(Direction.ClientToServer, frame, out var view) || view.Payload.Length != PayloadBytes)
        {
            throw new InvalidOperationException("the fast path declines this frame");
        }

        if (((MqttPublishPacket)MqttNetFrame()).Payload.Length != PayloadBytes)
        {
            throw new InvalidOperationException("MQTTnet reads another payload");
        }
    }

    [Benchmark(Baseline = true)]
    public int FastPathView() =>
        FastPath.TryPublish(Direction.ClientToServer, frame, out var view)
            ? view.Topic.Length + view.Payload.Length + view.PacketId
            : -1;

    [Benchmark]
    public object GrammarRecord() => Grammar.Parse(Direction.ClientToServer, 65536, 0, frame).ResultValue;

    // The same bytes as the others get: the fixed header is read with MQTTnet's own reader.
    [Benchmark]
    public object MqttNetFrame()
    {
        reader.SetBuffer(frame, 0, frame.Length);
        var first = reader.ReadByte();
        var remaining = (int)reader.ReadVariableByteInteger();
        return formatter.Decode(new ReceivedMqttPacket(first, new ArraySegment<byte>(frame, reader.Position, remaining), frame.Length));
    }

    // Only the part behind a fixed header that something else has read.
    [Benchmark]
    public object MqttNetBody() => formatter.Decode(received);
}
