using System.Text;
using Microsoft.FSharp.Core;

namespace Mqtt5.Engine;

// Publishing: bypasses the state machine where it has nothing to decide, and otherwise goes through it.
internal sealed class Publisher(ClientEngine engine, MqttClientOptions options)
{
    private const int PooledPublications = 256;

    private readonly Stack<Publication> publications = new();

    // The outcome of an attempt to write a message of QoS 0 at once.
    public enum Direct
    {
        Written,
        NotNow,
    }

    // Writes a plain message of QoS 0 without the state machine, whose engine.State it does not change.
    public Direct TryWrite(TopicName topic, ReadOnlySpan<byte> payload, bool retain)
    {
        lock (engine.Gate)
        {
            var verdict = MayWrite(topic, payload.Length, retain, out var link, out var size);

            if (verdict == Direct.Written)
            {
                var destination = link!.Reserve(size);
                var head = Encode.PublishHeadIn(
                    link.Version, QoS.AtMostOnce, retain, false, topic.Utf8.Span, 0, default, payload.Length, destination);
                payload.CopyTo(destination[head..]);
                Advance(link, size);
            }

            return verdict;
        }
    }

    // The same for text, which is encoded into the buffer.
    public Direct TryWrite(TopicName topic, string text, bool retain)
    {
        var length = Encoding.UTF8.GetByteCount(text);

        lock (engine.Gate)
        {
            var verdict = MayWrite(topic, length, retain, out var link, out var size);

            if (verdict == Direct.Written)
            {
                var destination = link!.Reserve(size);
                var head = Encode.PublishHeadIn(
                    link.Version, QoS.AtMostOnce, retain, false, topic.Utf8.Span, 0, default, length, destination);
                Encoding.UTF8.GetBytes(text, destination[head..]);
                Advance(link, size);
            }

            return verdict;
        }
    }

    // Publishes by way of the machine. Payload and properties must not change any more.
    public ValueTask<MqttPublishResult> PublishAsync(
        TopicName topic, Bytes payload, QoS qos, bool retain, PublishProperties properties, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<MqttPublishResult>(cancellationToken);

        Publication publication;

        lock (engine.Gate)
        {
            if (!publications.TryPop(out publication!))
                publication = new Publication(engine);

            publication.IsStarting = true;
            var ticket = engine.Register(publication);
            var outgoing = new Outgoing(topic, payload, qos, retain, properties, ExpiryOf(properties), ticket);

            engine.Run(ClientEvent.NewPublish(outgoing));
            publication.IsStarting = false;
        }

        var outcome = publication.Outcome;

        if (cancellationToken.CanBeCanceled)
            publication.CancelWith(cancellationToken);

        return outcome;
    }

    // Publishes by way of the machine without waiting for the outcome; false when it does not go out at once.
    public bool TryPublish(TopicName topic, Bytes payload, bool retain, PublishProperties properties)
    {
        lock (engine.Gate)
        {
            if (!ClientSession.MaySendQoS0(retain, 0, engine.State))
                return false;

            var refused = new Refusal();
            engine.Ask(refused, ticket => ClientEvent.NewPublish(
                new Outgoing(topic, payload, QoS.AtMostOnce, retain, properties, ExpiryOf(properties), ticket)));
            return refused.WasSent;
        }
    }

    // Takes a publication back whose result was taken.
    public void Recycle(Publication publication)
    {
        lock (engine.Gate)
        {
            if (publications.Count < PooledPublications)
                publications.Push(publication);
        }
    }

    private void Advance(Link link, int size)
    {
        link.Advance(size);

        if (link.UnsentBytes >= options.SendBufferBytes)
            engine.TellCongestion();
    }

    private Direct MayWrite(TopicName topic, int payloadBytes, bool retain, out Link? link, out int size)
    {
        link = engine.Current;
        var version = link is null ? default : link.Version;
        var bytes = Encode.PublishSizeIn(version, topic.Utf8.Length, QoS.AtMostOnce, 0, payloadBytes);
        size = (int)Math.Min(bytes, int.MaxValue);

        return link is null || bytes > Spec.MaximumPacketBytes || !ClientSession.MaySendQoS0(retain, size, engine.State)
            ? Direct.NotNow
            : Direct.Written;
    }

    private FSharpValueOption<long> ExpiryOf(PublishProperties properties) =>
        properties.MessageExpiryInterval.IsSome
            ? FSharpValueOption<long>.Some(engine.Now() + properties.MessageExpiryInterval.Value * 1000L)
            : FSharpValueOption<long>.None;

    // Learns within the step whether a message was sent.
    private sealed class Refusal : Pending
    {
        public bool WasSent { get; private set; }

        public override void Settle(ReasonCode reason) => WasSent = true;

        public override void Settle(Settlement settlement) => WasSent = false;
    }
}
