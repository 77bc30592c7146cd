namespace Mqtt5.Serving;

// A copy of a message that is on its way to a session, for as long as the application wants to know what becomes of it.
internal sealed class Delivery(TopicName topic, QoS qos)
{
    public TopicName Topic => topic;

    public QoS QoS => qos;

    // The reason code of the client's acknowledgement.
    public ReasonCode Reason { get; set; }

    // Why it was not sent; null: it was.
    public Settlement? Lost { get; set; }
}
