// Prints the packets of a capture with their offsets, and explains the first fault.
// The file holds one direction or both of a connection, as raw bytes or as hexadecimal text.
//
//   dotnet fsi examples/decode-capture.fsx examples/capture.hex
//
// It ends with 1 where there was a fault.

#r "../src/CSharp/Mqtt5.Cli/bin/Release/net10.0/Mqtt5.Core.dll"

open System
open System.Buffers
open System.IO
open System.Text
open Mqtt5

let maximumPacketBytes = Spec.MaximumPacketBytes

// Hexadecimal when there is nothing but digits and what separates them.
let bytesOf (content: byte[]) =
    let isSeparator character = Char.IsWhiteSpace character || character = ',' || character = ':'
    let text = Encoding.Latin1.GetString content

    if
        text
        |> Seq.forall (fun character -> Char.IsAsciiHexDigit character || isSeparator character)
    then
        text |> String.filter (isSeparator >> not) |> Convert.FromHexString
    else
        content

// A capture does not tell who sent what: the packet is good if either end may send it. Of two faults, the one that
// stands further into the packet says more.
let parse (offset: int64) (frame: ReadOnlyMemory<byte>) =
    match
        Grammar.parse ClientToServer maximumPacketBytes offset frame,
        Grammar.parse ServerToClient maximumPacketBytes offset frame
    with
    | Ok packet, _
    | _, Ok packet -> Ok packet
    | Error client, Error server -> Error(if client.Offset >= server.Offset then client else server)

let frameAt (bytes: byte[]) (start: int) =
    let rest = ReadOnlyMemory(bytes, start, bytes.Length - start)
    let next direction = Framer.next direction maximumPacketBytes start (ReadOnlySequence<byte> rest)

    match next ClientToServer, next ServerToClient with
    | Frame length, _
    | _, Frame length -> Ok(rest.Slice(0, length))
    | Broken fault, Broken _ -> Error(Explain.fault start rest fault)
    | _ -> Error(Explain.cutOff false start rest)

let rec decode (bytes: byte[]) (start: int) =
    if start = bytes.Length then
        0
    else
        match frameAt bytes start with
        | Error explanation ->
            printfn "%s" explanation
            1
        | Ok frame ->
            match parse start frame with
            | Ok packet ->
                printfn "%6d  %s" start (Notation.printRedacted packet)
                decode bytes (start + frame.Length)
            | Error fault ->
                printfn "%s" (Explain.fault start frame fault)
                1

match fsi.CommandLineArgs with
| [| _; file |] -> exit (decode (bytesOf (File.ReadAllBytes file)) 0)
| _ ->
    eprintfn "usage: dotnet fsi decode-capture.fsx FILE"
    exit 2
