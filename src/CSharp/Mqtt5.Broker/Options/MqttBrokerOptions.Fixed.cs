namespace Mqtt5;

public sealed partial class MqttBrokerOptions
{
    // What is not changed while a broker runs, by name. Of functions only whether there is one can be told. What limits,
    // listeners, logger factory and clock say is not among it.
    private static readonly (string Name, Func<MqttBrokerOptions, object?> Value)[] Fixed =
    [
        (nameof(Authenticator), one => one.Authenticator),
        (nameof(Authorizer), one => one.Authorizer),
        (nameof(AllowAnonymous), one => one.AllowAnonymous),
        (nameof(MaximumQoS), one => one.MaximumQoS),
        (nameof(RetainAvailable), one => one.RetainAvailable),
        (nameof(WildcardSubscriptions), one => one.WildcardSubscriptions),
        (nameof(SubscriptionIdentifiers), one => one.SubscriptionIdentifiers),
        (nameof(SharedSubscriptions), one => one.SharedSubscriptions),
        (nameof(SharedStrategy), one => one.SharedStrategy),
        (nameof(AssignsClientIds), one => one.AssignsClientIds),
        (nameof(ClientIds), one => one.ClientIds),
        (nameof(ClientsPublishToDollar), one => one.ClientsPublishToDollar),
        (nameof(ChecksPayloadFormat), one => one.ChecksPayloadFormat),
        (nameof(WhenQueueFull), one => one.WhenQueueFull),
        (nameof(WhenSessionsFull), one => one.WhenSessionsFull),
        (nameof(QueuesQoS0), one => one.QueuesQoS0),
        (nameof(ResponsePrefix), one => one.ResponsePrefix),
        (nameof(ServerReference), one => one.ServerReference),
        (nameof(Versions), one => one.Versions),
        (nameof(WhenRefused), one => one.WhenRefused),
        (nameof(SharedSubscriptionsBeforeV5), one => one.SharedSubscriptionsBeforeV5),
        (nameof(Store), one => one.Store),
        (nameof(StoreMinimumFreeBytes), one => one.StoreMinimumFreeBytes),
        (nameof(SystemTopicsInterval), one => one.SystemTopicsInterval),
        (nameof(CloseTimeout), one => one.CloseTimeout),
        (nameof(InterceptPublish), one => one.InterceptPublish is null),
        (nameof(InterceptSubscribe), one => one.InterceptSubscribe is null),
        (nameof(MessageDelivered), one => one.MessageDelivered is null),
        (nameof(ClientConnected), one => one.ClientConnected is null),
        (nameof(ClientDisconnected), one => one.ClientDisconnected is null),
        (nameof(MessageDropped), one => one.MessageDropped is null),
        (nameof(WebSocketOrigins), one => string.Join(',', one.WebSocketOrigins)),
        (nameof(WebSocketSubProtocols), one => string.Join(',', one.WebSocketSubProtocols)),
        (nameof(Threads), one => one.Threads),
        (nameof(CallbacksMayBlock), one => one.CallbacksMayBlock),
    ];

    // Checks options that are to be in place of earlier ones.
    internal void CheckUnchanged(MqttBrokerOptions earlier)
    {
        foreach (var (name, value) in Fixed)
        {
            if (!Equals(value(this), value(earlier)))
                throw new InvalidOperationException($"{name} cannot be changed while the broker runs");
        }
    }
}
