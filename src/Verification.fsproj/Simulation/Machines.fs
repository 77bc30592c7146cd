namespace Mqtt5.Verification

open Mqtt5

/// Told of each state of a simulated broker, with the one before.
type IBrokerWatch =
    /// A session has another state, by a step or by a run of packets.
    abstract Stepped: before: ServerState * after: ServerState -> unit
    /// The ledger or the registry has changed.
    abstract Changed: before: Broker * after: Broker * changes: BrokerChange[] -> unit

/// The machines that a simulated world runs. Each function makes the step of one machine, so that a wrapper can keep
/// something of its own for each: that is how a mistake is put in, to see whether it is found.
[<NoComparison; NoEquality>]
type Machines =
    {
        /// Makes the step of a client.
        Client: unit -> Instant -> ClientEvent -> ClientState -> struct (ClientState * Effects)
        /// Makes the step of a session of the broker.
        Session: unit -> Instant -> ServerEvent -> ServerState -> struct (ServerState * Effects)
        /// Told of what changes in the broker; null: nothing is.
        Watch: IBrokerWatch | null
    }

    /// The machines of the core as they are.
    static member Real =
        {
            Client = fun () -> ClientSession.step
            Session = fun () -> ServerSession.step
            Watch = null
        }

// How the threads of a simulated broker come to their turns.
[<NoComparison; NoEquality>]
type internal BrokerThreads =
    {
        // What choices are drawn from.
        Dice: Dice
        // Whether what arrives may be read later than it could be, and while another turn is under way.
        Interleaves: bool
        // Whether acknowledgments wait for conditions that are met later.
        HoldsAcknowledgements: bool
        // Whether claims are made in a turn of their own.
        ClaimsLater: bool
        // Whether no message goes by a run.
        TakesNoRuns: bool
    }

    // Everything at once, in the order in which it comes, and by the machine of the session.
    static member InOrder =
        {
            Dice = Dice 0UL
            Interleaves = false
            HoldsAcknowledgements = false
            ClaimsLater = false
            TakesNoRuns = true
        }

    // Drawn for a run.
    static member Of(seed: uint64) =
        let dice = Dice(seed ^^^ 0x5EED_0F_7412_EAD5UL)

        {
            Dice = dice
            Interleaves = not (dice.Once 3)
            HoldsAcknowledgements = dice.Once 3
            ClaimsLater = dice.Once 3
            TakesNoRuns = dice.Once 2
        }

/// Where the bytes of a simulated world can be seen. Times are in milliseconds since the start of the world.
type ISimulationTap =
    /// A connection is opened. Connections are numbered from 1 through the whole run.
    abstract Opened: at: Instant * connection: int -> unit
    /// Bytes are sent in one direction.
    abstract Sent: at: Instant * connection: int * direction: Direction * bytes: byte[] -> unit
    /// An end closes the connection.
    abstract Closed: at: Instant * connection: int * direction: Direction -> unit
