module Mqtt5.Tests.GoldenVectors

open System
open Expecto
open Mqtt5
open Mqtt5.Tests.Parsing

/// What a vector's bytes are.
type Verdict =
    | Accepted
    | Refused of ReasonCode
    | Unfinished

/// A row of data/golden.tsv.
type Vector =
    {
        Name: string
        /// The directions in which the verdict holds; none for a bare Variable Byte Integer.
        Directions: Direction list
        Bytes: byte[]
        /// The notation of an accepted packet without its direction; a remark for the other rows.
        Notation: string
        Verdict: Verdict
    }

let private vector (row: string[]) : Vector =
    let directions, notation =
        match row[2] with
        | text when text.StartsWith "[c>s] " -> [ ClientToServer ], text.Substring 6
        | text when text.StartsWith "[s>c] " -> [ ServerToClient ], text.Substring 6
        | text when text.StartsWith "[any] " -> both, text.Substring 6
        | text -> [], text

    let verdict =
        match row[3].Split ' ' with
        | [| "ok" |] -> Accepted
        | [| "incomplete" |] -> Unfinished
        | [| "malformed"; "0x81" |] -> Refused ReasonCode.MalformedPacket
        | [| "protocol-error"; code |] -> Refused(LanguagePrimitives.EnumOfValue(Convert.ToByte(code, 16)))
        | _ -> failwith $"the verdict {row[3]} of {row[0]} is not known"

    {
        Name = row[0]
        Directions = directions
        Bytes = bytesOf row[1]
        Notation = notation
        Verdict = verdict
    }

/// All rows in their order.
let vectors: Vector[] = table "golden.tsv" |> Array.map vector

/// The rows whose bytes are one packet that the grammar accepts.
let packets: Vector[] =
    vectors
    |> Array.filter (fun vector -> vector.Verdict = Accepted && not vector.Directions.IsEmpty)

let private asVariableByteInteger (vector: Vector) () =
    match vector.Verdict, Grammar.variableByteInteger (ReadOnlyMemory vector.Bytes) with
    | Accepted, Ok value -> Expect.equal $"varint {value}" vector.Notation "the value"
    | Refused reason, Error fault -> Expect.equal fault.Reason reason "the reason code"
    | verdict, result -> failtest $"{verdict} is wanted, but the result is {result}"

let private asPacket (vector: Vector) (direction: Direction) () =
    match vector.Verdict, frame direction vector.Bytes with
    | Unfinished, Incomplete -> ()
    | Accepted, Frame length ->
        Expect.equal length vector.Bytes.Length "the packet ends where the row ends"
        let packet = accepted direction vector.Bytes
        let name = vector.Notation.Split(' ')[0]
        Expect.equal (Spec.packet packet.Type).Name name "the packet type"
    | Refused reason, framing ->
        match framing, parse direction vector.Bytes with
        | _, Ok packet -> failtest $"accepted as {packet.Type}"
        | Frame length, Error fault ->
            Expect.equal length vector.Bytes.Length "the packet ends where the row ends"
            Expect.equal fault.Reason reason $"reason code of {fault}"
            Expect.equal fault.Blame Peer "the peer broke the rule"
        | Broken early, Error late ->
            Expect.equal early.Reason reason $"reason code of {early}"
            Expect.equal (string early) (string late) "the framer and the grammar find the same fault"
        | Incomplete, Error fault -> failtest $"the framer waits, but the grammar refuses: {fault}"
    | verdict, _ -> failtest $"{verdict} is wanted, but the framer decides otherwise"

let nameOf direction =
    match direction with
    | ClientToServer -> "c>s"
    | ServerToClient -> "s>c"

let tests =
    testList
        "GoldenVectors"
        [
            testCase "the table has all of its rows" (fun () ->
                Expect.hasLength vectors 230 "rows"
                Expect.hasLength (Array.distinctBy _.Name vectors) 230 "names")

            for vector in vectors do
                if vector.Directions.IsEmpty then
                    testCase vector.Name (asVariableByteInteger vector)

                for direction in vector.Directions do
                    testCase $"{vector.Name} {nameOf direction}" (asPacket vector direction)
        ]
