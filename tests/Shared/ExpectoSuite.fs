namespace Mqtt5.Tests

open System.Collections.Generic
open System.Threading
open Expecto
open Xunit

/// Expecto tests by their names, for the test platform.
type ExpectoSuite(tests: Test) =

    let byName =
        let flat = Dictionary<string, FlatTest>()

        for test in Test.toTestCodeList tests do
            flat.Add(ExpectoSuite.FullName test, test)

        flat

    /// The name of a test with those of the lists that it stands in.
    static member FullName(test: FlatTest) : string = String.concat " / " test.name

    /// All names, for a theory.
    member _.Names: TheoryData<string> =
        let names = TheoryData<string>()

        for name in byName.Keys do
            names.Add name

        names

    /// Runs the test with this name; it throws as the test does.
    member _.Run(name: string) : unit =
        let test = byName[name]

        // A test that its author took out shows in the count of skipped tests, never as passed.
        if test.state = FocusState.Pending then
            Assert.Skip "its author has taken it out with ptest"

        match test.test with
        | Sync body -> body ()
        | SyncWithCancel body -> body CancellationToken.None
        | Async body -> Async.RunSynchronously body
        | AsyncFsCheck(config, _, body) ->
            config
            |> Option.defaultValue FsCheckConfig.defaultConfig
            |> body
            |> Async.RunSynchronously
