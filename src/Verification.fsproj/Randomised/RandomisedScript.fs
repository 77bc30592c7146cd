namespace Mqtt5.Verification

open System
open System.Text
open Mqtt5

/// What happens in a randomised session. In packets, <c>~/</c> stands for the prefix of all topics and any other <c>~</c>
/// for the prefix of all Client Identifiers; Packet Identifiers are only stand-ins.
[<RequireQualifiedAccess; NoComparison>]
type RandomisedAction =
    /// The client connects. A connection that it has is taken over. Without a Client Identifier, it uses the one that the
    /// server assigned to it before, if any.
    | Connect of Packet: Connect
    /// It subscribes.
    | Subscribe of Packet: Subscribe
    /// It gives up filters.
    | Unsubscribe of Packet: Unsubscribe
    /// It publishes. No other message of the script has the same payload, or if that is empty, the same Correlation Data.
    /// With a Topic Alias, the Topic Name goes out where the alias does not stand for it yet.
    | Publish of Packet: Publish
    /// It publishes, and its connection breaks before that has left. It sends the message again when it goes on with its
    /// session: with DUP 1, though the server sees it for the first time.
    | Lose of Packet: Publish
    /// It sends DISCONNECT and waits for the server to close.
    | Disconnect of Outcome: Outcome<DisconnectProperties>
    /// It closes its connection without a word.
    | Leave
    /// It acknowledges nothing until it goes on.
    | Hold
    /// It acknowledges what it held back, and again everything at once.
    | GoOn
    /// It refuses the next message of QoS 1 or 2, with PUBACK or PUBREC.
    | Refuse
    /// Time passes, in milliseconds. This is about no client.
    | Wait of Duration: int64<ms>
    /// All clients go on, and everything that is due has to come. This is about no client.
    | Quiet

/// A step of a randomised session. Where its client is not connected, a step other than to connect is left out.
[<NoComparison>]
type RandomisedStep =
    {
        /// The client, a letter; empty: none.
        Client: string
        /// What happens.
        Action: RandomisedAction
    }

    /// The step in notation.
    override this.ToString() =
        let sends packet = $"{this.Client} > {Notation.printRedacted packet}"

        match this.Action with
        | RandomisedAction.Connect packet -> sends (Packet.Connect packet)
        | RandomisedAction.Subscribe packet -> sends (Packet.Subscribe packet)
        | RandomisedAction.Unsubscribe packet -> sends (Packet.Unsubscribe packet)
        | RandomisedAction.Publish packet -> sends (Packet.Publish packet)
        | RandomisedAction.Lose packet ->
            $"{this.Client} loses {Notation.printRedacted (Packet.Publish packet)}"
        | RandomisedAction.Disconnect outcome -> sends (Packet.Disconnect outcome)
        | RandomisedAction.Leave -> $"{this.Client} leaves"
        | RandomisedAction.Hold -> $"{this.Client} holds"
        | RandomisedAction.GoOn -> $"{this.Client} goes-on"
        | RandomisedAction.Refuse -> $"{this.Client} refuses"
        | RandomisedAction.Wait duration -> $"wait {Notation.printDuration duration}"
        | RandomisedAction.Quiet -> "quiet"

/// A randomised session: what some clients of a server do, one after another. At the end everything has to be quiet.
[<NoComparison>]
type RandomisedScript =
    {
        /// The steps.
        Steps: RandomisedStep[]
    }

    /// The script in notation, a line for each step.
    override this.ToString() = String.Join('\n', this.Steps)

/// Reads scripts of randomised sessions.
[<RequireQualifiedAccess>]
module RandomisedScript =

    let private unwrap (result: Result<'T, NotationFault>) : 'T =
        match result with
        | Ok value -> value
        | Error fault -> raise (FormatException $"{fault}")

    let private ofPacket (packet: Packet) : RandomisedAction =
        match packet with
        | Packet.Connect connect -> RandomisedAction.Connect connect
        | Packet.Subscribe subscribe -> RandomisedAction.Subscribe subscribe
        | Packet.Unsubscribe unsubscribe -> RandomisedAction.Unsubscribe unsubscribe
        | Packet.Publish publish when not publish.Topic.IsAlias -> RandomisedAction.Publish publish
        | Packet.Disconnect outcome -> RandomisedAction.Disconnect outcome
        | other -> raise (FormatException $"this {other.Type} does not belong into a script")

    let private lost (packet: Packet) : RandomisedAction =
        match packet with
        | Packet.Publish publish when not publish.Topic.IsAlias && publish.Delivery.QoS > QoS.AtMostOnce ->
            RandomisedAction.Lose publish
        | other -> raise (FormatException $"this {other.Type} is not sent again")

    let private step (line: string) : RandomisedStep =
        match line.Split(' ', 3, StringSplitOptions.RemoveEmptyEntries) with
        | [| "quiet" |] -> { Client = ""; Action = RandomisedAction.Quiet }
        | [| "wait"; duration |] ->
            { Client = ""; Action = RandomisedAction.Wait(unwrap (Notation.parseDuration duration)) }
        | [| client; "leaves" |] -> { Client = client; Action = RandomisedAction.Leave }
        | [| client; "holds" |] -> { Client = client; Action = RandomisedAction.Hold }
        | [| client; "goes-on" |] -> { Client = client; Action = RandomisedAction.GoOn }
        | [| client; "refuses" |] -> { Client = client; Action = RandomisedAction.Refuse }
        | [| client; "loses"; packet |] -> { Client = client; Action = lost (unwrap (Notation.parse packet)) }
        | [| client; ">"; packet |] -> { Client = client; Action = ofPacket (unwrap (Notation.parse packet)) }
        | _ -> raise (FormatException $"'{line}' is no step")

    /// The script of a text, with a step on each line; empty lines and those that begin with # are left out. Throws
    /// <see cref="T:System.FormatException"/> that names the line and what is wrong.
    [<CompiledName("Parse")>]
    let parse (text: string) : RandomisedScript =
        {
            Steps =
                [|
                    for number, line in Seq.indexed (text.Split '\n') do
                        let line = line.Trim()

                        if line <> "" && not (line.StartsWith '#') then
                            try
                                step line
                            with :? FormatException as problem ->
                                raise (FormatException($"line {number + 1}: {problem.Message}", problem))
                |]
        }
