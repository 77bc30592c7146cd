namespace Mqtt5.Verification

open System
open System.Text
open Mqtt5

/// Scenarios as text, one statement a line, with packets in the notation of the core. What is printed parses back to
/// the same scenario. Lines that begin with # are remarks.
[<RequireQualifiedAccess>]
module ScenarioNotation =

    // The names of versions other than 5, which says nothing.
    let private versionNumber (version: ProtocolVersion) : uint64 =
        match version with
        | ProtocolVersion.V5 -> 5UL
        | ProtocolVersion.V311 -> 311UL
        | ProtocolVersion.V31 -> 31UL

    let private versionOf (number: uint64) : ProtocolVersion =
        match number with
        | 5UL -> ProtocolVersion.V5
        | 311UL -> ProtocolVersion.V311
        | 31UL -> ProtocolVersion.V31
        | other -> raise (FormatException $"{other} is no version: 5, 311 or 31")

    let private actionText (action: SimulationAction) : string =
        match action with
        | SimulationAction.Start client -> $"{client} start"
        | SimulationAction.Publish(client, packet) -> $"{client} {Notation.print (Packet.Publish packet)}"
        | SimulationAction.Subscribe(client, packet) -> $"{client} {Notation.print (Packet.Subscribe packet)}"
        | SimulationAction.Unsubscribe(client, packet) ->
            $"{client} {Notation.print (Packet.Unsubscribe packet)}"
        | SimulationAction.Cancel client -> $"{client} cancel"
        | SimulationAction.Disconnect(client, reason) ->
            $"{client} {Notation.print (Packet.Disconnect(Outcome.Code reason))}"
        | SimulationAction.Speak(client, version) -> $"{client} speak {versionNumber version}"
        | SimulationAction.Hold(client, duration) -> $"{client} hold {Notation.printDuration duration}"
        | SimulationAction.Crash client -> $"{client} crash"
        | SimulationAction.Cut client -> $"{client} cut"
        | SimulationAction.Close client -> $"{client} close"
        | SimulationAction.HalfClose(client, ClientToServer) -> $"{client} lose-sent"
        | SimulationAction.HalfClose(client, ServerToClient) -> $"{client} lose-received"
        | SimulationAction.Stall(client, duration) -> $"{client} stall {Notation.printDuration duration}"
        | SimulationAction.JumpClient(client, duration) -> $"{client} jump {Notation.printDuration duration}"
        | SimulationAction.JumpBroker duration -> $"broker jump {Notation.printDuration duration}"
        | SimulationAction.RestartBroker true -> "broker restart durable"
        | SimulationAction.RestartBroker false -> "broker restart empty"

    let private flag (value: bool) = if value then 1 else 0

    /// The scenario as text.
    [<CompiledName("Print")>]
    let print (scenario: Scenario) : string =
        let text = StringBuilder()
        let line (content: string) = text.Append(content).Append('\n') |> ignore
        let broker = scenario.Broker
        line $"seed {scenario.Seed}"

        line
            $"broker receive-maximum={broker.ReceiveMaximum} in-flight={broker.InFlightMessages} aliases={broker.TopicAliases} packet-bytes={broker.MaximumPacketBytes} last-id={broker.LastPacketId} congestion={broker.CongestionBytes} suspends={flag broker.SuspendsTurns} old-shares={flag broker.SharesBeforeV5} turn-work={broker.TurnWork}"

        for client in scenario.Clients do
            line
                $"client last-id={client.LastPacketId} aliases={client.TopicAliases} reconnect-ms={client.ReconnectDelay} together={flag client.WritesTogether} version={versionNumber client.Version} {Notation.print (Packet.Connect client.Connect)}"

        for step in scenario.Steps do
            line $"at {Notation.printDuration step.At} {actionText step.Action}"

        line $"healed {Notation.printDuration scenario.HealedAt}"
        text.ToString()

    let private unwrap (result: Result<'T, NotationFault>) : 'T =
        match result with
        | Ok value -> value
        | Error fault -> raise (FormatException(string fault))

    let private numbers (words: string[]) : Map<string, uint64> =
        words
        |> Array.map (fun word ->
            match word.Split '=' with
            | [| name; value |] -> name, UInt64.Parse value
            | _ -> raise (FormatException $"'{word}' is not name=number"))
        |> Map.ofArray

    // The value of a name that older scripts leave out.
    let private valueOr (usual: uint64) (name: string) (values: Map<string, uint64>) : uint64 =
        values |> Map.tryFind name |> Option.defaultValue usual

    // The first word, and the rest.
    let private cut (text: string) : struct (string * string) =
        match text.IndexOf ' ' with
        | -1 -> struct (text, "")
        | at -> struct (text[.. at - 1], text[at + 1 ..].Trim())

    let private action (subject: string) (rest: string) : SimulationAction =
        let struct (verb, argument) = cut rest

        match subject, verb with
        | "broker", "jump" -> SimulationAction.JumpBroker(unwrap (Notation.parseDuration argument))
        | "broker", "restart" -> SimulationAction.RestartBroker((argument = "durable"))
        | client, "start" -> SimulationAction.Start client
        | client, "cancel" -> SimulationAction.Cancel client
        | client, "crash" -> SimulationAction.Crash client
        | client, "cut" -> SimulationAction.Cut client
        | client, "close" -> SimulationAction.Close client
        | client, "lose-sent" -> SimulationAction.HalfClose(client, ClientToServer)
        | client, "lose-received" -> SimulationAction.HalfClose(client, ServerToClient)
        | client, "speak" ->
            match UInt64.TryParse argument with
            | true, number -> SimulationAction.Speak(client, versionOf number)
            | _ -> raise (FormatException $"'{argument}' is no version: 5, 311 or 31")
        | client, "hold" -> SimulationAction.Hold(client, unwrap (Notation.parseDuration argument))
        | client, "stall" -> SimulationAction.Stall(client, unwrap (Notation.parseDuration argument))
        | client, "jump" -> SimulationAction.JumpClient(client, unwrap (Notation.parseDuration argument))
        | client, _ ->
            match unwrap (Notation.parse rest) with
            | Packet.Publish packet -> SimulationAction.Publish(client, packet)
            | Packet.Subscribe packet -> SimulationAction.Subscribe(client, packet)
            | Packet.Unsubscribe packet -> SimulationAction.Unsubscribe(client, packet)
            | Packet.Disconnect outcome -> SimulationAction.Disconnect(client, outcome.Reason)
            | other -> raise (FormatException $"{other.Type} is nothing that an application asks for")

    let private client (rest: string) : SimulatedClientSettings =
        let at = rest.IndexOf "CONNECT"

        if at < 0 then
            raise (FormatException "a client has a CONNECT")

        let values = numbers (rest[.. at - 1].Split(' ', StringSplitOptions.RemoveEmptyEntries))

        match unwrap (Notation.parse rest[at..]) with
        | Packet.Connect connect when connect.ClientId.IsSome ->
            {
                Connect = connect
                LastPacketId = uint16 values["last-id"]
                TopicAliases = uint16 values["aliases"]
                ReconnectDelay = int64 (valueOr 100UL "reconnect-ms" values) * 1L<ms>
                WritesTogether = valueOr 0UL "together" values = 1UL
                Version = versionOf (valueOr 5UL "version" values)
            }
        | _ -> raise (FormatException "a client has a CONNECT with a Client Identifier")

    /// The scenario of a text. Throws <see cref="T:System.FormatException"/> that names the line and what is wrong.
    [<CompiledName("Parse")>]
    let parse (text: string) : Scenario =
        let mutable scenario =
            {
                Seed = 0UL
                Broker = SimulatedBrokerSettings.Usual
                Clients = [||]
                Steps = [||]
                HealedAt = 0L<ms>
            }

        let read (line: string) =
            let struct (word, rest) = cut line

            match word with
            | "seed" -> scenario <- { scenario with Seed = UInt64.Parse rest }
            | "broker" ->
                let values = numbers (rest.Split(' ', StringSplitOptions.RemoveEmptyEntries))

                scenario <-
                    { scenario with
                        Broker =
                            {
                                ReceiveMaximum = uint16 values["receive-maximum"]
                                InFlightMessages = uint16 values["in-flight"]
                                TopicAliases = uint16 values["aliases"]
                                MaximumPacketBytes = int values["packet-bytes"]
                                LastPacketId = uint16 values["last-id"]
                                CongestionBytes =
                                    int (
                                        valueOr
                                            (uint64 SimulatedBrokerSettings.Usual.CongestionBytes)
                                            "congestion"
                                            values
                                    )
                                SuspendsTurns = valueOr 0UL "suspends" values = 1UL
                                SharesBeforeV5 = valueOr 1UL "old-shares" values = 1UL
                                TurnWork =
                                    int (
                                        valueOr
                                            (uint64 SimulatedBrokerSettings.Usual.TurnWork)
                                            "turn-work"
                                            values
                                    )
                            }
                    }
            | "client" ->
                scenario <- { scenario with Clients = Array.append scenario.Clients [| client rest |] }
            | "at" ->
                let struct (time, rest) = cut rest
                let struct (subject, rest) = cut rest
                let step = { At = unwrap (Notation.parseDuration time); Action = action subject rest }
                scenario <- { scenario with Steps = Array.append scenario.Steps [| step |] }
            | "healed" -> scenario <- { scenario with HealedAt = unwrap (Notation.parseDuration rest) }
            | other -> raise (FormatException $"'{other}' begins no statement")

        for number, line in Seq.indexed (text.Split '\n') do
            let line = line.Trim()

            if line <> "" && not (line.StartsWith '#') then
                try
                    read line
                with
                | :? FormatException
                | :? OverflowException
                | :? System.Collections.Generic.KeyNotFoundException as problem ->
                    raise (FormatException($"line {number + 1}: {problem.Message}", problem))

        scenario
