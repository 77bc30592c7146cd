using System.Net.Sockets;

namespace Mqtt5.Benchmarks;

/// <summary>
/// A publisher that costs next to nothing: blocks of encoded packets, written to a bare socket. It keeps no more than a
/// number of messages under way, so that the receiver is measured and nothing has to be dropped.
/// </summary>
internal static class Flood
{
    private const int PacketsInBlock = 1000;
    private const int UnderWay = 100_000;

    /// <param name="options">What to send.</param>
    /// <param name="received">How many messages have arrived.</param>
    public static async Task SendAsync(ClientLoadOptions options, Func<int> received)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync("127.0.0.1", options.Port).ConfigureAwait(false);
        await socket.SendAsync(Bytes(Connect)).ConfigureAwait(false);
        var connack = new byte[1024];

        if (await socket.ReceiveAsync(connack).ConfigureAwait(false) < 4 || connack[3] != 0)
            throw new InvalidOperationException("the server refuses the flood");

        var packet = Bytes(Packet.NewPublish(new Publish(
            Delivery.AtMostOnce,
            false,
            TopicReference.NewName(TopicName.Of(ClientLoadOptions.Topic)),
            PublishProperties.Empty,
            Mqtt5.Bytes.OfArray(options.Payload))));
        var block = Enumerable.Repeat(packet, PacketsInBlock).SelectMany(bytes => bytes).ToArray();

        for (var sent = 0; sent < options.Messages; sent += PacketsInBlock)
        {
            while (sent - received() > UnderWay)
                await Task.Delay(1).ConfigureAwait(false);

            var count = Math.Min(PacketsInBlock, options.Messages - sent);
            var left = block.AsMemory(0, count * packet.Length);

            while (left.Length > 0)
                left = left[await socket.SendAsync(left).ConfigureAwait(false)..];
        }

        while (received() < options.Messages)
            await Task.Delay(1).ConfigureAwait(false);
    }

    private static Packet Connect =>
        Packet.NewConnect(new Connect(true, 0, ConnectProperties.Empty, default, default, default, default));

    private static byte[] Bytes(Packet packet) => Encode.ToBytes(Direction.ClientToServer, packet).ResultValue;
}
