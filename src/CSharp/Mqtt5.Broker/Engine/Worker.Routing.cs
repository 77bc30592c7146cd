using Microsoft.FSharp.Core;

namespace Mqtt5.Serving;

internal sealed partial class Worker
{
    private static readonly FSharpValueOption<SharedDelivery> Unshared = FSharpValueOption<SharedDelivery>.None;

    private readonly SubscriptionMatches<long> matches = new();
    private readonly Route route = new();
    private SharedMember[] members = new SharedMember[8];
    private TopicName? choosing;
    private Func<SharedGroup<long>, int>? choice;

    // Gives a message to everyone who subscribes to it, and to the retained messages. The reason is that of its
    // acknowledgement.
    public ReasonCode Route(Connection? publisher, ServerMessage message)
    {
        // The subscriptions as they were when it was retained, so that a new one gets it once: now or as retained.
        var broker = engine.Registry.Current;

        if (message.Retain && engine.Registry.Retain(message, out broker) is { } refused)
        {
            engine.Exceeded(LimitTable.OfRetained(engine.Settings.Limits, broker.Retained.Count));
            return refused;
        }

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
            bool ended;
            Outgoing? inFront;

            try
            {
                ended = Walk(session, walk, out inFront);
            }
            finally
            {
                walk.Exit();
            }

            if (!ended)
            {
                if (inFront is null ? TakesData(session.State) : HasRoom(session.State, inFront))
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

    // Goes on with one walk. False: the session takes no more; if it has no room for a message, that one is in front.
    private bool Walk(Session session, RetainedWalk walk, out Outgoing? inFront)
    {
        inFront = null;

        while (!walk.IsEnded && TakesData(session.State))
        {
            if (walk.Peek(Now, session.State.ClientId, engine.Registry.Current) is not { } message)
                return true;

            if (MayReceive(session, message.Topic))
            {
                var ticket = engine.Hooks.SeesDeliveries ? engine.NextTicket() : 0;
                var copy = Routing.CopyRetained(ticket, walk.Delivery.GrantedQoS, walk.Delivery.Identifier, message);

                if (!HasRoom(session.State, copy))
                {
                    inFront = copy;
                    break;
                }

                lock (session.Gate)
                {
                    // Nothing may follow the UNSUBACK [MQTT-3.10.4-2].
                    if (walk.IsEnded)
                        return true;

                    Watch(session, copy);
                    StepWithin(session, session.Connection, ServerEvent.NewForward(copy, Unshared, engine.SpareBytes));
                }
            }

            walk.Take();
        }

        if (walk.IsEnded)
            return true;

        walk.Pause();
        return false;
    }

    private static bool TakesData(ServerState state) => state.Connection is { IsSome: true, Value.IsCongested: false };

    private bool HasRoom(ServerState state, Outgoing message) =>
        TakesData(state) && DeliveryExplanation.HasRoom(message, engine.SpareBytes, state);

    private static bool MayReceive(Session session, TopicName topic) =>
        session.Permissions is not { } permissions || permissions.MayReceive(topic);

    private void Walk(Session session, RetainedDelivery delivery, Broker snapshot)
    {
        var walk = new RetainedWalk(delivery);
        walk.Peek(Now, session.State.ClientId, snapshot);

        lock (session.Gate)
        {
            if (session.Walk is not { } last)
            {
                session.Walk = walk;
            }
            else
            {
                while (last.Next is { } next)
                {
                    // The subscription was made anew before its messages had their turn.
                    if (next.Delivery.Filter.Equals(delivery.Filter))
                        last.Next = next.Next;
                    else
                        last = next;
                }

                walk.Pause();
                last.Next = walk;
            }
        }

        Walk(session);
    }

    // Ends the walks whose subscriptions are gone, so that no more of them wait than there are subscriptions.
    private static void EndWalks(Session session, Broker broker)
    {
        lock (session.Gate)
        {
            if (session.Walk is not { } first)
                return;

            var entry = BrokerModule.TryFind(session.Number, broker);
            var last = first;

            for (var walk = first; walk is not null; walk = walk.Next)
            {
                if (entry.IsSome && entry.Value.Filters.ContainsKey(walk.Delivery.Filter.Text))
                {
                    last = walk;
                    continue;
                }

                // The first one may be under way; it is left out by whoever walks it.
                walk.End();

                if (walk != first)
                    last.Next = walk.Next;
            }
        }
    }

    private void Publish(Session session, Connection? connection, Publish publish, long token)
    {
        var topic = ((TopicReference.Name)publish.Topic).Name;
        var permissions = session.Permissions;
        var message = ServerMessageModule.OfPublish(
            Now, session.Number, FSharpValueOption<ClientId>.Some(session.State.ClientId), topic, publish);
        AcknowledgementProperties? properties = null;
        ReasonCode reason;

        if (permissions is not null && !permissions.MayPublish(topic))
        {
            counts.PublishDropped++;
            reason = ReasonCode.NotAuthorized;
        }
        else
        {
            reason = engine.Hooks.Intercept(session, ref message, out properties);

            if (reason == ReasonCode.Success && message is not null)
                reason = Route(connection, message);
            else
                counts.PublishDropped++;
        }

        if (token != 0)
            Step(session, properties is null ? ServerEvent.NewAcknowledge(token, reason) : ServerEvent.NewAcknowledgeWith(token, reason, properties));
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
        var ticket = target.Shared.IsSome || engine.Hooks.SeesDeliveries ? engine.NextTicket() : 0;
        var copy = Routing.Copy(ticket, target, message);
        Watch(session, copy);
        Step(session, ServerEvent.NewForward(copy, Routing.SharedDelivery(target, message), engine.SpareBytes));
    }

    private void HandOn(Outgoing message, SharedDelivery shared)
    {
        choosing = message.Topic;
        var target = Routing.HandOn(shared.Filter, choice ??= Choose, engine.Registry.Current.Subscriptions);

        if (target.IsNone || engine.TryFind(target.Value.Session) is not { } session)
            return;

        var copy = Routing.CopyHandedOn(engine.NextTicket(), target.Value, shared, message);
        Watch(session, copy);
        Step(session, ServerEvent.NewForward(copy, FSharpValueOption<SharedDelivery>.Some(shared), engine.SpareBytes));
    }

    private void Watch(Session session, Outgoing copy)
    {
        if (engine.Hooks.SeesDeliveries)
            session.Watch(copy.Ticket, new Delivery(copy.Topic, copy.QoS));
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

        return Routing.Choose(engine.Settings.SharedStrategy, engine.Turns.Next(group), members.AsSpan(0, count));
    }
}
