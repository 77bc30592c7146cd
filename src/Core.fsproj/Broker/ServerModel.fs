namespace Mqtt5

/// What an authenticator made of a CONNECT or an AUTH.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type Judgement =
    /// The client is who it says it is: with enhanced authentication, the last data for it; and when this expires, if it does.
    | Accepted of Authentication: Authentication voption * Until: Instant voption
    /// The client has to answer this.
    | Continue of Authentication: Authentication
    /// It is refused, for this reason.
    | Refused of Reason: ReasonCode

/// The result of an authenticator of the application, in its own terms.
[<NoComparison; NoEquality>]
type AuthenticationResult =
    {
        /// Success, 0x18 to continue with enhanced authentication, or the reason code of the refusal.
        Reason: ReasonCode
        /// The Authentication Data for the client; absent: none.
        Data: System.Nullable<System.ReadOnlyMemory<byte>>
        /// The name that the client proved to have; null: none.
        UserName: string | null
        /// When what the client proved loses its validity, as a token does; absent: never.
        ExpiresAt: System.Nullable<Instant>
    }

/// Retained messages that are due to a session because it subscribed.
[<NoComparison; NoEquality>]
type RetainedDelivery =
    {
        /// The Topic Filter that was subscribed to.
        Filter: TopicFilter
        /// The QoS that was granted.
        GrantedQoS: QoS
        /// The Subscription Identifier.
        Identifier: uint32 voption
        /// Whether No Local was asked for.
        NoLocal: bool
    }

/// How far the retained messages of a subscription have been delivered. Compared by reference: another one in its
/// place means that another thread has continued with it, or that its subscription is gone.
[<NoComparison; ReferenceEquality>]
type RetainedCursor =
    {
        /// The subscription.
        Delivery: RetainedDelivery
        /// The topic of the last message that was dealt with; absent: none was.
        After: TopicName voption
        /// The retained messages as they were when the subscription was made, so that one that is retained meanwhile
        /// comes once. Absent once the session had no room: a client that does not read must not keep messages in
        /// memory that were replaced or removed since.
        Pinned: RetainedMessages<ServerMessage> voption
    }

/// How far a session came with the retained messages of its first cursor.
[<NoComparison; NoEquality>]
type RetainedProgress =
    {
        /// The cursor that it went on from.
        Cursor: RetainedCursor
        /// The topic of the last message that was dealt with; absent: none was.
        After: TopicName voption
        /// Whether all were.
        IsDone: bool
        /// Whether the session had no room for the next one.
        IsPaused: bool
    }

/// The answer of the registry to a SUBSCRIBE or an UNSUBSCRIBE.
[<NoComparison; NoEquality>]
type SubscriptionOutcome =
    {
        /// The SUBACK or the UNSUBACK.
        Answer: Packet
        /// The retained messages that are due, after the SUBACK.
        Retained: RetainedCursor[]
        /// The Topic Filters that are not subscribed to any more.
        Removed: TopicFilter[]
        /// Why filters were refused.
        Refused: Fault[]
    }

/// A connection that the registry admitted to a session.
[<NoComparison; NoEquality>]
type Attachment =
    {
        /// The number of the connection; later ones are higher.
        Connection: ConnectionId
        /// The version, and whether the client is a bridge.
        Protocol: Protocol
        /// The CONNECT.
        Connect: Connect
        /// Whether the Client Identifier was assigned by the server.
        Assigned: bool
        /// Whether the session existed before.
        SessionPresent: bool
        /// The last data of enhanced authentication.
        Authentication: Authentication voption
        /// The name that the client proved to have, or gave; absent: none.
        UserName: string voption
        /// When the authentication expires; absent: never.
        AuthenticatedUntil: Instant voption
    }

/// What happens to a session of a server. Events of a connection carry its number; those of one that is not the
/// session's any more are ignored.
[<Struct; RequireQualifiedAccess; NoComparison; NoEquality>]
type ServerEvent =
    /// A later connection, with this number, takes the session over. The effects are for the present connection.
    | TakeOver of Connection: ConnectionId
    /// A connection is attached. The effects are for this connection.
    | Attach of Attachment: Attachment
    /// A packet arrived.
    | Received of Connection: ConnectionId * Packet: Packet
    /// A PUBACK, PUBREC, PUBREL or PUBCOMP without properties arrived.
    | ReceivedAck of Connection: ConnectionId * Kind: PacketType * Id: uint16 * Reason: ReasonCode
    /// Bytes arrived that are no packet, or no allowed one.
    | ReceivedFault of Connection: ConnectionId * Fault: Fault
    /// PUBLISH packets arrive faster than the limit.
    | RateExceeded of Connection: ConnectionId
    /// The transport failed or was closed.
    | TransportClosed of Connection: ConnectionId * Cause: Cause
    /// A message for this session; by which shared subscription, if by one; and how many more bytes may wait in
    /// all sessions together.
    | Forward of Message: Outgoing * Shared: SharedDelivery voption * Spare: int64
    /// The client may not get messages of these topics any more: those that wait are dropped.
    | Withdraw of Topics: System.Collections.Generic.IReadOnlySet<string>
    /// A message that the client published and that was delivered under this token is dealt with.
    | Acknowledge of Token: DeliveryToken * Reason: ReasonCode
    /// The same, with properties for its PUBACK or PUBREC.
    | AcknowledgeWith of Token: DeliveryToken * Reason: ReasonCode * Properties: AcknowledgementProperties
    /// A message that this connection published and that was delivered under this token, if under one, is refused, which ends the
    /// connection. If the message comes again, it is judged again.
    | CloseFor of Connection: ConnectionId * Token: DeliveryToken * Fault: Fault
    /// What the registry answers to a SUBSCRIBE or an UNSUBSCRIBE of this connection.
    | Answered of Connection: ConnectionId * Outcome: SubscriptionOutcome
    /// Retained messages of the first cursor were dealt with.
    | RetainedAdvanced of Progress: RetainedProgress
    /// What the authenticator made of an AUTH.
    | Judged of Connection: ConnectionId * Judgement: Judgement
    /// The connection takes no more data for now, or takes it again.
    | Congested of Connection: ConnectionId * Stalled: bool
    /// The server ends the connection with this reason, and with the Server Reference if there is one.
    | Close of Reason: ReasonCode * Reference: Utf8String voption
    /// The registry ended the session; if it is connected, the client is told this reason.
    | End of Reason: ReasonCode
    /// Time has passed. <c>LastReceived</c> is when the last packet of the connection arrived as a whole.
    | Tick of LastReceived: Instant

/// What belongs to one connection of a session and is forgotten with it.
[<NoComparison; NoEquality>]
type ServerConnection =
    {
        /// What names it.
        Id: ConnectionId
        /// The version, and whether the client is a bridge.
        Protocol: Protocol
        /// How long nothing may arrive, in milliseconds: one and a half times the Keep Alive in force; 0: for ever.
        AllowedSilence: int64<ms>
        /// The largest packet that the client takes, in bytes.
        MaximumPacketBytes: int
        /// Whether the client wants Reason Strings and User Properties with failures.
        ProblemInformation: bool
        /// The Topic Aliases that the client has set.
        Aliases: InboundTopicAliases
        /// The Authentication Method of CONNECT.
        Method: Utf8String voption
        /// The name that the client proved to have, or gave; absent: none.
        UserName: string voption
        /// Whether a re-authentication is under way.
        Reauthenticating: bool
        /// Whether the authenticator is processing the last packet. Nothing is read meanwhile, so Keep Alive does not
        /// apply.
        IsJudging: bool
        /// When the authenticator last decided: nothing was read from the client before.
        JudgedAt: Instant
        /// When the authentication expires, unless the client authenticates again before; absent: never.
        AuthenticatedUntil: Instant voption
        /// The Session Expiry Interval of CONNECT, in seconds.
        AskedExpiry: uint32<s>
        /// The Session Expiry Interval in force, in seconds.
        SessionExpiry: uint32<s>
        /// The SUBSCRIBE and UNSUBSCRIBE packets that were not answered, by Packet Identifier: what answers each.
        Asked: PacketIdMap<PacketType>
        /// Whether the transport takes no more data for now.
        IsCongested: bool
    }

    /// The version in which everything is sent.
    member this.Version = this.Protocol.Version

/// What of a session is not the way of its messages, and which most messages do not change.
[<NoComparison; NoEquality>]
type ServerContext =
    {
        /// The number of the session, which subscriptions name it by. Not used again for another.
        Session: SessionId
        /// The client.
        ClientId: ClientId
        /// How the broker behaves.
        Settings: BrokerSettings
        /// What it holds keeps to: the greatest limits that it has had.
        Bounds: BrokerLimits
        /// The connection; absent: the client is away.
        Connection: ServerConnection voption
        /// The number of the latest connection.
        LatestConnection: ConnectionId
        /// The tickets of messages that came by a shared subscription, and what another member would need.
        Shared: Map<int64, SharedDelivery>
        /// The retained messages that are still due, those of the oldest subscription first.
        Retained: RetainedCursor[]
        /// Whether the session outlives the connection that it has, or had last: its Session Expiry Interval is not 0. A
        /// session that had no connection yet does not.
        IsKept: bool
        /// Whether the session has ended. Then nothing has an effect any more.
        IsOver: bool
    }

/// The state of a session of a server: the session itself, and its connection if there is one. Immutable;
/// <see cref="T:Mqtt5.ServerSessionModule"/> makes the next one.
///
/// What of it outlives the connection, and what a step changed of that, <see cref="T:Mqtt5.DurabilityModule"/> tells from
/// the states.
[<NoComparison; NoEquality>]
type ServerState =
    {
        /// The sending half.
        Outbound: Outbound
        /// The receiving half.
        Inbound: Inbound
        /// All else.
        Context: ServerContext
    }

    /// The number of the session, which subscriptions name it by. Not used again for another.
    member this.Session = this.Context.Session

    /// The client.
    member this.ClientId = this.Context.ClientId

    /// How the broker behaves.
    member this.Settings = this.Context.Settings

    /// The connection; absent: the client is away.
    member this.Connection = this.Context.Connection

    /// The number of the latest connection.
    member this.LatestConnection = this.Context.LatestConnection

    /// The tickets of messages that came by a shared subscription, and what another member would need.
    member this.Shared = this.Context.Shared

    /// The retained messages that are still due, those of the oldest subscription first.
    member this.Retained = this.Context.Retained

    /// Whether the session has ended. Then nothing has an effect any more.
    member this.IsOver = this.Context.IsOver

    /// True while the client is connected.
    member this.IsConnected = this.Context.Connection.IsSome

/// Makes and inspects states of a session.
[<RequireQualifiedAccess>]
module ServerState =

    /// A new session without a connection.
    [<CompiledName("Create")>]
    let create (session: SessionId) (client: ClientId) (settings: BrokerSettings) : ServerState =
        {
            Outbound = Outbound.empty
            Inbound = Inbound.empty
            Context =
                {
                    Session = session
                    ClientId = client
                    Settings = settings
                    Bounds = settings.Limits
                    Connection = ValueNone
                    LatestConnection = ConnectionId.None
                    Shared = Map.empty
                    Retained = [||]
                    IsKept = false
                    IsOver = false
                }
        }

    /// The settings of a session after the limits of the broker changed: while it has a connection, that keeps the limits
    /// that CONNACK announced.
    [<CompiledName("SettingsFor")>]
    let settingsFor (settings: BrokerSettings) (state: ServerState) : BrokerSettings =
        if not state.IsConnected then
            settings
        else
            let limits = BrokerLimits.announced state.Settings.Limits settings.Limits

            if obj.ReferenceEquals(limits, settings.Limits) then
                settings
            else
                { settings with Limits = limits }

    /// The session with other settings. What it holds beyond a lower limit stays, and nothing more is taken in until there
    /// is room.
    [<CompiledName("Configured")>]
    let configured (settings: BrokerSettings) (state: ServerState) : ServerState =
        if obj.ReferenceEquals(settings, state.Settings) then
            state
        else
            { state with
                Context.Settings = settings
                Context.Bounds = BrokerLimits.bounds state.Context.Bounds settings.Limits
            }

    /// What must hold of every state; gives the first breach. Meant for tests, simulation and assertions.
    [<CompiledName("Sound")>]
    let sound (state: ServerState) : string voption =
        let limits = state.Context.Bounds

        let own =
            if state.Outbound.IsOnline <> state.IsConnected then
                ValueSome "the sending half is online without a connection, or offline with one"
            elif state.IsOver && state.IsConnected then
                ValueSome "a session that is over has a connection"
            elif state.Outbound.WaitingBytes < 0L then
                ValueSome "the waiting bytes are negative"
            elif state.Outbound.Window > int limits.InFlightMessages then
                ValueSome "the window is larger than the limit of messages in flight"
            elif state.Outbound.Waiting.Count > limits.QueuedMessages then
                ValueSome "more messages wait than the limit"
            elif
                state.Outbound.HeldBytes > limits.QueuedBytes
                && (state.Outbound.InFlight.Count > 1 || not state.Outbound.Waiting.IsEmpty)
            then
                ValueSome "more bytes wait or are under way than the limit, and not for one message alone"
            else
                ValueNone

        match own, Outbound.sound state.Outbound, Inbound.sound state.Inbound with
        | ValueSome breach, _, _
        | ValueNone, ValueSome breach, _
        | ValueNone, ValueNone, ValueSome breach -> ValueSome breach
        | ValueNone, ValueNone, ValueNone -> ValueNone

    /// When the next <c>Tick</c> is due; absent: nothing depends on time. <c>lastReceived</c> is when the last packet
    /// of the connection arrived as a whole.
    [<CompiledName("Deadline")>]
    let deadline (lastReceived: Instant) (state: ServerState) : Instant voption =
        if state.IsOver then
            ValueNone
        else
            let ofConnection =
                match state.Connection with
                | ValueSome({ IsJudging = false } as connection) ->
                    let silence =
                        if connection.AllowedSilence > 0L<ms> then
                            ValueSome(max lastReceived connection.JudgedAt + connection.AllowedSilence)
                        else
                            ValueNone

                    Deadlines.sooner silence connection.AuthenticatedUntil
                | _ -> ValueNone

            Deadlines.sooner ofConnection state.Outbound.SoonestExpiry

    /// How many more bytes of messages the session may hold, those that wait and those under way together; negative
    /// where a message is under way that alone is larger.
    [<CompiledName("Room")>]
    let room (state: ServerState) : int64 = state.Settings.Limits.QueuedBytes - state.Outbound.HeldBytes

    /// What a session may have under way whatever all others hold, in bytes, where SendBufferBytes is not less.
    [<Literal>]
    let LeastInFlightBytes = 32_768L

    /// How many more bytes may be sent at once in messages of QoS 1 and 2. <c>spare</c> is how many more bytes all
    /// sessions together may hold. A small part does not depend on it, so that clients that do not acknowledge cannot use
    /// up what the others need.
    [<CompiledName("SendRoom")>]
    let sendRoom (spare: int64) (state: ServerState) : int64 =
        let least = min state.Settings.Limits.SendBufferBytes LeastInFlightBytes
        min (room state) (max spare (least - state.Outbound.InFlightBytes))

    /// How many messages are under way or waiting, for choosing among the members of a shared subscription.
    [<CompiledName("Load")>]
    let load (state: ServerState) : int = state.Outbound.InFlight.Count + state.Outbound.Waiting.Count

    /// What a message or a Packet Identifier takes in memory beside its content, in bytes.
    [<Literal>]
    let RecordBytes = 128L

    /// What the session counts for in the budget of all sessions, in bytes: the messages that wait or are under way, and the
    /// Packet Identifiers that its client has not released.
    [<CompiledName("HeldBytes")>]
    let heldBytes (state: ServerState) : int64 =
        state.Outbound.HeldBytes
        + RecordBytes * int64 (load state + state.Inbound.Held.Count)
