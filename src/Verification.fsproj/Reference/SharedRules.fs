namespace Mqtt5.Verification

open System.Collections.Generic
open Mqtt5

// What members of shared subscriptions get.
module internal SharedRules =

    let private finishFilter
        (violate: NaiveClient -> string -> string -> string -> unit)
        (clientOf: string -> NaiveClient)
        (endedBefore: Instant)
        (restartedAt: Instant)
        (sessions: List<NaiveSession>)
        (publications: Publications)
        (filter: string)
        =
        let isHere (session: NaiveSession) = session.IsAlive && (clientOf session.Client).IsConnected

        // One whose client is away may have messages that wait.
        let mayHold (session: NaiveSession) =
            session.IsAlive && session.EndsAt > endedBefore && not (isHere session)

        let subscriptionsOf (session: NaiveSession) =
            session.Subscriptions.FindAll(fun one -> one.Filter = filter)

        let members = sessions.FindAll(fun one -> (subscriptionsOf one).Count > 0)
        let all = members |> Seq.collect subscriptionsOf |> Seq.toArray

        // One that was never answered may have been granted nevertheless.
        let takesQoS1 (one: NaiveSubscription) = min one.Granted one.Options.MaximumQoS > QoS.AtMostOnce

        if Array.forall takesQoS1 all && not (members.Exists mayHold) then
            let stays (message: Publication) (session: NaiveSession) =
                isHere session
                && (subscriptionsOf session)
                    .Exists(fun one ->
                        one.Stage = SubscriptionStage.Certain && one.GrantedAt < message.FirstSent)

            for message in publications.All do
                if
                    message.QoS = QoS.AtLeastOnce
                    && message.AcceptedAt.IsSome
                    && message.FirstSent > restartedAt
                    && not message.IsWill
                    && not message.MayExpire
                    && NaiveTopics.matches all[0].Levels message.Levels
                    && members.TrueForAll(fun one -> one.AlwaysTook message && one.CountOf message = 0)
                then
                    match members.Find(stays message) with
                    | null -> ()
                    | session ->
                        violate
                            (clientOf session.Client)
                            "4.8.2"
                            $"the message on {message.Topic} of {message.Publisher}, number {message.Order}, at a member of {filter}"
                            "it never came"

    // A message of QoS 1 for a shared subscription reaches one of its members, although sessions of others ended, where one
    // of them has stayed and no session of a client that is away may have it (section 4.8.2).
    let finish violate clientOf endedBefore restartedAt (sessions: List<NaiveSession>) publications : unit =
        sessions
        |> Seq.collect _.Subscriptions
        |> Seq.filter _.IsShared
        |> Seq.map _.Filter
        |> Seq.distinct
        |> Seq.iter (finishFilter violate clientOf endedBefore restartedAt sessions publications)
