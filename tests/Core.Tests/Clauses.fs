module Mqtt5.Tests.Clauses

open Expecto
open Mqtt5.Verification

/// The least number of cases of a property in the ordinary run.
[<Literal>]
let CasesPerProperty = 10_000

let config = { FsCheckConfig.defaultConfig with maxTest = CasesPerProperty }

/// The same for a property over packets and their parts.
let samples = { config with arbitrary = [ typeof<MqttArbitraries> ] }

/// A test that breaks when one of these statements is broken. Its name bears their ids in brackets, which is
/// what the clause report reads.
let clause (ids: string list) (name: string) (test: unit -> unit) : Test =
    let marks = ids |> List.map (fun id -> $"[{id}]") |> String.concat " "
    testCase $"{marks} {name}" test
