namespace Mqtt5.Verification

open System
open System.Collections.Generic
open Mqtt5

/// A host of the node without sockets, threads and clocks, for simulations and tests. It relays, and decides nothing but
/// what an application or a store would. Not thread-safe.
[<Sealed; AllowNullLiteral(false)>]
type SimulatedHost(settings: unit -> BrokerSettings, clock: unit -> Instant) =
    inherit NodeHost()

    let seed = HashSeed.Of(1UL, 2UL)
    let sessions = Dictionary<SessionId, SimulatedSession>()
    let counters = Dictionary<int64, int64>()
    let turns = Stack<Turn>()
    let mutable broker = Broker.create (clock ()) seed (settings ())
    let mutable ticket = Ticket.None
    let mutable assigned = 0
    let mutable unparsed = 0L
    let mutable underWay = 0

    /// The gates, for connections of this host and for what comes in between.
    member val Gates = SimulatedGates()

    /// The sessions, by their numbers.
    member _.Sessions = sessions

    /// Makes the step of the machine of a new session.
    member val NewMachine: unit -> SessionStep = (fun () -> ServerSession.step) with get, set

    /// The state that a new session begins with.
    member val Opening: ServerState -> ServerState = id with get, set

    /// Told of each step, with its session.
    member val Watch: SessionId -> ServerEvent -> Effects -> unit = (fun _ _ _ -> ()) with get, set

    /// Told of each state that a session had and has, also of those that a batch made.
    member val Became: NodeSession -> ServerState -> ServerState -> unit = (fun _ _ _ -> ()) with get, set

    /// Told of what the broker was, what it is, and the changes.
    member val Changed: Broker -> Broker -> BrokerChange[] -> unit = (fun _ _ _ -> ()) with get, set

    /// Told of sessions that were forgotten.
    member val Ended: SessionId -> unit = ignore with get, set

    /// What a client may do.
    member val PermissionsOf: ClientId -> string | null -> ClientPermissions | null =
        (fun _ _ -> null) with get, set

    /// Told of each message of a client before it is routed, where the host sees messages.
    member val Routing: NodeSession -> ServerMessage -> unit = (fun _ _ -> ()) with get, set

    /// Told of what was dropped.
    member val Dropped: NodeSession -> Ticket -> Fault -> unit = (fun _ _ _ -> ()) with get, set

    /// Draws what an acknowledgment waits for; 0: nothing.
    member val Conditions: unit -> int64 = (fun () -> 0L) with get, set

    /// Keeps an acknowledgment until its condition is met.
    member val Held: int64 -> HeldAcknowledgement -> unit = (fun _ _ -> ()) with get, set

    /// Told of connections that did not become clients.
    member val NotAccepted: RefusalKind -> string | null -> Fault -> unit = (fun _ _ _ -> ()) with get, set

    /// How many more bytes all sessions together may hold.
    member val Spare = Int64.MaxValue with get, set

    /// Whether no message goes by a run.
    member val ShowsMessages = false with get, set

    /// Whether each copy has a ticket of its own.
    member val ShowsDeliveries = false with get, set

    /// Whether claims are made in a turn of their own.
    member val ClaimsLater = false with get, set

    /// How much work reading from one connection may cause before others are served, in steps.
    member val Work = NodeHost.DefaultTurnWork with get, set

    /// How many turns have begun and not ended.
    member _.TurnsUnderWay = underWay

    /// Begins a turn.
    member this.Rent() : Turn =
        let turn = if turns.Count > 0 then turns.Pop() else Turn this
        underWay <- underWay + 1
        Node.beginTurn turn
        turn

    /// Ends a turn.
    member _.Return(turn: Turn) =
        Node.endTurn turn
        underWay <- underWay - 1
        turns.Push turn

    /// Runs one turn of the node.
    member this.Run(action: Turn -> 'T) : 'T =
        let turn = this.Rent()
        let result = action turn
        this.Return turn
        result

    /// A broker without sessions, as after a start.
    member _.Reset() =
        sessions.Clear()
        counters.Clear()
        broker <- Broker.create (clock ()) seed (settings ())

    override _.Settings = settings ()
    override _.IsStopping = false
    override this.TurnWork = this.Work
    override _.Now() = clock ()
    override _.Broker = broker

    override this.Replace(next, changes) =
        let before = broker
        broker <- next
        this.Changed before next changes

    override this.EnterRegistry() = this.Gates.EnterRegistry()
    override this.ExitRegistry() = this.Gates.ExitRegistry()
    override _.TryFind session = sessions.GetValueOrDefault session

    override this.Open state =
        let session = SimulatedSession(this.Opening state, this.NewMachine(), this.Gates)
        sessions[state.Session] <- session
        session

    override this.Forget session =
        let known = sessions.GetValueOrDefault session

        if sessions.Remove session then
            this.Ended session

        known

    override this.Step(now, event: inref<ServerEvent>, state) =
        let event = event

        let step =
            match sessions.TryGetValue state.Session with
            | true, known -> known.Machine
            | _ -> ServerSession.step

        let struct (_, effects) as result = step now event state
        this.Watch state.Session event effects
        result

    override this.Stepped(session, before, after) = this.Became session before after
    override this.SpareBytes = this.Spare
    override _.Queued(_, _) = ()

    override _.Unparsed bytes =
        unparsed <- unparsed + bytes
        unparsed

    override _.NextTicket() =
        ticket <- ticket.Next
        ticket

    override _.NextTurn group =
        counters[group.Id] <- counters.GetValueOrDefault(group.Id, -1L) + 1L
        counters[group.Id]

    override _.NewClientId() =
        assigned <- assigned + 1
        ClientId.Of $"auto{assigned}"

    override this.Condition() = this.Conditions()
    override this.Hold(condition, acknowledgement) = this.Held condition acknowledgement
    override this.ClaimsElsewhere = this.ClaimsLater
    override this.SeesMessages = this.ShowsMessages
    override this.SeesDeliveries = this.ShowsDeliveries
    override this.SeesDrops = this.ShowsDeliveries

    override this.Authorize(_, client, userName, permissions) =
        permissions <- this.PermissionsOf client userName
        null

    override this.Intercept(session, message) =
        this.Routing session message
        Interception.Unchanged message

    override _.InterceptSubscribe(_, subscribe, _) = subscribe
    override _.Deliver(_, _) = ()
    override _.Connected(_, _) = ()
    override _.Disconnected(_, _) = ()

    override this.Delivered(session, ticket, _, outcome) =
        match outcome with
        | DeliveryEnd.Dropped why -> this.Dropped session ticket why
        | DeliveryEnd.Acknowledged _ -> ()

    override _.Refused(_, _, _) = ()
    override this.Rejected(_, kind, userName, why) = this.NotAccepted kind userName why
    override _.Renamed _ = ()
    override _.Exceeded _ = ()
    override _.Count _ = ()
