using BenchmarkDotNet.Attributes;
using MQTTnet.Adapter;
using MQTTnet.Formatter.V5;

namespace Mqtt5.Benchmarks;

[MemoryDiagnoser]
public class ConnectDecode
{
    private readonly MqttV5PacketDecoder decoder = new();

    // Client Identifier, Session Expiry Interval, Will, User Name and Password.
    private readonly byte[] frame = Convert.FromHexString(
        "1025" + "00044D51545405CE000A05110000000A" + "00026331" + "000003772F740003627965" + "000175" + "000170");

    private ReceivedMqttPacket received;

    [GlobalSetup]
    public void Setup()
    {
        received = new ReceivedMqttPacket(frame[0], new ArraySegment<byte>(frame, 2, frame.Length - 2), frame.Length);

        if (Grammar.Parse(Direction.ClientToServer, 65536, 0, frame).IsError)
        {
            throw new InvalidOperationException("the CONNECT is malformed");
        }
    }

    [Benchmark(Baseline = true)]
    public object GrammarRecord() => Grammar.Parse(Direction.ClientToServer, 65536, 0, frame).ResultValue;

    [Benchmark]
    public object MqttNetPacket() => decoder.Decode(received);
}
