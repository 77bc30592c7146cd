module Mqtt5.Tests.StaticInitializationTests

open System
open System.Reflection
open Expecto
open Mqtt5

// The compiler gives each type with `static let` or `static member val` such a field, and checks it before each use. Where
// two such types of a file are used for the first time by two threads, each waits for the other's initialization, and the
// runtime lets one go on: it finds its value missing, and the check throws. A generic type initializes itself alone.
let private isChecked (t: Type) =
    not t.IsGenericTypeDefinition
    && not ((string t.FullName).StartsWith "<StartupCode$")
    && t.GetFields(BindingFlags.Static ||| BindingFlags.Public ||| BindingFlags.NonPublic)
       |> Array.exists _.Name.StartsWith("init@")

let private noneIn (assembly: Assembly) =
    test $"no type of {assembly.GetName().Name} has static values that its file initializes" {
        let found = assembly.GetTypes() |> Array.filter isChecked |> Array.map _.FullName

        Expect.isEmpty
            found
            "types with static values: make them constants, or values of a module after the type"
    }

let tests =
    testList
        "Static initialization"
        [ noneIn typeof<Packet>.Assembly; noneIn typeof<Mqtt5.Verification.Probe>.Assembly ]
