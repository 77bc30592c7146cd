using System.Runtime.InteropServices;

namespace Mqtt5.Engine;

// The subscriptions of a client, and the dispatch of received messages to them. The state machine decides which subscribers
// get a message.
internal sealed class SubscriptionRegistry : IReceipt
{
    private readonly ClientEngine engine;
    private readonly Dictionary<Ticket, MqttSubscription> subscriptions = [];

    // The subscriptions whose handler may run, including ended ones.
    private readonly HashSet<MqttSubscription> handling = [];
    private readonly List<MqttSubscription> targets = [];
    private readonly List<Ticket> subscribers = [];
    private readonly SubscriptionMatches<Ticket> matches = new();
    private readonly RouteCache routes = new();

    // Identifies the current set of subscriptions; replaced whenever the set changes.
    private object generation = new();
    private Subscriptions<Ticket>? routedSubscriptions;

    // Gets messages that match no subscription; null: the state machine decides.
    private readonly MqttSubscription? fallback;
    private readonly Func<MqttReceivedMessage, CancellationToken, Task>? defaultHandler;
    private bool hasToldOfUnclaimed;

    public SubscriptionRegistry(ClientEngine engine, MqttClientOptions options)
    {
        this.engine = engine;
        defaultHandler = options.DefaultHandler;
        fallback = defaultHandler is null ? null : new MqttSubscription(engine, [], new MqttSubscribeOptions(), options.PropagateTraceContext);
    }

    // Subscribes; messages may arrive before the SUBACK.
    public Request Subscribe(MqttSubscription subscription, SubscribeRequest request)
    {
        var asked = new Request();

        lock (engine.Gate)
        {
            engine.Ask(asked, ticket =>
            {
                subscription.Ticket = ticket;
                subscriptions.Add(ticket, subscription);
                generation = new object();
                return ClientEvent.NewSubscribe(request, ticket);
            });
        }

        return asked;
    }

    // Removes a subscription, which then gets no more messages.
    public void Forget(MqttSubscription subscription)
    {
        lock (engine.Gate)
        {
            subscriptions.Remove(subscription.Ticket);
            ForgetTargets();
        }
    }

    public MqttSubscription[] All()
    {
        lock (engine.Gate)
            return [.. subscriptions.Values];
    }

    // A subscription starts to call its handler.
    public void BeginHandling(MqttSubscription subscription)
    {
        lock (engine.Gate)
            handling.Add(subscription);
    }

    // The last call of its handler has returned.
    public void EndHandling(MqttSubscription subscription)
    {
        lock (engine.Gate)
            handling.Remove(subscription);
    }

    public MqttSubscription[] Handling()
    {
        lock (engine.Gate)
            return [.. handling];
    }

    // Starts the default handler of the options.
    public void StartFallback()
    {
        if (defaultHandler is not null)
            fallback!.StartWorkers(defaultHandler);
    }

    // The application has finished with a message delivered to a single subscription.
    public void Settle(DeliveryToken token, ReasonCode reason) => engine.Post(ClientEvent.NewAcknowledge(token, reason));

    public void Deliver(Packet.Publish packet, DeliveryToken token)
    {
        var publish = packet.Publish;
        var topic = TopicOf(publish);
        var found = FindTargets(topic, publish.Properties.SubscriptionIdentifiers);
        Telemetry.Received(publish.Delivery.QoS);

        if (found.Length == 0)
        {
            engine.Run(ClientEvent.NewUnclaimed(packet, token));
            return;
        }

        IReceipt? receipt = token.IsNone ? null : found.Length == 1 ? this : new SharedReceipt(this, found.Length);

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

    public void Deliver(in PublishView view)
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
        {
            TellOfUnclaimed(waits: false);
            return;
        }

        var payload = Bytes.Copy(view.Payload);

        foreach (var target in route.Targets)
            target.Offer(new MqttReceivedMessage(route.Topic, payload, route.Properties, QoS.AtMostOnce, 0, view.Retain, false, null, default));
    }

    private Route AddRoute(in PublishView view)
    {
        // The properties reference the memory of the frame, so it is copied.
        var frame = view.Frame.ToArray();
        var publish = view.ToPublish(frame);
        var route = new Route(TopicOf(publish), publish.Properties, view.Properties.ToArray());
        routes.Add(route);
        return route;
    }

    private object Generation()
    {
        if (!ReferenceEquals(engine.State.Subscriptions.Routes, routedSubscriptions))
        {
            routedSubscriptions = engine.State.Subscriptions.Routes;
            generation = new object();
        }

        return generation;
    }

    // The subscriptions of a message; overwritten by the next call.
    private ReadOnlySpan<MqttSubscription> FindTargets(TopicName topic, SubscriptionIdentifiers identifiers)
    {
        ClientRoutes.Find(topic.Utf8.Span, identifiers, matches, subscribers, engine.State);
        targets.Clear();

        foreach (var subscriber in subscribers)
        {
            if (subscriptions.TryGetValue(subscriber, out var subscription))
                targets.Add(subscription);
        }

        if (targets.Count == 0 && fallback is not null)
            targets.Add(fallback);

        return CollectionsMarshal.AsSpan(targets);
    }

    private static TopicName TopicOf(Publish publish) => ((TopicReference.Name)publish.Topic).Name;

    // A connection has opened.
    public void Opened() => hasToldOfUnclaimed = false;

    // An unmatched message is counted when dropped, and logged once per connection.
    public void TellOfUnclaimed(bool waits)
    {
        if (!waits)
            Telemetry.DroppedUnclaimed();

        if (hasToldOfUnclaimed)
            return;

        hasToldOfUnclaimed = true;

        if (waits)
            Log.Unclaimed(engine.Logger);
        else
            Log.DroppedUnclaimed(engine.Logger);
    }

    public void End(MqttException? cause)
    {
        foreach (var subscription in subscriptions.Values)
            subscription.Complete(cause);

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
