namespace Mqtt5.Verification

open System
open Mqtt5
open Mqtt5.Verification

/// How a recording is played again.
[<NoComparison>]
type ReplaySettings =
    {
        /// How many times as fast as it was recorded; positive infinity: without waiting.
        Speed: float
        /// How long an answer may take that the recording has, in milliseconds.
        Patience: int64<ms>
        /// The User Name in the place of those of the recording; absent: they stay.
        UserName: string voption
        /// The password in the place of those of the recording; absent: they stay.
        Password: Bytes voption
    }

/// What happens to a replay.
[<RequireQualifiedAccess; NoComparison>]
type ReplayInput =
    /// It begins, or time has passed.
    | Tick
    /// A connection that was asked for is open.
    | Opened of Connection: int
    /// It could not be opened.
    | NotOpened of Connection: int * Why: string
    /// The server sent a packet.
    | Received of Connection: int * Packet: Packet
    /// The server sent bytes that are no packet.
    | Broken of Connection: int * Detail: string
    /// The server has closed the connection.
    | Closed of Connection: int

/// What a replay wants done.
[<RequireQualifiedAccess; NoComparison>]
type ReplayDemand =
    /// Open a connection.
    | Open of Connection: int
    /// Write bytes to it.
    | Write of Connection: int * Bytes: Bytes
    /// Close it.
    | Close of Connection: int

/// Something that did not go as in the recording.
[<NoComparison>]
type ReplayFailure =
    {
        /// When, in milliseconds from the beginning.
        At: int64<ms>
        /// The number of the connection.
        Connection: int
        /// The statement that the server breaks; absent: none, or the packet alone does not tell.
        Clause: string voption
        /// What, as a sentence without a full stop. It holds no secret and no payload.
        Detail: string
    }

// What keeps a step from being done.
[<NoComparison>]
type internal Obstacle =
    | Unopened
    | Missing of ReplayAnswer[]
    // A rule that the packet would break now.
    | Rule of string

[<NoComparison>]
type internal LiveConnection =
    {
        IsOpen: bool
        // Nothing more is sent: it was refused, lost or closed.
        IsOver: bool
        HasLeft: bool
        // What has come, and what is no longer waited for.
        Counts: Map<struct (PacketType * uint16), int>
        // The identifiers of the client's messages and requests under way.
        InUse: Set<uint16>
        // The messages under way that take a place of the Receive Maximum.
        UnderWay: Set<uint16>
        ReceiveMaximum: int
        AliasMaximum: uint16
        IsResumed: bool
        KeepAlive: int64<ms>
        IsAccepted: bool
        LastSent: int64<ms>
        Messages: ReplayMessages
        // The answers that the server was given time for in vain, and none of whose kind has come since. Another one is not
        // waited for. PUBLISH stands for any that would free a Packet Identifier.
        Overdue: Set<PacketType>
    }

/// A replay: a state that changes with what a server does and says what goes out. Pure.
[<NoComparison>]
type ReplayRun =
    internal
        {
            Settings: ReplaySettings
            Plan: ReplayPlan
            // The place of the next step.
            Next: int
            Live: Map<int, LiveConnection>
            Found: ReplayFailure list
            Differing: ReplayDifference list
            // The Client Identifiers that the recorded server assigned, and those of the live one for the same connections.
            Assigned: Map<string, ClientId>
            Base: Instant
            Now: int64<ms>
            // Since when the next step could go out but for what it waits for.
            Since: int64<ms>
            // Whether the next step goes out without the answers before it, because they did not come.
            IsWaived: bool
            Due: int64<ms>
            KeepAliveDue: int64<ms>
        }

    /// When the replay wants to be told that time has passed, on its clock.
    member this.Deadline = this.Due

    /// Whether all steps are done.
    member this.IsDone = this.Next >= this.Plan.Steps.Length

    /// What did not go as in the recording, in order.
    member this.Failures: ReplayFailure[] = this.Found |> List.rev |> Array.ofList

    /// What the live server did in another way than the recorded one. Answers are told at once, messages when their
    /// connection ends; of messages that came besides, the first 100 of each connection.
    member this.Differences: ReplayDifference[] = this.Differing |> List.rev |> Array.ofList

    /// The messages that came.
    member this.MessagesReceived = this.Live |> Map.fold (fun sum _ one -> sum + one.Messages.Count) 0

    /// The messages that came when it was recorded.
    member this.MessagesRecorded =
        this.Plan.Connections |> Map.fold (fun sum _ one -> sum + one.Messages.Length) 0
