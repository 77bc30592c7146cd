using Microsoft.FSharp.Core;

namespace Mqtt5.Serving;

// Messages of the application as those of a server.
internal static class ServerMessages
{
    public static ServerMessage Of(MqttMessage message, long now, long publisher = 0)
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

        return new ServerMessage(
            TopicName.Of(message.Topic),
            Bytes.Copy(message.Payload.Span),
            message.QoS,
            message.Retain,
            properties,
            expiry is { } ends ? FSharpValueOption<long>.Some(now + (ends * 1000L)) : FSharpValueOption<long>.None,
            publisher,
            FSharpValueOption<ClientId>.None);
    }
}
