using Microsoft.Extensions.Logging;

namespace Mqtt5.Serving;

// Calls what the application hooked in. Never called while a gate is held.
internal sealed class Hooks(MqttBrokerOptions options, ILogger logger)
{
    public bool Intercepts { get; } = options.InterceptPublish is not null;

    public bool ObservesDrops { get; } = options.MessageDropped is not null;

    // The reason to refuse a message with; with Success the message goes on, as it was or as it was changed, or is
    // null because it is dropped without telling the client.
    public ReasonCode Intercept(Session session, ref ServerMessage? message)
    {
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
        return interception.Reason;
    }

    public void Connected(Session session, Connection connection, bool sessionPresent)
    {
        var clientId = session.State.ClientId.Text;
        Log.Connected(logger, clientId, connection.Origin.EndPoint, connection.Number, sessionPresent);
        Telemetry.Connected();

        if (options.ClientConnected is { } connected)
            Call(nameof(options.ClientConnected), () => connected(clientId));
    }

    public void Disconnected(Session session, Cause cause)
    {
        var clientId = session.State.ClientId.Text;
        Log.Disconnected(logger, clientId, Causes.Describe(cause));
        Telemetry.Disconnected();

        if (options.ClientDisconnected is { } disconnected)
            Call(nameof(options.ClientDisconnected), () => disconnected(clientId, Causes.Describe(cause)));
    }

    public void Dropped(Session session, Outgoing message, Settlement reason)
    {
        if (options.MessageDropped is { } dropped)
        {
            var clientId = session.State.ClientId.Text;
            Call(nameof(options.MessageDropped), () => dropped(clientId, message.Topic.Text, Causes.Describe(reason)));
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
