namespace Mqtt5.Serving;

// A copy of a message that is on its way to a session, for as long as the application wants to know what becomes of it.
internal sealed record Delivery(TopicName Topic, QoS QoS);
