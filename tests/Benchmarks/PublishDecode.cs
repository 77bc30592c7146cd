using BenchmarkDotNet.Attributes;
using MQTTnet.Adapter;
using MQTTnet.Formatter.V5;
using MQTTnet.Packets;

namespace Mqtt5.Benchmarks;

[MemoryDiagnoser]
public class PublishDecode
{
    private readonly MqttV5PacketDecoder decoder = new();
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

        if (((MqttPublishPacket)decoder.Decode(received)).Payload.Length != PayloadBytes)
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

    [Benchmark]
    public object MqttNetPacket() => decoder.Decode(received);
}
