namespace Mqtt5.Engine;

// Maps failures of the core to the public exceptions.
internal static class Failures
{
    public static Exception Of(Settlement settlement, CancellationToken cancellation)
    {
        switch (settlement)
        {
            case Settlement.Published published:
                return Refused(published.Reason, PacketType.Puback, published.Properties);
            case Settlement.Rejected rejected:
                return Of(rejected.Fault);
            case Settlement.Ended ended:
                return Of(ended.Cause) ?? Closed();
            default:
                if (settlement.IsExpired)
                    return new MqttMessageExpiredException("the message expired before it could be sent");
                if (settlement.IsQueueFull)
                    return new MqttQueueFullException("the queue of messages that wait is full") { Reason = ReasonCode.QuotaExceeded, ReasonSource = MqttReasonSource.Client };
                return new OperationCanceledException("the call was cancelled; what was sent already may still arrive", cancellation);
        }
    }

    public static MqttException Of(Fault fault) =>
        fault.Blame.IsCaller && fault.Reason == ReasonCode.UnsupportedProtocolVersion
            ? NotSupported(fault, fault.Field)
            : new MqttRejectedException(fault.ToString()) { Reason = fault.Reason, ReasonSource = MqttReasonSource.Client, Clause = fault.Clause };

    // What the version of the connection does not have.
    public static MqttNotSupportedException NotSupported(Fault fault, string option) =>
        new($"{option}: {fault.Detail}") { Reason = fault.Reason, ReasonSource = MqttReasonSource.Client, Option = option };

    public static MqttRefusedException Refused(ReasonCode reason, PacketType packet, AcknowledgementProperties properties) =>
        new($"the server refused: {Title(packet, reason)}")
        {
            Reason = reason,
            ReasonSource = MqttReasonSource.Server,
            ReasonString = properties.ReasonString.ToText(),
            UserProperties = properties.UserProperties,
        };

    public static MqttDisconnectedException Closed() => new("the connection was closed by the application");

    // Null when the application asked for the end.
    public static MqttException? Of(Cause cause)
    {
        switch (cause)
        {
            case Cause.ByPeer { Outcome: var outcome }:
                var properties = outcome.Properties;
                return new MqttDisconnectedException($"the server disconnected: {Title(PacketType.Disconnect, outcome.Reason)}")
                {
                    Reason = outcome.Reason,
                    ReasonSource = MqttReasonSource.Server,
                    ReasonString = properties.IsSome ? properties.Value.ReasonString.ToText() : null,
                    ServerReference = properties.IsSome ? properties.Value.ServerReference.ToText() : null,
                    UserProperties = properties.IsSome ? properties.Value.UserProperties : UserProperties.Empty,
                };
            case Cause.Refused { Connack: var connack }:
                var result = new MqttConnectResult(connack);
                return new MqttConnectException($"the server refused the connection: {Title(PacketType.Connack, connack.Reason)}")
                {
                    Reason = connack.Reason,
                    ReasonSource = MqttReasonSource.Server,
                    ReasonString = result.ReasonString,
                    UserProperties = result.UserProperties,
                    Result = result,
                };
            case Cause.Broken { Fault: var fault }:
                return new MqttDisconnectedException(fault.ToString()) { Reason = fault.Reason, ReasonSource = MqttReasonSource.Client };
            case Cause.Failed { Failure: var failed } when failed.Part.IsTransport:
                return new MqttDisconnectedException($"the transport failed: {failed.Detail}", failed.Origin as Exception);
            case Cause.Failed { Failure: var failed }:
                return new MqttDisconnectedException($"the authentication failed: {failed.Detail}", failed.Origin as Exception)
                {
                    Reason = ReasonCode.NotAuthorized,
                    ReasonSource = MqttReasonSource.Client,
                };
            default:
                if (cause.IsConnectTimeout)
                    return new MqttDisconnectedException("the server did not answer in time");
                if (cause.IsPingTimeout)
                    return new MqttDisconnectedException("the server did not answer PINGREQ in time") { Reason = ReasonCode.KeepAliveTimeout, ReasonSource = MqttReasonSource.Client };
                return null;
        }
    }

    // The same for a connection that never opened.
    public static Exception OfConnect(Cause cause)
    {
        var failure = Of(cause) ?? Closed();
        return failure is MqttConnectException
            ? failure
            : new MqttConnectException(failure.Message, failure.InnerException)
            {
                Reason = failure.Reason,
                ReasonSource = failure.ReasonSource,
                ReasonString = failure.ReasonString,
                UserProperties = failure.UserProperties,
            };
    }

    private static string Title(PacketType packet, ReasonCode reason) => $"0x{(byte)reason:X2} {Spec.reasonTitle(packet, reason)}";
}
