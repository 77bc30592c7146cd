using Microsoft.Extensions.Logging;

namespace Mqtt5.Serving;

// Calls what the application hooked in. Never called while a gate is held.
internal sealed class Hooks(MqttBrokerOptions options, ILogger logger)
{
    // Whether every message has to be shown to the application, so that none may take the short way.
    public bool SeesMessages { get; } = options.InterceptPublish is not null || options.MessageDelivered is not null;

    // Whether what becomes of each delivery is told.
    public bool SeesDeliveries { get; } = options.MessageDelivered is not null || options.MessageDropped is not null;

    public bool ObservesDrops { get; } = options.MessageDropped is not null;

    // The reason to refuse a message with; with Success the message goes on, as it was or as it was changed, or is
    // null because it is dropped without telling the client. The properties are for its acknowledgement; null: none.
    public ReasonCode Intercept(Session session, ref ServerMessage? message, out AcknowledgementProperties? properties)
    {
        properties = null;

        if (options.InterceptPublish is not { } intercept || message is null)
            return ReasonCode.Success;

        var interception = new MqttPublishInterception(session.State.ClientId.Text, message);

        try
        {
            intercept(interception);
        }
        catch (Exception failure)
        {
            Log.HookFailed(logger, nameof(options.InterceptPublish), failure);
            return ReasonCode.ImplementationSpecificError;
        }

        message = interception.IsDropped ? null : interception.Result(message);
        properties = interception.Properties;
        return interception.Reason;
    }

    // A SUBSCRIBE as the application lets it be, and a judgement for each filter.
    public ReasonCode[] Judge(Session session, ref Subscribe subscribe)
    {
        var permissions = session.Permissions;
        var items = new MqttSubscriptionRequest[subscribe.Subscriptions.Count];
        var index = 0;

        foreach (var subscription in subscribe.Subscriptions)
        {
            items[index++] = new MqttSubscriptionRequest(subscription)
            {
                Reason = permissions is null || permissions.MaySubscribe(subscription.Filter) ? ReasonCode.Success : ReasonCode.NotAuthorized,
            };
        }

        if (options.InterceptSubscribe is { } intercept)
        {
            try
            {
                intercept(new MqttSubscribeInterception(session.State.ClientId.Text, subscribe.Properties.UserProperties, items));
            }
            catch (Exception failure)
            {
                Log.HookFailed(logger, nameof(options.InterceptSubscribe), failure);

                foreach (var item in items)
                    item.Reason = ReasonCode.ImplementationSpecificError;
            }

            if (items.Any(item => item.IsChanged))
                subscribe = new Subscribe(subscribe.PacketId, subscribe.Properties, SubscriptionList.Of(items.Select(item => item.Result)));
        }

        return Array.ConvertAll(items, item => item.Reason);
    }

    public void Delivered(Session session, Delivery delivery)
    {
        if (options.MessageDelivered is { } delivered)
        {
            var clientId = session.State.ClientId.Text;
            Call(nameof(options.MessageDelivered), () => delivered(new MqttDelivery(clientId, delivery.Topic.Text, delivery.QoS, delivery.Reason)));
        }
    }

    public void Connected(Session session, Connection connection, bool sessionPresent)
    {
        var clientId = session.State.ClientId.Text;
        Log.Connected(logger, clientId, connection.Origin.EndPoint, connection.Number, sessionPresent);
        Telemetry.Connected(logger);

        if (options.ClientConnected is { } connected)
            Call(nameof(options.ClientConnected), () => connected(clientId));
    }

    public void Disconnected(Session session, Cause cause)
    {
        var clientId = session.State.ClientId.Text;
        Log.Disconnected(logger, clientId, Causes.Describe(cause));
        Telemetry.Disconnected(logger);

        if (options.ClientDisconnected is { } disconnected)
            Call(nameof(options.ClientDisconnected), () => disconnected(clientId, Causes.Describe(cause)));
    }

    public void Dropped(Session session, TopicName topic, Settlement reason)
    {
        if (options.MessageDropped is { } dropped)
        {
            var clientId = session.State.ClientId.Text;
            Call(nameof(options.MessageDropped), () => dropped(clientId, topic.Text, Causes.Describe(reason)));
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
