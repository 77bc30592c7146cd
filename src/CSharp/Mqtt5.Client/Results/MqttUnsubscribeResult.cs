namespace Mqtt5;

/// <summary>What the server answered for one Topic Filter of an UNSUBSCRIBE.</summary>
/// <param name="Filter">The filter.</param>
/// <param name="Reason">Success, that there was no such subscription, or why it stays.</param>
public sealed record MqttUnsubscribeResult(string Filter, ReasonCode Reason);
