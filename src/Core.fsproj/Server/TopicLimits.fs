namespace Mqtt5

open System

/// What a broker asks of names and filters beyond the standard's rules.
[<RequireQualifiedAccess>]
module TopicLimits =

    let private levels (utf8: ReadOnlySpan<byte>) = MemoryExtensions.Count(utf8, '/'B) + 1

    let private isOwn (utf8: ReadOnlySpan<byte>) =
        utf8.StartsWith("$SYS"B) && (utf8.Length = 4 || utf8[4] = '/'B)

    /// True when a client may not publish to this topic, whoever it is: it is too long or too deep, the broker's
    /// own, or begins with $ where that is not allowed. Nothing is allocated.
    [<CompiledName("IsRefused")>]
    let isRefused (settings: BrokerSettings) (topic: ReadOnlySpan<byte>) : bool =
        topic.Length > settings.Limits.TopicBytes
        || levels topic > settings.Limits.TopicLevels
        || (topic.Length > 0
            && topic[0] = '$'B
            && (not settings.ClientsPublishToDollar || isOwn topic))

    /// The reason code for a Topic Name that a client may not publish to.
    [<CompiledName("Problem")>]
    let problem (settings: BrokerSettings) (topic: TopicName) : ReasonCode voption =
        if isRefused settings topic.Utf8.Span then
            ValueSome ReasonCode.TopicNameInvalid
        else
            ValueNone

    /// The reason code for a Topic Filter that is too long or too deep.
    [<CompiledName("FilterProblem")>]
    let filterProblem (settings: BrokerSettings) (filter: TopicFilter) : ReasonCode voption =
        if
            filter.Utf8.Length > settings.Limits.TopicBytes
            || levels filter.Pattern.Span > settings.Limits.TopicLevels
        then
            ValueSome ReasonCode.TopicFilterInvalid
        else
            ValueNone
