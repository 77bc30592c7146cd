namespace Mqtt5.Verification

open System
open System.Globalization
open System.Text
open Mqtt5

/// What happened on a traced connection.
[<RequireQualifiedAccess; NoComparison>]
type TraceEvent =
    /// A client connected.
    | Opened
    /// A packet passed, of this many bytes on the wire.
    | Packet of Direction: Direction * WireBytes: int * Packet: Packet
    /// Bytes passed that are no packet: how many, the statement or section that they break, and the bytes as far as
    /// the trace keeps them. After bytes whose end is not known, nothing more of this direction is traced.
    | Malformed of Direction: Direction * WireBytes: int * Clause: string * Bytes: Bytes
    /// The connection is over; the direction says which end closed it.
    | Closed of Direction: Direction

/// A line of a trace file.
[<NoComparison>]
type TraceRecord =
    {
        /// When, in milliseconds since the start of 1970 in UTC.
        At: Instant
        /// The number of the connection, from 1.
        Connection: int
        /// What.
        Event: TraceEvent
    }

/// Leaves secrets and payloads out of packets that are written down.
[<RequireQualifiedAccess>]
module TraceRedaction =

    /// What stands in the place of a secret.
    let internal stars = Secret(Bytes.OfText "***")

    let private authentication (given: Authentication voption) =
        match given with
        | ValueSome { Method = name; Data = ValueSome _ } ->
            ValueSome { Method = name; Data = ValueSome stars }
        | other -> other

    /// The packet with the text <c>***</c> for its password and Authentication Data, so that it stays a valid packet and
    /// nothing of them can be told, not even how long they are.
    [<CompiledName("WithoutSecrets")>]
    let withoutSecrets (packet: Packet) : Packet =
        match packet with
        | Packet.Connect connect ->
            Packet.Connect
                { connect with
                    Password = if connect.Password.IsSome then ValueSome stars else ValueNone
                    Properties =
                        { connect.Properties with
                            Authentication = authentication connect.Properties.Authentication
                        }
                }
        | Packet.Connack connack ->
            Packet.Connack
                { connack with
                    Properties =
                        { connack.Properties with
                            Authentication = authentication connack.Properties.Authentication
                        }
                }
        | Packet.Auth auth ->
            match authentication (ValueSome auth.Authentication) with
            | ValueSome hidden -> Packet.Auth { auth with Authentication = hidden }
            | ValueNone -> packet
        | _ -> packet

    let private starred (payload: Bytes) =
        let bytes: byte[] = Array.create payload.Length (byte '*')
        Bytes.OfArray bytes

    /// The packet with as many stars as its payload has bytes. The payload of a Will Message is one as well.
    [<CompiledName("WithoutPayload")>]
    let withoutPayload (packet: Packet) : Packet =
        match packet with
        | Packet.Publish publish -> Packet.Publish { publish with Payload = starred publish.Payload }
        | Packet.Connect({ Will = ValueSome will } as connect) ->
            Packet.Connect { connect with Will = ValueSome { will with Payload = starred will.Payload } }
        | _ -> packet

/// The text of trace files: one line for each event, in the notation of packets, after the time, the connection and
/// the direction. What is printed parses back to the equal record.
[<RequireQualifiedAccess>]
module TraceText =

    /// The line that a trace file begins with.
    [<Literal>]
    let Heading = "# mqtt5 trace 1"

    [<Literal>]
    let private TimeFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'"

    [<Literal>]
    let private Malformed = "MALFORMED"

    /// A time as it stands in a trace: ISO 8601 in UTC with milliseconds.
    [<CompiledName("PrintTime")>]
    let printTime (at: Instant) : string =
        DateTimeOffset.FromUnixTimeMilliseconds(int64 at).ToString(TimeFormat, CultureInfo.InvariantCulture)

    /// The direction of packets as notation writes it: <c>[c&gt;s]</c> or <c>[s&gt;c]</c>.
    [<CompiledName("PrintDirection")>]
    let printDirection (direction: Direction) : string =
        if direction = ClientToServer then "[c>s]" else "[s>c]"

    /// The record in one line, complete: hide secrets before with <c>TraceRedaction</c>.
    [<CompiledName("Print")>]
    let print (record: TraceRecord) : string =
        let output = StringBuilder()
        let number = record.Connection.ToString CultureInfo.InvariantCulture

        output.Append(printTime record.At).Append(" #").Append(number).Append(' ')
        |> ignore

        let directed direction (wireBytes: int) (what: string) =
            output
                .Append(printDirection direction)
                .Append(' ')
                .Append(wireBytes.ToString CultureInfo.InvariantCulture)
                .Append(' ')
                .Append
                what
            |> ignore

        match record.Event with
        | TraceEvent.Opened -> output.Append "OPENED" |> ignore
        | TraceEvent.Packet(direction, wireBytes, packet) ->
            directed direction wireBytes (Notation.print packet)
        | TraceEvent.Malformed(direction, wireBytes, clause, bytes) ->
            directed direction wireBytes $"{Malformed} {clause} x'{bytes}'"
        | TraceEvent.Closed direction -> output.Append(printDirection direction).Append " CLOSED" |> ignore

        output.ToString()

    let private fault (lineNumber: int) column message expected : Result<'T, NotationFault> =
        Error { Line = lineNumber; Column = column; Message = message; Expected = expected }

    // The word that starts at an offset, and the offset after the blank behind it.
    let private word (line: string) (at: int) : struct (string * int) =
        if at >= line.Length then
            struct ("", line.Length)
        else
            match line.IndexOf(' ', at) with
            | -1 -> struct (line.Substring at, line.Length)
            | blank -> struct (line.Substring(at, blank - at), blank + 1)

    let private malformed lineNumber (line: string) direction wireBytes at =
        let struct (clause, next) = word line at
        let literal = line.Substring next

        if
            clause = ""
            || not (literal.StartsWith "x'")
            || not (literal.EndsWith '\'')
            || literal.Length < 3
        then
            fault lineNumber (at + 1) "the line is not complete" "a clause and bytes as x'...'"
        else
            let digits = literal.Substring(2, literal.Length - 3)

            if digits.Length % 2 = 0 && digits |> Seq.forall Char.IsAsciiHexDigit then
                Ok(
                    TraceEvent.Malformed(
                        direction,
                        wireBytes,
                        clause,
                        Bytes.OfArray(Convert.FromHexString digits)
                    )
                )
            else
                fault lineNumber (next + 3) "these are no bytes" "pairs of hexadecimal digits"

    let private packet lineNumber (line: string) direction wireBytes at =
        match Notation.parse (line.Substring at) with
        | Ok packet -> Ok(TraceEvent.Packet(direction, wireBytes, packet))
        | Error found -> Error { found with Line = lineNumber; Column = found.Column + at }

    let private directed lineNumber (line: string) direction at =
        let struct (size, next) = word line at

        if size = "CLOSED" then
            Ok(TraceEvent.Closed direction)
        else
            match Int32.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture) with
            | true, wireBytes when wireBytes > 0 ->
                let struct (kind, after) = word line next

                if kind = Malformed then
                    malformed lineNumber line direction wireBytes after
                else
                    packet lineNumber line direction wireBytes next
            | _ -> fault lineNumber (at + 1) "this is no number of bytes" "a number from 1, or CLOSED"

    let private event lineNumber (line: string) at =
        let struct (kind, next) = word line at

        match kind with
        | "OPENED" -> Ok TraceEvent.Opened
        | "[c>s]" -> directed lineNumber line ClientToServer next
        | "[s>c]" -> directed lineNumber line ServerToClient next
        | _ -> fault lineNumber (at + 1) "this is no event" "OPENED, [c>s] or [s>c]"

    /// The record of a line; <c>ValueNone</c> for an empty line or a comment. <paramref name="lineNumber"/> is the number
    /// of the line in its file, from 1, for the fault. No text makes it throw.
    [<CompiledName("Parse")>]
    let parse (lineNumber: int) (line: string) : Result<TraceRecord voption, NotationFault> =
        let line = line.TrimEnd()

        if line = "" || line.StartsWith '#' then
            Ok ValueNone
        else
            let struct (time, afterTime) = word line 0
            let struct (number, afterNumber) = word line afterTime

            let isTime, at =
                DateTimeOffset.TryParseExact(
                    time,
                    TimeFormat,
                    CultureInfo.InvariantCulture,
                    DateTimeStyles.AssumeUniversal
                )

            if not isTime then
                fault lineNumber 1 "this is no time" "a time as 2030-01-31T12:00:00.000Z"
            elif not (number.StartsWith '#') then
                fault lineNumber (afterTime + 1) "the connection is missing" "# and a number from 1"
            else
                match Int32.TryParse(number.AsSpan 1, NumberStyles.None, CultureInfo.InvariantCulture) with
                | true, connection when connection > 0 ->
                    event lineNumber line afterNumber
                    |> Result.map (fun event ->
                        ValueSome
                            {
                                At = at.ToUnixTimeMilliseconds() * 1L<ms>
                                Connection = connection
                                Event = event
                            })
                | _ -> fault lineNumber (afterTime + 2) "this is no connection" "a number from 1"
