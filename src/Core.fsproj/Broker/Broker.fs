namespace Mqtt5

/// The state of a broker beside the messages of its sessions: the ledger of Client Identifiers and their owners, and
/// the registry of subscriptions and retained messages. Immutable; a host keeps the current one, which any thread may
/// read, and replaces it within its own lock.
[<NoComparison; NoEquality>]
type Broker =
    {
        /// The settings of the broker.
        Settings: BrokerSettings
        /// For each limit, the greatest value since the start: what was accepted under it may still be there.
        Bounds: BrokerLimits
        /// The owners of Client Identifiers: sessions, connections, Wills.
        Ledger: Ledger
        /// The subscriptions and the retained messages.
        Registry: Registry
    }

    /// The sessions, by Client Identifier.
    member this.Sessions = this.Ledger.Sessions

    /// How many sessions there are.
    member this.SessionCount = this.Ledger.SessionCount

    /// How many sessions are connected.
    member this.Connections = this.Ledger.Connections

    /// All subscriptions. The same object for as long as none changes.
    member this.Subscriptions = this.Registry.Subscriptions

    /// The retained messages.
    member this.Retained = this.Registry.Retained

    /// The size of the retained messages, in bytes.
    member this.RetainedBytes = this.Registry.RetainedBytes

/// The transitions of a broker. Each gives its changes, and its result is the fold of them. None of them throws.
[<RequireQualifiedAccess>]
module Broker =

    /// A broker without clients. The seed protects its look-up of topics.
    [<CompiledName("Create")>]
    let create (now: Instant) (seed: HashSeed) (settings: BrokerSettings) : Broker =
        {
            Settings = settings
            Bounds = settings.Limits
            Ledger = Ledger.empty now settings.Limits
            Registry = Registry.empty seed
        }

    /// The broker with other limits. What is there beyond a lower one stays, and nothing more is let in until there is
    /// less.
    [<CompiledName("Configured")>]
    let configured (settings: BrokerSettings) (broker: Broker) : Broker =
        { broker with
            Settings = settings
            Bounds = BrokerLimits.bounds broker.Bounds settings.Limits
        }

    /// The broker after a change.
    [<CompiledName("Apply")>]
    let apply (change: BrokerChange) (broker: Broker) : Broker =
        { broker with
            Ledger = Ledger.apply change broker.Ledger
            Registry = Registry.apply change broker.Registry
        }

    let private applyAll (changes: BrokerChange[]) (broker: Broker) =
        let mutable broker = broker

        for change in changes do
            broker <- apply change broker

        broker

    let private after (outcome: BrokerOutcome) (broker: Broker) =
        struct (applyAll outcome.Changes broker, outcome)

    /// The entry of a session; <c>ValueNone</c> when it has ended.
    [<CompiledName("TryFind")>]
    let tryFind (session: SessionId) (broker: Broker) : SessionEntry voption =
        Ledger.tryFind session broker.Ledger

    /// The subscriptions of a session, by the text of the filter.
    [<CompiledName("FiltersOf")>]
    let filtersOf (session: SessionId) (broker: Broker) : Map<string, TopicFilter> =
        Registry.filtersOf session broker.Registry

    /// Admits a client that claims a Client Identifier. The error is the reason for the refusal.
    [<CompiledName("Admit")>]
    let admit
        (now: Instant)
        (request: ClaimRequest)
        (broker: Broker)
        : struct (Broker * Result<Claim, Fault>) =
        let struct (ledger, result) = Ledger.claim now request broker.Settings broker.Ledger
        let broker = { broker with Ledger = ledger }

        match result with
        | Ok claim -> struct (applyAll claim.Outcome.Changes broker, result)
        | Error _ -> struct (broker, result)

    /// Charges a CONNECT against the connections of a second, before anything is spent on it, and tells whether there is
    /// one left.
    [<CompiledName("Charge")>]
    let charge (now: Instant) (broker: Broker) : struct (Broker * bool) =
        let struct (ledger, inRate) = Ledger.charge now broker.Settings.Limits broker.Ledger
        struct ({ broker with Ledger = ledger }, inRate)

    /// A connection of a session ended.
    [<CompiledName("Detach")>]
    let detach
        (now: Instant)
        (session: SessionId)
        (ending: ConnectionEnd)
        (broker: Broker)
        : struct (Broker * BrokerOutcome) =
        after (Ledger.detach now session ending broker.Ledger) broker

    /// Ends a session at once, for this reason, whether the client is connected or not. Its Will is published.
    [<CompiledName("Remove")>]
    let remove
        (now: Instant)
        (session: SessionId)
        (reason: ReasonCode)
        (broker: Broker)
        : struct (Broker * BrokerOutcome) =
        after (Ledger.remove now session reason broker.Ledger) broker

    /// Ends the sessions whose time is over [MQTT-4.1.0-2], gives the Wills that are due, and drops retained messages
    /// that have expired: as many as may end within one hold of the registry's lock. While <c>deadline</c> is not later, more
    /// are left.
    [<CompiledName("Tick")>]
    let tick (now: Instant) (broker: Broker) : struct (Broker * BrokerOutcome) =
        let outcome = Ledger.tick now broker.Ledger
        let expired = Registry.expired now broker.Registry
        after { outcome with Changes = Array.append outcome.Changes expired } broker

    /// When the next <c>tick</c> is due; absent: nothing depends on time.
    [<CompiledName("Deadline")>]
    let deadline (broker: Broker) : Instant voption =
        Deadlines.sooner (Ledger.deadline broker.Ledger) (Registry.deadline broker.Registry)

    /// Deals with a SUBSCRIBE of a session. <c>decisions</c> tells for each filter whether access rules and the
    /// application allow it, or the reason code to refuse it with.
    [<CompiledName("Subscribe")>]
    let subscribe
        (session: SessionId)
        (request: Subscribe)
        (decisions: System.ReadOnlySpan<ReasonCode>)
        (broker: Broker)
        : struct (Broker * SubscriptionOutcome * BrokerChange[]) =
        let isThere = (tryFind session broker).IsSome

        let struct (registry, outcome, changes) =
            Registry.subscribe broker.Settings session isThere request decisions broker.Registry

        struct ({ broker with Registry = registry }, outcome, changes)

    /// Deals with an UNSUBSCRIBE of a session.
    [<CompiledName("Unsubscribe")>]
    let unsubscribe
        (session: SessionId)
        (request: Unsubscribe)
        (broker: Broker)
        : struct (Broker * SubscriptionOutcome * BrokerChange[]) =
        let struct (registry, outcome, changes) = Registry.unsubscribe session request broker.Registry
        struct ({ broker with Registry = registry }, outcome, changes)

    /// Removes subscriptions of sessions that have ended, as many as may be within one hold of the registry's lock. No
    /// change: none is left.
    [<CompiledName("ForgetEnded")>]
    let forgetEnded (broker: Broker) : struct (Broker * BrokerChange[]) =
        let struct (registry, changes) = Registry.forgetEnded broker.Registry
        struct ({ broker with Registry = registry }, changes)

    /// Stores or removes the retained message of a topic as the message demands, and gives the change, if there is one.
    /// The error is the limit that does not allow it to be retained.
    [<CompiledName("Retain")>]
    let retain
        (message: ServerMessage)
        (broker: Broker)
        : Result<struct (Broker * BrokerChange voption), Fault> =
        match Registry.retain broker.Settings.Limits message broker.Registry with
        | Error why -> Error why
        | Ok ValueNone -> Ok(struct (broker, ValueNone))
        | Ok(ValueSome change) ->
            let registry = Registry.apply change broker.Registry
            Ok(struct ({ broker with Registry = registry }, ValueSome change))

    /// Checks the invariants of a broker, and gives the first violation. O(n); for tests, simulation and assertions.
    [<CompiledName("Sound")>]
    let sound (broker: Broker) : string voption =
        let limits = broker.Bounds

        let strays =
            broker.Registry.Filters
            |> Map.exists (fun session _ ->
                (tryFind (SessionId session) broker).IsNone
                && not (Set.contains session broker.Registry.Ended))

        match Ledger.sound limits broker.Ledger, Registry.sound limits broker.Registry with
        | ValueSome breach, _
        | ValueNone, ValueSome breach -> ValueSome breach
        | ValueNone, ValueNone when strays -> ValueSome "subscriptions of a session that has ended"
        | ValueNone, ValueNone -> ValueNone
