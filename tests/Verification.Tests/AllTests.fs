namespace Mqtt5.Tests

open System.Collections.Generic
open System.Threading
open Expecto
open Xunit

/// Every Expecto test of this project by its name, for the test platform.
module AllTests =

    let private suites = [ BrokenPacketTests.tests; SimulationTests.tests ]

    let private byName =
        let flat = Dictionary<string, FlatTest>()

        for test in Test.toTestCodeList (testList "Verification" suites) do
            flat.Add(String.concat " / " test.name, test)

        flat

    let names = Seq.toArray byName.Keys

    let run (name: string) =
        let test = byName[name]

        // A test that is not run shows in the count of skipped tests, never as passed.
        if test.state = FocusState.Pending then
            Assert.Skip "marked pending"

        match test.test with
        | Sync body -> body ()
        | SyncWithCancel body -> body CancellationToken.None
        | Async body -> Async.RunSynchronously body
        | AsyncFsCheck(config, _, body) ->
            config
            |> Option.defaultValue FsCheckConfig.defaultConfig
            |> body
            |> Async.RunSynchronously

type Verification() =

    static member Names() =
        let names = TheoryData<string>()

        for name in AllTests.names do
            names.Add name

        names

    [<Theory; MemberData(nameof Verification.Names)>]
    member _.Test(name: string) = AllTests.run name
