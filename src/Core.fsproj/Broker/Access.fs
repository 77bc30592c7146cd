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
        /// A Topic Filter in which %c stands for the Client Identifier, %u for the User Name, each within a level, and %%
        /// for a percent sign. Anything else behind a percent sign makes the pattern one that allows nothing.
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

    // A level with the names put in, in one pass, so that a name that holds %u or %c is not looked into. None where it
    // asks for a name that there is not, or for something unknown.
    let private substitute (client: string) (user: string voption) (level: string) =
        let text = StringBuilder()
        let mutable at = 0
        let mutable isKnown = true

        let name (value: string) =
            // A name that holds a separator or a wildcard would reach beyond its level.
            isKnown <- isKnown && value.Length > 0 && value.IndexOfAny [| '/'; '+'; '#' |] < 0
            text.Append value |> ignore

        while at < level.Length do
            if level[at] <> '%' then
                text.Append level[at] |> ignore
                at <- at + 1
            else
                match if at + 1 < level.Length then level[at + 1] else ' ' with
                | 'c' -> name client
                | 'u' -> name (ValueOption.defaultValue "" user)
                | '%' -> text.Append '%' |> ignore
                | _ -> isKnown <- false

                at <- at + 2

        if isKnown then ValueSome(text.ToString()) else ValueNone

    // What a level of a pattern means for a client. Where its names cannot be put in, a grant that allows is dropped and one
    // that denies is taken to mean any level. A name must not make a first level that begins with $, where the topics of
    // the server are [MQTT-4.7.2-1] [MQTT3-4.7.2-1]: rules for those say so themselves.
    let private levelOf client user allows index (level: string) =
        match level with
        | "+" -> ValueSome AccessLevel.Single
        | "#" -> ValueSome AccessLevel.Multi
        | _ when not (level.Contains '%') -> ValueSome(AccessLevel.Literal level)
        | _ ->
            match substitute client user level with
            | ValueSome text when allows && index = 0 && text.StartsWith '$' -> ValueNone
            | ValueSome text -> ValueSome(AccessLevel.Literal text)
            | ValueNone when allows -> ValueNone
            | ValueNone -> ValueSome AccessLevel.Single

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
                let levels =
                    grant.Pattern.Split '/'
                    |> Array.mapi (levelOf client.Text userText grant.Allows)


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
