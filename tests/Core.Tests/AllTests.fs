namespace Mqtt5.Tests

open System.Collections.Generic
open System.Threading
open Expecto
open Xunit

/// Every Expecto test of this project by its name, for the test platform.
module AllTests =

    let private suites =
        [
            GeneratorsTests.tests
            PreludeTests.tests
            CollectionsTests.tests
            SpecTests.tests
            TopicsTests.tests
            PacketsTests.tests
            GoldenVectors.tests
            GrammarTests.tests
            FramerTests.tests
            FastPathTests.tests
            EncodeTests.tests
            DifferentialTests.tests
            HostileBytesTests.tests
            TopicAliasesTests.tests
            ExplainTests.tests
            SubscriptionsTests.tests
            RetainedMessagesTests.tests
            NotationTests.tests
            EffectsTests.tests
            OutboundTests.tests
            InboundTests.tests
            SessionCostTests.tests
            ClientSessionTests.tests
            ClientSessionTestsConnecting.tests
            ClientSessionTestsQueue.tests
            ClientDefectsTests.tests
            ClientClausesTests.tests
            ClientClausesTestsDelivery.tests
            ClientSessionTestsTwoParty.tests
            ClientQoS0Tests.tests
            RoutingTests.tests
            AccessTests.tests
            LimitTableTests.tests
            BrokerTests.tests
            ServerConnectClausesTests.tests
            ServerWillClausesTests.tests
            ServerPublishClausesTests.tests
            ServerSubscribeClausesTests.tests
            ServerSharedClausesTests.tests
            BrokerHostileTests.tests
            BrokerWorldTests.tests
            TidyTests.tests
        ]

    let private fullName (test: FlatTest) = String.concat " / " test.name

    // The clause report goes by the names of all other tests.
    let private tests =
        let names = Test.toTestCodeList (testList "Core" suites) |> Seq.map fullName |> Seq.toArray
        testList "Core" (suites @ [ ClauseReport.tests names ])

    let private byName =
        let flat = Dictionary<string, FlatTest>()

        for test in Test.toTestCodeList tests do
            flat.Add(fullName test, test)

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

type Core() =

    static member Names() =
        let names = TheoryData<string>()

        for name in AllTests.names do
            names.Add name

        names

    [<Theory; MemberData(nameof Core.Names)>]
    member _.Test(name: string) = AllTests.run name
