namespace Mqtt5

/// Where a client stands.
[<Struct; RequireQualifiedAccess>]
type ClientPhase =
    /// Nothing was asked for yet.
    | Idle
    /// A transport is being opened; given up at this time.
    | Opening of Until: Instant
    /// CONNECT was sent; given up at this time.
    | Connecting of Until: Instant
    /// A CONNACK of success arrived.
    | Connected
    /// The next attempt to connect begins at this time.
    | Waiting of Until: Instant
    /// The connection was ended by the application or given up. It can be started again.
    | Ended

/// A filter that the client is subscribed to, or wants to be.
[<NoComparison; NoEquality>]
type ActiveSubscription =
    {
        /// The filter with the options that were asked for.
        Subscription: Subscription
        /// The Subscription Identifier.
        Identifier: uint32 voption
        /// The User Properties of its SUBSCRIBE.
        UserProperties: UserProperties
        /// The subscribers that get its messages: the tickets of their SUBSCRIBE. None of them is left while the
        /// answer to another SUBSCRIBE for the filter decides whether it is unsubscribed from.
        Subscribers: Set<Ticket>
        /// The ticket of the SUBSCRIBE that asked last, by which filters are subscribed to together again.
        Owner: Ticket
    }

/// A SUBSCRIBE or an UNSUBSCRIBE that was not answered yet.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type ClientRequest =
    /// <c>GivenUp</c>: the filters that its subscriber does not want any more. <c>WasSent</c>: it was sent once, so
    /// that the server may have acted on it. <c>Again</c>: the client itself subscribes again after a session was lost.
    | Subscribe of Request: SubscribeRequest * GivenUp: Set<string> * WasSent: bool * Again: bool
    /// <c>Asked</c>: the filters of the request. <c>Sent</c>: those that go to the server, because no other
    /// subscriber of the client has them. <c>Abandoned</c>: the call does not wait for the answer.
    | Unsubscribe of
        Asked: TopicFilter[] *
        Sent: TopicFilter[] *
        UserProperties: UserProperties *
        Abandoned: bool

/// What a client knows of its subscriptions. Not session state: the server keeps that [MQTT-3.1.2-23].
[<NoComparison; NoEquality>]
type ClientSubscriptions =
    {
        /// The filters, by their text.
        Active: Map<string, ActiveSubscription>
        /// Which subscribers a message goes to, by its topic.
        Routes: Subscriptions<Ticket>
        /// How many times a filter is in requests to subscribe that were not answered.
        Pending: Map<string, int>
        /// The requests that were not answered, by ticket. Requests of the client itself have tickets below 0.
        Requests: Map<Ticket, ClientRequest>
        /// The tickets of those that were not sent, in order.
        Unsent: Fifo<Ticket>
        /// The ticket of the next request of the client itself.
        NextOwnTicket: Ticket
        /// The Subscription Identifier that was assigned last; 0: none was.
        LastIdentifier: uint32
        /// The greatest Subscription Identifier that was ever used; 0: none was.
        GreatestIdentifier: uint32
        /// The Subscription Identifiers under which the server may have a subscription that no subscriber has, by the text
        /// of its filter: until it has answered UNSUBSCRIBE with success, has another subscription for the filter, or has
        /// lost the session.
        HeldIdentifiers: Map<string, uint32>
        /// Whether the server may have subscriptions for this session that the application has not asked this client for.
        IsInherited: bool
        /// The filters of an inherited session that the application has given up, by their text.
        GivenUp: Map<string, TopicFilter>
        /// The messages that no subscription takes yet, with their tokens, in the order of arrival.
        Unclaimed: Fifo<struct (Publish * DeliveryToken)>
    }

/// What belongs to one connection of a client and is forgotten with it.
[<NoComparison; NoEquality>]
type ClientConnection =
    {
        /// What the server allows. Undefined before CONNACK.
        Limits: ServerLimits
        /// The Topic Aliases that the server has set.
        Aliases: InboundTopicAliases
        /// When the first PINGREQ was sent that is not answered; absent: all are.
        PingAsked: Instant voption
        /// When the transport took that PINGREQ; absent: it is not known to have.
        PingTaken: Instant voption
        /// Whether it was sent because the last one was given up on too late to tell whether its answer is here.
        IsAskedAgain: bool
        /// When the last PINGREQ was sent; absent: none was.
        PingSent: Instant voption
        /// When the connection was opened.
        OpenedAt: Instant
        /// Whether a message was acknowledged on it.
        HasServed: bool
        /// The Authentication Method of CONNECT.
        Method: Utf8String voption
        /// The ticket of the re-authentication under way; <c>Ticket.None</c>: none is; <c>Ticket.FirstOwn</c>: one is, but its
        /// call was abandoned.
        Reauthentication: Ticket
        /// Whether the authenticator was asked and has not answered yet.
        AnswerDue: bool
        /// Whether no session of an earlier connection can be there: CONNECT asked for a clean start, or, before MQTT 5, the
        /// connection before it discarded the session.
        CleanStart: bool
        /// Whether the connection serves only to discard an earlier session: MQTT 3.1.1 cannot ask for a new session that
        /// outlives its connection. It is closed once CONNACK is there.
        IsForDiscarding: bool
    }

/// What a client remembers from one attempt to connect to the next.
[<NoComparison; NoEquality>]
type ClientProgress =
    {
        /// How many attempts were made since the last connection.
        Attempts: int
        /// The state of the pseudo-random sequence that jitter is drawn from.
        Seed: uint64
        /// The index of the server to try.
        Server: int
        /// The Server Reference to follow instead.
        Reference: Utf8String voption
        /// The Client Identifier: the one of the settings, or the one that a server assigned.
        ClientId: ClientId voption
        /// Whether there was a connection before.
        WasConnected: bool
        /// Whether a CONNECT was sent since the last connection and its answer never came: the server may have made a
        /// new session then, of which the next CONNACK only says that it is there.
        SessionInDoubt: bool
        /// The ticket that waits for the first connection, or <c>Ticket.None</c>.
        StartTicket: Ticket
        /// How many connections in a row ended before they had done something.
        Futile: int
        /// How many connections in a row the server ended, with a reason that a message may have given it or, before MQTT 5,
        /// without one, before it had acknowledged a message.
        Refusals: int
        /// How many messages are sent one at a time, because one of them may be the reason.
        Careful: int
        /// The version of the connection, or of the next one.
        Version: ProtocolVersion
        /// Whether a server has accepted or refused a version, so that a connection closed early does not change it.
        IsVersionKnown: bool
        /// Whether the last connection discarded the earlier session, so that the next one begins a new session.
        HasDiscarded: bool
    }

/// What of a client is not the way of its messages, and which most messages do not change.
[<NoComparison; NoEquality>]
type ClientContext =
    {
        /// How the client behaves.
        Settings: ClientSettings
        /// Where it stands.
        Phase: ClientPhase
        /// Its connection.
        Connection: ClientConnection
        /// Its subscriptions.
        Subscriptions: ClientSubscriptions
        /// Its attempts to connect.
        Progress: ClientProgress
    }

/// The state of a client. Immutable; <see cref="T:Mqtt5.ClientSessionModule"/> makes the next one.
[<NoComparison; NoEquality>]
type ClientState =
    {
        /// The sending half of its session.
        Outbound: Outbound
        /// The receiving half of its session.
        Inbound: Inbound
        /// All else.
        Context: ClientContext
    }

    /// How the client behaves.
    member this.Settings = this.Context.Settings

    /// Where it stands.
    member this.Phase = this.Context.Phase

    /// Its connection.
    member this.Connection = this.Context.Connection

    /// Its subscriptions.
    member this.Subscriptions = this.Context.Subscriptions

    /// Its attempts to connect.
    member this.Progress = this.Context.Progress

    /// The version of its connection, or of the next one.
    member this.Version = this.Context.Progress.Version

    /// True between a CONNACK of success and the end of the connection.
    member this.IsConnected = this.Context.Phase.IsConnected

/// Makes and inspects states of a client.
[<RequireQualifiedAccess>]
module ClientState =

    let private noConnection (settings: ClientSettings) : ClientConnection =
        {
            Limits =
                ServerLimits.Of(
                    settings,
                    settings.Version.First,
                    {
                        SessionPresent = false
                        Reason = ReasonCode.Success
                        Properties = ConnackProperties.Empty
                    }
                )
            Aliases = InboundTopicAliases.Empty(ServerToClient, 0us)
            PingAsked = ValueNone
            PingTaken = ValueNone
            IsAskedAgain = false
            PingSent = ValueNone
            OpenedAt = 0L<ms>
            HasServed = false
            Method = ValueNone
            Reauthentication = Ticket.None
            AnswerDue = false
            CleanStart = false
            IsForDiscarding = false
        }

    /// A client that has done nothing yet. The seed makes the jitter of its backoff; the hash seed protects its
    /// look-up of topics.
    [<CompiledName("Create")>]
    let create (seed: uint64) (hashSeed: HashSeed) (settings: ClientSettings) : ClientState =
        {
            Outbound = Outbound.empty
            Inbound = Inbound.empty
            Context =
                {
                    Settings = settings
                    Phase = ClientPhase.Idle
                    Connection = noConnection settings
                    Subscriptions =
                        {
                            Active = Map.empty
                            Routes = Subscriptions.empty hashSeed
                            Pending = Map.empty
                            Requests = Map.empty
                            Unsent = Fifo.empty
                            NextOwnTicket = Ticket.FirstOwn
                            LastIdentifier = 0u
                            GreatestIdentifier = 0u
                            HeldIdentifiers = Map.empty
                            IsInherited = false
                            GivenUp = Map.empty
                            Unclaimed = Fifo.empty
                        }
                    Progress =
                        {
                            Attempts = 0
                            Seed = seed
                            Server = 0
                            Reference = ValueNone
                            ClientId = settings.ClientId
                            WasConnected = false
                            SessionInDoubt = false
                            StartTicket = Ticket.None
                            Futile = 0
                            Refusals = 0
                            Careful = 0
                            Version = settings.Version.First
                            IsVersionKnown = false
                            HasDiscarded = false
                        }
                }
        }

    /// The connection that an attempt begins with.
    let internal newConnection (settings: ClientSettings) cleanStart : ClientConnection =
        let maximum = settings.Properties.TopicAliasMaximum |> ValueOption.defaultValue 0us

        { noConnection settings with
            Aliases = InboundTopicAliases.Empty(ServerToClient, maximum)
            CleanStart = cleanStart
        }

    let private pendingOf (subscriptions: ClientSubscriptions) =
        let mutable pending = Map.empty

        for request in subscriptions.Requests.Values do
            match request with
            | ClientRequest.Subscribe(request, givenUp, _, false) ->
                for one in request.Subscriptions do
                    if not (givenUp.Contains one.Filter.Text) then
                        let count = Map.tryFind one.Filter.Text pending |> Option.defaultValue 0
                        pending <- pending.Add(one.Filter.Text, count + 1)
            | _ -> ()

        pending

    let private subscriptionBreach (subscriptions: ClientSubscriptions) =
        if pendingOf subscriptions <> subscriptions.Pending then
            ValueSome "the pending filters are not those of the requests"
        elif
            subscriptions.Active
            |> Map.exists (fun key active ->
                active.Subscribers.IsEmpty && not (subscriptions.Pending.ContainsKey key))
        then
            ValueSome "a filter is active that has no subscriber"
        else
            ValueNone

    /// What must hold of every state; gives the first breach. Meant for tests, simulation and assertions.
    [<CompiledName("Sound")>]
    let sound (state: ClientState) : string voption =
        let own =
            if state.Outbound.IsOnline <> state.IsConnected then
                ValueSome "the sending half is online without a connection, or offline with one"
            elif
                state.Phase.IsEnded
                && not (Map.isEmpty state.Subscriptions.Requests && state.Outbound.Waiting.IsEmpty)
            then
                ValueSome "a client that has ended has requests that wait"
            elif
                not state.IsConnected
                && (not state.Connection.Reauthentication.IsNone
                    || state.Connection.PingAsked.IsSome)
            then
                ValueSome "something of a connection outlived it"
            elif state.IsConnected && not state.Progress.StartTicket.IsNone then
                ValueSome "a connection is open and its ticket is not settled"
            elif not (state.Subscriptions.IsInherited || state.Subscriptions.Unclaimed.IsEmpty) then
                ValueSome "messages wait for subscriptions in a session that is not inherited"
            else
                subscriptionBreach state.Subscriptions

        match own, Outbound.sound state.Outbound, Inbound.sound state.Inbound with
        | ValueSome breach, _, _
        | ValueNone, ValueSome breach, _
        | ValueNone, ValueNone, ValueSome breach -> ValueSome breach
        | ValueNone, ValueNone, ValueNone -> ValueNone

    let private keepAlive (connection: ClientConnection) : int64<ms> voption =
        match connection.Limits.KeepAlive with
        | 0us<s> -> ValueNone
        | seconds -> ValueSome(int64 seconds * 1_000L<ms>)

    // When PINGREQ is due: three quarters of the Keep Alive after the last bytes were sent, so that it is through before
    // the whole of it, and the whole of it after the last bytes were received, since what is sent says nothing of the
    // server. A transport that takes no bytes delays the last packet sent, not the next PINGREQ.
    let internal pingDue (traffic: Traffic) (connection: ClientConnection) : Instant voption =
        let since time =
            match connection.PingSent with
            | ValueSome sent -> max sent time
            | ValueNone -> time

        match keepAlive connection with
        | ValueNone -> ValueNone
        | ValueSome interval ->
            ValueSome(
                min (since traffic.LastSent + interval * 3L / 4L) (since traffic.LastReceived + interval)
            )

    // When the transport took the first PINGREQ that is not answered.
    let internal pingTaken (traffic: Traffic) (connection: ClientConnection) : Instant voption =
        match connection.PingAsked, connection.PingTaken with
        | ValueSome asked, ValueNone when traffic.LastPing >= asked -> ValueSome traffic.LastPing
        | _, taken -> taken

    // When the server is given up, if nothing more comes. The time runs from when PINGREQ is on its way. Until then
    // bytes that the transport takes show that it still works; from then on only what is received does.
    let internal pingDeadline timeout (traffic: Traffic) (connection: ClientConnection) : Instant voption =
        match connection.PingAsked, pingTaken traffic connection with
        | ValueNone, _ -> ValueNone
        | ValueSome _, ValueSome taken -> ValueSome(max taken traffic.LastReceived + timeout)
        | ValueSome asked, ValueNone ->
            ValueSome(max (max asked traffic.LastSent) traffic.LastReceived + timeout)

    /// When the next <c>Tick</c> is due; absent: nothing depends on time. Traffic moves it, so ask again when it has come.
    [<CompiledName("Deadline")>]
    let deadline (traffic: Traffic) (state: ClientState) : Instant voption =
        let phase =
            match state.Phase with
            | ClientPhase.Idle
            | ClientPhase.Ended -> ValueNone
            | ClientPhase.Opening until
            | ClientPhase.Connecting until
            | ClientPhase.Waiting until -> ValueSome until
            | ClientPhase.Connected ->
                Deadlines.sooner
                    (pingDeadline state.Settings.PingTimeout traffic state.Connection)
                    (pingDue traffic state.Connection)

        Deadlines.sooner phase state.Outbound.SoonestExpiry
