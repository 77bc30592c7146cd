namespace Mqtt5.Verification

open Mqtt5

/// What a server said of itself in CONNACK, and how it is reached.
[<NoComparison>]
type ServerFacts =
    {
        /// The answer to a usual CONNECT.
        Connack: Connack
        /// Whether it is reached by WebSocket.
        IsWebSocket: bool
        /// Why clients cannot authenticate with SCRAM-SHA-256; absent: it is possible.
        LacksScram: string voption
        /// Why there are no clients of MQTT 5 besides; absent: there are.
        LacksVersion5: string voption
    }

/// Judges what a server has.
[<RequireQualifiedAccess>]
module ServerFacts =

    let private unlessSaid (value: bool voption) = ValueOption.defaultValue true value

    /// Why a probe that needs this cannot be run; absent: it can.
    [<CompiledName("Lacks")>]
    let lacks (facts: ServerFacts) (need: ProbeNeed) : string voption =
        let properties = facts.Connack.Properties
        let reason isThere text = if isThere then ValueNone else ValueSome text

        let maximumQoS = properties.MaximumQoS |> ValueOption.defaultValue QoS.ExactlyOnce

        match need with
        | QoS1 -> reason (maximumQoS >= QoS.AtLeastOnce) "CONNACK says Maximum QoS 0"
        | QoS2 -> reason (maximumQoS >= QoS.ExactlyOnce) "CONNACK says a Maximum QoS below 2"
        | Retain -> reason (unlessSaid properties.RetainAvailable) "CONNACK says that Retain is not available"
        | Wildcards ->
            reason
                (unlessSaid properties.WildcardSubscriptionAvailable)
                "CONNACK says that wildcard subscriptions are not available"
        | Shared ->
            reason
                (unlessSaid properties.SharedSubscriptionAvailable)
                "CONNACK says that shared subscriptions are not available"
        | SubscriptionIdentifiers ->
            reason
                (unlessSaid properties.SubscriptionIdentifierAvailable)
                "CONNACK says that Subscription Identifiers are not available"
        | TopicAliases ->
            reason
                (ValueOption.defaultValue 0us properties.TopicAliasMaximum > 0us)
                "CONNACK says no Topic Alias Maximum, so the server takes no Topic Aliases"
        | QoSLimit -> reason (maximumQoS < QoS.ExactlyOnce) "the server supports all QoS"
        | NoRetain ->
            reason (not (unlessSaid properties.RetainAvailable)) "the server supports retained messages"
        | WebSocket -> reason facts.IsWebSocket "no URL with ws:// was given"
        | Scram -> facts.LacksScram
        | Version5 -> facts.LacksVersion5
        | Unseen why -> ValueSome why
        | InFlight least ->
            reason
                (int (ValueOption.defaultValue System.UInt16.MaxValue properties.ReceiveMaximum)
                 >= least)
                $"CONNACK says a Receive Maximum below {least}"
