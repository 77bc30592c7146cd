using Microsoft.FSharp.Core;

namespace Mqtt5.Engine;

// The optional values of the core as the nullable ones of C#, and back.
internal static class ValueOptions
{
    public static T? ToNullable<T>(this FSharpValueOption<T> option)
        where T : struct => option.IsSome ? option.Value : null;

    public static string? ToText(this FSharpValueOption<Utf8String> option) => option.IsSome ? option.Value.Text : null;

    public static FSharpValueOption<T> ToOption<T>(this T? value)
        where T : struct => value is { } some ? FSharpValueOption<T>.Some(some) : FSharpValueOption<T>.None;

    public static FSharpValueOption<Utf8String> ToOption(this string? text) =>
        text is null ? FSharpValueOption<Utf8String>.None : FSharpValueOption<Utf8String>.Some(Utf8String.Of(text));

    public static FSharpValueOption<TopicName> ToTopicOption(this string? topic) =>
        topic is null ? FSharpValueOption<TopicName>.None : FSharpValueOption<TopicName>.Some(TopicName.Of(topic));

    public static FSharpValueOption<Bytes> ToOption(this ReadOnlyMemory<byte>? memory) =>
        memory is { } some ? FSharpValueOption<Bytes>.Some(Bytes.Copy(some.Span)) : FSharpValueOption<Bytes>.None;

    public static FSharpValueOption<uint> ToSeconds(this TimeSpan? duration, string name) =>
        duration is { } some ? FSharpValueOption<uint>.Some(Durations.Seconds(some, name)) : FSharpValueOption<uint>.None;

    public static TimeSpan? ToDuration(this FSharpValueOption<uint> seconds) =>
        seconds.IsSome ? TimeSpan.FromSeconds(seconds.Value) : null;

    public static PublishProperties WithUserProperties(this PublishProperties properties, UserProperties userProperties) =>
        new(
            properties.PayloadFormatIndicator,
            properties.MessageExpiryInterval,
            properties.ResponseTopic,
            properties.CorrelationData,
            userProperties,
            properties.SubscriptionIdentifiers,
            properties.ContentType);
}
