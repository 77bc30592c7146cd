namespace Mqtt5

open System
open System.Text

/// Whom a grant is for.
[<RequireQualifiedAccess>]
type AccessSubject =
    /// Every client.
    | Everyone
    /// Clients without a User Name.
    | Anonymous
    /// Clients with this User Name.
    | User of Name: string
    /// The client with this Client Identifier.
    | Client of Name: string

/// What a grant is about.
[<Struct; RequireQualifiedAccess>]
type AccessScope =
    /// Publishing to a topic.
    | Publish
    /// Subscribing to a filter, and getting messages.
    | Subscribe
    /// Both.
    | All

/// One rule: who may, or may not, do what with which topics.
[<NoComparison>]
type AccessGrant =
    {
        /// Whom it is for.
        Subject: AccessSubject
        /// True: it allows. False: it denies, whatever other grants allow.
        Allows: bool
        /// What it is about.
        Scope: AccessScope
        /// A Topic Filter in which %c stands for the Client Identifier and %u for the User Name, each within a level.
        Pattern: string
    }

/// What a client wants to do.
[<RequireQualifiedAccess; NoComparison>]
type AccessRequest =
    /// Publish to a topic; the Will Topic is one.
    | Publish of Topic: TopicName
    /// Subscribe to a filter, shared or not.
    | Subscribe of Filter: TopicFilter
    /// Get a message of a topic.
    | Receive of Topic: TopicName

// A level of a pattern, after the names of a client were put in.
[<Struct; RequireQualifiedAccess>]
type internal AccessLevel =
    | Literal of Text: string
    | Single
    | Multi

[<NoComparison>]
type internal ClientGrant = { Allows: bool; Scope: AccessScope; Levels: AccessLevel[] }

/// The rules as they apply to one client. Immutable; made once a connection.
[<Sealed; AllowNullLiteral(false)>]
type ClientAccess internal (grants: ClientGrant[]) =
    member internal _.Grants = grants

    /// True when nothing that the client may subscribe to can hold a topic that it may not get, so that messages
    /// need no check of their own.
    member _.SubscriptionsSuffice =
        not (
            grants
            |> Array.exists (fun grant -> not grant.Allows && grant.Scope <> AccessScope.Publish)
        )

/// Who may do what, as data. What no grant allows is denied, and a grant that denies wins over all that allow.
[<RequireQualifiedAccess>]
module Access =

    // What a name becomes within a level. A name that holds a separator or a wildcard must not reach beyond its
    // level: a grant that allows is dropped, one that denies is taken to mean any level.
    let private levelOf (client: string) (user: string voption) (allows: bool) (level: string) =
        let usesClient = level.Contains("%c", StringComparison.Ordinal)
        let usesUser = level.Contains("%u", StringComparison.Ordinal)
        let isPlain (name: string) = name.Length > 0 && name.IndexOfAny [| '/'; '+'; '#' |] < 0

        match level with
        | "+" -> ValueSome AccessLevel.Single
        | "#" -> ValueSome AccessLevel.Multi
        | _ when not usesClient && not usesUser -> ValueSome(AccessLevel.Literal level)
        | _ ->
            let usable =
                (not usesClient || isPlain client)
                && (not usesUser || (user.IsSome && isPlain user.Value))

            if usable then
                let text = StringBuilder()
                let mutable at = 0

                // In one pass, so that a name that holds %u or %c is not looked into.
                while at < level.Length do
                    if level[at] = '%' && at + 1 < level.Length && level[at + 1] = 'c' then
                        text.Append client |> ignore
                        at <- at + 2
                    elif level[at] = '%' && at + 1 < level.Length && level[at + 1] = 'u' then
                        text.Append(ValueOption.defaultValue "" user) |> ignore
                        at <- at + 2
                    else
                        text.Append level[at] |> ignore
                        at <- at + 1

                ValueSome(AccessLevel.Literal(text.ToString()))
            elif allows then
                ValueNone
            else
                ValueSome AccessLevel.Single

    let private isFor client user subject =
        match subject with
        | AccessSubject.Everyone -> true
        | AccessSubject.Anonymous -> user = ValueNone
        | AccessSubject.User name -> user = ValueSome name
        | AccessSubject.Client name -> name = client

    /// The grants as they apply to a client with this Client Identifier and User Name.
    [<CompiledName("ForClient")>]
    let forClient
        (client: ClientId)
        (user: Utf8String voption)
        (grants: System.Collections.Generic.IEnumerable<AccessGrant>)
        : ClientAccess =
        let userText = user |> ValueOption.map (fun name -> name.Text)

        let applicable =
            grants
            |> Seq.filter (fun grant -> isFor client.Text userText grant.Subject)
            |> Seq.choose (fun grant ->
                let levels = grant.Pattern.Split '/' |> Array.map (levelOf client.Text userText grant.Allows)

                if levels |> Array.forall (fun level -> level.IsSome) then
                    Some
                        {
                            Allows = grant.Allows
                            Scope = grant.Scope
                            Levels = levels |> Array.map (fun level -> level.Value)
                        }
                else
                    None)

        ClientAccess(Seq.toArray applicable)

    let private opensWithWildcard (levels: AccessLevel[]) =
        match levels[0] with
        | AccessLevel.Literal _ -> false
        | AccessLevel.Single
        | AccessLevel.Multi -> true

    // Whether a pattern matches a topic, or, with wildcards among the levels, all topics that a filter matches.
    let private covers (pattern: AccessLevel[]) (levels: string[]) =
        let rec from index =
            if index = pattern.Length then
                index = levels.Length
            else
                match pattern[index] with
                | AccessLevel.Multi -> true
                | _ when index = levels.Length -> false
                | AccessLevel.Single -> levels[index] <> "#" && from (index + 1)
                | AccessLevel.Literal text -> levels[index] = text && from (index + 1)

        // [MQTT-4.7.2-1]
        let hidden = levels[0].StartsWith '$' && opensWithWildcard pattern
        not hidden && from 0

    let private isAbout (publishing: bool) scope =
        match scope with
        | AccessScope.All -> true
        | AccessScope.Publish -> publishing
        | AccessScope.Subscribe -> not publishing

    /// Whether the client may do that. A filter is allowed if one grant allows every topic that it matches; a grant
    /// that denies some of them counts when messages of those topics arrive.
    [<CompiledName("Decide")>]
    let decide (request: AccessRequest) (access: ClientAccess) : bool =
        let struct (publishing, text) =
            match request with
            | AccessRequest.Publish topic -> struct (true, topic.Text)
            | AccessRequest.Receive topic -> struct (false, topic.Text)
            | AccessRequest.Subscribe filter -> struct (false, Encoding.UTF8.GetString filter.Pattern.Span)

        let levels = text.Split '/'
        let mutable allowed = false
        let mutable denied = false

        for grant in access.Grants do
            if isAbout publishing grant.Scope && covers grant.Levels levels then
                if grant.Allows then allowed <- true else denied <- true

        allowed && not denied
