namespace Mqtt5.Serving;

internal sealed partial class Worker
{
    private readonly PublishRun run = new();

    // Takes a PUBLISH of QoS 0 or 1 that changes no state, at the beginning of the memory. It is forwarded together with
    // those that follow it, at the latest by EndRun.
    public void Forward(Connection publisher, ReadOnlyMemory<byte> memory, int length, in PublishView view)
    {
        if (run.TryAdd(memory, length, view))
            return;

        EndRun(publisher);
        run.TryAdd(memory, length, view);
    }

    // Forwards what was taken, and acknowledges it at QoS 1: before the next packet of another kind, and before the input
    // is given back.
    public void EndRun(Connection publisher)
    {
        if (run.Count == 0)
            return;

        var cache = Route(publisher, run.Topic, engine.Registry.Current.Subscriptions);

        if (!cache.MayPublish)
        {
            counts.PublishDropped += run.Count;
            Acknowledge(publisher, run.PacketIds, ReasonCode.NotAuthorized);
        }
        else if (!cache.IsComplete)
        {
            var messages = Owned(publisher);

            for (var index = 0; index < messages.Length; index++)
            {
                var reason = Route(publisher, messages[index]);
                Acknowledge(publisher, run.PacketIds.Slice(index, 1), reason);
            }
        }
        else
        {
            if (run.QoS == QoS.AtMostOnce)
                ForwardRun(publisher, cache.Hops);
            else
                SendRun(publisher, cache);

            var reason = cache.Hops.IsEmpty ? ReasonCode.NoMatchingSubscribers : ReasonCode.Success;
            Acknowledge(publisher, run.PacketIds, reason);
        }

        run.Clear();
        Drain();
    }

    // Writes the PUBACKs of messages of the run that went past the session of their publisher.
    private void Acknowledge(Connection publisher, ReadOnlySpan<ushort> packetIds, ReasonCode reason)
    {
        if (run.QoS == QoS.AtMostOnce)
            return;

        var session = publisher.Session!;

        lock (session.Gate)
        {
            if (!QoS1.MayAcknowledge(publisher.Number, session.State))
                return;

            foreach (var packetId in packetIds)
                SendAcknowledgement(publisher, PacketType.Puback, packetId, reason);

            if (publisher.IsOverBudget())
                Congest(session, publisher);
        }
    }

    // A run of QoS 1.
    private void SendRun(Connection publisher, RouteCache cache)
    {
        var isShared = !run.HasProperties && !engine.Hooks.SeesDeliveries;
        ServerMessage[]? messages = null;

        foreach (ref var hop in cache.Hops)
        {
            if (!hop.Permits(run.Topic))
                continue;

            if (isShared && QoS1.KeepsMessage(hop.Target))
            {
                SendRun(hop.Session, run.Copies(cache.Topic));
                continue;
            }

            foreach (var message in messages ??= Owned(publisher))
                Forward(hop.Session, hop.Target, message);
        }
    }

    // What can be sent at once is sent in one step; the rest waits, or is dropped, each with a step of its own.
    private void SendRun(Session session, ReadOnlySpan<Outgoing> copies)
    {
        lock (session.Gate)
        {
            var (after, count, packetId) = QoS1.Send(run.LargestPacketBytes, engine.SpareBytes, copies, session.State);

            if (count > 0)
            {
                var connection = session.Connection!;
                Become(session, connection, session.State, after, default);

                foreach (var copy in copies[..count])
                    SendMessage(connection, copy, packetId++, alias: 0, isNamed: true);

                if (connection.IsOverBudget())
                    Congest(session, connection);
            }

            foreach (var copy in copies[count..])
                StepWithin(session, session.Connection, ServerEvent.NewForward(copy, Unshared, engine.SpareBytes));
        }
    }

    private void ForwardRun(Connection publisher, Span<Hop> hops)
    {
        ServerMessage[]? messages = null;

        foreach (ref var hop in hops)
        {
            if (!hop.Permits(run.Topic) || (QoS0.KeepsFrame(hop.Target) && TryForwardRun(hop.Session)))
                continue;

            foreach (var message in messages ??= Owned(publisher))
                Forward(hop.Session, hop.Target, message);
        }
    }

    // False when the session has to see the messages.
    private bool TryForwardRun(Session session)
    {
        lock (session.Gate)
        {
            if (session.Connection is not { } connection || !ServerStateModule.TakesFrame(run.LargestPacketBytes, session.State))
                return TryDropRun(session);

            connection.Outlet.Write(run.Packets);
            MarkDirty(connection);

            if (connection.IsOverBudget())
                Congest(session, connection);
        }

        counts.PacketsSent += run.Count;
        counts.BytesSent += run.Bytes;
        counts.PublishSent += run.Count;
        counts.PayloadBytesSent += run.PayloadBytes;
        return true;
    }

    // A client that is away or does not read costs no more than a look. Who wants to hear of it needs the messages.
    private bool TryDropRun(Session session)
    {
        const int AnySize = 0;

        if (engine.Hooks.ObservesDrops || !ServerStateModule.DropsFrame(AnySize, session.State))
            return false;

        counts.PublishDropped += run.Count;
        return true;
    }

    // The messages of the run, with memory of their own.
    private ServerMessage[] Owned(Connection publisher)
    {
        var session = publisher.Session!;
        var client = Microsoft.FSharp.Core.FSharpValueOption<ClientId>.Some(session.State.ClientId);
        var messages = new ServerMessage[run.Count];
        var at = 0;

        for (var index = 0; index < messages.Length; index++)
        {
            var frame = run.Packets.Slice(at, run.Lengths[index]).ToArray();
            at += frame.Length;

            // It was recognised when it was taken.
            if (!FastPath.TryPublish(Direction.ClientToServer, frame, out var view))
                throw new InvalidOperationException("a packet of a run is not what it was");

            var publish = view.ToPublish(frame);
            messages[index] = ServerMessageModule.OfPublish(
                Now, session.Number, client, ((TopicReference.Name)publish.Topic).Name, publish);
        }

        return messages;
    }
}
