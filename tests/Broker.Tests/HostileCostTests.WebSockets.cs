namespace Mqtt5.BrokerTests;

// Attackers whose frames of WebSocket carry next to nothing, so that the cost is in the frames.
public sealed partial class HostileCostTests
{
    private const int Frames = 20_000;

    private static readonly byte[] Pingreq = HealthyPair.Bytes("PINGREQ");

    // Half of the frames have the first byte of a PINGREQ, and the others the second.
    private static Task SendsFramesOfOneByteAsync(MqttBroker broker, int number) =>
        AnswersAllAsync(
            broker,
            number,
            Enumerable.Range(0, Frames).SelectMany(index => RawWebSocket.Frame(RawWebSocket.Binary, Pingreq[index % 2])),
            pingresps: Frames / 2,
            pongs: 0);

    private static Task SendsEmptyFramesAsync(MqttBroker broker, int number) =>
        AnswersAllAsync(broker, number, BeforePingreq(RawWebSocket.Binary), pingresps: 1, pongs: 0);

    private static Task SendsPingFramesAsync(MqttBroker broker, int number) =>
        AnswersAllAsync(broker, number, BeforePingreq(RawWebSocket.Ping), pingresps: 1, pongs: Frames);

    private static IEnumerable<byte> BeforePingreq(byte start) =>
        Enumerable.Range(0, Frames).SelectMany(_ => RawWebSocket.Frame(start)).Concat(RawWebSocket.Frame(RawWebSocket.Binary, Pingreq));

    // A client that sends these frames at once gets all its answers.
    private static async Task AnswersAllAsync(MqttBroker broker, int number, IEnumerable<byte> frames, int pingresps, int pongs)
    {
        using var socket = await RawWebSocket.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"a{number}\"");
        var sending = socket.SendAsync(frames.ToArray());
        var bytes = 0;

        while (bytes < 2 * pingresps || pongs > 0)
        {
            var (opcode, payload) = await socket.ReadFrameAsync();

            if (opcode == RawWebSocket.Pong)
                pongs--;
            else
                bytes += payload.Length;
        }

        Assert.Equal((2 * pingresps, 0), (bytes, pongs));
        await sending;
    }
}
