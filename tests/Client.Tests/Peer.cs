using System.IO.Pipelines;
using Microsoft.FSharp.Core;

namespace Mqtt5.Client.Tests;

// The server's end of a connection, driven packet by packet with the codec of the core, in the version of the client's
// CONNECT. Every wait ends after thirty seconds.
internal sealed class Peer(Stream stream)
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly PipeReader reader = PipeReader.Create(stream, new StreamPipeReaderOptions(leaveOpen: true));
    private bool knowsVersion;
    private long offset;

    public ProtocolVersion Version { get; private set; }

    // The next packet of the client; null when it has closed.
    public async Task<Packet?> ReadAsync()
    {
        using var deadline = new CancellationTokenSource(Patience);

        while (true)
        {
            var result = await reader.ReadAsync(deadline.Token);
            var framing = knowsVersion
                ? Framer.NextIn(Version, Direction.ClientToServer, Spec.MaximumPacketBytes, offset, result.Buffer)
                : Framer.First(Direction.ClientToServer, Spec.MaximumPacketBytes, offset, result.Buffer);

            if (framing.Tag == Framing.Tags.Frame)
            {
                var frame = Framer.Copy(framing.Length, result.Buffer);
                reader.AdvanceTo(result.Buffer.GetPosition(framing.Length));

                if (!knowsVersion)
                    Version = Grammar.ParseFirst(Direction.ClientToServer, Spec.MaximumPacketBytes, offset, frame).Item1.Version;

                knowsVersion = true;
                var parsed = Grammar.ParseIn(Version, Direction.ClientToServer, Spec.MaximumPacketBytes, offset, frame);
                offset += framing.Length;
                Assert.True(parsed.IsOk, parsed.IsOk ? "" : parsed.ErrorValue.ToString());
                return parsed.ResultValue;
            }

            Assert.NotEqual(Framing.Tags.Broken, framing.Tag);

            if (result.IsCompleted)
                return null;

            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }

    // The next packet, which has to be of this type; PINGREQ is answered and passed over.
    public async Task<T> ExpectAsync<T>()
        where T : Packet
    {
        while (true)
        {
            var packet = await ReadAsync();

            if (packet is not null && packet.IsPingreq)
            {
                await SendAsync(Packet.Pingresp);
                continue;
            }

            return Assert.IsType<T>(packet, exactMatch: false);
        }
    }

    public async Task ExpectEndAsync() => Assert.Null(await ReadAsync());

    public Task SendAsync(Packet packet)
    {
        var bytes = Encode.ToBytesIn(Version, Direction.ServerToClient, packet);
        Assert.True(bytes.IsOk, bytes.IsOk ? "" : bytes.ErrorValue.ToString());
        return SendAsync(bytes.ResultValue);
    }

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        await stream.WriteAsync(bytes);
        await stream.FlushAsync();
    }

    // Takes CONNECT and accepts it.
    public async Task<Connect> AcceptAsync(bool sessionPresent = false, ConnackProperties? properties = null)
    {
        var connect = (await ExpectAsync<Packet.Connect>()).Connect;
        await SendAsync(Packet.NewConnack(new Connack(sessionPresent, ReasonCode.Success, properties ?? ConnackProperties.Empty)));
        return connect;
    }

    // Takes SUBSCRIBE and grants all of it.
    public async Task<Subscribe> GrantAsync(params ReasonCode[] reasons)
    {
        var subscribe = (await ExpectAsync<Packet.Subscribe>()).Subscribe;

        if (reasons.Length == 0)
            reasons = [.. subscribe.Subscriptions.Select(one => (ReasonCode)one.Options.MaximumQoS)];

        await SendAsync(Packet.NewSuback(new SubscriptionAcknowledgement(
            subscribe.PacketId, AcknowledgementProperties.Empty, ReasonCodeList.Of(reasons))));
        return subscribe;
    }

    public async Task<Unsubscribe> ReleaseAsync(params ReasonCode[] reasons)
    {
        var unsubscribe = (await ExpectAsync<Packet.Unsubscribe>()).Unsubscribe;

        if (reasons.Length == 0)
            reasons = [.. unsubscribe.Filters.Select(_ => ReasonCode.Success)];

        await SendAsync(Packet.NewUnsuback(new SubscriptionAcknowledgement(
            unsubscribe.PacketId, AcknowledgementProperties.Empty, ReasonCodeList.Of(reasons))));
        return unsubscribe;
    }

    public Task PublishAsync(string topic, string payload, ushort id = 0, QoS qos = QoS.AtMostOnce, PublishProperties? properties = null, bool dup = false) =>
        SendAsync(Packet.NewPublish(new Publish(
            qos switch
            {
                QoS.AtMostOnce => Delivery.AtMostOnce,
                QoS.AtLeastOnce => Delivery.NewAtLeastOnce(PacketId.Of(id), dup),
                _ => Delivery.NewExactlyOnce(PacketId.Of(id), dup),
            },
            false,
            TopicReference.NewName(TopicName.Of(topic)),
            properties ?? PublishProperties.Empty,
            Bytes.OfText(payload))));

    public Task PubackAsync(PacketId id, ReasonCode reason = ReasonCode.Success) =>
        SendAsync(Packet.NewPuback(new Acknowledgement(id, OutcomeOf(reason))));

    public Task PubrecAsync(PacketId id, ReasonCode reason = ReasonCode.Success) =>
        SendAsync(Packet.NewPubrec(new Acknowledgement(id, OutcomeOf(reason))));

    public Task PubcompAsync(PacketId id) =>
        SendAsync(Packet.NewPubcomp(new Acknowledgement(id, Outcome<AcknowledgementProperties>.Omitted)));

    public Task DisconnectAsync(ReasonCode reason) =>
        SendAsync(Packet.NewDisconnect(Outcome<DisconnectProperties>.NewCode(reason)));

    public static FSharpValueOption<T> Some<T>(T value) => FSharpValueOption<T>.Some(value);

    private static Outcome<AcknowledgementProperties> OutcomeOf(ReasonCode reason) =>
        reason == ReasonCode.Success ? Outcome<AcknowledgementProperties>.Omitted : Outcome<AcknowledgementProperties>.NewCode(reason);
}
