/// A broker as one would write it on a napkin: dictionaries and lists, told what happened, saying what has to arrive.
module Mqtt5.Tests.BrokerReference

open System.Collections.Generic
open Mqtt5

type NaiveSubscription = { Filter: TopicFilter; Options: SubscriptionOptions; Identifier: uint32 }

/// A copy that has to arrive at a session, or may.
type Expected =
    {
        Payload: string
        Topic: string
        Published: QoS
        QoS: QoS
        Retain: bool
        Identifiers: uint32 list
        /// False at QoS 0, which may be lost.
        Certain: bool
        /// From a subscription, not from routing.
        IsRetained: bool
    }

/// A message of a shared subscription: one of its members has to get it.
type ExpectedShared =
    {
        SharedPayload: string
        SharedTopic: string
        SharedPublished: QoS
        GroupFilter: string
        /// Whether a member was always left, so that it cannot have been lost.
        mutable Unbroken: bool
        /// Whether all members that there were have a granted QoS above 0.
        mutable AllGranted: bool
    }

/// Whether an access grant speaks of a topic, without placeholders.
let private grantMatches (grant: AccessGrant) (topic: string) =
    Topic.matches (TopicFilter.Of grant.Pattern) (TopicName.Of topic)

/// Whether a client may publish to a topic, or get its messages.
let allowed (grants: AccessGrant[]) (publishing: bool) (client: string) (topic: string) =
    let about =
        grants
        |> Array.filter (fun grant ->
            (grant.Subject = AccessSubject.Everyone
             || grant.Subject = AccessSubject.Anonymous
             || grant.Subject = AccessSubject.Client client)
            && (match grant.Scope with
                | AccessScope.All -> true
                | AccessScope.Publish -> publishing
                | AccessScope.Subscribe -> not publishing)
            && grantMatches grant topic)

    about |> Array.exists (fun grant -> grant.Allows)
    && not (about |> Array.exists (fun grant -> not grant.Allows))

type Reference(grants: AccessGrant[]) =
    let clients = Dictionary<SessionId, string>()
    let subscriptions = Dictionary<SessionId, List<NaiveSubscription>>()
    let retained = Dictionary<string, string * QoS * string>()
    let expected = Dictionary<SessionId, List<Expected>>()
    let shared = List<ExpectedShared>()

    /// Who subscribed with each identifier: every subscription has one of its own.
    let owners = Dictionary<uint32, SessionId * TopicFilter>()
    let accepted = Dictionary<string, int>()

    member _.Clients = clients
    member _.Shared = shared
    member _.Owners = owners
    member _.Accepted = accepted
    member _.Expected(session: SessionId) = expected[session]

    member private _.Members(filter: string) =
        [
            for KeyValue(session, list) in subscriptions do
                for subscription in list do
                    if subscription.Filter.Text = filter then
                        session, subscription
        ]

    member private this.CheckGroups() =
        for message in shared do
            let members = this.Members message.GroupFilter

            if members.IsEmpty then
                message.Unbroken <- false

            if members |> List.exists (fun (_, one) -> one.Options.MaximumQoS = QoS.AtMostOnce) then
                message.AllGranted <- false

    member _.Began(session: SessionId, client: string) =
        clients[session] <- client
        subscriptions[session] <- List()
        expected[session] <- List()

    member this.Ended(session: SessionId) =
        subscriptions.Remove session |> ignore
        this.CheckGroups()

    member this.Subscribed(session: SessionId, request: Subscribe, codes: ReasonCode list) =
        let list = subscriptions[session]
        let identifier = request.Properties.SubscriptionIdentifier.Value

        for subscription, code in Seq.zip request.Subscriptions codes do
            if byte code < 0x80uy then
                let isNew = list.RemoveAll(fun known -> known.Filter.Equals subscription.Filter) = 0

                let options =
                    { subscription.Options with MaximumQoS = LanguagePrimitives.EnumOfValue(byte code) }

                list.Add { Filter = subscription.Filter; Options = options; Identifier = identifier }

                owners[identifier] <- (session, subscription.Filter)

                let sends =
                    match options.RetainHandling with
                    | RetainHandling.SendAtSubscribe -> true
                    | RetainHandling.SendIfNew -> isNew
                    | _ -> false

                if sends && not subscription.Filter.IsShared then
                    for KeyValue(topic, (payload, qos, publisher)) in retained do
                        if
                            Topic.matches subscription.Filter (TopicName.Of topic)
                            && allowed grants false clients[session] topic
                            && not (options.NoLocal && publisher = clients[session])
                        then
                            let copy = min qos options.MaximumQoS

                            expected[session].Add
                                {
                                    Payload = payload
                                    Topic = topic
                                    Published = qos
                                    QoS = copy
                                    Retain = true
                                    Identifiers = [ identifier ]
                                    Certain = copy > QoS.AtMostOnce
                                    IsRetained = true
                                }

        this.CheckGroups()

    /// Retained messages that had not been delivered need not be any more [MQTT-3.10.4-2].
    member this.Unsubscribed(session: SessionId, request: Unsubscribe, cut: uint32 list) =
        let messages = expected[session]

        for index in 0 .. messages.Count - 1 do
            let message = messages[index]

            if
                message.IsRetained
                && message.Identifiers |> List.exists (fun one -> List.contains one cut)
            then
                messages[index] <- { message with Certain = false }

        for filter in request.Filters do
            subscriptions[session].RemoveAll(fun known -> known.Filter.Equals filter)
            |> ignore

        this.CheckGroups()

    member _.Accept(publisher: SessionId, topic: string, payload: string, qos: QoS, retain: bool) =
        accepted[payload] <-
            1
            + (match accepted.TryGetValue payload with
               | true, count -> count
               | _ -> 0)

        if retain then
            if payload = "" then
                retained.Remove topic |> ignore
            else
                retained[topic] <- (payload, qos, clients[publisher])

        let name = TopicName.Of topic
        let groups = HashSet<string>()

        for KeyValue(session, list) in subscriptions do
            if allowed grants false clients[session] topic then
                let own =
                    [
                        for subscription in list do
                            if
                                not subscription.Filter.IsShared
                                && Topic.matches subscription.Filter name
                                && not (subscription.Options.NoLocal && session = publisher)
                            then
                                subscription
                    ]

                if not own.IsEmpty then
                    let granted = own |> List.map (fun one -> one.Options.MaximumQoS) |> List.max
                    let copy = min granted qos

                    expected[session].Add
                        {
                            Payload = payload
                            Topic = topic
                            Published = qos
                            QoS = copy
                            Retain = retain && own |> List.exists (fun one -> one.Options.RetainAsPublished)
                            Identifiers = own |> List.map (fun one -> one.Identifier) |> List.sort
                            Certain = copy > QoS.AtMostOnce
                            IsRetained = false
                        }

            for subscription in list do
                if subscription.Filter.IsShared && Topic.matches subscription.Filter name then
                    groups.Add subscription.Filter.Text |> ignore

        for filter in groups do
            let all =
                subscriptions.Values
                |> Seq.collect id
                |> Seq.filter (fun one -> one.Filter.Text = filter)

            shared.Add
                {
                    SharedPayload = payload
                    SharedTopic = topic
                    SharedPublished = qos
                    GroupFilter = filter
                    Unbroken = true
                    AllGranted = all |> Seq.forall (fun one -> one.Options.MaximumQoS > QoS.AtMostOnce)
                }
