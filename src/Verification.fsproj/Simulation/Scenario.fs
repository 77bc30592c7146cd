namespace Mqtt5.Verification

open Mqtt5

/// What happens in a simulated world at one time. Clients are named by their Client Identifier.
[<RequireQualifiedAccess; NoComparison>]
type SimulationAction =
    /// The application starts a client.
    | Start of Client: string
    /// The application publishes. The Packet Identifier is only a stand-in: the client chooses one.
    | Publish of Client: string * Packet: Publish
    /// The application subscribes.
    | Subscribe of Client: string * Packet: Subscribe
    /// The application gives up filters.
    | Unsubscribe of Client: string * Packet: Unsubscribe
    /// The application no longer waits for its latest call.
    | Cancel of Client: string
    /// The application ends the connection.
    | Disconnect of Client: string * Reason: ReasonCode
    /// The application speaks another version from the next time that it starts a client that has ended. The client keeps
    /// its session.
    | Speak of Client: string * Version: ProtocolVersion
    /// The application acknowledges nothing for this long, in milliseconds.
    | Hold of Client: string * Duration: int64<ms>
    /// The process of a client ends, and starts again without anything.
    | Crash of Client: string
    /// The connection breaks; each end notices in its time.
    | Cut of Client: string
    /// The client closes the connection without DISCONNECT; what it sent before arrives. It connects again as after a
    /// failure of the network.
    | Close of Client: string
    /// What travels in this direction is lost from now on, without a notice to either side.
    | HalfClose of Client: string * Direction: Direction
    /// Nothing arrives in either direction for this long, in milliseconds.
    | Stall of Client: string * Duration: int64<ms>
    /// The clock of a client jumps ahead, in milliseconds.
    | JumpClient of Client: string * Duration: int64<ms>
    /// The clock of the broker jumps ahead, in milliseconds.
    | JumpBroker of Duration: int64<ms>
    /// The process of the broker ends and starts again, with everything that was durable or with nothing.
    | RestartBroker of Durable: bool

/// An action and its time since the start, in milliseconds.
[<NoComparison>]
type SimulationStep = { At: int64<ms>; Action: SimulationAction }

/// A client of a simulated world.
[<NoComparison>]
type SimulatedClientSettings =
    {
        /// Its CONNECT, which has a Client Identifier. Before MQTT 5 the client connects with what its version has of it.
        Connect: Connect
        /// The version that it speaks at first.
        Version: ProtocolVersion
        /// The Packet Identifier that counts as given last at the start.
        LastPacketId: uint16
        /// Topic Aliases that it assigns at most.
        TopicAliases: uint16
        /// How long it waits before it connects again for the first time, in milliseconds, with a jitter of half of it.
        ReconnectDelay: int64<ms>
        /// Whether packets of the same millisecond leave in one write.
        WritesTogether: bool
    }

/// The broker of a simulated world.
[<NoComparison>]
type SimulatedBrokerSettings =
    {
        /// Its Receive Maximum.
        ReceiveMaximum: uint16
        /// Messages that it has under way to a client at most.
        InFlightMessages: uint16
        /// Topic Aliases that it takes, and that it assigns, at most.
        TopicAliases: uint16
        /// Its largest packet, in bytes.
        MaximumPacketBytes: int
        /// The Packet Identifier that counts as given last in each new session.
        LastPacketId: uint16
        /// A connection is congested beyond this many bytes that have not arrived.
        CongestionBytes: int
        /// Whether a turn of the node may wait before a gate while others go on.
        SuspendsTurns: bool
        /// Whether clients before MQTT 5 have shared subscriptions.
        SharesBeforeV5: bool
        /// How much work reading from one connection may cause before others are served, in steps.
        TurnWork: int
    }

    /// So many bytes never wait for a client.
    static member NoCongestion = 1_000_000

    /// A broker as it is where a script says nothing else.
    static member Usual =
        {
            ReceiveMaximum = 100us
            InFlightMessages = 100us
            TopicAliases = 0us
            MaximumPacketBytes = 1_048_576
            LastPacketId = 0us
            CongestionBytes = 2_000
            SuspendsTurns = false
            SharesBeforeV5 = true
            TurnWork = NodeHost.DefaultTurnWork
        }

/// Everything that a run depends on: the same scenario runs the same way each time.
[<NoComparison>]
type Scenario =
    {
        /// What the delays, splits and choices of the network and of the machines are drawn from.
        Seed: uint64
        /// The broker.
        Broker: SimulatedBrokerSettings
        /// The clients, each with another Client Identifier.
        Clients: SimulatedClientSettings[]
        /// What happens, in order of time.
        Steps: SimulationStep[]
        /// When the last faults are healed, in milliseconds since the start. Everything that is due has to come in the
        /// two minutes after that.
        HealedAt: int64<ms>
    }

/// Numbers that look random, from a seed: SplitMix64. Not thread-safe.
[<Sealed; AllowNullLiteral(false)>]
type internal Dice(seed: uint64) =
    let mutable state = seed

    member _.Next() : uint64 =
        state <- state + 0x9E3779B97F4A7C15UL
        let mutable z = state
        z <- (z ^^^ (z >>> 30)) * 0xBF58476D1CE4E5B9UL
        z <- (z ^^^ (z >>> 27)) * 0x94D049BB133111EBUL
        z ^^^ (z >>> 31)

    // From 0 up to, not including, the bound.
    member this.Below(bound: int) : int = int (this.Next() % uint64 bound)
    member this.Between(least: int, most: int) : int = least + this.Below(most - least + 1)
    // True once in this many times.
    member this.Once(times: int) : bool = this.Below times = 0
    member this.Of(items: 'T[]) : 'T = items[this.Below items.Length]

    // Retain As Published is 1 once in this many times.
    member this.SubscriptionOptions(filter: TopicFilter, retainAsPublished: int) : SubscriptionOptions =
        {
            MaximumQoS = this.Of [| QoS.AtMostOnce; QoS.AtLeastOnce; QoS.ExactlyOnce; QoS.ExactlyOnce |]
            // [MQTT-3.8.3-4]
            NoLocal = not filter.IsShared && this.Once 4
            RetainAsPublished = this.Once retainAsPublished
            RetainHandling =
                this.Of
                    [| RetainHandling.SendAtSubscribe; RetainHandling.SendIfNew; RetainHandling.DoNotSend |]
        }
