/// Frames on which the fast path is held against the grammar, and how the two are compared. The fast path is
/// an argument, so that mutants of it can be held against the same frames.
module Mqtt5.Tests.FastPathCorpus

open System
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Verification
open Mqtt5.Tests.PacketSamples

type TryPublish = delegate of ProtocolVersion * Direction * ReadOnlySpan<byte> * byref<PublishView> -> bool

type TryAcknowledgement =
    delegate of ProtocolVersion * Direction * ReadOnlySpan<byte> * byref<AcknowledgementView> -> bool

/// A fast path: the one of the library, or a mutant of it.
[<NoComparison; NoEquality>]
type Recogniser = { Publish: TryPublish; Acknowledgement: TryAcknowledgement }

let ofLibrary: Recogniser =
    {
        Publish =
            TryPublish(fun version direction frame view ->
                FastPath.tryPublishIn version direction frame &view)
        Acknowledgement =
            TryAcknowledgement(fun version direction frame view ->
                FastPath.tryAcknowledgementIn version direction frame &view)
    }

/// A frame, the connection it travels on, and what the grammar makes of it.
[<Struct; NoComparison; NoEquality>]
type Case = { Version: ProtocolVersion; Direction: Direction; Frame: byte[]; Packet: Packet voption }

let caseIn (version: ProtocolVersion) (direction: Direction) (frame: byte[]) : Case =
    {
        Version = version
        Direction = direction
        Frame = frame
        Packet =
            match Parsing.parseIn version direction frame with
            | Ok packet -> ValueSome packet
            | Error _ -> ValueNone
    }

let case (direction: Direction) (frame: byte[]) : Case = caseIn ProtocolVersion.V5 direction frame

/// What a fast path makes of a frame.
let recognise (recogniser: Recogniser) (version: ProtocolVersion) direction (frame: byte[]) : Packet voption =
    let mutable publish = PublishView()
    let mutable acknowledgement = Unchecked.defaultof<AcknowledgementView>

    if recogniser.Publish.Invoke(version, direction, ReadOnlySpan frame, &publish) then
        ValueSome(Packet.Publish(publish.ToPublish(ReadOnlyMemory frame)))
    elif recogniser.Acknowledgement.Invoke(version, direction, ReadOnlySpan frame, &acknowledgement) then
        ValueSome(acknowledgement.ToPacket())
    else
        ValueNone

let private isWritten version (packet: Packet) (frame: byte[]) =
    let written = Array.zeroCreate (Encode.sizeIn version packet)

    Encode.writeIn version packet (Span written) = frame.Length
    && written.AsSpan().SequenceEqual(ReadOnlySpan frame)

// An ordinary packet: what this library's own encoder writes, apart from acknowledgements with properties.
let private isOrdinary (version: ProtocolVersion) (packet: Packet) (frame: byte[]) =
    match packet with
    | Packet.Publish _ -> isWritten version packet frame
    | Packet.Puback content
    | Packet.Pubrec content
    | Packet.Pubrel content
    | Packet.Pubcomp content ->
        match content.Outcome with
        | Outcome.Full(_, properties) -> properties.ReasonString.IsNone && properties.UserProperties.IsEmpty
        | Outcome.Omitted
        | Outcome.Code _ -> version.IsV5 || isWritten version packet frame
    | _ -> false

/// How the fast path disagrees with the grammar on a frame: it takes what the grammar refuses, reads it
/// otherwise, fails, or declines what is ordinary. <c>ValueNone</c> when it does not disagree.
let disagreement (recogniser: Recogniser) (case: Case) : string voption =
    let found =
        try
            match recognise recogniser case.Version case.Direction case.Frame, case.Packet with
            | ValueSome _, ValueNone -> "takes what the grammar refuses"
            | ValueSome read, ValueSome packet when read <> packet -> "reads another packet than the grammar"
            | ValueNone, ValueSome packet when isOrdinary case.Version packet case.Frame ->
                "declines an ordinary frame"
            | _ -> ""
        with error ->
            error.GetType().Name

    if found = "" then
        ValueNone
    else
        let version = (Spec.version case.Version).Name
        ValueSome $"{found}: {version} {case.Direction} {Convert.ToHexString case.Frame}"

// One change in one byte, with the length as it was.
let private byteChanges (frame: byte[]) : byte[] seq =
    seq {
        for at in 0 .. frame.Length - 1 do
            let changed (value: byte) =
                let copy = Array.copy frame
                copy[at] <- value
                copy

            for bit in 0..7 do
                changed (frame[at] ^^^ (1uy <<< bit))

            // Whatever is a length among the bytes is one too long and one too short.
            changed (frame[at] + 1uy)
            changed (frame[at] - 1uy)
    }

// Cut, shortened and lengthened at every place, with and without a Remaining Length that fits.
let private lengthChanges (frame: byte[]) : byte[] seq =
    let body = frame[bodyAt frame ..]

    seq {
        for length in 0 .. frame.Length - 1 do
            frame[.. length - 1]

        for length in 0 .. body.Length - 1 do
            framed frame[0] body[.. length - 1]

        for at in 0 .. body.Length - 1 do
            framed frame[0] (Array.removeAt at body)
            framed frame[0] (Array.insertAt at body[at] body)
            framed frame[0] (Array.insertAt at 0uy body)

        Array.append frame [| 0uy |]

        // A Remaining Length that is one byte longer than it has to be.
        if frame[1] < 0x80uy then
            Array.concat [ [| frame[0]; frame[1] ||| 0x80uy; 0uy |]; body ]
    }

// A property of every kind, and one that no packet has.
let private anyProperty: byte[] list =
    [
        for rule in Spec.properties do
            let value =
                match rule.Shape with
                | Shape.Byte
                | Shape.Switch
                | Shape.VariableByteInteger -> [| 1uy |]
                | Shape.TwoByteInteger -> [| 0uy; 1uy |]
                | Shape.FourByteInteger -> [| 0uy; 0uy; 0uy; 1uy |]
                | Shape.Utf8EncodedString
                | Shape.TopicNameString
                | Shape.BinaryData -> [| 0uy; 1uy; 'x'B |]
                | Shape.Utf8StringPair -> [| 0uy; 1uy; 'k'B; 0uy; 1uy; 'v'B |]

            Array.append [| byte rule.Id |] value
        [| 0x04uy; 0x01uy |]
        [| 0x63uy; 0x00uy; 0x01uy |]
    ]

let private swapped (first: int) (second: int) (items: 'T list) =
    items
    |> List.permute (fun at ->
        if at = first then second
        elif at = second then first
        else at)

// The properties of a PUBLISH in other orders, doubled, left out, and with others among them.
let private propertyChanges (frame: byte[]) : byte[] seq =
    let topicAt = bodyAt frame
    let topicEnd = topicAt + 2 + (int frame[topicAt] <<< 8) + int frame[topicAt + 1]
    let sectionAt = if frame[0] &&& 6uy = 0uy then topicEnd else topicEnd + 2
    let struct (items, payloadAt) = propertyItems frame sectionAt
    let count = items.Length

    let rebuilt (items: byte[] list) =
        let section = Array.concat items

        framed
            frame[0]
            (Array.concat
                [ frame[topicAt .. sectionAt - 1]; shortest section.Length; section; frame[payloadAt..] ])

    seq {
        for first in 0 .. count - 2 do
            for second in first + 1 .. count - 1 do
                rebuilt (swapped first second items)

        for at in 0 .. count - 1 do
            rebuilt (List.insertAt at items[at] items)
            rebuilt (items @ [ items[at] ])
            rebuilt (List.removeAt at items)
            rebuilt (items[at] :: List.removeAt at items)
            rebuilt (List.removeAt at items @ [ items[at] ])

        for property in anyProperty do
            rebuilt (items @ [ property ])
            rebuilt (property :: items)

        rebuilt (List.rev items)
    }

let private isPublish (frame: byte[]) = frame[0] >>> 4 = byte PacketType.Publish

/// Whole frames to start from: the golden rows and generated packets, always the same, none above this size.
let originals (generated: int) (maximumBytes: int) : struct (Direction * byte[])[] =
    [|
        for vector in GoldenVectors.vectors do
            for direction in vector.Directions do
                struct (direction, vector.Bytes)

        for direction in Parsing.both do
            for packetType in [ PacketType.Publish; PacketType.Publish; PacketType.Puback; PacketType.Pubrel ] do
                let packets =
                    Gen.sampleWithSeed
                        (FsCheck.Rnd(20_190_307UL, 5UL))
                        20
                        generated
                        (PacketGenerators.packetOf packetType direction)

                for packet in packets do
                    struct (direction, encoded direction packet)
    |]
    |> Array.filter (fun struct (_, frame) -> frame.Length > 0 && frame.Length <= maximumBytes)

let private isValidPublish direction (frame: byte[]) = isPublish frame && (Parsing.parse direction frame).IsOk

/// The frames themselves and all their changes, in both directions.
let mutations: Lazy<Case[]> =
    lazy
        [|
            for struct (direction, frame) in originals 40 140 do
                let other = if direction = ClientToServer then ServerToClient else ClientToServer

                let changes =
                    seq {
                        frame
                        yield! byteChanges frame

                        if (Parsing.parse direction frame).IsOk then
                            yield! lengthChanges frame

                        if isValidPublish direction frame then
                            yield! propertyChanges frame
                    }

                for changed in changes do
                    if changed.Length > 0 then
                        case direction changed
                        case other changed
        |]

/// Whole frames of a version before MQTT 5 to start from: the golden rows and lowered packets, always the same, none
/// above this size.
let originalsIn
    (version: ProtocolVersion)
    (generated: int)
    (maximumBytes: int)
    : struct (Direction * byte[])[] =
    [|
        for vector in GoldenVectors311.vectors do
            if vector.Version = version then
                for direction in vector.Directions do
                    struct (direction, vector.Bytes)

        for direction in Parsing.both do
            for packetType in [ PacketType.Publish; PacketType.Puback ] do
                let packets =
                    Gen.sampleWithSeed
                        (FsCheck.Rnd(20_141_029UL, 5UL))
                        20
                        generated
                        (PacketGenerators.packetOf packetType direction)

                for packet in packets do
                    match Lowering.lower version direction packet with
                    | ValueSome lowered -> struct (direction, encodedIn version direction lowered)
                    | ValueNone -> ()
    |]
    |> Array.filter (fun struct (_, frame) -> frame.Length > 0 && frame.Length <= maximumBytes)

let private mutationsOf (version: ProtocolVersion) : Case[] =
    [|
        for struct (direction, frame) in originalsIn version 50 140 do
            let other = if direction = ClientToServer then ServerToClient else ClientToServer

            let changes =
                seq {
                    frame
                    yield! byteChanges frame

                    if (Parsing.parseIn version direction frame).IsOk then
                        yield! lengthChanges frame
                }

            for changed in changes do
                if changed.Length > 0 then
                    caseIn version direction changed
                    caseIn version other changed

        // A few that are too large to change at each place.
        for struct (direction, frame) in originalsIn version 25 Int32.MaxValue do
            if frame.Length > 140 then
                caseIn version direction frame
                caseIn version direction (Array.append frame [| 0uy |])
                caseIn version direction frame[.. frame.Length - 2]
    |]

let private mutationsOfV311 = lazy mutationsOf ProtocolVersion.V311
let private mutationsOfV31 = lazy mutationsOf ProtocolVersion.V31

/// As <c>mutations</c>, in a version.
let mutationsIn (version: ProtocolVersion) : Lazy<Case[]> =
    match version with
    | ProtocolVersion.V5 -> mutations
    | ProtocolVersion.V311 -> mutationsOfV311
    | ProtocolVersion.V31 -> mutationsOfV31

/// Every acknowledgement with every kind of identifier, every reason code, every length, in both directions.
let acknowledgements: Lazy<Case[]> =
    lazy
        [|
            for first in 0x40uy .. 0x7Fuy do
                for high, low in [ 0uy, 0uy; 0uy, 1uy; 1uy, 0uy; 0xFFuy, 0xFFuy ] do
                    for direction in Parsing.both do
                        case direction (framed first [| high; low |])

                        // Flags other than the packet's own are refused whatever follows; a few codes show it.
                        let codes =
                            if List.contains first [ 0x40uy; 0x50uy; 0x62uy; 0x70uy ] then
                                [ 0uy .. 255uy ]
                            else
                                [ 0uy; 0x10uy; 0x80uy; 0x92uy ]

                        for code in codes do
                            for rest in
                                [
                                    [||]
                                    [| 0uy |]
                                    [| 1uy |]
                                    [| 0x80uy; 0uy |]
                                    [| 0uy; 0uy |]
                                    [| 3uy; 0x1Fuy; 0uy; 0uy |]
                                    [| 5uy; 0x26uy; 0uy; 0uy; 0uy; 0uy |]
                                ] do
                                case direction (framed first (Array.append [| high; low; code |] rest))
        |]

/// The same in a version before MQTT 5, which reads none of them but the shortest.
let acknowledgementsIn (version: ProtocolVersion) : Lazy<Case[]> =
    match version with
    | ProtocolVersion.V5 -> acknowledgements
    | _ ->
        lazy
            (acknowledgements.Value
             |> Array.map (fun case -> caseIn version case.Direction case.Frame))
