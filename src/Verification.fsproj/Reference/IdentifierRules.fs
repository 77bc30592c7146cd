namespace Mqtt5.Verification

open System.Collections.Generic
open Mqtt5

// Which Subscription Identifiers come with a message.
module internal IdentifierRules =

    // A message has come, or a copy of it.
    let note (session: NaiveSession) (message: Publication) (publish: Publish) : unit =
        let seen =
            match session.IdentifiersSeen.TryGetValue message.Number with
            | true, seen -> seen
            | _ ->
                let seen = HashSet<uint32>()
                session.IdentifiersSeen[message.Number] <- seen
                seen

        for identifier in publish.Properties.SubscriptionIdentifiers do
            seen.Add identifier |> ignore

    // A message has come in a version that has no identifiers, perhaps before it is known that the broker has it.
    let excuse (session: NaiveSession) (message: Publication) : unit =
        session.IdentifiersExcused.Add message.Number |> ignore
        session.IdentifiersDue.Remove message.Number |> ignore

    // The broker has a message that has to come for all of these subscriptions of a session.
    let expect (session: NaiveSession) (message: Publication) (subscriptions: NaiveSubscription[]) : unit =
        if
            subscriptions |> Array.exists _.Identifier.IsSome
            && not (session.IdentifiersExcused.Contains message.Number)
        then
            session.IdentifiersDue[message.Number] <- struct (message, subscriptions)

    // The subscriptions whose identifiers did not come, though the message did. In one copy or several: all that have come
    // together have the identifiers of all subscriptions [MQTT-3.3.4-4] [MQTT-3.3.4-5].
    let private without
        (session: NaiveSession)
        (message: Publication)
        (subscriptions: NaiveSubscription[])
        : NaiveSubscription[] =
        match session.IdentifiersSeen.TryGetValue message.Number with
        | true, seen ->
            subscriptions
            |> Array.filter (fun one ->
                one.Stage = SubscriptionStage.Certain
                && one.Identifier
                   |> ValueOption.exists (fun identifier -> not (seen.Contains identifier)))
        // That the message is missing is another matter.
        | _ -> [||]

    // Whether all identifiers of a message have come.
    let haveCome session message subscriptions : bool = (without session message subscriptions).Length = 0

    let missing
        violate
        (client: NaiveClient)
        (session: NaiveSession)
        (message: Publication)
        (subscriptions: NaiveSubscription[])
        : unit =
        for one in without session message subscriptions do
            violate
                client
                "MQTT-3.3.4-4"
                $"Subscription Identifier {one.Identifier.Value} of {one.Filter} with the message on {message.Topic}"
                "others only"
