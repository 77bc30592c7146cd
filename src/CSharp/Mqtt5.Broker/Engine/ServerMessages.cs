using Microsoft.FSharp.Core;

namespace Mqtt5.Serving;

// Messages of the application as those of a server.
internal static class ServerMessages
{
    // Throws ArgumentException for what no packet can hold, which would otherwise fail where it is sent.
    public static ServerMessage Of(MqttMessage message, long now, SessionId publisher = default)
    {
        var expiry = message.Expiry is { } lifetime ? (uint)Math.Clamp(Math.Ceiling(lifetime.TotalSeconds), 0, uint.MaxValue) : (uint?)null;
        var properties = new PublishProperties(
            message.IsText is { } isText ? FSharpValueOption<bool>.Some(isText) : FSharpValueOption<bool>.None,
            expiry is { } seconds ? FSharpValueOption<uint>.Some(seconds) : FSharpValueOption<uint>.None,
            message.ResponseTopic is { } topic ? FSharpValueOption<TopicName>.Some(TopicName.Of(topic)) : FSharpValueOption<TopicName>.None,
            message.CorrelationData is { } data ? FSharpValueOption<Bytes>.Some(Bytes.Copy(data.Span)) : FSharpValueOption<Bytes>.None,
            message.UserProperties,
            SubscriptionIdentifiers.Empty,
            message.ContentType is { } type ? FSharpValueOption<Utf8String>.Some(Utf8String.Of(type)) : FSharpValueOption<Utf8String>.None);

        var topicName = TopicName.Of(message.Topic);

        // The types leave open only this; without it, no packet comes near to the largest.
        if (message.QoS > QoS.ExactlyOnce || message.CorrelationData is not null || !message.UserProperties.IsEmpty
            || message.Payload.Length > Spec.MaximumPacketBytes / 2)
        {
            Check(topicName, message, properties);
        }

        return new ServerMessage(
            topicName,
            Bytes.Copy(message.Payload.Span),
            message.QoS,
            message.Retain,
            properties,
            expiry is { } ends ? FSharpValueOption<long>.Some(now + (ends * 1000L)) : FSharpValueOption<long>.None,
            publisher,
            FSharpValueOption<ClientId>.None);
    }

    private static void Check(TopicName topic, MqttMessage message, PublishProperties properties)
    {
        if (message.QoS > QoS.ExactlyOnce)
            throw new ArgumentException($"there is no QoS {(byte)message.QoS}", nameof(message));

        var delivery = message.QoS == QoS.AtMostOnce ? Mqtt5.Delivery.AtMostOnce : Mqtt5.Delivery.NewAtLeastOnce(PacketId.Of(1), false);
        var publish = new Publish(delivery, message.Retain, TopicReference.NewName(topic), properties, new Bytes(message.Payload));

        if (Encode.Check(Direction.ServerToClient, Packet.NewPublish(publish)) is { IsSome: true, Value: var fault })
            throw new ArgumentException(fault.Detail, nameof(message));
    }
}
