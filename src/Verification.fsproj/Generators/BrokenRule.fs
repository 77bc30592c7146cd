namespace Mqtt5.Verification

open System
open FsCheck
open FsCheck.FSharp
open Mqtt5

/// A rule of the standard that a packet can break by itself.
[<Sealed; AllowNullLiteral(false)>]
type BrokenRule
    internal
    (
        version: ProtocolVersion,
        clause: string,
        name: string,
        packets: PacketType[],
        direction: Direction voption,
        break': FrameParts -> FrameParts voption
    ) =

    /// The version whose packets can break it.
    member _.Version = version

    /// The statement, as <c>MQTT-3.3.2-2</c>, or <c>MQTT3-3.3.2-2</c> before MQTT 5, or the section where the standard has
    /// no numbered one.
    member _.Clause = clause

    /// What is wrong with a packet that breaks it.
    member _.Name = name

    /// The packets that can break it.
    member _.Packets: System.Collections.Generic.IReadOnlyList<PacketType> = packets

    /// The direction in which it is broken; absent: either.
    member _.Direction = direction

    member internal _.Break(parts: FrameParts) = break' parts

    override _.ToString() = $"{clause}: {name}"
