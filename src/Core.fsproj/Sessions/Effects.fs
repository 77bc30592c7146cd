namespace Mqtt5

/// The parts of a shell that can fail.
[<Struct; RequireQualifiedAccess>]
type FailedPart =
    /// The transport.
    | Transport
    /// The authenticator of the application, or what gives its credentials.
    | Authenticator

/// A failure in a shell.
[<NoComparison; NoEquality>]
type Failure =
    {
        /// The part that failed.
        Part: FailedPart
        /// The reason, as text for people.
        Detail: string
        /// What the shell caught. It means nothing to a machine, which gives it back with the cause.
        Origin: obj | null
    }

/// Why a connection ended, or why an attempt to connect failed.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type Cause =
    /// Something of the shell failed.
    | Failed of Failure: Failure
    /// The application asked for it.
    | ByApplication
    /// The peer sent a DISCONNECT.
    | ByPeer of Outcome: Outcome<DisconnectProperties>
    /// The server answered CONNECT with a reason code of failure.
    | Refused of Connack: Connack
    /// A rule was broken.
    | Broken of Fault: Fault
    /// The transport failed or was closed without a DISCONNECT; the text is for people.
    | TransportFailed of Detail: string
    /// No CONNACK came in time.
    | ConnectTimeout
    /// No PINGRESP came in time.
    | PingTimeout
    /// The authenticator of the application gave up; the text is for people.
    | AuthenticationFailed of Detail: string

/// What became of a request of the application.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type Settlement =
    /// The connection is open.
    | Connected of Connack: Connack
    /// A message was answered with more than a reason code, or with a failure.
    | Published of Reason: ReasonCode * Properties: AcknowledgementProperties
    /// A SUBSCRIBE or an UNSUBSCRIBE was answered.
    | Answered of Answer: SubscriptionAcknowledgement
    /// A re-authentication succeeded.
    | Authenticated of Auth: Auth
    /// The request breaks a rule or a limit that the server announced, and was not sent; or each of several connections to a
    /// server before MQTT 5 was closed after the message had been sent, and it is not sent again.
    | Rejected of Fault: Fault
    /// The message expired before it was sent.
    | Expired
    /// The caller cancelled it. A message that was already sent may still arrive.
    | Cancelled
    /// The queue for messages that wait was full.
    | QueueFull
    /// The connection ended for good, or the request cannot outlive it.
    | Ended of Cause: Cause

/// What the application may want to know without having asked.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type Notice =
    /// An attempt to connect begins, the nth in a row, counted from 1. <c>Retry</c> counts those that follow a
    /// connection or an attempt that ended, from 1; 0: none did since the client was started.
    | Connecting of Attempt: int * Retry: int
    /// The connection is open. <c>Again</c> tells whether it is not the first.
    | Connected of Connack: Connack * Again: bool
    /// The connection ended or an attempt failed; the next attempt comes after this time.
    | Reconnecting of Cause: Cause * Delay: int64<ms>
    /// The connection ended and no attempt follows.
    | Closed of Cause: Cause
    /// After a session was lost, a filter was subscribed to again with this outcome.
    | Resubscribed of Filter: TopicFilter * Reason: ReasonCode
    /// A message was dropped unsent at a resume, because limits of the new connection forbid it.
    | Undeliverable of Message: Outgoing * Fault: Fault
    /// A message was received that no subscription takes, and it waits until one does.
    | Unclaimed of Publish: Publish
    /// A message was received that no subscription takes, and it was dropped.
    | DroppedUnclaimed of Publish: Publish

/// How a connection of a client to a server ended, as far as its session and its Will depend on it.
[<NoComparison; NoEquality>]
type ConnectionEnd =
    {
        /// The number of the connection.
        Connection: ConnectionId
        /// Whether the Will Message stays due: there was no DISCONNECT with 0x00 from the client.
        KeepsWill: bool
        /// The Session Expiry Interval in force, in seconds.
        SessionExpiry: uint32<s>
        /// Why it ended.
        Cause: Cause
    }

/// What a message that came by a shared subscription needs to be given to another member of it.
[<NoComparison>]
type SharedDelivery =
    {
        /// The Topic Filter of the shared subscription.
        Filter: TopicFilter
        /// The QoS that the message was published with.
        QoS: QoS
        /// The RETAIN flag that it was published with.
        Retain: bool
    }

/// The effects of a server's session on its registry, on other sessions and on the application. The node carries them
/// out once the gate of the session is left.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type ServerTask =
    /// Have the authenticator decide about a CONNECT, or an AUTH that continues or renews an authentication.
    | Authenticate of Packet: Packet
    /// Enter an accepted client in the registry and attach the connection to its session.
    | Admit of Connect: Connect * Authentication: Authentication voption
    /// Have the registry deal with a SUBSCRIBE or an UNSUBSCRIBE, and answer it.
    | Answer of Packet: Packet
    /// Tell the registry that the connection ended.
    | Detached of End: ConnectionEnd
    /// Give a message to another member of the shared subscription that it came by.
    | Redeliver of Message: Outgoing * Shared: SharedDelivery
    /// A message for this session was not accepted, or was pushed out of its queue; why.
    | Dropped of Message: Outgoing * Why: Fault
    /// A PUBLISH of this client was not accepted; why.
    | Refused of Topic: TopicName * Why: Fault
    /// A value that the client requested in CONNECT was reduced to this limit.
    | Reduced of Limit: LimitName

    // The end of the connection that the registry is to be told of; null: it is another task.
    member internal this.Ending: ConnectionEnd | null =
        match this with
        | Detached ending -> ending
        | _ -> null

/// One thing that a machine asks its shell to do. The shell does them in order.
[<Struct; NoComparison; NoEquality>]
type Effect =
    /// Nothing to do.
    | Nothing
    /// Write a packet to the connection.
    | Send of Packet: Packet
    /// Write a message to the connection for the first time, as its functions in <c>Outgoing</c> do with the same
    /// arguments.
    | SendMessage of Message: Outgoing * Id: uint16 * Alias: uint16 * IsNamed: bool
    /// Write a PUBACK, PUBREC, PUBREL or PUBCOMP without properties to the connection.
    | SendAck of Kind: PacketType * Id: uint16 * Reason: ReasonCode
    /// Write the PUBLISH packets of a run of QoS 0 to the connection, as they came.
    | SendFrames of Run: PublishRun
    /// Write the first copies of a run to the connection for the first time, with their topic in full, the first of
    /// them under this Packet Identifier and each other one under the next.
    | SendRun of Run: PublishRun * Count: int * Id: uint16
    /// Write a PUBACK, PUBREC, PUBREL or PUBCOMP without properties to the connection for each of these identifiers from
    /// the first index on, in order. The array belongs to the caller of the step, who uses it again.
    | SendAcks of Kind: PacketType * Ids: uint16[] * First: int * Count: int * Reason: ReasonCode
    /// Hand a received message over. The token names it in the acknowledgement that is due; none: none is due.
    | Deliver of Packet: Packet * Token: DeliveryToken
    /// Tell the holder of a ticket that its message was acknowledged with a reason code of success.
    | Settle of Ticket: Ticket * Reason: ReasonCode
    /// Tell the holder of a ticket what became of its request.
    | SettleWith of Ticket: Ticket * Settlement: Settlement
    /// Open a transport to the server with this index, counted from 0, or to the Server Reference if there is one.
    | OpenTransport of Server: int * Reference: Utf8String voption
    /// Close the transport, after what was sent before has been written.
    | CloseTransport
    /// Ask the authenticator for the answer to this step.
    | Challenge of Authentication: Authentication
    /// Tell the application.
    | Notify of Notice: Notice
    /// Do what only the shell of a server does.
    | Serve of Work: ServerTask

// Which effect it is.
type internal EffectKind =
    | Nothing = 0uy
    | Send = 1uy
    | SendMessage = 2uy
    | SendAck = 3uy
    | Deliver = 4uy
    | Settle = 5uy
    | SettleWith = 6uy
    | OpenTransport = 7uy
    | CloseTransport = 8uy
    | Challenge = 9uy
    | Notify = 10uy
    | Serve = 11uy
    | SendFrames = 12uy
    | SendRun = 13uy
    | SendAcks = 14uy

// An effect as it is kept: in 24 bytes, where the union takes a field for each type of content. Effects are passed
// on by value many times in a step.
[<Struct; NoComparison; NoEquality>]
type internal PackedEffect =
    {
        Content: obj | null
        Number: int64
        Id: uint16
        Alias: uint16
        Effect: EffectKind
        Packet: PacketType
        Reason: ReasonCode
        IsNamed: bool
    }

module internal PackedEffect =

    /// A content as what the kind beside it says it is.
    let inline contentOf<'T when 'T: not struct and 'T: not null> (content: obj | null) : 'T =
        nonNull (System.Runtime.CompilerServices.Unsafe.As<'T> content)

    let inline content<'T when 'T: not struct and 'T: not null> (packed: PackedEffect) : 'T =
        contentOf packed.Content

    let private nothing = Unchecked.defaultof<PackedEffect>

    let inline private of' effect (content: obj | null) (number: int64) =
        { nothing with Effect = effect; Content = content; Number = number }

    let message (message: Outgoing) (id: uint16) (alias: uint16) (isNamed: bool) =
        { of' EffectKind.SendMessage message 0L with Id = id; Alias = alias; IsNamed = isNamed }

    let ack (packet: PacketType) (id: uint16) (reason: ReasonCode) =
        { of' EffectKind.SendAck null 0L with Packet = packet; Id = id; Reason = reason }

    let settle (ticket: Ticket) (reason: ReasonCode) =
        { of' EffectKind.Settle null ticket.Value with Reason = reason }

    let deliver (packet: Packet) (token: DeliveryToken) = of' EffectKind.Deliver packet token.Value

    let pack (effect: Effect) : PackedEffect =
        match effect with
        | Nothing -> nothing
        | Send packet -> of' EffectKind.Send packet 0L
        | SendMessage(outgoing, id, alias, isNamed) -> message outgoing id alias isNamed
        | SendAck(kind, id, reason) -> ack kind id reason
        | Deliver(packet, token) -> deliver packet token
        | Settle(ticket, reason) -> settle ticket reason
        | SettleWith(ticket, settlement) -> of' EffectKind.SettleWith settlement ticket.Value
        | OpenTransport(server, ValueSome reference) ->
            of' EffectKind.OpenTransport (box reference) (int64 server)
        | OpenTransport(server, ValueNone) -> of' EffectKind.OpenTransport null (int64 server)
        | CloseTransport -> of' EffectKind.CloseTransport null 0L
        | Challenge authentication -> of' EffectKind.Challenge authentication 0L
        | Notify notice -> of' EffectKind.Notify notice 0L
        | Serve work -> of' EffectKind.Serve work 0L
        | SendFrames run -> of' EffectKind.SendFrames run 0L
        | SendRun(run, count, id) -> { of' EffectKind.SendRun run (int64 count) with Id = id }
        | SendAcks(kind, ids, first, count, reason) ->
            { of' EffectKind.SendAcks ids (int64 count) with
                Packet = kind
                Id = uint16 first
                Reason = reason
            }

    let unpack (packed: PackedEffect) : Effect =
        match packed.Effect with
        | EffectKind.Send -> Send(content packed)
        | EffectKind.SendMessage -> SendMessage(content packed, packed.Id, packed.Alias, packed.IsNamed)
        | EffectKind.SendAck -> SendAck(packed.Packet, packed.Id, packed.Reason)
        | EffectKind.Deliver -> Deliver(content packed, DeliveryToken packed.Number)
        | EffectKind.Settle -> Settle(Ticket packed.Number, packed.Reason)
        | EffectKind.SettleWith -> SettleWith(Ticket packed.Number, content packed)
        | EffectKind.OpenTransport ->
            let reference =
                match packed.Content with
                | null -> ValueNone
                | content -> ValueSome(unbox<Utf8String> content)

            OpenTransport(int packed.Number, reference)
        | EffectKind.CloseTransport -> CloseTransport
        | EffectKind.Challenge -> Challenge(content packed)
        | EffectKind.Notify -> Notify(content packed)
        | EffectKind.Serve -> Serve(content packed)
        | EffectKind.SendFrames -> SendFrames(content packed)
        | EffectKind.SendRun -> SendRun(content packed, int packed.Number, packed.Id)
        | EffectKind.SendAcks ->
            SendAcks(packed.Packet, content packed, int packed.Id, int packed.Number, packed.Reason)
        | _ -> Nothing

// The effects after the second. Appending claims the next slot if it is free, so that a long run of appends is
// linear; a value never looks beyond its own count, so it never sees what another one appended.
[<Sealed; AllowNullLiteral(false)>]
type internal EffectsTail(items: PackedEffect[]) =
    let mutable used = 0
    member _.Items = items

    member _.TryAppend(index: int, effect: PackedEffect) =
        index < items.Length
        && System.Threading.Interlocked.CompareExchange(&used, index + 1, index) = index
        && (items[index] <- effect
            true)

/// The effects of a step, in order. The first two need no memory of their own. Immutable.
[<Struct; NoComparison; NoEquality>]
type Effects =
    val private count: int
    val private first: PackedEffect
    val private second: PackedEffect
    val private tail: EffectsTail | null

    private new(count, first, second, tail) = { count = count; first = first; second = second; tail = tail }

    /// How many effects there are.
    member this.Count = this.count

    // In its stored form, for callers that avoid the wide union.
    member internal this.Packed(index: int) : PackedEffect =
        match index with
        | 0 -> this.first
        | 1 -> this.second
        | _ ->
            match this.tail with
            | null -> Unchecked.defaultof<PackedEffect>
            | tail -> tail.Items[index - 2]

    /// The effect at an index, counted from 0; throws <see cref="T:System.IndexOutOfRangeException"/> beyond the last.
    member this.Item
        with get (index: int): Effect =
            if index < 0 || index >= this.count then
                raise (System.IndexOutOfRangeException())

            PackedEffect.unpack (this.Packed index)

    member private this.AddPacked(effect: PackedEffect) : Effects =
        match this.count with
        | 0 -> Effects(1, effect, Unchecked.defaultof<PackedEffect>, null)
        | 1 -> Effects(2, this.first, effect, null)
        | count ->
            let index = count - 2

            match this.tail with
            | null ->
                let tail = EffectsTail(Array.zeroCreate 4)
                tail.TryAppend(0, effect) |> ignore
                Effects(count + 1, this.first, this.second, tail)
            | tail when tail.TryAppend(index, effect) -> Effects(count + 1, this.first, this.second, tail)
            | tail ->
                let items = Array.zeroCreate (2 * index + 4)
                let copy = EffectsTail items

                for i in 0 .. index - 1 do
                    copy.TryAppend(i, tail.Items[i]) |> ignore

                copy.TryAppend(index, effect) |> ignore
                Effects(count + 1, this.first, this.second, copy)

    /// These effects and one more after them.
    member this.Add(effect: Effect) : Effects = this.AddPacked(PackedEffect.pack effect)

    // The same for those of nearly every message, without the wide union.
    member internal this.AddMessage(message: Outgoing, id: uint16, alias: uint16, isNamed: bool) : Effects =
        this.AddPacked(PackedEffect.message message id alias isNamed)

    member internal this.AddAck(packet: PacketType, id: uint16, reason: ReasonCode) : Effects =
        this.AddPacked(PackedEffect.ack packet id reason)

    member internal this.AddSettle(ticket: Ticket, reason: ReasonCode) : Effects =
        this.AddPacked(PackedEffect.settle ticket reason)

    member internal this.AddDeliver(packet: Packet, token: DeliveryToken) : Effects =
        this.AddPacked(PackedEffect.deliver packet token)

    /// These effects and those of another step after them.
    member this.Append(others: Effects) : Effects =
        if this.count = 0 then
            others
        else
            let mutable all = this

            for index in 0 .. others.count - 1 do
                all <- all.AddPacked(others.Packed index)

            all

    /// The effects in order.
    member this.GetEnumerator() = EffectsEnumerator this

/// Walks effects in order.
and [<Struct; NoComparison; NoEquality>] EffectsEnumerator =
    val private effects: Effects
    val mutable private index: int

    internal new(effects: Effects) = { effects = effects; index = -1 }

    /// The effect reached.
    member this.Current = this.effects[this.index]

    /// Goes to the next effect; false when there is none.
    member this.MoveNext() =
        this.index <- this.index + 1
        this.index < this.effects.Count

/// Makes effects.
[<RequireQualifiedAccess>]
module Effects =

    /// No effect.
    let none = Effects()

    /// One effect.
    let one (effect: Effect) = Effects().Add effect

    let internal ack (packet: PacketType) (id: uint16) (reason: ReasonCode) =
        Effects().AddAck(packet, id, reason)
