namespace Mqtt5.Verification

open System.IO
open System.Reflection
open System.Text.RegularExpressions
open Mqtt5

/// A conformance statement of the standard that a raw client can see a server keep or break.
[<NoComparison>]
type Statement =
    {
        /// Its number, such as <c>MQTT-3.1.0-1</c>, or of MQTT 3.1.1 <c>MQTT3-3.1.0-1</c>.
        Id: string
        /// The section it stands in, with its title.
        Section: string
        /// What it says, in short.
        Text: string
    }

/// The conformance statements that probes are about.
[<RequireQualifiedAccess>]
module Statements =

    let private table (name: string) (least: int) =
        use stream = nonNull (Assembly.GetExecutingAssembly().GetManifestResourceStream name)
        use reader = new StreamReader(stream)

        [|
            for line in reader.ReadToEnd().Split '\n' do
                let cells = line.TrimEnd('\r').Split '\t'

                if cells.Length >= least && cells[0].StartsWith "MQTT-" then
                    cells
        |]

    let private rows = lazy (table "statements.tsv" 6)

    // The columns: id, who it binds, where it can be seen, the statement, its counterparts in MQTT 5, what differs.
    let private rowsOf311 = lazy (table "statements311.tsv" 5)

    let private idOf311 (id: string) = id.Replace("MQTT-", "MQTT3-")

    let private titlesOf311 =
        Map
            [
                "1.5.3", "UTF-8 encoded strings"
                "2.2.2", "Flags"
                "2.3.1", "Packet Identifier"
                "3.1.0", "CONNECT"
                "3.1.2", "CONNECT Variable header"
                "3.1.3", "CONNECT Payload"
                "3.1.4", "CONNECT Response"
                "3.2.0", "CONNACK"
                "3.2.2", "CONNACK Variable header"
                "3.3.1", "PUBLISH Fixed header"
                "3.3.2", "PUBLISH Variable header"
                "3.3.4", "PUBLISH Response"
                "3.3.5", "PUBLISH Actions"
                "3.6.1", "PUBREL Fixed header"
                "3.8.1", "SUBSCRIBE Fixed header"
                "3.8.3", "SUBSCRIBE Payload"
                "3.8.4", "SUBSCRIBE Response"
                "3.9.3", "SUBACK Payload"
                "3.10.1", "UNSUBSCRIBE Fixed header"
                "3.10.3", "UNSUBSCRIBE Payload"
                "3.10.4", "UNSUBSCRIBE Response"
                "3.12.4", "PINGREQ Response"
                "3.14.1", "DISCONNECT Fixed header"
                "3.14.4", "DISCONNECT Response"
                "4.1.0", "Storing state"
                "4.3.1", "QoS 0"
                "4.3.2", "QoS 1"
                "4.3.3", "QoS 2"
                "4.4.0", "Message delivery retry"
                "4.5.0", "Message receipt"
                "4.6.0", "Message ordering"
                "4.7.1", "Topic wildcards"
                "4.7.2", "Topics beginning with $"
                "4.7.3", "Topic semantic and usage"
                "4.8.0", "Handling errors"
                "6.0.0", "WebSocket"
            ]

    // A section without a number of its own has the number 0 in the statements.
    let private sectionOf311 (id: string) =
        let number = Regex.Match(id, @"\d+\.\d+\.\d+").Value
        let title = Map.tryFind number titlesOf311 |> Option.defaultValue ""
        let section = Regex.Replace(number, @"(\.0)+$", "")
        $"{section} {title}".TrimEnd()

    /// The statements that are observable at a server, in the order of the standard.
    [<CompiledName("Server")>]
    let server: Lazy<Statement[]> =
        lazy
            (rows.Value
             |> Array.filter (fun cells -> Array.contains "wire-server" (cells[4].Split ','))
             |> Array.map (fun cells -> { Id = cells[0]; Section = cells[1]; Text = cells[5] }))

    let private bindsServers (cells: string[]) = cells[1] <> "client"

    let private serverOf311 =
        lazy
            (rowsOf311.Value
             |> Array.filter (fun cells ->
                 bindsServers cells
                 && cells[2].Split ','
                    |> Array.exists (fun place -> place = "wire" || place = "codec"))
             |> Array.map (fun cells ->
                 { Id = idOf311 cells[0]; Section = sectionOf311 cells[0]; Text = cells[3] }))

    /// The statements of a version that are observable at a server, in the order of the standard. Those of MQTT 3.1.1
    /// include the ones about bytes, since a server closes the connection where a packet breaks them. MQTT 3.1 has no
    /// numbered statements.
    [<CompiledName("ServerIn")>]
    let serverIn (version: ProtocolVersion) : Statement[] =
        match version with
        | ProtocolVersion.V5 -> server.Value
        | ProtocolVersion.V311 -> serverOf311.Value
        | ProtocolVersion.V31 -> [||]

    /// The statements that are observable at a client, in the order of the standard.
    [<CompiledName("Client")>]
    let client: Lazy<Statement[]> =
        lazy
            (rows.Value
             |> Array.filter (fun cells -> Array.contains "wire-client" (cells[4].Split ','))
             |> Array.map (fun cells -> { Id = cells[0]; Section = cells[1]; Text = cells[5] }))

    let private bindsClients (cells: string[]) = cells[1] <> "server"

    let private clientOf311 =
        lazy
            (rowsOf311.Value
             |> Array.filter (fun cells -> bindsClients cells && cells[2] <> "-")
             |> Array.map (fun cells ->
                 { Id = idOf311 cells[0]; Section = sectionOf311 cells[0]; Text = cells[3] }))

    /// The statements of a version that are observable at a client, in the order of the standard. MQTT 3.1 has no numbered
    /// statements.
    [<CompiledName("ClientIn")>]
    let clientIn (version: ProtocolVersion) : Statement[] =
        match version with
        | ProtocolVersion.V5 -> client.Value
        | ProtocolVersion.V311 -> clientOf311.Value
        | ProtocolVersion.V31 -> [||]

    let private known =
        lazy
            (Set.ofSeq (
                Seq.append
                    (rows.Value |> Seq.map (fun cells -> cells[0]))
                    (rowsOf311.Value |> Seq.map (fun cells -> idOf311 cells[0]))
            ))

    /// Whether a standard has a statement of this number.
    [<CompiledName("Exists")>]
    let exists (id: string) : bool = known.Value.Contains id

    // Where one statement of MQTT 5 has several counterparts, or a range of them has one: those that a server breaks
    // when it breaks the one of MQTT 5.
    let private chosen =
        Map
            [
                "MQTT-2.2.1-3", [ "MQTT3-2.3.1-1" ]
                "MQTT-3.1.2-11", [ "MQTT3-3.1.2-11" ]
                "MQTT-3.1.2-13", [ "MQTT3-3.1.2-11" ]
                "MQTT-3.1.3-8", [ "MQTT3-3.1.3-9" ]
                "MQTT-3.2.0-2", [ "MQTT3-3.2.0-1" ]
                "MQTT-3.2.2-3", [ "MQTT3-3.2.2-2" ]
                "MQTT-3.3.1-5", [ "MQTT3-3.3.1-5" ]
                "MQTT-3.3.4-1", [ "MQTT3-3.3.4-1" ]
                "MQTT-3.8.4-4", [ "MQTT3-3.8.4-3" ]
                "MQTT-4.3.2-2", [ "MQTT3-4.3.2-1" ]
                "MQTT-4.3.2-3", [ "MQTT3-4.3.2-1" ]
                "MQTT-4.3.2-5", [ "MQTT3-4.3.2-2" ]
                "MQTT-4.3.3-2", [ "MQTT3-4.3.3-1" ]
                "MQTT-4.3.3-3", [ "MQTT3-4.3.3-1" ]
                "MQTT-4.3.3-4", [ "MQTT3-4.3.3-1" ]
                "MQTT-4.3.3-5", [ "MQTT3-4.3.3-1" ]
                "MQTT-4.3.3-6", [ "MQTT3-4.3.3-1" ]
                "MQTT-4.3.3-9", [ "MQTT3-4.3.3-2" ]
                "MQTT-4.3.3-10", [ "MQTT3-4.3.3-2" ]
                "MQTT-4.3.3-11", [ "MQTT3-4.3.3-2" ]
                "MQTT-4.3.3-12", [ "MQTT3-4.3.3-2" ]
                "MQTT-4.4.0-1", [ "MQTT3-4.4.0-1" ]
                "MQTT-4.5.0-1", [ "MQTT3-4.5.0-1" ]
                "MQTT-4.13.1-1", [ "MQTT3-4.8.0-1" ]
                "MQTT-4.13.2-1", [ "MQTT3-4.8.0-1" ]
            ]

    // The same for a client. That a Packet Identifier is in use is one thing, that it is 0 another.
    let private chosenOfClients =
        Map
            [
                "MQTT-2.2.1-3", [ "MQTT3-2.3.1-2" ]
                "MQTT-3.1.2-23", [ "MQTT3-3.1.2-4"; "MQTT3-4.1.0-1" ]
                "MQTT-3.1.2-11", [ "MQTT3-3.1.2-11"; "MQTT3-3.1.2-13" ]
                "MQTT-3.1.2-13", [ "MQTT3-3.1.2-11"; "MQTT3-3.1.2-15" ]
                "MQTT-4.3.3-7", [ "MQTT3-4.3.3-1" ]
                "MQTT-4.3.3-13", [ "MQTT3-4.3.3-2" ]
            ]

    let private tableOf binds (overriding: Map<string, string list> list) =
        lazy
            (let inTable =
                [
                    for cells in rowsOf311.Value |> Array.filter binds do
                        for number in Regex.Matches(cells[4], @"\d+\.\d+\.\d+-\d+") do
                            "MQTT-" + number.Value, idOf311 cells[0]
                ]
                |> List.groupBy fst
                |> List.map (fun (id, pairs) -> id, List.map snd pairs)

             Map.ofList (inTable @ List.collect Map.toList overriding))

    let private counterparts = tableOf bindsServers [ chosen ]

    let private counterpartsOfClients = tableOf bindsClients [ chosen; chosenOfClients ]

    let private inTable (table: Lazy<Map<string, string list>>) version (id: string) =
        match version with
        | ProtocolVersion.V5 -> [ id ]
        | _ when id.StartsWith "MQTT3-" -> [ id ]
        | _ -> Map.tryFind id table.Value |> Option.defaultValue []

    /// What stands in a version for a statement of MQTT 5 that a server keeps or breaks; nothing where the version has no
    /// such rule.
    [<CompiledName("Counterparts")>]
    let counterpartsIn (version: ProtocolVersion) (id: string) : string list = inTable counterparts version id

    /// The same for a statement that a client keeps or breaks.
    [<CompiledName("ClientCounterparts")>]
    let clientCounterpartsIn (version: ProtocolVersion) (id: string) : string list =
        inTable counterpartsOfClients version id
