using System.Buffers;
using System.Runtime.InteropServices;

namespace Mqtt5.Engine;

internal sealed partial class ClientEngine : IReceipt
{
    // How many packets, and of which size, are taken before the gate is left for others.
    private const int PacketsInGate = 1_000;
    private const int FrameBytesInGate = 16 * 1024;

    private readonly Dictionary<long, MqttSubscription> subscriptions = [];

    // Those whose handler may run, also when they have ended.
    private readonly HashSet<MqttSubscription> handling = [];
    private readonly List<MqttSubscription> targets = [];
    private readonly SubscriptionMatches<long> matches = new();
    private readonly RouteCache routes = new();

    // Stands for the subscriptions as they are; another object once they have changed.
    private object generation = new();
    private Subscriptions<long>? routedSubscriptions;

    // What the subscriptions had that ended with the connection. The next start of the client gives it back.
    private readonly List<UnsubscribeRequest> ended = [];

    // Subscribes; messages may come before the answer.
    public Request Subscribe(MqttSubscription subscription, SubscribeRequest request)
    {
        var asked = new Request();

        lock (Gate)
        {
            Ask(asked, ticket =>
            {
                subscription.Ticket = ticket;
                subscriptions.Add(ticket, subscription);
                generation = new object();
                return ClientEvent.NewSubscribe(request, ticket);
            });
        }

        return asked;
    }

    // A subscription gets no more messages.
    public void Forget(MqttSubscription subscription)
    {
        lock (Gate)
        {
            subscriptions.Remove(subscription.Ticket);
            ForgetTargets();
        }
    }

    public MqttSubscription[] Subscriptions()
    {
        lock (Gate)
            return [.. subscriptions.Values];
    }

    // A subscription has begun to call its handler.
    public void BeginHandling(MqttSubscription subscription)
    {
        lock (Gate)
            handling.Add(subscription);
    }

    // Its handler has been called for the last time and has ended.
    public void EndHandling(MqttSubscription subscription)
    {
        lock (Gate)
            handling.Remove(subscription);
    }

    public MqttSubscription[] Handling()
    {
        lock (Gate)
            return [.. handling];
    }

    // Starts the client. Subscriptions that ended with an earlier connection are given back first.
    public Request Start()
    {
        var request = new Request();

        lock (Gate)
        {
            ObjectDisposedException.ThrowIf(isRetired, typeof(MqttClient));
            Ask(request, ClientEvent.NewStart);

            foreach (var given in ended)
                Run(ClientEvent.NewUnsubscribe(given, ++nextTicket));

            ended.Clear();
        }

        return request;
    }

    // The application is done with a message that one subscription got.
    public void Settle(long token, ReasonCode reason) => Post(ClientEvent.NewAcknowledge(token, reason));

    private void Deliver(Publish publish, long token)
    {
        var topic = TopicOf(publish);
        var found = FindTargets(topic, publish.Properties.SubscriptionIdentifiers);
        Telemetry.Received(publish.Delivery.QoS);

        if (found.Length == 0)
        {
            if (token != 0)
                Run(ClientEvent.NewAcknowledge(token, ReasonCode.Success));

            return;
        }

        IReceipt? receipt = token == 0 ? null : found.Length == 1 ? this : new SharedReceipt(this, found.Length);

        foreach (var target in found)
        {
            var message = new MqttReceivedMessage(
                topic,
                publish.Payload,
                publish.Properties,
                publish.Delivery.QoS,
                publish.Delivery.PacketId is { IsSome: true } id ? id.Value.Value : (ushort)0,
                publish.Retain,
                publish.Delivery.IsDup,
                receipt,
                token);

            if (!target.Offer(message))
                message.Discard();
        }
    }

    // Takes the packets at the front of the input that most of the traffic consists of: the messages that the machine need
    // not see, and acknowledgements. Gives what is left. The gate is taken once for all of them.
    public ReadOnlySequence<byte> Take(Link link, ReadOnlySequence<byte> input, ref long offset)
    {
        lock (Gate)
        {
            taking = true;

            try
            {
                for (var left = PacketsInGate; left > 0 && link == current; left--)
                {
                    var framing = Framer.Next(Direction.ServerToClient, MaximumPacketBytes, offset, input);

                    if (framing.Tag != Framing.Tags.Frame
                        || framing.Length > FrameBytesInGate
                        || !Take(Framer.Memory(framing.Length, input).Span))
                    {
                        break;
                    }

                    offset += framing.Length;
                    input = input.Slice(framing.Length);
                }
            }
            finally
            {
                taking = false;
            }
        }

        return input;
    }

    private bool Take(ReadOnlySpan<byte> frame)
    {
        if ((PacketType)(frame[0] >> 4) == PacketType.Publish)
        {
            if (!FastPath.TryPublish(Direction.ServerToClient, frame, out var view) || !ClientQoS0.MayDeliver(view, state))
                return false;

            Deliver(view);
            return true;
        }

        if (!FastPath.TryAcknowledgement(Direction.ServerToClient, frame, out var acknowledgement))
            return false;

        Run(ClientEvent.NewReceivedAck(acknowledgement.Type, acknowledgement.PacketId.Value, acknowledgement.Reason));
        return true;
    }

    private void Deliver(in PublishView view)
    {
        var route = routes.Find(view.Topic, view.Properties) ?? AddRoute(view);
        var now = Generation();

        if (!ReferenceEquals(route.Generation, now))
        {
            route.Targets = FindTargets(route.Topic, route.Properties.SubscriptionIdentifiers).ToArray();
            route.Generation = now;
        }

        Telemetry.Received(QoS.AtMostOnce);

        if (route.Targets.Length == 0)
            return;

        var payload = Bytes.Copy(view.Payload);

        foreach (var target in route.Targets)
            target.Offer(new MqttReceivedMessage(route.Topic, payload, route.Properties, QoS.AtMostOnce, 0, view.Retain, false, null, 0));
    }

    private Route AddRoute(in PublishView view)
    {
        // The properties borrow the memory that they are read from.
        var frame = view.Frame.ToArray();
        var publish = view.ToPublish(frame);
        var route = new Route(TopicOf(publish), publish.Properties, view.Properties.ToArray());
        routes.Add(route);
        return route;
    }

    private object Generation()
    {
        if (!ReferenceEquals(state.Subscriptions.Routes, routedSubscriptions))
        {
            routedSubscriptions = state.Subscriptions.Routes;
            generation = new object();
        }

        return generation;
    }

    // The subscriptions of a message; overwritten by the next call.
    private ReadOnlySpan<MqttSubscription> FindTargets(TopicName topic, SubscriptionIdentifiers identifiers)
    {
        matches.Clear();
        ClientSession.Route(topic.Utf8.Span, matches, state);
        targets.Clear();
        AddTargets(identifiers);

        if (targets.Count == 0 && !identifiers.IsEmpty)
            AddTargets(null);

        return CollectionsMarshal.AsSpan(targets);
    }

    private static TopicName TopicOf(Publish publish) => ((TopicReference.Name)publish.Topic).Name;

    // The subscriptions that a message goes to, each once; where the server names Subscription Identifiers, only those
    // with one of them.
    private void AddTargets(SubscriptionIdentifiers? identifiers)
    {
        foreach (var entry in matches.Entries)
            AddTarget(entry, identifiers);

        // One member of a shared subscription is enough: the server sent the message to this client once for all.
        foreach (var group in matches.Groups)
        {
            foreach (var member in group.Members)
            {
                if (AddTarget(member, identifiers))
                    break;
            }
        }
    }

    private bool AddTarget(SubscriptionEntry<long> entry, SubscriptionIdentifiers? identifiers)
    {
        if (!subscriptions.TryGetValue(entry.Subscriber, out var subscription))
            return false;

        if (identifiers is { IsEmpty: false } && !Names(identifiers, entry))
            return false;

        if (!CollectionsMarshal.AsSpan(targets).Contains(subscription))
            targets.Add(subscription);

        return true;
    }

    private static bool Names(SubscriptionIdentifiers identifiers, SubscriptionEntry<long> entry)
    {
        if (entry.Identifier.IsNone)
            return false;

        foreach (var identifier in identifiers)
        {
            if (identifier == entry.Identifier.Value)
                return true;
        }

        return false;
    }

    private void EndSubscriptions(MqttException? cause)
    {
        foreach (var subscription in subscriptions.Values)
        {
            subscription.Complete(cause);

            if (subscription.ToUnsubscribeRequest() is { } given)
                ended.Add(given);
        }

        subscriptions.Clear();
        ForgetTargets();
    }

    private void ForgetTargets()
    {
        generation = new object();
        routes.ForgetTargets();
        targets.Clear();
    }
}
