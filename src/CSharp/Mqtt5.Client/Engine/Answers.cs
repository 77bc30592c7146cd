namespace Mqtt5.Engine;

// The answers to SUBSCRIBE and UNSUBSCRIBE, filter by filter.
internal static class Answers
{
    public static IReadOnlyList<MqttSubscribeResult> ToSubscribeResults(
        IReadOnlyList<MqttTopicFilter> filters, SubscriptionAcknowledgement answer) =>
        [.. filters.Zip(answer.Reasons, (filter, reason) => new MqttSubscribeResult(filter.Filter, reason))];

    public static IReadOnlyList<MqttUnsubscribeResult> ToUnsubscribeResults(
        TopicFilter[] filters, Settlement? settlement, CancellationToken cancellationToken) =>
        settlement switch
        {
            null => [.. filters.Select(filter => new MqttUnsubscribeResult(filter.Text, ReasonCode.Success))],
            Settlement.Answered { Answer: var answer } =>
                [.. filters.Zip(answer.Reasons, (filter, reason) => new MqttUnsubscribeResult(filter.Text, reason))],
            _ => throw Failures.Of(settlement, cancellationToken),
        };
}
