namespace Mqtt5

open System
open System.Collections.Generic
open System.Globalization
open System.Text
open FParsec

/// A packet in a trace, and which way it went.
[<NoComparison>]
type TracedPacket =
    {
        /// Which way it went; <c>ValueNone</c> where the trace does not tell: <c>[any]</c> or nothing.
        Direction: Direction voption
        /// The packet.
        Packet: Packet
    }

/// The text notation of packets and of what they are made of, described in docs/notation.md. What is printed
/// parses back to the equal value. No text makes parsing throw; texts that repeat a literal can make it allocate
/// up to 268,435,460 bytes for a call.
[<RequireQualifiedAccess>]
module Notation =

    let private printed (write: StringBuilder -> unit) =
        let output = StringBuilder()
        write output
        output.ToString()

    let private oneLine syntax meaning =
        NotationSyntax.nothing >>. NotationSyntax.lineOf syntax meaning
        .>> NotationSyntax.nothing
        .>> (eof <?> "the end of the text")

    let private manyLines syntax meaning : Parser<'T[], NotationSyntax.State> =
        let line = NotationSyntax.lineOf syntax meaning .>> NotationSyntax.nothing

        fun stream ->
            let lines = List<'T>()
            let mutable reply = NotationSyntax.nothing stream
            let mutable status = reply.Status
            let mutable error = reply.Error

            while status = Ok && not stream.IsEndOfStream do
                let reply = line stream
                status <- reply.Status
                error <- reply.Error

                if status = Ok then
                    lines.Add reply.Result

            if status = Ok then Reply(lines.ToArray()) else Reply(status, error)

    /// The packet in one line of printable characters, complete with passwords and authentication data:
    /// <c>parse</c> makes the equal packet of it. For logs and traces use <c>printRedacted</c>.
    [<CompiledName("Print")>]
    let print (packet: Packet) : string = printed (fun output -> NotationPrint.packet output false packet)

    /// As <c>print</c>, but with <c>***</c> for the password and the authentication data. It does not parse
    /// where a secret was hidden.
    [<CompiledName("PrintRedacted")>]
    let printRedacted (packet: Packet) : string =
        printed (fun output -> NotationPrint.packet output true packet)

    /// As <c>printRedacted</c>, with the direction before it: <c>[c&gt;s]</c> or <c>[s&gt;c]</c>.
    [<CompiledName("PrintTraced")>]
    let printTraced (direction: Direction) (packet: Packet) : string =
        printed (fun output ->
            NotationPrint.direction output direction
            NotationPrint.packet output true packet)

    /// As <c>print</c>, on a connection of this version. Before MQTT 5 a CONNECT begins with its level, as
    /// <c>CONNECT ver=4 clean=1</c>, and goes without the Session Expiry Interval that <c>clean</c> says; <c>parse</c> reads
    /// that again. Other packets are written as by <c>print</c>.
    [<CompiledName("PrintIn")>]
    let printIn (version: ProtocolVersion) (packet: Packet) : string =
        printed (fun output -> NotationPrint.packetIn version output false packet)

    /// As <c>printIn</c>, but with <c>***</c> for the password.
    [<CompiledName("PrintRedactedIn")>]
    let printRedactedIn (version: ProtocolVersion) (packet: Packet) : string =
        printed (fun output -> NotationPrint.packetIn version output true packet)

    /// As <c>printTraced</c>, on a connection of this version.
    [<CompiledName("PrintTracedIn")>]
    let printTracedIn (version: ProtocolVersion) (direction: Direction) (packet: Packet) : string =
        printed (fun output ->
            NotationPrint.direction output direction
            NotationPrint.packetIn version output true packet)

    let private packetParser = oneLine NotationSyntax.line NotationParse.packet

    /// The one packet that a text holds, besides empty lines and comments.
    [<CompiledName("Parse")>]
    let parse (text: string) : Result<Packet, NotationFault> = NotationSyntax.run packetParser text

    let private packetsParser = manyLines NotationSyntax.line NotationParse.packet

    /// The packets of a script: one a line, with empty lines and comments between them. The first fault ends it.
    [<CompiledName("ParseMany")>]
    let parseMany (text: string) : Result<Packet[], NotationFault> = NotationSyntax.run packetsParser text

    let private tracedParser =
        manyLines NotationSyntax.tracedLine (fun line ->
            NotationParse.packet line
            |> Result.map (fun packet -> { Direction = line.Direction; Packet = packet }))

    /// The packets of a trace: as <c>parseMany</c>, where a line may begin with <c>[c&gt;s]</c>,
    /// <c>[s&gt;c]</c> or <c>[any]</c>.
    [<CompiledName("ParseTrace")>]
    let parseTrace (text: string) : Result<TracedPacket[], NotationFault> =
        NotationSyntax.run tracedParser text

    /// A Topic Filter as a text in quotes.
    [<CompiledName("PrintFilter")>]
    let printFilter (filter: TopicFilter) : string =
        printed (fun output -> NotationPrint.text output filter.Text)

    let private filterParser = oneLine NotationSyntax.alone NotationValues.topicFilter

    /// The Topic Filter that a text in quotes holds.
    [<CompiledName("ParseFilter")>]
    let parseFilter (text: string) : Result<TopicFilter, NotationFault> = NotationSyntax.run filterParser text

    /// A subscription as in SUBSCRIBE: <c>"a/+" qos=1 nl=1</c>.
    [<CompiledName("PrintSubscription")>]
    let printSubscription (subscription: Subscription) : string =
        printed (fun output -> NotationPrint.subscription output subscription)

    let private subscriptionParser = oneLine NotationSyntax.subscription NotationParse.subscription

    /// The subscription that a text holds: a Topic Filter in quotes, then qos, nl, rap and rh as far as they are
    /// not 0.
    [<CompiledName("ParseSubscription")>]
    let parseSubscription (text: string) : Result<Subscription, NotationFault> =
        NotationSyntax.run subscriptionParser text

    /// A reason code by its name, or as two hexadecimal digits after 0x where the standard names none.
    [<CompiledName("PrintReason")>]
    let printReason (code: ReasonCode) : string = printed (fun output -> NotationPrint.reason output code)

    let private reasonParser = oneLine NotationSyntax.alone NotationValues.reason

    /// The reason code that a text names or numbers.
    [<CompiledName("ParseReason")>]
    let parseReason (text: string) : Result<ReasonCode, NotationFault> = NotationSyntax.run reasonParser text

    let private units: struct (string * int64)[] =
        [|
            struct ("d", 86_400_000L)
            struct ("h", 3_600_000L)
            struct ("m", 60_000L)
            struct ("s", 1_000L)
            struct ("ms", 1L)
        |]

    /// A duration in days, hours, minutes, seconds and milliseconds, without those that are 0: <c>1m30s</c>.
    /// Throws <see cref="T:System.ArgumentOutOfRangeException"/> for a negative one.
    [<CompiledName("PrintDuration")>]
    let printDuration (duration: int64<ms>) : string =
        ArgumentOutOfRangeException.ThrowIfNegative(int64 duration, nameof duration)

        printed (fun output ->
            let mutable rest = int64 duration

            for struct (name, size) in units do
                if rest >= size then
                    output.Append((rest / size).ToString CultureInfo.InvariantCulture).Append name
                    |> ignore

                    rest <- rest % size

            if output.Length = 0 then
                output.Append "0s" |> ignore)

    let private durationParser = oneLine NotationSyntax.duration (NotationValues.duration units)

    /// The duration of a text such as <c>500ms</c>, <c>2s</c> or <c>1m30s</c>: whole numbers with the units d, h,
    /// m, s and ms, the larger before the smaller, each at most once.
    [<CompiledName("ParseDuration")>]
    let parseDuration (text: string) : Result<int64<ms>, NotationFault> =
        NotationSyntax.run durationParser text
