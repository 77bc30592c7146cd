namespace Mqtt5

open System
open System.Collections.Generic

// Permissions for a session with subscriptions that they would not allow: a message needs the right to subscribe to its
// topic as well, so that such a subscription gives nothing that a new one would not.
[<Sealed; AllowNullLiteral(false)>]
type internal StrictPermissions(permissions: ClientPermissions) =
    inherit ClientPermissions()

    override _.MayPublish topic = permissions.MayPublish topic
    override _.MaySubscribe filter = permissions.MaySubscribe filter

    override _.MayReceive topic =
        permissions.MayReceive topic
        && match TopicFilter.Create topic.Text with
           | Ok filter -> permissions.MaySubscribe filter
           // Such as $share: nothing can be subscribed to that matches it alone.
           | Error _ -> false

// What a session has from before is judged by the permissions of the connection that takes it: its subscriptions, and the
// messages that wait. Those under way were sent to the same client already, and have to be completed [MQTT-4.4.0-1].
[<RequireQualifiedAccess>]
module internal NodeJudging =

    let private allowsAll (turn: Turn) (session: NodeSession) (permissions: ClientPermissions) =
        Broker.filtersOf session.Id turn.Host.Broker
        |> Seq.forall (fun (KeyValue(_, filter)) -> permissions.MaySubscribe filter)

    // Topics of waiting messages, each once, that the client may not get.
    let private refusedTopics (session: NodeSession) (permissions: ClientPermissions) =
        let judged = HashSet<string>(StringComparer.Ordinal)
        let refused = HashSet<string>(StringComparer.Ordinal)

        for message in session.State.Outbound.Waiting do
            if judged.Add message.Topic.Text && not (permissions.MayReceive message.Topic) then
                refused.Add message.Topic.Text |> ignore

        refused

    // For a client that may not be here any more.
    let private nothing =
        { new ClientPermissions() with
            member _.MayPublish _ = false
            member _.MaySubscribe _ = false
            member _.MayReceive _ = false
        }

    let private effectiveOf turn session (permissions: ClientPermissions) : ClientPermissions =
        if allowsAll turn session permissions then
            permissions
        else
            StrictPermissions permissions

    let private withdraw turn session permissions =
        let refused = refusedTopics session permissions

        if refused.Count > 0 then
            NodeSteps.step turn session (ServerEvent.Withdraw refused)
            NodeTasks.drain turn

    /// Judges what a session has by these permissions, and gives those that it has from now on. Messages that arrive
    /// meanwhile are judged by them already.
    let inherited
        (turn: Turn)
        (session: NodeSession)
        (permissions: ClientPermissions | null)
        : ClientPermissions | null =
        match permissions with
        | null -> null
        | permissions ->
            let effective = effectiveOf turn session permissions
            session.Enter()

            try
                session.Permissions <- effective
            finally
                session.Exit()

            withdraw turn session effective
            effective

    // Gives the session the permissions of a re-authentication, unless a later connection has taken it.
    let private renew
        (turn: Turn)
        (connection: NodeConnection)
        (session: NodeSession)
        (permissions: ClientPermissions | null)
        : unit =
        let effective: ClientPermissions | null =
            match permissions with
            | null -> null
            | permissions -> effectiveOf turn session permissions

        session.Enter()

        let isPresent =
            try
                match session.State.Connection with
                | ValueSome current when current.Id = connection.Id ->
                    session.Permissions <- effective
                    true
                | _ -> false
            finally
                session.Exit()

        match effective with
        | null -> ()
        | effective ->
            if isPresent then
                withdraw turn session effective

    /// A re-authentication that succeeded has the permissions asked for again, before the client learns of it: what it proved
    /// may allow more or less than before. A client that is permitted nothing is refused.
    let authorizedAgain
        (turn: Turn)
        (connection: NodeConnection)
        (session: NodeSession)
        (current: ServerConnection)
        (judgement: Judgement)
        : Judgement =
        match judgement with
        | Judgement.Accepted _ when current.Reauthenticating ->
            let mutable permissions: ClientPermissions | null = null

            let user: string | null =
                match current.UserName with
                | ValueSome name -> name
                | ValueNone -> null

            match turn.Host.Authorize(connection, session.State.ClientId, user, &permissions) with
            | null ->
                renew turn connection session permissions
                judgement
            | fault -> Judgement.Refused fault.Reason
        | _ -> judgement

    /// Authorizes a session that was restored, before it can be the target of a message: its client has the permissions
    /// that it would have if it connected now. One that would be refused gets nothing.
    let authorizeRestored (turn: Turn) (session: NodeSession) (owner: string voption) : unit =
        let mutable permissions: ClientPermissions | null = null

        let user: string | null =
            match owner with
            | ValueSome name -> name
            | ValueNone -> null

        match turn.Host.Authorize(null, session.State.ClientId, user, &permissions) with
        | null -> session.Permissions <- inherited turn session permissions
        | _ -> session.Permissions <- nothing
