namespace Mqtt5.Verification

open Mqtt5

/// The machines that a simulated world runs. Each function makes the step of one machine, so that a wrapper can keep
/// something of its own for each: that is how a mistake is put in, to see whether it is found.
[<NoComparison; NoEquality>]
type Machines =
    {
        /// Makes the step of a client.
        Client: unit -> Instant -> ClientEvent -> ClientState -> struct (ClientState * Effects)
        /// Makes the step of a session of the broker.
        Session: unit -> Instant -> ServerEvent -> ServerState -> struct (ServerState * Effects)
        /// Makes the step that tells the registry of the end of a connection.
        Detach: unit -> Instant -> int64 -> ConnectionEnd -> Broker -> struct (Broker * BrokerOutcome)
    }

    /// The machines of the core as they are.
    static member Real =
        {
            Client = fun () -> ClientSession.step
            Session = fun () -> ServerSession.step
            Detach = fun () -> Broker.detach
        }

/// Where the bytes of a simulated world can be seen. Times are in milliseconds since the start of the world.
type ISimulationTap =
    /// A connection is opened. Connections are numbered from 1 through the whole run.
    abstract Opened: at: Instant * connection: int -> unit
    /// Bytes are sent in one direction.
    abstract Sent: at: Instant * connection: int * direction: Direction * bytes: byte[] -> unit
    /// An end closes the connection.
    abstract Closed: at: Instant * connection: int * direction: Direction -> unit
