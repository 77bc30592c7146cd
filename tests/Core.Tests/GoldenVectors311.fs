/// Packets of MQTT 3.1.1 and 3.1 by hand, byte for byte, through everything that reads and writes them.
module Mqtt5.Tests.GoldenVectors311

open System
open System.Buffers
open Expecto
open Mqtt5
open Mqtt5.Tests.Parsing
open Mqtt5.Tests.PacketSamples

/// What a vector's bytes are.
type Verdict =
    /// A packet, which is written as these bytes.
    | Accepted
    /// A packet that is written otherwise: MQTT 3.1 does not judge all bits.
    | Read
    | Refused of ReasonCode
    | Unfinished

/// A row of data/golden311.tsv.
type Vector =
    {
        Name: string
        Version: ProtocolVersion
        /// The directions in which the verdict holds.
        Directions: Direction list
        Bytes: byte[]
        /// The notation of a packet, the clause that a refused one breaks, a remark for the other rows.
        Notation: string
        Verdict: Verdict
    }

let private vector (row: string[]) : Vector =
    let directions, notation =
        match row[3].Substring(0, 6) with
        | "[c>s] " -> [ ClientToServer ], row[3].Substring 6
        | "[s>c] " -> [ ServerToClient ], row[3].Substring 6
        | "[any] " -> both, row[3].Substring 6
        | _ -> failwith $"{row[0]} has no direction"

    {
        Name = row[0]
        Version =
            match row[1] with
            | "311" -> ProtocolVersion.V311
            | "31" -> ProtocolVersion.V31
            | version -> failwith $"{row[0]} has the version {version}"
        Directions = directions
        Bytes = bytesOf row[2]
        Notation = notation
        Verdict =
            match row[4].Split ' ' with
            | [| "ok" |] -> Accepted
            | [| "ok-read" |] -> Read
            | [| "incomplete" |] -> Unfinished
            | [| "malformed"; "0x81" |] -> Refused ReasonCode.MalformedPacket
            | [| "protocol-error"; code |] ->
                Refused(LanguagePrimitives.EnumOfValue(Convert.ToByte(code, 16)))
            | _ -> failwith $"the verdict {row[4]} of {row[0]} is not known"
    }

/// All rows in their order.
let vectors: Vector[] = table "golden311.tsv" |> Array.map vector

let private recognised version direction (frame: byte[]) : Packet voption =
    let mutable publish = PublishView()
    let mutable acknowledgement = Unchecked.defaultof<AcknowledgementView>

    if FastPath.tryPublishIn version direction (ReadOnlySpan frame) &publish then
        ValueSome(Packet.Publish(publish.ToPublish(ReadOnlyMemory frame)))
    elif FastPath.tryAcknowledgementIn version direction (ReadOnlySpan frame) &acknowledgement then
        ValueSome(acknowledgement.ToPacket())
    else
        ValueNone

let private isForFastPath (packet: Packet) =
    match packet.Type with
    | PacketType.Publish
    | PacketType.Puback
    | PacketType.Pubrec
    | PacketType.Pubrel
    | PacketType.Pubcomp -> true
    | _ -> false

let private reads (vector: Vector) (direction: Direction) =
    match frameIn vector.Version direction vector.Bytes with
    | Frame length -> Expect.equal length vector.Bytes.Length "the packet ends where the row ends"
    | Incomplete -> failtest "the framer waits"
    | Broken fault -> failtest $"the framer refuses: {fault}"

    let packet = acceptedIn vector.Version direction vector.Bytes

    match Notation.parse vector.Notation with
    | Ok expected -> Expect.equal packet expected "the packet is the one of the notation"
    | Error fault -> failtest $"{fault}"

    Expect.equal (Notation.printIn vector.Version packet) vector.Notation "printed"
    Expect.equal (Lowering.lower vector.Version direction packet) (ValueSome packet) "lowered already"

    // What an older connection brings can be said in MQTT 5 as well, but for an UNSUBACK without codes.
    match packet with
    | Packet.Unsuback _ -> ()
    | _ -> Expect.isTrue (Encode.check direction packet).IsNone "a packet of MQTT 5"

    packet

let private asPacket (vector: Vector) (direction: Direction) () =
    let version = vector.Version

    match vector.Verdict with
    | Accepted ->
        let packet = reads vector direction
        Expect.equal (encodedIn version direction packet) vector.Bytes "written as it was read"
        let fast = recognised version direction vector.Bytes
        Expect.equal fast (if isForFastPath packet then ValueSome packet else ValueNone) "the fast path"
    | Read ->
        let packet = reads vector direction
        let again = encodedIn version direction packet
        Expect.notEqual again vector.Bytes "written otherwise"
        Expect.equal (acceptedIn version direction again) packet "and read again"
        Expect.isTrue (recognised version direction vector.Bytes).IsNone "the fast path leaves it"
    | Unfinished ->
        Expect.isTrue (frameIn version direction vector.Bytes).IsIncomplete "the framer waits"
        Expect.isTrue (recognised version direction vector.Bytes).IsNone "the fast path leaves it"
    | Refused reason ->
        Expect.isTrue (recognised version direction vector.Bytes).IsNone "the fast path leaves it"

        match frameIn version direction vector.Bytes, parseIn version direction vector.Bytes with
        | _, Ok packet -> failtest $"accepted as {packet.Type}"
        | Incomplete, Error fault -> failtest $"the framer waits, but the grammar refuses: {fault}"
        | Frame length, Error fault ->
            Expect.equal length vector.Bytes.Length "the packet ends where the row ends"
            Expect.equal fault.Reason reason $"reason code of {fault}"
            Expect.equal fault.Clause vector.Notation $"clause of {fault}"
            Expect.equal fault.Blame Peer "the peer broke the rule"
        | Broken early, Error late ->
            Expect.equal early.Reason reason $"reason code of {early}"
            Expect.equal early.Clause vector.Notation $"clause of {early}"
            Expect.equal (string early) (string late) "the framer and the grammar find the same fault"

// The first packet of a connection, when no version is known yet.
let private asFirst () =
    for vector in vectors do
        if vector.Bytes[0] >>> 4 = 1uy && vector.Directions = [ ClientToServer ] then
            match Framer.first ClientToServer noLimit 0L (ReadOnlySequence vector.Bytes) with
            | Frame length -> Expect.equal length vector.Bytes.Length vector.Name
            | framing -> failtest $"{vector.Name}: {framing}"

            let struct (protocol, result) =
                Grammar.parseFirst ClientToServer noLimit 0L (ReadOnlyMemory vector.Bytes)

            match vector.Verdict with
            | Accepted
            | Read ->
                Expect.equal protocol.Version vector.Version vector.Name
                Expect.equal protocol.IsBridge (vector.Name.Contains "bridge") vector.Name

                match result, parseIn vector.Version ClientToServer vector.Bytes with
                | Ok first, Ok packet -> Expect.equal first packet vector.Name
                | result, _ -> failtest $"{vector.Name}: {result}"
            | Refused ReasonCode.UnsupportedProtocolVersion
            | Unfinished -> ()
            | Refused _ ->
                if not (vector.Notation.StartsWith "MQTT3-2.2.2") then
                    Expect.equal protocol.Version vector.Version vector.Name
                    Expect.isError result vector.Name

let tests =
    testList
        "GoldenVectors311"
        [
            testCase "the table has all of its rows" (fun () ->
                Expect.hasLength vectors 224 "rows"

                Expect.hasLength
                    (vectors |> Array.distinctBy (fun row -> row.Name, nameOfVersion row.Version))
                    224
                    "names"

                let of31 = vectors |> Array.filter _.Version.IsV31
                Expect.hasLength of31 55 "rows of MQTT 3.1")

            testCase "a CONNECT tells its version" asFirst

            for vector in vectors do
                for direction in vector.Directions do
                    testCase
                        $"{nameOfVersion vector.Version} {vector.Name} {GoldenVectors.nameOf direction}"
                        (asPacket vector direction)
        ]
