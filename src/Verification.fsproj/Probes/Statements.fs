namespace Mqtt5.Verification

open System.IO
open System.Reflection

/// A conformance statement of the standard that a raw client can see a server keep or break.
[<NoComparison>]
type Statement =
    {
        /// Its number, such as <c>MQTT-3.1.0-1</c>.
        Id: string
        /// The section it stands in, with its title.
        Section: string
        /// What it says, in short.
        Text: string
    }

/// The conformance statements that probes are about.
[<RequireQualifiedAccess>]
module Statements =

    let private rows =
        lazy
            (use stream = nonNull (Assembly.GetExecutingAssembly().GetManifestResourceStream "statements.tsv")
             use reader = new StreamReader(stream)

             [|
                 for line in reader.ReadToEnd().Split '\n' do
                     let cells = line.Split '\t'

                     if cells.Length > 5 && cells[0].StartsWith "MQTT-" then
                         cells
             |])

    /// The statements that are observable at a server, in the order of the standard.
    [<CompiledName("Server")>]
    let server: Lazy<Statement[]> =
        lazy
            (rows.Value
             |> Array.filter (fun cells -> Array.contains "wire-server" (cells[4].Split ','))
             |> Array.map (fun cells -> { Id = cells[0]; Section = cells[1]; Text = cells[5] }))

    /// The statements that are observable at a client, in the order of the standard.
    [<CompiledName("Client")>]
    let client: Lazy<Statement[]> =
        lazy
            (rows.Value
             |> Array.filter (fun cells -> Array.contains "wire-client" (cells[4].Split ','))
             |> Array.map (fun cells -> { Id = cells[0]; Section = cells[1]; Text = cells[5] }))

    let private known = lazy (rows.Value |> Array.map (fun cells -> cells[0]) |> Set.ofArray)

    /// Whether the standard has a statement of this number.
    [<CompiledName("Exists")>]
    let exists (id: string) : bool = known.Value.Contains id
