using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.CliTests;

// A server that reads and writes packets in the version of each client. It acknowledges everything, and passes each message
// to the clients that subscribe to its topic by name, itself with QoS 0.
internal sealed class OlderServer : IDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentDictionary<string, ConcurrentBag<Client>> subscribers = new();

    public OlderServer()
    {
        listener.Start();
        _ = AcceptAsync();
    }

    public string Port => $"{((IPEndPoint)listener.LocalEndpoint).Port}";

    // What came, in notation.
    public ConcurrentQueue<string> Packets { get; } = new();

    public void Dispose() => listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
                _ = ServeAsync(new Client(await listener.AcceptSocketAsync()));
        }
        catch (SocketException)
        {
            // The test is over.
        }
        catch (ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task ServeAsync(Client client)
    {
        using var socket = client.Socket;
        var read = new ArrayBufferWriter<byte>();
        var done = 0;

        try
        {
            while (await socket.ReceiveAsync(read.GetMemory(4_096)) is var count and > 0)
            {
                read.Advance(count);

                while (client.Frame(read.WrittenMemory[done..]) is var length and > 0)
                {
                    var frame = read.WrittenMemory.Slice(done, length).ToArray();
                    done += length;
                    await AnswerAsync(client, client.Parse(frame));
                }
            }
        }
        catch (SocketException)
        {
            // The client is gone.
        }
    }

    private async Task AnswerAsync(Client client, Packet packet)
    {
        Packets.Enqueue(Notation.PrintIn(client.Version, packet));

        switch (packet)
        {
            case Packet.Connect:
                await client.SendAsync(Packet.NewConnack(new Connack(false, ReasonCode.Success, ConnackProperties.Empty)));
                break;
            case Packet.Subscribe { Subscribe: var subscribe }:
                foreach (var one in subscribe.Subscriptions)
                    subscribers.GetOrAdd(one.Filter.Text, _ => []).Add(client);

                await client.SendAsync(Packet.NewSuback(new SubscriptionAcknowledgement(
                    subscribe.PacketId,
                    AcknowledgementProperties.Empty,
                    ReasonCodeList.Of([.. subscribe.Subscriptions.Select(one => (ReasonCode)one.Options.MaximumQoS)]))));
                break;
            case Packet.Publish { Publish: var publish }:
                if (publish.Delivery.PacketId is { IsSome: true } id)
                    await client.SendAsync(Packet.NewPuback(new Acknowledgement(id.Value, Outcome<AcknowledgementProperties>.Omitted)));

                foreach (var one in subscribers.GetValueOrDefault(((TopicReference.Name)publish.Topic).Name.Text) ?? [])
                {
                    await one.SendAsync(Packet.NewPublish(new Publish(
                        Delivery.AtMostOnce, false, publish.Topic, PublishProperties.Empty, publish.Payload)));
                }

                break;
        }
    }

    private sealed class Client(Socket socket)
    {
        private bool isKnown;

        public Socket Socket => socket;

        public ProtocolVersion Version { get; private set; }

        // The length of the packet at the start of the bytes; 0: it is not whole.
        public int Frame(ReadOnlyMemory<byte> bytes)
        {
            var input = new ReadOnlySequence<byte>(bytes);
            var framing = isKnown
                ? Framer.NextIn(Version, Direction.ClientToServer, Spec.MaximumPacketBytes, 0, input)
                : Framer.First(Direction.ClientToServer, Spec.MaximumPacketBytes, 0, input);
            return framing.IsFrame ? framing.Length : 0;
        }

        public Packet Parse(byte[] frame)
        {
            if (isKnown)
                return Grammar.ParseIn(Version, Direction.ClientToServer, Spec.MaximumPacketBytes, 0, frame).ResultValue;

            var (protocol, first) = Grammar.ParseFirst(Direction.ClientToServer, Spec.MaximumPacketBytes, 0, frame);
            (Version, isKnown) = (protocol.Version, true);
            return first.ResultValue;
        }

        public async Task SendAsync(Packet packet) =>
            await socket.SendAsync(Encode.ToBytesIn(Version, Direction.ServerToClient, packet).ResultValue);
    }
}
