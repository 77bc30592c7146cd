using System.Diagnostics;

namespace Mqtt5.Serving;

// One thread's turn at the machines: it steps sessions, applies effects, does what they leave to do, and flushes the
// connections that were written to once at the end. Rented for a turn, then used again by another.
internal sealed partial class Worker(BrokerEngine engine)
{
    // An acknowledgement with a reason code and without properties.
    private const int LongestAcknowledgement = 5;

    // Room for more work than this is given back in the first turn that does not need it, as after one in which many
    // sessions ended.
    private const int KeptWorks = 1024;

    // What sessions hold is told to all once a turn, or when it has changed by more than this.
    private const int MostUntoldBytes = 64 * 1024;

    private readonly Queue<Work> works = new();
    private readonly List<Connection> dirty = [];
    private int mostWorks;
    private int congestions;
    private long queuedMessages;
    private long queuedBytes;
    private Counts counts;

    public ref Counts Counts => ref counts;

    // When the turn began, which is the time of all of its steps.
    public long Now { get; private set; }

    // A packet of the connection whose turn it is that the authenticator has to judge.
    public Packet? Judging { get; private set; }

    public void Begin() => Now = engine.Now();

    // The end of a turn: nothing is left to do or to flush.
    public void End()
    {
        Drain();

        foreach (var connection in dirty)
            connection.Flush();

        dirty.Clear();

        // Whoever is told may come back to the broker, so no gate may be held.
        for (; congestions > 0; congestions--)
            engine.Exceeded(LimitName.SendBufferBytes);

        if (mostWorks <= KeptWorks && works.Capacity > KeptWorks)
            works.TrimExcess(KeptWorks);

        mostWorks = 0;
        TellQueued();
        engine.Totals.Add(counts);
        counts = default;
        Judging = null;
    }

    // Steps a session on the connection that it has.
    public void Step(Session session, in ServerEvent happened)
    {
        lock (session.Gate)
            StepWithin(session, session.Connection, happened);
    }

    // Steps a session because something of it is due.
    public void Tick(Session session)
    {
        lock (session.Gate)
            StepWithin(session, session.Connection, ServerEvent.NewTick(session.Connection?.LastReceived ?? 0));
    }

    // Attaches a connection to its session, and gives the one before, which it takes it over from. False: the session
    // does not take it, and it is closed.
    public bool TryAttach(
        Session session, Connection connection, Attachment attachment, IMqttPermissions? permissions, out Connection? earlier)
    {
        lock (session.Gate)
        {
            earlier = session.Connection;
            StepWithin(session, session.Connection, ServerEvent.NewTakeOver(attachment.Connection));
            connection.Join(session, attachment.Connection);
            StepWithin(session, connection, ServerEvent.NewAttach(attachment));

            var attached = session.State.Connection;

            if (attached.IsNone || attached.Value.Number != attachment.Connection)
                return false;

            session.Connection = connection;
            session.Permissions = permissions;
            return true;
        }
    }

    // The connection was written to; it is flushed at the end of the turn, or of another's that wrote to it before.
    // Called under the gate.
    public void MarkDirty(Connection connection)
    {
        if (connection.IsDirty)
            return;

        connection.IsDirty = true;
        dirty.Add(connection);
    }

    // Called under the gate.
    public void StepWithin(Session session, Connection? connection, in ServerEvent happened)
    {
        var before = session.State;
        var (after, effects) = ServerSession.Step(Now, happened, before);
        Become(session, connection, before, after, effects);
    }

    // Called under the gate.
    private void Become(Session session, Connection? connection, ServerState before, ServerState after, in Effects effects)
    {
        Debug.Assert(ServerStateModule.Sound(after).IsNone, "the state of a session is not sound");
        session.State = after;

        if (!ReferenceEquals(before.Outbound, after.Outbound))
            CountQueue(before.Outbound, after.Outbound);

        for (var index = 0; index < effects.Count; index++)
            Apply(session, connection, effects[index]);

        if (after.IsOver)
            session.Walk = null;

        if (after.Connection.IsNone)
            session.Connection = null;
        else if (connection is not null && connection.IsOverBudget())
            Congest(session, connection);
    }

    // Does what the effects left to do, in order, and what that leaves to do.
    public void Drain()
    {
        while (works.TryDequeue(out var work))
        {
            mostWorks = Math.Max(mostWorks, works.Count);

            if (work.Publish is { } publish)
                Publish(work.Session, work.Connection, publish, work.Token);
            else if (work.Delivery is { } delivery)
                Settled(work.Session, delivery);
            else
                Perform(work.Session, work.Connection, work.Task!);
        }
    }

    // What became of earlier sessions and of Wills.
    public void Follow(BrokerOutcome outcome)
    {
        foreach (var ended in outcome.Ended)
        {
            if (engine.Forget(ended.Session) is { } session)
                Step(session, ServerEvent.NewEnd(ended.Reason));
        }

        foreach (var will in outcome.Wills)
            Route(null, will);
    }

    // Called under the gate.
    private void Congest(Session session, Connection connection)
    {
        connection.IsCongested = true;
        congestions++;
        StepWithin(session, connection, ServerEvent.NewCongested(connection.Number, true));
    }

    private void CountQueue(Outbound before, Outbound after)
    {
        queuedMessages += after.Waiting.Count - before.Waiting.Count;
        queuedBytes += after.HeldBytes - before.HeldBytes;

        if (queuedBytes is > MostUntoldBytes or < -MostUntoldBytes)
            TellQueued();
    }

    private void TellQueued()
    {
        if (queuedMessages == 0 && queuedBytes == 0)
            return;

        engine.Totals.Queued(queuedMessages, queuedBytes);
        (queuedMessages, queuedBytes) = (0, 0);
    }

    private void Apply(Session session, Connection? connection, in Effect effect)
    {
        switch (effect.Tag)
        {
            case Effect.Tags.Send:
                Send(connection!, effect.Packet!);
                break;
            case Effect.Tags.SendMessage:
                SendMessage(connection!, effect.Message!, effect.Id, effect.Alias, effect.IsNamed);
                break;
            case Effect.Tags.SendAck:
                SendAcknowledgement(connection!, effect.Kind, effect.Id, effect.Reason);
                break;
            case Effect.Tags.CloseTransport:
                connection!.Close();
                MarkDirty(connection);
                break;
            case Effect.Tags.Deliver:
                works.Enqueue(new Work(session, connection, null, ((Packet.Publish)effect.Packet!).Publish, effect.Ticket));
                break;
            case Effect.Tags.Notify when effect.Notice is Notice.Undeliverable undeliverable:
                var task = ServerTask.NewDropped(undeliverable.Message, Settlement.Expired);
                works.Enqueue(new Work(session, connection, task, null, 0));
                break;
            case Effect.Tags.Settle or Effect.Tags.SettleWith
                when session.Deliveries is { } deliveries && deliveries.TryRemove(effect.Ticket, out var delivery):
                Settle(delivery, effect);
                works.Enqueue(new Work(session, connection, null, null, 0, delivery));
                break;
            case Effect.Tags.Serve:
                works.Enqueue(new Work(session, connection, effect.Work, null, 0));
                break;
        }
    }

    private static void Settle(Delivery delivery, in Effect effect)
    {
        if (effect.Tag == Effect.Tags.Settle)
            delivery.Reason = effect.Reason;
        else if (effect.Settlement is Settlement.Published published)
            delivery.Reason = published.Reason;
        else
            delivery.Lost = effect.Settlement;
    }

    private void Settled(Session session, Delivery delivery)
    {
        if (delivery.Lost is { } lost)
            engine.Hooks.Dropped(session, delivery.Topic, lost);
        else
            engine.Hooks.Delivered(session, delivery);
    }

    private void Send(Connection connection, Packet packet)
    {
        var size = Encode.Size(packet);
        Encode.Write(packet, connection.Outlet.Reserve(size));
        connection.Outlet.Advance(size);
        counts.PacketsSent++;
        counts.BytesSent += size;

        if (packet is Packet.Publish { Publish: var publish })
        {
            counts.PublishSent++;
            counts.PayloadBytesSent += publish.Payload.Length;
        }

        MarkDirty(connection);
    }

    private void SendMessage(Connection connection, Outgoing message, ushort id, ushort alias, bool isNamed)
    {
        var size = OutgoingModule.Size(alias, isNamed, message);
        OutgoingModule.Write(id, alias, isNamed, message, connection.Outlet.Reserve(size));
        connection.Outlet.Advance(size);
        counts.PacketsSent++;
        counts.BytesSent += size;
        counts.PublishSent++;
        counts.PayloadBytesSent += message.Payload.Length;
        MarkDirty(connection);
    }

    private void SendAcknowledgement(Connection connection, PacketType kind, ushort id, ReasonCode reason)
    {
        var room = connection.Outlet.Reserve(LongestAcknowledgement);
        var size = Encode.Acknowledgement(kind, PacketId.Of(id), reason, room);
        connection.Outlet.Advance(size);
        counts.PacketsSent++;
        counts.BytesSent += size;
        MarkDirty(connection);
    }

    private void Perform(Session session, Connection? connection, ServerTask task)
    {
        switch (task)
        {
            case ServerTask.Authenticate authenticate:
                Judging = authenticate.Packet;
                break;
            case ServerTask.Answer answer:
                Answer(session, connection!, answer.Packet);
                break;
            case ServerTask.Detached detached:
                if (detached.End.Cause is Cause.Broken broken)
                    engine.Exceeded(LimitTable.OfFault(true, broken.Fault));

                Follow(engine.Registry.Detach(Now, session.Number, detached.End));
                connection!.TellDisconnected(detached.End.Cause);
                break;
            case ServerTask.HandOn handOn:
                HandOn(handOn.Message, handOn.Shared);
                break;
            case ServerTask.Dropped dropped:
                counts.PublishDropped++;

                if (dropped.Reason.IsQueueFull)
                {
                    var outbound = session.State.Outbound;
                    engine.Exceeded(LimitTable.OfQueue(
                        engine.Settings.Limits, outbound.Waiting.Count, outbound.HeldBytes, dropped.Message.Cost));
                }

                session.Deliveries?.TryRemove(dropped.Message.Ticket, out _);
                engine.Hooks.Dropped(session, dropped.Message.Topic, dropped.Reason);
                break;
            case ServerTask.Refused { Packet: Packet.Publish { Publish.Topic: TopicReference.Name topic } }:
                counts.PublishDropped++;
                engine.Exceeded(LimitTable.OfTopic(engine.Settings.Limits, topic.Name.Utf8.Span));
                break;
        }
    }

    private void Answer(Session session, Connection connection, Packet request)
    {
        SubscriptionOutcome outcome;
        Broker snapshot;

        if (request is Packet.Subscribe { Subscribe: var subscribe })
        {
            var judgements = engine.Hooks.Judge(session, ref subscribe);
            outcome = engine.Registry.Subscribe(session.Number, subscribe, judgements, out snapshot);
            CountRefusals(subscribe, outcome.Answer, judgements);
        }
        else
        {
            outcome = engine.Registry.Unsubscribe(session.Number, ((Packet.Unsubscribe)request).Unsubscribe, out snapshot);
            EndWalks(session, snapshot);
        }

        Step(session, ServerEvent.NewAnswered(connection.Number, outcome.Answer));

        if (session.Walk is not null)
            Walk(session);

        foreach (var delivery in outcome.Retained)
            Walk(session, delivery, snapshot);
    }

    private void CountRefusals(Subscribe subscribe, Packet answer, ReasonCode[] judgements)
    {
        var reasons = ((Packet.Suback)answer).SubscriptionAcknowledgement.Reasons;

        if (!reasons.Any(reason => reason >= ReasonCode.UnspecifiedError))
            return;

        var index = 0;

        // Side by side: a list in wire form is walked from its beginning for each item that is asked for by its place.
        foreach (var (subscription, reason) in subscribe.Subscriptions.Zip(reasons))
        {
            if (reason >= ReasonCode.UnspecifiedError && judgements[index] == ReasonCode.Success)
                engine.Exceeded(LimitTable.OfSubscription(engine.Settings.Limits, subscription.Filter, reason));

            index++;
        }
    }
}
