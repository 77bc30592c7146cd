namespace Mqtt5.Verification

open Mqtt5

/// What a run of a probe needs to know.
[<NoComparison>]
type ProbeSettings =
    {
        /// What all topics begin with; it ends with a slash.
        TopicPrefix: string
        /// What all Client Identifiers begin with: letters and digits.
        ClientIdPrefix: string
        /// The User Name for all connections.
        UserName: string voption
        /// The password for all connections.
        Password: Bytes voption
        /// How long an answer may take, in milliseconds.
        Patience: int64<ms>
    }

/// What happens to a run.
[<NoComparison>]
type ProbeInput =
    /// It begins, or time has passed.
    | Tick
    /// A connection that was asked for is open.
    | Opened of Client: string
    /// It could not be opened.
    | NotOpened of Client: string * Why: string
    /// Bytes came from the server.
    | Received of Client: string * Bytes: Bytes
    /// The server has closed the connection.
    | Closed of Client: string
    /// The transport below MQTT is not as a statement says.
    | Violated of Client: string * Clause: string * Expected: string * Seen: string

/// What a run wants done.
[<NoComparison>]
type ProbeDemand =
    /// Open a connection.
    | Open of Client: string
    /// Write bytes to it.
    | Write of Client: string * Bytes: Bytes
    /// Write a message of text to it, which is a WebSocket.
    | WriteText of Client: string * Text: string
    /// Close it.
    | Close of Client: string

/// Who did what in a run.
type ExchangeKind =
    /// The client opened a connection.
    | Opening = 0
    /// The client sent something.
    | Sending = 1
    /// The server sent something.
    | Receiving = 2
    /// The server closed the connection.
    | Closing = 3
    /// The client closed it.
    | Leaving = 4

/// Something that was seen in a run.
[<NoComparison>]
type ProbeExchange =
    {
        /// When, in milliseconds from the beginning.
        At: int64<ms>
        /// On which connection.
        Client: string
        /// What it was.
        Kind: ExchangeKind
        /// A packet in notation without secrets, or bytes.
        Text: string
    }

    /// One line: the time in milliseconds, the connection, <c>&gt;</c> for what the client sent or <c>&lt;</c> for what it
    /// received, and the text.
    override this.ToString() =
        let what =
            match this.Kind with
            | ExchangeKind.Opening -> " opens a connection"
            | ExchangeKind.Sending -> " > "
            | ExchangeKind.Receiving -> " < "
            | ExchangeKind.Closing -> ": the server closes"
            | _ -> " leaves"

        $"{this.At, 6} ms  {this.Client}{what}{this.Text}"

/// How a run ended.
[<NoComparison>]
type ProbeOutcome =
    {
        /// The verdict.
        Verdict: Verdict
        /// The statements that were broken; none unless the verdict is a failure.
        Clauses: string list
        /// The step that failed, as it is written; empty: none.
        Line: string
        /// What the step expected, or why the probe is not applicable or was not run.
        Expected: string
        /// What was seen instead; empty unless the verdict is a failure.
        Seen: string
    }

/// What can be played on connections to a server: a run of a probe, or of a randomised session. It tells what it wants
/// done, and is told what happens. It does no input or output and has no clock. Not thread-safe.
type IPlay =
    /// Takes in what happened at this time, and tells what is to be done, in order. Nothing is, once it is over.
    abstract Step: now: int64<ms> * input: ProbeInput -> ProbeDemand list
    /// Whether it has come to an end.
    abstract IsOver: bool
    /// When it wants to be told that time has passed, on the clock of the steps.
    abstract Deadline: int64<ms>
    /// What is to be sent on connections that are still open before they are closed: it ends sessions that no probe can
    /// name afterwards, because the server has not told which Client Identifiers it has assigned.
    abstract Farewell: unit -> ProbeDemand list
    /// What is to be sent, on a connection for each, to remove the sessions and retained messages that were left.
    abstract CleanUp: unit -> Bytes[]
