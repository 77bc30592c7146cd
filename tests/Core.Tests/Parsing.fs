module Mqtt5.Tests.Parsing

open System
open System.Buffers
open System.IO
open Expecto
open Mqtt5

/// The directory that holds the solution.
let root: DirectoryInfo =
    let rec search (directory: DirectoryInfo | null) =
        match directory with
        | null -> failwith "no directory above the tests holds Mqtt5.sln"
        | directory when File.Exists(Path.Combine(directory.FullName, "Mqtt5.sln")) -> directory
        | directory -> search directory.Parent

    search (DirectoryInfo AppContext.BaseDirectory)

/// The lines of a table of the tests without its heading and its remarks, cut at the tabs.
let table (name: string) : string[][] =
    File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "data", name))
    |> Array.skip 1
    |> Array.filter (fun line -> line <> "" && not (line.StartsWith '#'))
    |> Array.map _.Split('\t')

/// Bytes in hexadecimal; spaces separate, and <c>61*123</c> is the byte 61 123 times.
let bytesOf (text: string) : byte[] =
    text.Split(' ', StringSplitOptions.RemoveEmptyEntries)
    |> Array.collect (fun part ->
        match part.Split '*' with
        | [| bytes; count |] -> Array.concat (Array.replicate (int count) (Convert.FromHexString bytes))
        | _ -> Convert.FromHexString part)

let private variableByteInteger (value: int) =
    let rec groups (rest: int) =
        if rest < 128 then
            [ byte rest ]
        else
            byte (rest &&& 127 ||| 128) :: groups (rest >>> 7)

    Array.ofList (groups value)

/// A property section: a Property Length that fits, and the properties.
let sectionOf (properties: string) : string =
    let length = (bytesOf properties).Length
    $"{Convert.ToHexString(variableByteInteger length)} {properties}"

/// A packet with a correct Remaining Length.
let packetOf (first: string) (body: string) : byte[] =
    let body = bytesOf body
    Array.concat [ bytesOf first; variableByteInteger body.Length; body ]

/// The fewest bytes that an action allocates on this thread in ten runs: in a single run the runtime may add
/// some of its own, when it compiles the code anew or another thread has it collect.
let allocated (action: unit -> unit) : int64 =
    let once () =
        let before = GC.GetAllocatedBytesForCurrentThread()
        action ()
        GC.GetAllocatedBytesForCurrentThread() - before

    Seq.min [ for _ in 1..10 -> once () ]

/// A test that measures what it allocates; no other runs beside it.
let measuring (name: string) (body: unit -> unit) : Test = testSequenced (testCase name body)

let both = [ ClientToServer; ServerToClient ]

/// No limit that a test could meet by accident.
let noLimit = Int32.MaxValue

let parse (direction: Direction) (frame: byte[]) : Result<Packet, Fault> =
    Grammar.parse direction noLimit 0L (ReadOnlyMemory frame)

let private expectPacket (result: Result<Packet, Fault>) : Packet =
    match result with
    | Ok packet -> packet
    | Error fault -> failtest $"refused: {fault}"

let private expectFault reason clause (offset: int) (result: Result<Packet, Fault>) =
    match result with
    | Ok packet -> failtest $"accepted as {packet.Type}"
    | Error fault ->
        Expect.equal fault.Reason reason $"reason of {fault}"
        Expect.equal fault.Blame Peer "the peer broke the rule"
        Expect.equal fault.Clause clause $"clause of {fault}"
        Expect.equal fault.Offset (int64 offset) $"offset of {fault}"

let accepted (direction: Direction) (frame: byte[]) : Packet = expectPacket (parse direction frame)

/// Parses, and expects a fault of the peer with this reason code and clause at this offset.
let refused (direction: Direction) (reason: ReasonCode) (clause: string) (offset: int) (frame: byte[]) =
    expectFault reason clause offset (parse direction frame)

let malformed = ReasonCode.MalformedPacket
let protocolError = ReasonCode.ProtocolError

let frame (direction: Direction) (bytes: byte[]) : Framing =
    Framer.next direction noLimit 0L (ReadOnlySequence bytes)

let parseIn (version: ProtocolVersion) (direction: Direction) (frame: byte[]) : Result<Packet, Fault> =
    Grammar.parseIn version direction noLimit 0L (ReadOnlyMemory frame)

let acceptedIn (version: ProtocolVersion) (direction: Direction) (frame: byte[]) : Packet =
    expectPacket (parseIn version direction frame)

/// As <c>refused</c>, on a connection of this version.
let refusedIn version direction (reason: ReasonCode) (clause: string) (offset: int) (frame: byte[]) =
    expectFault reason clause offset (parseIn version direction frame)

let frameIn (version: ProtocolVersion) (direction: Direction) (bytes: byte[]) : Framing =
    Framer.nextIn version direction noLimit 0L (ReadOnlySequence bytes)

/// The versions before MQTT 5.
let before5 = [ ProtocolVersion.V311; ProtocolVersion.V31 ]

let nameOfVersion (version: ProtocolVersion) = (Spec.version version).Name
