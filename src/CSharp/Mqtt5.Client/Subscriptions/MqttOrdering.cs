namespace Mqtt5;

/// <summary>How the messages of a subscription with a handler are handled, and so acknowledged.</summary>
public enum MqttOrdering
{
    /// <summary>One after another, in the order of arrival, each to its end.</summary>
    InOrder,

    /// <summary>Those with the same key one after another in the order of arrival, those with different keys at the same time.</summary>
    ByKey,

    /// <summary>Several at the same time, in no order.</summary>
    Unordered,
}
