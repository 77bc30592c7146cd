namespace Mqtt5

/// What to do with a PUBLISH that was recognised in place.
type PublishVerdict =
    /// It changes no state: its bytes may go to every target that <c>takesFrame</c>.
    | Forward = 0
    /// It needs a step of the session.
    | Step = 1
    /// It is dropped and counted; at QoS 0 nobody is told (section 3.3.5).
    | Drop = 2

/// The way of a PUBLISH of QoS 0 past the session: pure functions on the bytes themselves, which allocate nothing.
[<RequireQualifiedAccess>]
module QoS0 =

    /// Judges a PUBLISH of a client that is connected. Whatever is not plain goes through the session: QoS 1 and 2,
    /// RETAIN, a Topic Alias, a payload to be checked, and a Message Expiry Interval, which has to be counted down
    /// wherever a copy waits.
    [<CompiledName("Judge")>]
    let judge (settings: BrokerSettings) (view: inref<PublishView>) : PublishVerdict =
        if
            view.QoS <> QoS.AtMostOnce
            || view.Retain
            || view.TopicAliasAt >= 0
            || view.MessageExpiryAt >= 0
            || (settings.ChecksPayloadFormat && not view.Properties.IsEmpty)
        then
            PublishVerdict.Step
        elif TopicLimits.isRefused settings view.Topic then
            PublishVerdict.Drop
        else
            PublishVerdict.Forward

    /// True when the bytes of a PUBLISH that was judged <c>Forward</c> are the bytes that this target gets: QoS 0 stays
    /// QoS 0, RETAIN stays 0, and no Subscription Identifier is to be added.
    [<CompiledName("KeepsFrame")>]
    let keepsFrame (target: Target) : bool = target.Identifiers.IsEmpty
