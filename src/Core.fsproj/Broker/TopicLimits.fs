namespace Mqtt5

open System

/// What a broker asks of names and filters beyond the standard's rules.
[<RequireQualifiedAccess>]
module TopicLimits =

    let private levels (utf8: ReadOnlySpan<byte>) = MemoryExtensions.Count(utf8, '/'B) + 1

    let private isOwn (utf8: ReadOnlySpan<byte>) =
        utf8.StartsWith("$SYS"B) && (utf8.Length = 4 || utf8[4] = '/'B)

    /// True when no client may publish to this topic: it is too long or too deep, the broker's
    /// own, or begins with $ where that is not allowed. Nothing is allocated.
    [<CompiledName("IsRefused")>]
    let isRefused (settings: BrokerSettings) (topic: ReadOnlySpan<byte>) : bool =
        topic.Length > settings.Limits.TopicBytes
        || levels topic > settings.Limits.TopicLevels
        || (topic.Length > 0
            && topic[0] = '$'B
            && (not settings.ClientsPublishToDollar || isOwn topic))

    let private nameRefused =
        Fault.peer ReasonCode.TopicNameInvalid PacketType.Publish -1L "Topic Name" "3.3.2.1"

    let private tooLong =
        nameRefused "the topic is longer than the limit"
        |> Fault.exceeding LimitName.TopicBytes

    let private tooDeep =
        nameRefused "the topic has more levels than the limit"
        |> Fault.exceeding LimitName.TopicLevels

    let private reserved = nameRefused "clients may not publish to this topic"

    /// Why a client may not publish to a topic that is refused. Nothing is allocated.
    [<CompiledName("Why")>]
    let why (settings: BrokerSettings) (topic: ReadOnlySpan<byte>) : Fault =
        if topic.Length > settings.Limits.TopicBytes then tooLong
        elif levels topic > settings.Limits.TopicLevels then tooDeep
        else reserved

    /// Why a client may not publish to this topic; absent: it may.
    [<CompiledName("Problem")>]
    let problem (settings: BrokerSettings) (topic: TopicName) : Fault voption =
        if isRefused settings topic.Utf8.Span then
            ValueSome(why settings topic.Utf8.Span)
        else
            ValueNone

    // So many characters as have more bytes than the limit, and no more.
    let private beyondLimit (settings: BrokerSettings) (name: TopicName) =
        let utf8 = name.Utf8.Span
        let mutable length = settings.Limits.TopicBytes + 1

        while length < utf8.Length && utf8[length] &&& 0xC0uy = 0x80uy do
            length <- length + 1

        TopicName.Of(Text.Encoding.UTF8.GetString(utf8.Slice(0, length)))

    /// The topic of a PUBLISH as a Topic Alias keeps it. A name that is too long is refused but still sets its alias, and what
    /// the alias stands for is kept: so much of it as is too long as well.
    [<CompiledName("Shortened")>]
    let shortened (settings: BrokerSettings) (topic: TopicReference) : TopicReference =
        match topic with
        | TopicReference.NameAndAlias(name, alias) when name.Utf8.Length > settings.Limits.TopicBytes ->
            TopicReference.NameAndAlias(beyondLimit settings name, alias)
        | _ -> topic

    let private filterRefused =
        Fault.peer ReasonCode.TopicFilterInvalid PacketType.Subscribe -1L "Topic Filter" "3.8.3"

    let private filterTooLong =
        filterRefused "the filter is longer than the limit"
        |> Fault.exceeding LimitName.TopicBytes

    let private filterTooDeep =
        filterRefused "the filter has more levels than the limit"
        |> Fault.exceeding LimitName.TopicLevels

    /// Why a Topic Filter is refused that is too long or too deep; absent: it is not.
    [<CompiledName("FilterProblem")>]
    let filterProblem (settings: BrokerSettings) (filter: TopicFilter) : Fault voption =
        if filter.Utf8.Length > settings.Limits.TopicBytes then
            ValueSome filterTooLong
        elif levels filter.Pattern.Span > settings.Limits.TopicLevels then
            ValueSome filterTooDeep
        else
            ValueNone

    /// Why a filter of a client before MQTT 5 is refused, or Success. CONNACK has not told such a client what is not
    /// available, so this is answered in SUBACK, filter by filter [MQTT3-3.8.3-2]. A filter that begins with
    /// <c>$share/</c> is a shared subscription or refused: taken literally it would never match.
    [<CompiledName("ReasonBeforeV5")>]
    let reasonBeforeV5 (settings: BrokerSettings) (filter: TopicFilter) : ReasonCode =
        let namesShare = filter.Utf8.Span.StartsWith("$share/"B)

        if
            namesShare
            && not (settings.SharedSubscriptions && settings.SharedSubscriptionsBeforeV5)
        then
            ReasonCode.SharedSubscriptionsNotSupported
        elif namesShare && not filter.IsShared then
            ReasonCode.TopicFilterInvalid
        elif filter.HasWildcard && not settings.WildcardSubscriptions then
            ReasonCode.WildcardSubscriptionsNotSupported
        else
            ReasonCode.Success
