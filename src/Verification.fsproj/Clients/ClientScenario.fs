namespace Mqtt5.Verification

open System
open Mqtt5

/// What a program is asked to do in a scenario. Each has a command of its own, or the one that is there for all.
type ClientRole =
    /// It publishes messages.
    | Publish = 0
    /// It publishes messages with RETAIN 1.
    | Retain = 1
    /// It publishes messages with a Topic Alias.
    | Alias = 2
    /// It publishes messages with a Message Expiry Interval.
    | Expiring = 3
    /// It publishes a message with a Response Topic.
    | Request = 4
    /// It publishes messages within a session that outlives a connection, and connects again when it is lost.
    | PublishSession = 5
    /// It subscribes, stays, and prints the payload of each message as a line.
    | Subscribe = 6
    /// It does so within a session that outlives a connection, and connects again when it is lost.
    | SubscribeSession = 7
    /// It subscribes and unsubscribes.
    | Unsubscribe = 8
    /// It connects with a Will Message.
    | Will = 9
    /// It connects with a User Name and a password.
    | Login = 10
    /// It connects with an Authentication Method.
    | Authenticate = 11
    /// It subscribes as <c>Subscribe</c> does, over a WebSocket.
    | WebSocket = 12

/// A role, and the values of the placeholders of its command that are not as usual.
[<NoComparison>]
type ClientTask =
    {
        /// The role.
        Role: ClientRole
        /// The values by the names of the placeholders.
        Values: Map<string, string>
    }

/// A step of a scenario: what the server does, or what it waits for, on the latest connection.
[<NoComparison>]
type ClientAction =
    /// The packet in this notation is sent.
    | Reply of Packet: string
    /// Bytes are sent, as described for <c>RawBytes</c>.
    | ReplyRaw of Template: string
    /// A text frame is sent over a WebSocket.
    | ReplyText of Text: string
    /// The CONNACK of the connections to come has these fields.
    | Accept of Fields: string
    /// Packets of this type get no answer from here on but that of the scenario.
    | Hold of PacketType: string
    /// They are answered as usual again.
    | Serve of PacketType: string
    /// A packet like this comes; if it does not, the program does not have what the scenario is about.
    | Wants of Pattern: PacketPattern
    /// A packet like this has to come.
    | Gets of Pattern: PacketPattern
    /// The next packet of this type has to be like this; if none comes, the program does not have what the scenario is about.
    | GetsNext of Pattern: PacketPattern
    /// No packet like this comes within this time, in milliseconds.
    | Lacks of Milliseconds: int64<ms> * Pattern: PacketPattern
    /// The steps to come are about the first connection with CleanSession 0. Before MQTT 5 a client that begins a session
    /// anew and keeps it has to connect with CleanSession 1 first, so earlier connections are passed over.
    | InSession
    /// The connection is a WebSocket, unless the program does not open one.
    | OverWebSocket
    /// The client has to close the connection, at most after a DISCONNECT.
    | Ends
    /// The connection has to be open.
    | IsOpen
    /// The server closes the connection.
    | Drop
    /// The client connects again, unless the program does not do so.
    | Again
    /// The program prints a line with this text, unless it does not print messages.
    | Shows of Text: string
    /// The program has printed this text as often as this, some time later.
    | Printed of Times: int * Text: string
    /// Time passes, in milliseconds.
    | Wait of Milliseconds: int64<ms>
    /// The program goes on until it has nothing more to do.
    | Idle

/// A step as it is written, and what it does.
[<NoComparison>]
type ClientStep =
    {
        /// What is done.
        Action: ClientAction
        /// The line of the script that it comes from.
        Line: string
        /// The statements that are broken when this step fails; none: all those of the scenario.
        Clauses: string list
    }

/// A scenario: what a server does with a client to see whether it keeps some statements.
[<NoComparison>]
type ClientScenario =
    {
        /// The version that the client speaks.
        Version: ProtocolVersion
        /// The statements.
        Clauses: string list
        /// What is shown, as a sentence.
        Title: string
        /// What the program is to do.
        Task: ClientTask
        /// Packets that the program sends for this task to a server that does nothing unusual.
        Usual: PacketPattern list
        /// The steps.
        Steps: ClientStep list
    }

/// Names and values of roles.
[<RequireQualifiedAccess>]
module ClientTask =

    /// All roles with the names of their options, and what the command has to do.
    let roles: (ClientRole * string * string)[] =
        [|
            ClientRole.Publish, "publish", "publishes {count} times {message} to {topic} at {qos}"
            ClientRole.Retain, "retain", "publishes {message} to {topic} at {qos} with RETAIN 1"
            ClientRole.Alias,
            "alias",
            "publishes {count} messages to {topic} at {qos} with Topic Alias {alias}"
            ClientRole.Expiring,
            "expiring",
            "publishes {message} to {topic} at {qos} with Message Expiry Interval {expiry}; keeps its session and connects again"
            ClientRole.Request, "request", "publishes to {topic} with the Response Topic {response}"
            ClientRole.PublishSession,
            "publish-session",
            "publishes as that of --publish, keeps its session as {id}, and connects again when the connection is lost"
            ClientRole.Subscribe,
            "subscribe",
            "subscribes to {topic} at {qos}, stays, prints payloads as lines"
            ClientRole.SubscribeSession,
            "subscribe-session",
            "subscribes as that of --subscribe, keeps its session as {id}, and connects again when the connection is lost"
            ClientRole.Unsubscribe, "unsubscribe", "subscribes to {topic} and unsubscribes from it"
            ClientRole.Will, "will", "connects with a Will Message {message} to {topic} at {qos}"
            ClientRole.Login, "login", "connects with the User Name {user} and the password {password}"
            ClientRole.Authenticate, "authenticate", "connects with the Authentication Method {method}"
            ClientRole.WebSocket,
            "websocket",
            "subscribes as that of --subscribe, over a WebSocket; {url} begins with ws:// then"
        |]

    /// The name of a role's option.
    [<CompiledName("NameOf")>]
    let nameOf (role: ClientRole) : string =
        let _, name, _ = roles |> Array.find (fun (one, _, _) -> one = role)
        name

    /// The role whose command stands in where a role has none.
    [<CompiledName("InsteadOf")>]
    let insteadOf (role: ClientRole) : ClientRole voption =
        match role with
        | ClientRole.PublishSession -> ValueSome ClientRole.Publish
        | ClientRole.SubscribeSession -> ValueSome ClientRole.Subscribe
        | _ -> ValueNone

    // What placeholders stand for unless a task says otherwise.
    let private usual =
        Map
            [
                "id", "mqtt5-verify"
                "topic", "verify/topic"
                "qos", "0"
                "message", "hello"
                "count", "1"
                "user", "verifier"
                "password", "verify-secret"
                "keepalive", "60"
                "alias", "1"
                "expiry", "1"
                "response", "verify/response"
                "method", "VERIFY"
            ]

    /// The names of all placeholders but those of the address: <c>host</c>, <c>port</c> and <c>url</c>.
    let placeholders: string[] = usual |> Map.toArray |> Array.map fst

    /// The value of a placeholder.
    [<CompiledName("ValueOf")>]
    let valueOf (task: ClientTask) (name: string) : string =
        Map.tryFind name task.Values |> Option.defaultValue usual[name]

    /// Reads a task: the name of a role, and values as <c>qos=2</c>. Throws
    /// <see cref="T:System.ArgumentException"/> where there is no such role or placeholder.
    [<CompiledName("Parse")>]
    let parse (text: string) : ClientTask =
        match text.Split([| ' ' |], StringSplitOptions.RemoveEmptyEntries) |> List.ofArray with
        | name :: values ->
            match roles |> Array.tryFind (fun (_, one, _) -> one = name) with
            | Some(role, _, _) ->
                {
                    Role = role
                    Values =
                        Map
                            [
                                for value in values do
                                    match value.Split('=', 2) with
                                    | [| key; value |] when usual.ContainsKey key -> key, value
                                    | _ ->
                                        invalidArg (nameof text) $"'{value}' is no placeholder with a value"
                            ]
                }
            | None -> invalidArg (nameof text) $"there is no role '{name}'"
        | [] -> invalidArg (nameof text) "there is no role"

    // A value of this length is told by its length.
    [<Literal>]
    let private LongCharacters = 60

    /// A task in one line, as it is written; a long value is told by its length.
    [<CompiledName("Print")>]
    let print (task: ClientTask) : string =
        let shown (value: string) =
            if value.Length > LongCharacters then
                $"({value.Length} characters)"
            else
                value

        let values =
            task.Values
            |> Map.toList
            |> List.map (fun (name, value) -> $"{name}={shown value}")

        String.Join(" ", nameOf task.Role :: values)

/// Reads scenarios. A script has a step on each line, <c>VERB REST [CLAUSES]</c>:
///
/// <c>&gt; PACKET</c>, <c>&gt;&gt; BYTES</c>, <c>&gt;text TEXT</c>: the server sends; <c>connack FIELDS</c>: what CONNACKs to come say;
/// <c>hold TYPE</c>, <c>serve TYPE</c>: packets of this type are not answered, or as usual again;
/// <c>wants PATTERN</c>: it comes, or the scenario is not applicable; <c>&lt; PATTERN</c>: it has to come;
/// <c>next PATTERN</c>: the next of this type has to be it, if any comes;
/// <c>session</c>: what follows is about the connection with CleanSession 0; <c>websocket</c>: the connection is one;
/// <c>lacks MILLISECONDS PATTERN</c>: it must not come; <c>ends</c>: the client closes; <c>open</c>: it has not;
/// <c>drops</c>: the server closes; <c>again</c>: the client connects again; <c>shows TEXT</c>, <c>prints TIMES TEXT</c>: what the
/// program prints; <c>wait MILLISECONDS</c>; <c>idle</c>: until nothing more happens.
///
/// All other packets are answered as a server does that has no limits. <c>usual PATTERN</c> in the first lines names what the
/// program has to send for the task when the server does nothing unusual.
[<RequireQualifiedAccess>]
module ClientSyntax =

    let private number (text: string) = int64 text * 1L<ms>

    let private action (verb: string) (rest: string) : ClientAction =
        let halves () =
            match rest.Split(' ', 2) with
            | [| first; second |] -> struct (first, second)
            | _ -> invalidArg (nameof rest) $"'{verb}' needs two words"

        match verb with
        | ">" -> Reply rest
        | ">>" -> ReplyRaw rest
        | ">text" -> ReplyText rest
        | "connack" -> Accept rest
        | "hold" -> Hold rest
        | "serve" -> Serve rest
        | "wants" -> Wants(PacketPattern.parse rest)
        | "<" -> Gets(PacketPattern.parse rest)
        | "next" -> GetsNext(PacketPattern.parse rest)
        | "lacks" ->
            let struct (time, pattern) = halves ()
            Lacks(number time, PacketPattern.parse pattern)
        | "session" -> InSession
        | "websocket" -> OverWebSocket
        | "ends" -> Ends
        | "open" -> IsOpen
        | "drops" -> Drop
        | "again" -> Again
        | "shows" -> Shows rest
        | "prints" ->
            let struct (times, text) = halves ()
            Printed(int times, text)
        | "wait" -> Wait(number rest)
        | "idle" -> Idle
        | _ -> invalidArg (nameof verb) $"there is no verb '{verb}'"

    let private stepOf (line: string) : ClientStep =
        let text, clauses =
            match line.LastIndexOf " [MQTT" with
            | -1 -> line, []
            | at ->
                line.Substring(0, at).TrimEnd(),
                line.Substring(at + 2).TrimEnd(']').Split([| ' ' |], StringSplitOptions.RemoveEmptyEntries)
                |> List.ofArray

        let words = text.Split([| ' ' |], 2, StringSplitOptions.RemoveEmptyEntries)
        let rest = if words.Length > 1 then words[1].Trim() else ""
        { Action = action words[0] rest; Line = text; Clauses = clauses }

    /// A scenario for some statements, which are separated by blanks, with a program that does a task. Throws
    /// <see cref="T:System.ArgumentException"/> where the script cannot be read.
    [<CompiledName("Scenario")>]
    let scenario (clauses: string) (task: string) (title: string) (script: string) : ClientScenario =
        let isUsual (line: string) = line.StartsWith "usual "

        let lines =
            script.Split '\n'
            |> Array.map _.Trim()
            |> Array.filter (fun line -> line <> "")
            |> List.ofArray

        {
            Version = ProtocolVersion.V5
            Clauses =
                clauses.Split([| ' ' |], StringSplitOptions.RemoveEmptyEntries)
                |> Array.map (fun id -> "MQTT-" + id)
                |> List.ofArray
            Title = title
            Task = ClientTask.parse task
            Usual =
                lines
                |> List.filter isUsual
                |> List.map (fun line -> PacketPattern.parse (line.Substring "usual ".Length))
            Steps = lines |> List.filter (isUsual >> not) |> List.map stepOf
        }

    /// The scenario in which the server does nothing unusual, which shows what a program of a version does for a task.
    [<CompiledName("UsualIn")>]
    let usualIn (version: ProtocolVersion) (task: ClientTask) : ClientScenario =
        {
            Version = version
            Clauses = []
            Title = $"The program does its task: {ClientTask.print task}"
            Task = task
            Usual = []
            Steps =
                [
                    if version.IsV5 then
                        stepOf "connack props{TopicAliasMaximum=10}"

                    stepOf "idle"
                ]
        }

    /// As <c>usualIn</c>, of MQTT 5.
    [<CompiledName("Usual")>]
    let usual (task: ClientTask) : ClientScenario = usualIn ProtocolVersion.V5 task
