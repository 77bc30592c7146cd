namespace Mqtt5.Serving;

internal sealed partial class Worker
{
    private readonly PublishRun run = new();

    // Takes a PUBLISH of QoS 0 that changes no state, at the beginning of the memory. It is forwarded together with those
    // that follow it, at the latest by EndRun.
    public void Forward(Connection publisher, ReadOnlyMemory<byte> memory, int length, in PublishView view)
    {
        if (run.TryAdd(memory, length, view))
            return;

        EndRun(publisher);
        run.TryAdd(memory, length, view);
    }

    // Forwards what was taken: before the next packet of another kind, and before the input is given back.
    public void EndRun(Connection publisher)
    {
        if (run.Count == 0)
            return;

        var cache = Route(publisher, run.Topic, engine.Registry.Current.Subscriptions);

        if (!cache.MayPublish)
        {
            counts.PublishDropped += run.Count;
        }
        else if (!cache.IsComplete)
        {
            foreach (var message in Owned(publisher))
                Route(publisher, message);
        }
        else
        {
            ForwardRun(publisher, cache.Hops);
        }

        run.Clear();
        Drain();
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

            if (connection.IsOverBudget)
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
