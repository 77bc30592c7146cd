namespace Mqtt5.Verification

open Mqtt5

// A packet that came.
[<NoComparison>]
type internal Arrived =
    {
        Type: string
        Notation: string
        // The same without secrets.
        Shown: string
    }

[<NoComparison>]
type internal ProbeConnection =
    {
        Version: ProtocolVersion
        Buffer: byte[]
        Offset: int64
        Inbox: Arrived list
        IsOpen: bool
        HasEnded: bool
        // A CONNECT of a session without a name was sent, and CONNACK has not come.
        IsNameless: bool
        Watch: PacketWatch
    }

/// A run of a probe: a state that changes with what comes in and says what goes out. Pure.
[<NoComparison>]
type ProbeRun =
    internal
        {
            Settings: ProbeSettings
            Version: ProtocolVersion
            // Of clients that speak another one.
            Spoken: Map<string, ProtocolVersion>
            Steps: ProbeStep list
            Clauses: string list
            Connections: Map<string, ProbeConnection>
            Names: Map<string, string>
            Since: int64<ms>
            Now: int64<ms>
            Log: ProbeExchange list
            ClientIds: Set<string>
            RetainedTopics: Set<string>
            Result: ProbeOutcome voption
            Due: int64<ms>
        }

    /// When the run wants to be told that time has passed, on the clock that it was started with.
    member this.Deadline = this.Due

    /// How it ended; absent: it has not.
    member this.Outcome = this.Result

    /// What was seen so far, in order.
    member this.Exchanges: ProbeExchange[] = this.Log |> List.rev |> Array.ofList

    /// The Client Identifiers whose sessions may be left on the server.
    member this.Sessions: string[] = Array.ofSeq this.ClientIds

    /// The topics that may have a retained message now.
    member this.Retained: string[] = Array.ofSeq this.RetainedTopics
