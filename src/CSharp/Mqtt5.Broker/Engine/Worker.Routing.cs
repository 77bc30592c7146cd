using Microsoft.FSharp.Core;

namespace Mqtt5.Serving;

internal sealed partial class Worker
{
    private static readonly FSharpValueOption<TopicFilter> Unshared = FSharpValueOption<TopicFilter>.None;

    private readonly SubscriptionMatches<long> matches = new();
    private readonly Route route = new();
    private SharedMember[] members = new SharedMember[8];
    private TopicName? choosing;
    private Func<SharedGroup<long>, int>? choice;

    // A PUBLISH of QoS 0 that changes no state, straight from the frame that it came in.
    public void Forward(Connection publisher, ReadOnlySpan<byte> frame, in PublishView view)
    {
        var cache = Route(publisher, view.Topic, engine.Registry.Current.Subscriptions);

        if (!cache.MayPublish)
        {
            counts.PublishDropped++;
            return;
        }

        if (!cache.IsComplete)
        {
            Route(publisher, Owned(publisher, view));
            return;
        }

        ServerMessage? message = null;

        foreach (ref var hop in cache.Hops)
        {
            if (!hop.Permits(view.Topic))
                continue;

            if (!QoS0.KeepsFrame(hop.Target) || !TryForward(hop.Session, frame, frame.Length - view.PayloadAt))
                Forward(hop.Session, hop.Target, message ??= Owned(publisher, view));
        }
    }

    // Gives a message to everyone who subscribes to it, and to the retained messages. The reason is that of its
    // acknowledgement.
    public ReasonCode Route(Connection? publisher, ServerMessage message)
    {
        // The subscriptions as they were when it was retained, so that a new one gets it once: now or as retained.
        var broker = engine.Registry.Current;

        if (message.Retain && engine.Registry.Retain(message, out broker) is { } refused)
            return refused;

        if (publisher is not null)
        {
            var cache = Route(publisher, message.Topic.Utf8.Span, broker.Subscriptions);

            if (cache.IsComplete)
            {
                foreach (ref var hop in cache.Hops)
                {
                    if (hop.Permits(message.Topic.Utf8.Span))
                        Forward(hop.Session, hop.Target, message);
                }

                return cache.Hops.IsEmpty ? ReasonCode.NoMatchingSubscribers : ReasonCode.Success;
            }
        }
        else
        {
            Find(message.Topic.Utf8.Span, broker.Subscriptions);
        }

        choosing = message.Topic;
        Routing.Plan(message.Publisher, choice ??= Choose, matches, route);

        foreach (ref readonly var target in route.Targets)
        {
            if (engine.TryFind(target.Session) is { } session && MayReceive(session, message.Topic))
                Forward(session, target, message);
        }

        return route.IsEmpty ? ReasonCode.NoMatchingSubscribers : ReasonCode.Success;
    }

    // Goes on with the retained messages that are due to a session, now that it may have room.
    public void Walk(Session session)
    {
        while (session.Walk is { } walk && walk.TryEnter())
        {
            var ended = false;

            try
            {
                while (HasRoom(session.State) && !(ended = !walk.Messages.MoveNext()))
                {
                    var message = walk.Messages.Current;

                    if (!MayReceive(session, message.Topic))
                        continue;

                    var copy = Routing.CopyRetained(0, walk.Delivery.GrantedQoS, walk.Delivery.Identifier, message);
                    Step(session, ServerEvent.NewForward(copy, Unshared, engine.SpareBytes));
                }
            }
            finally
            {
                walk.Exit();
            }

            if (!ended)
            {
                if (HasRoom(session.State))
                    continue;

                return;
            }

            lock (session.Gate)
            {
                if (session.Walk == walk)
                    session.Walk = walk.Next;
            }
        }
    }

    private static bool HasRoom(ServerState state) =>
        ServerStateModule.HasRoom(state) && state.Connection is { IsSome: true, Value.IsCongested: false };

    private static bool MayReceive(Session session, TopicName topic) =>
        session.Permissions is not { } permissions || permissions.MayReceive(topic);

    private void Walk(Session session, RetainedDelivery delivery, Broker snapshot)
    {
        var messages = BrokerSubscriptions.Retained(Now, session.State.ClientId, delivery, snapshot).GetEnumerator();
        var walk = new RetainedWalk(delivery, messages);

        lock (session.Gate)
        {
            if (session.Walk is not { } last)
            {
                session.Walk = walk;
            }
            else
            {
                while (last.Next is { } next)
                    last = next;

                last.Next = walk;
            }
        }

        Walk(session);
    }

    private void Publish(Session session, Connection? connection, Publish publish, long token)
    {
        var topic = ((TopicReference.Name)publish.Topic).Name;
        var permissions = session.Permissions;
        var message = ServerMessageModule.OfPublish(
            Now, session.Number, FSharpValueOption<ClientId>.Some(session.State.ClientId), topic, publish);
        ReasonCode reason;

        if (permissions is not null && !permissions.MayPublish(topic))
        {
            counts.PublishDropped++;
            reason = ReasonCode.NotAuthorized;
        }
        else
        {
            reason = engine.Hooks.Intercept(session, ref message);

            if (reason == ReasonCode.Success && message is not null)
                reason = Route(connection, message);
            else
                counts.PublishDropped++;
        }

        if (token != 0)
            Step(session, ServerEvent.NewAcknowledge(token, reason));
    }

    private ServerMessage Owned(Connection publisher, in PublishView view)
    {
        var session = publisher.Session!;
        var publish = view.ToPublish(view.Frame.ToArray());
        return ServerMessageModule.OfPublish(
            Now,
            session.Number,
            FSharpValueOption<ClientId>.Some(session.State.ClientId),
            ((TopicReference.Name)publish.Topic).Name,
            publish);
    }

    private void Find(ReadOnlySpan<byte> topic, Subscriptions<long> subscriptions)
    {
        matches.Clear();
        Subscriptions.Find(topic, matches, subscriptions);
    }

    // Where the messages of a topic go. If it is not complete, the matches are found and the route is to be planned.
    private RouteCache Route(Connection publisher, ReadOnlySpan<byte> topic, Subscriptions<long> subscriptions)
    {
        var cache = publisher.Cache;
        var session = publisher.Session!;
        var permissions = session.Permissions;

        if (!cache.Knows(topic, subscriptions, permissions))
        {
            var mayPublish = permissions is null
                || permissions.MayPublish(TopicName.Of(System.Text.Encoding.UTF8.GetString(topic)));
            cache.Start(topic, subscriptions, permissions, mayPublish);
            Find(topic, subscriptions);

            if (matches.Groups.IsEmpty)
            {
                Routing.Plan(session.Number, choice ??= Choose, matches, route);
                cache.TryFill(route.Targets, engine);
            }
        }
        else if (!cache.IsComplete)
        {
            Find(topic, subscriptions);
        }

        return cache;
    }

    private void Forward(Session session, in Target target, ServerMessage message)
    {
        var ticket = target.Shared.IsSome ? engine.NextTicket() : 0;
        var copy = Routing.Copy(ticket, target, message);
        Step(session, ServerEvent.NewForward(copy, target.Shared, engine.SpareBytes));
    }

    // False when the session has to see the message.
    private bool TryForward(Session session, ReadOnlySpan<byte> frame, int payloadBytes)
    {
        lock (session.Gate)
        {
            if (session.Connection is not { } connection || !ServerStateModule.TakesFrame(frame.Length, session.State))
                return TryDrop(session, frame.Length);

            frame.CopyTo(connection.Outlet.Reserve(frame.Length));
            connection.Outlet.Advance(frame.Length);
            MarkDirty(connection);

            if (connection.IsOverBudget)
                Congest(session, connection);
        }

        counts.PacketsSent++;
        counts.BytesSent += frame.Length;
        counts.PublishSent++;
        counts.PayloadBytesSent += payloadBytes;
        return true;
    }

    // A client that is away or does not read costs no more than a look. Who wants to hear of it needs the message.
    private bool TryDrop(Session session, int packetBytes)
    {
        if (engine.Hooks.ObservesDrops || !ServerStateModule.DropsFrame(packetBytes, session.State))
            return false;

        counts.PublishDropped++;
        return true;
    }

    private void HandOn(Outgoing message, TopicFilter filter)
    {
        choosing = message.Topic;
        var target = Routing.HandOn(filter, choice ??= Choose, engine.Registry.Current.Subscriptions);

        if (target.IsNone || engine.TryFind(target.Value.Session) is not { } session)
            return;

        var copy = Routing.CopyHandedOn(engine.NextTicket(), target.Value, message);
        Step(session, ServerEvent.NewForward(copy, target.Value.Shared, engine.SpareBytes));
    }

    private int Choose(SharedGroup<long> group)
    {
        var count = group.Members.Length;

        if (members.Length < count)
            members = new SharedMember[count];

        for (var index = 0; index < count; index++)
        {
            members[index] = default;

            if (engine.TryFind(group.Members[index].Subscriber) is not { } session)
                continue;

            var state = session.State;
            var isReady = state.Connection is { IsSome: true, Value.IsCongested: false };
            members[index] = new SharedMember(MayReceive(session, choosing!), isReady, ServerStateModule.Load(state));
        }

        return Routing.Choose(engine.Settings.SharedStrategy, engine.NextTurn(group.Id), members.AsSpan(0, count));
    }
}
