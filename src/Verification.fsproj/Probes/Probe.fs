namespace Mqtt5.Verification

open System
open Mqtt5

/// What became of a probe or a statement.
type Verdict =
    /// All was as the standard allows.
    | Pass = 0
    /// Something was not.
    | Fail = 1
    /// The server does not have what the statement is about, as it may.
    | NotApplicable = 2
    /// It could not be tried.
    | NotRun = 3

/// What a probe needs of a server.
type ProbeNeed =
    /// PUBLISH with QoS 1.
    | QoS1
    /// PUBLISH with QoS 2.
    | QoS2
    /// Retained messages.
    | Retain
    /// Topic Filters with wildcards.
    | Wildcards
    /// Shared Subscriptions.
    | Shared
    /// Subscription Identifiers.
    | SubscriptionIdentifiers
    /// Topic Aliases from the client.
    | TopicAliases
    /// A Maximum QoS below 2.
    | QoSLimit
    /// No retained messages.
    | NoRetain
    /// A connection by WebSocket.
    | WebSocket
    /// Enhanced authentication with SCRAM-SHA-256, and a name and password for it.
    | Scram
    /// A Receive Maximum of at least this.
    | InFlight of Least: int
    /// MQTT 5 as well, where the probe is one of an older version.
    | Version5
    /// What no probe can do, for this reason: the statement cannot be tried from outside.
    | Unseen of Why: string

/// A step of a probe. Each is about one of its connections, unless it is a wait.
[<NoComparison>]
type ProbeAction =
    /// The connections that the client opens from now on are of this version.
    | Speak of Version: ProtocolVersion
    /// The packet in this notation is sent, lowered to the version of the connection; the connection is opened first if
    /// there is none.
    | Send of Packet: string
    /// Bytes are sent, as described for <c>RawBytes</c>.
    | SendRaw of Template: string
    /// A message of text is sent over WebSocket.
    | SendText of Text: string
    /// A packet like this comes; others may come before it.
    | Expect of Pattern: PacketPattern
    /// The next packet of this type is like this.
    | ExpectNext of Pattern: PacketPattern
    /// The next packet of all is like this.
    | ExpectFirst of Pattern: PacketPattern
    /// A packet like this comes; it stays to be expected by a later step.
    | Await of Pattern: PacketPattern
    /// This packet comes, and no other has come.
    | ExpectOnly of Pattern: PacketPattern
    /// No packet like this has come.
    | ExpectNone of Pattern: PacketPattern
    /// The server closes the connection, at most after a DISCONNECT with one of these reasons; none: with any. Or it
    /// answers with a packet like the alternative. It has this time for it; absent: as for any answer.
    | Ends of Reasons: ReasonCode list * Alternative: PacketPattern voption * Within: int64<ms> voption
    /// The same, where the server takes note of what was sent; where nothing comes, the probe is over and not applicable,
    /// because section 4.13.1 leaves open how much a server checks.
    | Notices of Reasons: ReasonCode list
    /// The server closes the connection, and sends some of these bytes before, in hexadecimal digits, where a point is any
    /// digit and an asterisk whatever follows; none: whatever it sends.
    | Shuts of Bytes: string list
    /// The server closes the connection, at most after a CONNACK of failure with one of these reasons; none: any.
    | Refused of Reasons: ReasonCode list
    /// The connection is still open.
    | StaysOpen
    /// The client closes its connection without a word.
    | Leave
    /// Time passes, in milliseconds.
    | Pause of Milliseconds: int64<ms>
    /// Where the next packet of this type is like this, the probe is over with this verdict.
    | Unless of Pattern: PacketPattern * Verdict: Verdict * Reason: string
    /// Where the server has closed the connection, the probe is over and not applicable.
    | UnlessClosed of Reason: string

/// A step as it is written, and what it does.
[<NoComparison>]
type ProbeStep =
    {
        /// The connection; empty for a wait.
        Client: string
        /// What is done.
        Action: ProbeAction
        /// The line of the script that it comes from.
        Line: string
        /// The statements that are broken when this step fails; none: all those of the probe.
        Clauses: string list
    }

/// A probe: a script for several raw clients that shows whether a server keeps some statements.
[<NoComparison>]
type Probe =
    {
        /// The statements.
        Clauses: string list
        /// The version that its clients speak, as far as a step does not say another one.
        Version: ProtocolVersion
        /// What is shown, as a sentence.
        Title: string
        /// What the server has to have.
        Needs: ProbeNeed list
        /// The steps.
        Steps: ProbeStep list
    }

/// The bytes of a step, written as hexadecimal digits with some shorthand: <c>"text"</c> is a UTF-8 Encoded String with
/// its length before it, <c>'text'</c> is the text alone, and <c>{ ... }</c> is what stands inside with its length as a
/// Variable Byte Integer before it. <c>10 { "MQTT" 05 02 003C {} "c" }</c> is a CONNECT.
[<RequireQualifiedAccess>]
module RawBytes =

    let private variableByteInteger (value: int) =
        let rec go value =
            if value < 0x80 then
                [ byte value ]
            else
                byte (value &&& 0x7F ||| 0x80) :: go (value >>> 7)

        go value

    /// The bytes. Throws <see cref="T:System.ArgumentException"/> where the text cannot be read.
    [<CompiledName("Parse")>]
    let parse (text: string) : byte[] =
        let rec go (at: int) (bytes: byte list) : struct (int * byte list) =
            if at >= text.Length || text[at] = '}' then
                struct (at, List.rev bytes)
            else
                let quoted () =
                    let close = text.IndexOf(text[at], at + 1)

                    if close < 0 then
                        invalidArg (nameof text) $"a quote is not closed in {text}"

                    struct (close + 1, Text.Encoding.UTF8.GetBytes(text.Substring(at + 1, close - at - 1)))

                match text[at] with
                | ' ' -> go (at + 1) bytes
                | '"' ->
                    let struct (next, utf8) = quoted ()
                    let length = [ byte (utf8.Length >>> 8); byte utf8.Length ]
                    go next (List.rev (length @ List.ofArray utf8) @ bytes)
                | '\'' ->
                    let struct (next, utf8) = quoted ()
                    go next (List.rev (List.ofArray utf8) @ bytes)
                | '{' ->
                    let struct (close, inside) = go (at + 1) []
                    go (close + 1) (List.rev (variableByteInteger inside.Length @ inside) @ bytes)
                | _ -> go (at + 2) (Convert.ToByte(text.Substring(at, 2), 16) :: bytes)

        let struct (_, bytes) = go 0 []
        Array.ofList bytes

/// Reads probes. A script has a step on each line, <c>CLIENT VERB REST [CLAUSES]</c>:
///
/// <c>c &gt; PACKET</c>, <c>c &gt;&gt; BYTES</c>, <c>c text TEXT</c>: send; <c>c &lt; PATTERN</c>, <c>c next PATTERN</c>, <c>c first PATTERN</c>:
/// expect; <c>c sees PATTERN</c>: the same, and a later step can expect the packet again; <c>c quiet</c>: nothing is due;
/// <c>c never PATTERN</c>: no such packet is due;
/// <c>c ends REASONS [or PATTERN | within MILLISECONDS]</c>, <c>c refused REASONS</c>, <c>c shuts [BYTES|BYTES]</c>: the
/// server closes;
/// <c>c notices REASONS</c>: it closes if it checks what was sent;
/// <c>c open</c>, <c>c leaves</c>, <c>wait MILLISECONDS</c>, <c>c unless PATTERN : REASON</c>,
/// <c>c unless closed : REASON</c>;
/// <c>c speaks 5|311</c>: the version of its next connections;
/// <c>c joins FIELDS</c>, <c>c keeps FIELDS</c>, <c>c resumes FIELDS</c>: CONNECT and its answer, for a session that is new,
/// one that is new and kept, and one that is there; <c>c subscribes FILTERS</c>;
/// <c>c acked ID</c>, <c>c received ID</c>, <c>c completes ID</c>: the server's part of QoS 1 and 2.
///
/// As Authentication Data, <c>scram-opening</c> is the first message of SCRAM-SHA-256, <c>scram-proof($challenge)</c> the
/// answer to a challenge, and <c>scram-forgery($challenge)</c> an answer with a wrong proof.
///
/// <c>~/</c> is the prefix of all topics, <c>^/</c> the same without its first level, and any other <c>~</c> the prefix of
/// all Client Identifiers.
[<RequireQualifiedAccess>]
module ProbeSyntax =

    // How long a message that must not come is waited for.
    let private Settle = 300L<ms>

    // How long a server may take to notice that a client is gone.
    let private Departure = 250L<ms>

    let private reasons (text: string) =
        text.Split([| '|'; ' ' |], StringSplitOptions.RemoveEmptyEntries)
        |> Array.filter (fun one -> one <> "any")
        |> Array.map (fun one ->
            match Notation.parseReason one with
            | Ok code -> code
            | Error fault -> invalidArg (nameof text) $"{one}: {fault}")
        |> List.ofArray

    let private withClauses (line: string) =
        match line.LastIndexOf " [MQTT" with
        | -1 -> struct (line, [])
        | at ->
            struct (line.Substring(0, at).TrimEnd(),
                    line
                        .Substring(at + 2)
                        .TrimEnd(']')
                        .Split([| ' ' |], StringSplitOptions.RemoveEmptyEntries)
                    |> List.ofArray)

    let private actions (client: string) (verb: string) (rest: string) : (ProbeAction * string list) list =
        let pattern text = PacketPattern.parse text

        match verb with
        | "speaks" -> [ Speak(if rest = "5" then ProtocolVersion.V5 else ProtocolVersion.V311), [] ]
        | ">" -> [ Send rest, [] ]
        | ">>" -> [ SendRaw rest, [] ]
        | "text" -> [ SendText rest, [] ]
        | "<" -> [ Expect(pattern rest), [] ]
        | "next" -> [ ExpectNext(pattern rest), [] ]
        | "first" -> [ ExpectFirst(pattern rest), [] ]
        | "quiet" ->
            [
                Pause Settle, []
                Send "PINGREQ", []
                Await(pattern "PINGRESP"), [ "MQTT-3.12.4-1" ]
                ExpectOnly(pattern "PINGRESP"), []
            ]
        | "never" ->
            [
                Pause Settle, []
                Send "PINGREQ", []
                Expect(pattern "PINGRESP"), [ "MQTT-3.12.4-1" ]
                ExpectNone(pattern rest), []
            ]
        | "sees" -> [ Await(pattern rest), [] ]
        | "ends" ->
            match rest.Split " or ", rest.Split " within " with
            | [| codes; alternative |], _ ->
                [ Ends(reasons codes, ValueSome(pattern alternative), ValueNone), [] ]
            | _, [| codes; time |] -> [ Ends(reasons codes, ValueNone, ValueSome(int64 time * 1L<ms>)), [] ]
            | _ -> [ Ends(reasons rest, ValueNone, ValueNone), [] ]
        | "notices" -> [ Notices(reasons rest), [] ]
        | "shuts" ->
            [ Shuts(rest.Split([| '|' |], StringSplitOptions.RemoveEmptyEntries) |> List.ofArray), [] ]
        | "refused" -> [ Refused(reasons rest), [] ]
        | "open" -> [ StaysOpen, [] ]
        | "leaves" -> [ Leave, []; Pause Departure, [] ]
        | "unless" ->
            match rest.Split(" : ", 2) with
            | [| "closed"; reason |] -> [ UnlessClosed reason, [] ]
            | [| packet; reason |] -> [ Unless(pattern packet, Verdict.NotApplicable, reason), [] ]
            | _ -> invalidArg (nameof rest) $"'{rest}' gives no reason"
        | "joins" ->
            [
                Send $"CONNECT clean=1 clientid=\"~{client}\" {rest}", []
                Unless(pattern "CONNACK rc=error", Verdict.NotRun, "the server refused a usual CONNECT"), []
                ExpectFirst(pattern "CONNACK rc=Success"), [ "MQTT-3.1.4-5" ]
            ]
        | "keeps" ->
            [
                Send $"CONNECT clientid=\"~{client}\" {rest}", []
                Unless(pattern "CONNACK rc=error", Verdict.NotRun, "the server refused a usual CONNECT"), []
                ExpectFirst(pattern "CONNACK sp=0 rc=Success"), [ "MQTT-3.1.4-5"; "MQTT-3.1.2-6" ]
            ]
        | "resumes" ->
            [
                Send $"CONNECT clientid=\"~{client}\" {rest}", []
                ExpectFirst(pattern "CONNACK sp=1 rc=Success"), [ "MQTT-3.1.2-5"; "MQTT-3.2.2-3" ]
            ]
        | "subscribes" ->
            [
                Send $"SUBSCRIBE id=64000 filters[{rest}]", []
                Unless(pattern "SUBACK codes=error", Verdict.NotRun, "the server refused a usual SUBSCRIBE"),
                []
                ExpectNext(pattern "SUBACK id=64000"), [ "MQTT-3.8.4-1"; "MQTT-3.8.4-2" ]
            ]
        | "acked" ->
            [
                ExpectNext(pattern $"PUBACK id={rest} rc=Success|NoMatchingSubscribers"),
                [ "MQTT-3.3.4-1"; "MQTT-4.3.2-4" ]
            ]
        | "received" ->
            [
                ExpectNext(pattern $"PUBREC id={rest} rc=Success|NoMatchingSubscribers"),
                [ "MQTT-3.3.4-1"; "MQTT-4.3.3-8" ]
            ]
        | "completes" ->
            [
                Send $"PUBREL id={rest}", []
                ExpectNext(pattern $"PUBCOMP id={rest} rc=Success"), [ "MQTT-4.3.3-11" ]
            ]
        | _ -> invalidArg (nameof verb) $"there is no verb '{verb}'"

    let private stepsOf (versionOf: string -> ProtocolVersion) (line: string) =
        let struct (text, clauses) = withClauses line

        match text.Split([| ' ' |], 3, StringSplitOptions.RemoveEmptyEntries) with
        | [| "wait"; milliseconds |] ->
            [ { Client = ""; Action = Pause(int64 milliseconds * 1L<ms>); Line = text; Clauses = [] } ]
        | words when words.Length > 1 ->
            let rest = if words.Length > 2 then words[2] else ""

            actions words[0] words[1] rest
            |> List.map (fun (action, own) ->
                {
                    Client = words[0]
                    Action = action
                    Line = text
                    Clauses =
                        if clauses.IsEmpty then
                            List.collect (Statements.counterpartsIn (versionOf words[0])) own
                        else
                            clauses
                })
        | _ -> invalidArg (nameof line) $"'{line}' is no step"

    // The steps, and the versions that the clients speak in the end.
    let private stepsIn (version: ProtocolVersion) (lines: string[]) : ProbeStep list =
        let follow (spoken: Map<string, ProtocolVersion>) (line: string) =
            let versionOf client = Map.tryFind client spoken |> Option.defaultValue version

            let steps = stepsOf versionOf line

            let spoken =
                match steps with
                | [ { Client = client; Action = Speak version } ] -> Map.add client version spoken
                | _ -> spoken

            steps, spoken

        lines |> Array.mapFold follow Map.empty |> fst |> List.concat

    /// A probe of a version for some statements, which are separated by blanks and have no prefix. Throws
    /// <see cref="T:System.ArgumentException"/> where the script cannot be read.
    [<CompiledName("ProbeIn")>]
    let probeIn
        (version: ProtocolVersion)
        (needs: ProbeNeed list)
        (clauses: string)
        (title: string)
        (script: string)
        : Probe =
        {
            Clauses =
                clauses.Split([| ' ' |], StringSplitOptions.RemoveEmptyEntries)
                |> Array.map (fun id ->
                    if id.StartsWith "MQTT" then id
                    elif version.IsV5 then "MQTT-" + id
                    else "MQTT3-" + id)
                |> List.ofArray
            Version = version
            Title = title
            Needs = needs
            Steps =
                script.Split '\n'
                |> Array.map _.Trim()
                |> Array.filter (fun line -> line <> "")
                |> stepsIn version
        }

    /// A probe of MQTT 5.
    [<CompiledName("Probe")>]
    let probe (needs: ProbeNeed list) (clauses: string) (title: string) (script: string) : Probe =
        probeIn ProtocolVersion.V5 needs clauses title script
