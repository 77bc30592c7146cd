using System.Text;
using Microsoft.FSharp.Core;

namespace Mqtt5.Engine;

internal sealed partial class ClientEngine
{
    private const int PooledPublications = 256;

    // Messages of QoS 0 that wait because the transport is slower than the application.
    private readonly Queue<Outgoing> congested = new();
    private readonly Stack<Publication> publications = new();
    private long congestedBytes;

    // What became of a message of QoS 0 that was to be written at once.
    public enum Direct
    {
        Written,
        Congested,
        NotNow,
    }

    // Writes a plain message of QoS 0 past the machine, whose state it does not change.
    public Direct TryWrite(TopicName topic, ReadOnlySpan<byte> payload, bool retain)
    {
        lock (Gate)
        {
            var verdict = MayWrite(topic, payload.Length, retain, out var link, out var size);

            if (verdict == Direct.Written)
            {
                var destination = link!.Reserve(size);
                var head = Encode.PublishHead(
                    QoS.AtMostOnce, retain, false, topic.Utf8.Span, 0, default, payload.Length, destination);
                payload.CopyTo(destination[head..]);
                link.Advance(size);
            }

            return verdict;
        }
    }

    // The same for text, which is encoded into the buffer.
    public Direct TryWrite(TopicName topic, string text, bool retain)
    {
        var length = Encoding.UTF8.GetByteCount(text);

        lock (Gate)
        {
            var verdict = MayWrite(topic, length, retain, out var link, out var size);

            if (verdict == Direct.Written)
            {
                var destination = link!.Reserve(size);
                var head = Encode.PublishHead(
                    QoS.AtMostOnce, retain, false, topic.Utf8.Span, 0, default, length, destination);
                Encoding.UTF8.GetBytes(text, destination[head..]);
                link.Advance(size);
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

        lock (Gate)
        {
            if (!publications.TryPop(out publication!))
                publication = new Publication(this);

            publication.IsStarting = true;
            publication.Ticket = ++nextTicket;
            pending.Add(publication.Ticket, publication);
            var outgoing = new Outgoing(topic, payload, qos, retain, properties, ExpiryOf(properties), publication.Ticket);

            if (qos == QoS.AtMostOnce && IsCongested)
                Congest(outgoing, publication);
            else
                Run(ClientEvent.NewPublish(outgoing));

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
        lock (Gate)
        {
            if (!state.IsConnected || IsCongested)
                return false;

            var refused = new Refusal();
            Ask(refused, ticket => ClientEvent.NewPublish(
                new Outgoing(topic, payload, QoS.AtMostOnce, retain, properties, ExpiryOf(properties), ticket)));
            return refused.WasSent;
        }
    }

    // Takes a publication back whose result was taken.
    public void Recycle(Publication publication)
    {
        lock (Gate)
        {
            if (publications.Count < PooledPublications)
                publications.Push(publication);
        }
    }

    // The link has written what waited. Called under the gate.
    public void Written(Link link)
    {
        if (link == current && congested.Count > 0)
            PumpCongested();
    }

    private bool IsCongested => congested.Count > 0 || current?.Waiting >= options.SendBufferBytes;

    private Direct MayWrite(TopicName topic, int payloadBytes, bool retain, out Link? link, out int size)
    {
        link = current;
        var bytes = Encode.PublishSize(topic.Utf8.Length, QoS.AtMostOnce, 0, payloadBytes);
        size = (int)Math.Min(bytes, int.MaxValue);

        if (link is null || bytes > Spec.MaximumPacketBytes || !ClientSession.MaySendQoS0(retain, size, state))
            return Direct.NotNow;

        return IsCongested ? Direct.Congested : Direct.Written;
    }

    private FSharpValueOption<long> ExpiryOf(PublishProperties properties) =>
        properties.MessageExpiryInterval.IsSome
            ? FSharpValueOption<long>.Some(Now() + properties.MessageExpiryInterval.Value * 1000L)
            : FSharpValueOption<long>.None;

    private void Congest(Outgoing outgoing, Publication publication)
    {
        if (options.Queue.WhenFull.IsDropOldest && outgoing.Cost <= options.Queue.MaximumBytes)
        {
            while (congested.Count > 0 && !HasRoom(outgoing))
                Settle(Uncongest().Ticket, Settlement.QueueFull);
        }

        if (HasRoom(outgoing))
        {
            congested.Enqueue(outgoing);
            congestedBytes += outgoing.Cost;
        }
        else
        {
            Settle(publication.Ticket, Settlement.QueueFull);
        }
    }

    private bool HasRoom(Outgoing outgoing) =>
        congested.Count < options.Queue.MaximumMessages && congestedBytes + outgoing.Cost <= options.Queue.MaximumBytes;

    private Outgoing Uncongest()
    {
        var first = congested.Dequeue();
        congestedBytes -= first.Cost;
        return first;
    }

    private void Settle(long ticket, Settlement settlement)
    {
        if (pending.Remove(ticket, out var settled))
            settled.Settle(settlement);
    }

    // The client has ended, and with it the wait for the transport.
    private void EndCongested(Cause cause)
    {
        while (congested.Count > 0)
            Settle(Uncongest().Ticket, Settlement.NewEnded(cause));
    }

    // Hands the next one on if the transport can take it now or there is none; its step ends with the one after it.
    private void PumpCongested()
    {
        if (congested.Count > 0 && (current is null || current.Waiting < options.SendBufferBytes))
            Run(ClientEvent.NewPublish(Uncongest()));
    }

    private bool CancelCongested(long ticket)
    {
        var found = false;

        for (var left = congested.Count; left > 0; left--)
        {
            var one = congested.Dequeue();

            if (one.Ticket == ticket)
            {
                found = true;
                congestedBytes -= one.Cost;
            }
            else
            {
                congested.Enqueue(one);
            }
        }

        if (found)
            Settle(ticket, Settlement.Cancelled);

        return found;
    }

    // Learns within the step whether a message was sent.
    private sealed class Refusal : Pending
    {
        public bool WasSent { get; private set; }

        public override void Settle(ReasonCode reason) => WasSent = true;

        public override void Settle(Settlement settlement) => WasSent = false;
    }
}
