namespace Mqtt5;

/// <summary>What the server answered for one Topic Filter of a SUBSCRIBE.</summary>
/// <param name="Filter">The filter.</param>
/// <param name="Reason">The QoS that is granted, or why it is not.</param>
public sealed record MqttSubscribeResult(string Filter, ReasonCode Reason)
{
    /// <summary>True when messages will come.</summary>
    public bool IsGranted => Reason < ReasonCode.UnspecifiedError;
}
