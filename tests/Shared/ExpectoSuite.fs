namespace Mqtt5.Tests

open System
open System.Collections.Generic
open System.Threading
open Expecto
open Xunit

/// Expecto tests by their names, for the test platform. They run in parallel, on as many threads as there are
/// processors; those within `testSequenced` run alone, one after another.
type ExpectoSuite(tests: Test) =

    let byName =
        let flat = Dictionary<string, FlatTest>()

        for test in Test.toTestCodeList tests do
            flat.Add(ExpectoSuite.FullName test, test)

        flat

    /// The name of a test with those of the lists that it stands in.
    static member FullName(test: FlatTest) : string = String.concat " / " test.name

    /// A row of a theory for each test. It is shown by the whole name, and not by that of the theory with the
    /// beginning of its argument.
    member _.Rows: TheoryDataRow<string>[] =
        [|
            for test in byName do
                TheoryDataRow<string>(
                    test.Key,
                    TestDisplayName = test.Key,
                    Label = "",
                    DisableParallelization = Nullable(test.Value.sequenced <> SequenceMethod.InParallel)
                )
        |]

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
