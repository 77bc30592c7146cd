namespace Mqtt5.Verification

open Mqtt5

/// What a run of a scenario needs to know.
[<NoComparison>]
type ScenarioSettings =
    {
        /// How long an answer of the client may take, in milliseconds.
        Patience: int64<ms>
        /// How long the program may take to start and connect, and to connect again, in milliseconds.
        StartPatience: int64<ms>
    }

/// What happens to a run.
[<RequireQualifiedAccess; NoComparison>]
type ClientInput =
    /// It begins, or time has passed.
    | Tick
    /// The program opened the connection of this number; they count from 1.
    | Connected of Connection: int
    /// Bytes came on it.
    | Received of Connection: int * Bytes: Bytes
    /// The client has closed it.
    | Closed of Connection: int
    /// The transport below MQTT is not as a statement says.
    | Violated of Connection: int * Clause: string * Detail: string
    /// The transport below MQTT is as a statement says.
    | Kept of Clause: string
    /// The program printed a line.
    | Printed of Line: string
    /// The program has ended, with its last complaint.
    | Exited of ExitCode: int * Complaint: string

/// What a run wants done.
[<RequireQualifiedAccess; NoComparison>]
type ClientDemand =
    /// Write bytes to a connection.
    | Write of Connection: int * Bytes: Bytes
    /// Write a text frame to a connection, which is a WebSocket.
    | WriteText of Connection: int * Text: string
    /// Close it.
    | Close of Connection: int

/// A rule that a client broke in a run.
[<NoComparison>]
type ClientFinding =
    {
        /// The statements.
        Clauses: string list
        /// What is wrong.
        Detail: string
        /// The packet it was seen in, in notation without secrets, or bytes; empty: a packet is missing.
        Seen: string
    }
