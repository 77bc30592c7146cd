using Microsoft.Extensions.Logging;

namespace Mqtt5.Serving;

// Calls what the application hooked in. Never called while a gate is held.
internal sealed class Hooks(MqttBrokerOptions options, ILogger logger, BrokerWatch watching)
{
    // Whether every message has to be shown to the application, so that none may take the short way.
    public bool SeesMessages { get; } = options.InterceptPublish is not null || options.MessageDelivered is not null;

    // Whether what becomes of each delivery is told.
    public bool SeesDeliveries { get; } = options.MessageDelivered is not null || options.MessageDropped is not null;

    public bool SeesDrops { get; } = options.MessageDropped is not null;

    public Interception Intercept(ClientId client, ServerMessage message, bool isWill)
    {
        if (options.InterceptPublish is not { } intercept)
            return Interception.Unchanged(message);

        var interception = new MqttPublishInterception(client.Text, message, isWill);

        try
        {
            intercept(interception);
            return new Interception(
                interception.IsDropped ? null : interception.Result(message), interception.Reason, interception.Properties);
        }
        catch (Exception failure)
        {
            Log.HookFailed(logger, nameof(options.InterceptPublish), failure);
            return Interception.Failed;
        }
    }

    // Null when the hook threw.
    public Subscribe? Intercept(Session session, Subscribe subscribe, ReasonCode[] decisions)
    {
        if (options.InterceptSubscribe is not { } intercept)
            return subscribe;

        var index = 0;
        var items = new MqttSubscriptionRequest[decisions.Length];

        foreach (var subscription in subscribe.Subscriptions)
        {
            items[index] = new MqttSubscriptionRequest(subscription) { Reason = decisions[index] };
            index++;
        }

        try
        {
            intercept(new MqttSubscribeInterception(session.State.ClientId.Text, subscribe.Properties.UserProperties, items));
        }
        catch (Exception failure)
        {
            Log.HookFailed(logger, nameof(options.InterceptSubscribe), failure);
            return null;
        }

        for (index = 0; index < items.Length; index++)
            decisions[index] = items[index].Reason;

        return items.Any(item => item.IsChanged)
            ? new Subscribe(subscribe.PacketId, subscribe.Properties, SubscriptionList.Of(items.Select(item => item.Result)))
            : subscribe;
    }

    public void Delivered(Session session, Delivery delivery, ReasonCode reason)
    {
        if (options.MessageDelivered is { } delivered)
        {
            var clientId = session.State.ClientId.Text;
            Call(nameof(options.MessageDelivered), () => delivered(new MqttDelivery(clientId, delivery.Topic.Text, delivery.QoS, reason)));
        }
    }

    public void Connected(Session session, Connection connection, bool sessionPresent)
    {
        var clientId = session.State.ClientId.Text;
        var version = Spec.version(connection.Protocol.Version).Name;
        Log.Connected(logger, clientId, version, connection.Origin.EndPoint, connection.Id.Value, sessionPresent);
        Telemetry.Connected(logger, version);
        watching.Connected(clientId, VersionNames.Of(connection.Protocol.Version));

        if (options.ClientConnected is { } connected)
            Call(nameof(options.ClientConnected), () => connected(clientId));
    }

    public void Disconnected(Session session, Cause cause)
    {
        var clientId = session.State.ClientId.Text;
        var why = Causes.Describe(cause);
        Log.Disconnected(logger, clientId, why);
        Telemetry.Disconnected(logger);
        watching.Disconnected(clientId, why);

        if (options.ClientDisconnected is { } disconnected)
            Call(nameof(options.ClientDisconnected), () => disconnected(clientId, why));
    }

    public void Dropped(Session session, TopicName topic, Fault why)
    {
        if (options.MessageDropped is { } dropped)
        {
            var clientId = session.State.ClientId.Text;
            Call(nameof(options.MessageDropped), () => dropped(clientId, topic.Text, why.Detail));
        }
    }

    private void Call(string what, Action hook)
    {
        try
        {
            hook();
        }
        catch (Exception failure)
        {
            Log.HookFailed(logger, what, failure);
        }
    }
}
