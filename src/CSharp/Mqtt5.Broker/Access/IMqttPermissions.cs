namespace Mqtt5;

/// <summary>
/// What one client may do, for as long as it is connected. Called from many threads; must not block. Answers are
/// remembered for the connection: to change them, disconnect the client. An exception is logged and counts as false.
/// </summary>
public interface IMqttPermissions
{
    /// <summary>Whether the client may publish to a topic; its Will Topic is one.</summary>
    /// <param name="topic">The topic.</param>
    /// <returns>True if it may; false is answered with 0x87, Not authorized.</returns>
    bool MayPublish(TopicName topic);

    /// <summary>Whether the client may subscribe to a filter, shared or not.</summary>
    /// <param name="filter">The filter.</param>
    /// <returns>True if it may; false is answered with 0x87, Not authorized.</returns>
    bool MaySubscribe(TopicFilter filter);

    /// <summary>Whether the client may get messages of a topic that one of its filters matches.</summary>
    /// <param name="topic">The topic.</param>
    /// <returns>True if it may; otherwise it does not get the message, without a report.</returns>
    bool MayReceive(TopicName topic);
}
