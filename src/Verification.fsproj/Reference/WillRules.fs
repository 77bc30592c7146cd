namespace Mqtt5.Verification

open System.Collections.Generic
open Mqtt5

// When the Will of a connection may be sent, and when it is canceled (3.1.2.5, 3.1.3.2.2 of MQTT 5).
[<RequireQualifiedAccess>]
module internal WillRules =

    // Whether the client has asked to go on with its session before the Will is due, and was not answered yet: whether
    // the broker took the CONNECT before that time, only its CONNACK tells, which may have been under way then.
    let mayBeCancelled (clients: Dictionary<string, NaiveClient>) (will: NaiveWill) =
        match clients.TryGetValue will.Message.Publisher with
        | true, client when not (isNull client.Latest) ->
            client.Latest.Connect.IsSome
            && not client.Latest.HasConnack
            && client.Latest.ConnectSent < will.Due
        | _ -> false

    // The Will of an earlier connection that a CONNECT makes due: the broker may take the session over, and publish the
    // Will, before the end of the earlier connection is seen. Null: there is none, or it was due already.
    let superseded (publications: Publications) (earlier: NaiveConnection) (connect: Connect) : Publication =
        if
            isNull earlier
            || earlier.IsLostByBroker
            || earlier.IsRefused
            || not (isNull earlier.WillTargets)
        then
            null
        else
            match earlier.Connect with
            | ValueSome { Will = ValueSome will } when
                connect.CleanStart
                || AnswerRules.expiryOf earlier = 0u<s>
                || ValueOption.defaultValue 0u<s> will.Properties.WillDelayInterval = 0u<s>
                ->
                publications.OfWill earlier.Connect.Value
            | _ -> null

    // The broker has read the DISCONNECT of a connection, which cancels its Will even if a later CONNECT seemed to make it
    // due before.
    let canceled (publications: Publications) (connection: NaiveConnection) : unit =
        if connection.DropsWill && not (isNull connection.WillTargets) then
            connection.WillTargets <- null
            let will = publications.OfWill connection.Connect.Value
            will.Dues.RemoveAt(will.Dues.Count - 1)

    // The earlier CONNECTs of this client that were not answered: each is on another connection, so the broker may take
    // it last, and then this connection is taken over by it.
    let private unansweredBefore (connection: NaiveConnection) : Connect seq =
        connection.Client.Connections.Values
        |> Seq.filter (fun other ->
            other.Number < connection.Number
            && not (other.HasConnack || other.IsLostByBroker))
        |> Seq.choose (fun other -> ValueOption.toOption other.Connect)

    // Whether an earlier CONNECT may be taken after this connection: it goes on with the session, and so cancels the Will.
    let mayBeResumedByEarlier (connection: NaiveConnection) =
        unansweredBefore connection
        |> Seq.exists (fun earlier -> not earlier.CleanStart)

    // The Will of this connection where an earlier CONNECT may take it over. Null: there is none, or the Will would wait.
    let overtaken (publications: Publications) (connection: NaiveConnection) : Publication =
        match connection.Connect with
        | ValueSome({ Will = ValueSome will } as connect) ->
            let isUndelayed =
                ValueOption.defaultValue 0u<s> will.Properties.WillDelayInterval = 0u<s>
                || AnswerRules.expiryBefore connection = 0u<s>

            if
                unansweredBefore connection
                |> Seq.exists (fun earlier -> earlier.CleanStart || isUndelayed)
            then
                publications.OfWill connect
            else
                null
        | _ -> null

    // A Will that waits is canceled by going on with the session, and due when the session ends.
    let settle (wills: List<NaiveWill>) (now: Instant) (connection: NaiveConnection) (present: bool) =
        for will in wills.ToArray() do
            if will.Message.Publisher = connection.Client.Name then
                if not present then
                    will.Due <- min will.Due connection.ConnectSent
                elif connection.ConnectSent < will.Due then
                    // Between CONNECT and CONNACK its time may have come.
                    if now < will.Due && will.UnansweredUntil <= connection.ConnectSent then
                        wills.Remove will |> ignore
                    else
                        will.IsRequired <- false
