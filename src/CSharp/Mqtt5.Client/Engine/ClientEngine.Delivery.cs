using System.Runtime.InteropServices;

namespace Mqtt5.Engine;

internal sealed partial class ClientEngine
{
    private readonly Dictionary<long, MqttSubscription> subscriptions = [];
    private readonly List<MqttSubscription> targets = [];
    private readonly SubscriptionMatches<long> matches = new();
    private Subscriptions<long>? matchedRoutes;
    private TopicName? matchedTopic;

    // What the subscriptions had that ended with the connection. The next start of the client gives it back.
    private readonly List<UnsubscribeRequest> ended = [];

    public required MqttClient Client { get; init; }

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
        }
    }

    public MqttSubscription[] Subscriptions()
    {
        lock (Gate)
            return [.. subscriptions.Values];
    }

    // Starts the client. Subscriptions that ended with an earlier connection are given back first.
    public Request Start()
    {
        var request = new Request();

        lock (Gate)
        {
            Ask(request, ClientEvent.NewStart);

            foreach (var given in ended)
                Run(ClientEvent.NewUnsubscribe(given, ++nextTicket));

            ended.Clear();
        }

        return request;
    }

    public void Acknowledge(long token, ReasonCode reason) => Post(ClientEvent.NewAcknowledge(token, reason));

    private void Deliver(Publish publish, long token)
    {
        var topic = TopicOf(publish);
        FindMatches(topic);
        targets.Clear();
        FindTargets(publish.Properties.SubscriptionIdentifiers);

        if (targets.Count == 0 && !publish.Properties.SubscriptionIdentifiers.IsEmpty)
            FindTargets(null);

        Telemetry.Received(publish.Delivery.QoS);

        if (targets.Count == 0)
        {
            if (token != 0)
                Run(ClientEvent.NewAcknowledge(token, ReasonCode.Success));

            return;
        }

        var shared = targets.Count > 1 && token != 0 ? new SharedReceipt(targets.Count) : null;

        foreach (var target in targets)
        {
            var message = new MqttReceivedMessage(Client, publish, topic, token, shared);

            if (!target.Offer(message))
                message.Discard();
        }
    }

    // A topic that comes twice in a row is looked up once, as long as the subscriptions are the same.
    private void FindMatches(TopicName topic)
    {
        var routes = state.Subscriptions.Routes;

        if (ReferenceEquals(routes, matchedRoutes) && topic.Equals(matchedTopic))
            return;

        matches.Clear();
        ClientSession.Route(topic.Utf8.Span, matches, state);
        matchedRoutes = routes;
        matchedTopic = topic;
    }

    private static TopicName TopicOf(Publish publish) => ((TopicReference.Name)publish.Topic).Name;

    // The subscriptions that a message goes to, each once; where the server names Subscription Identifiers, only those
    // with one of them.
    private void FindTargets(SubscriptionIdentifiers? identifiers)
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
    }
}
