namespace Mqtt5.Tests

open Expecto
open Xunit
open Xunit.Sdk
open Xunit.v3

[<assembly: Parallelization(Mode = ParallelMode.All)>]
do ()

/// Every Expecto test of this project by its name, for the test platform.
module AllTests =

    let private suites =
        [
            GeneratorsTests.tests
            PreludeTests.tests
            PeerTextTests.tests
            CollectionsTests.tests
            StaticInitializationTests.tests
            SpecTests.tests
            TopicsTests.tests
            PacketsTests.tests
            GoldenVectors.tests
            GoldenVectors311.tests
            VersionClauseTests.tests
            GrammarTests.tests
            FramerTests.tests
            FastPathTests.tests
            EncodeTests.tests
            LoweringTests.tests
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
            SessionRunsTests.tests
            ClientSessionTests.tests
            ClientSessionTestsConnecting.tests
            ClientSessionTestsQueue.tests
            ClientDefectsTests.tests
            ClientClausesTests.tests
            ClientClausesTestsDelivery.tests
            ClientSessionTestsTwoParty.tests
            ClientQoS0Tests.tests
            ClientTransportTests.tests
            ClientIdentifierTests.tests
            ClientVersionTests.tests
            ClientNegotiationTests.tests
            IdentifierTests.tests
            RoutingTests.tests
            AccessTests.tests
            LimitTableTests.tests
            BrokerTests.tests
            ServerConnectClausesTests.tests
            ServerWillClausesTests.tests
            ServerPublishClausesTests.tests
            ServerSubscribeClausesTests.tests
            ServerSharedClausesTests.tests
            ServerVersionClausesTests.tests
            ServerVersionClausesTestsDelivery.tests
            DurabilityTests.tests
            JournalCodecTests.tests
            HeldLaneTests.tests
            GrowingInputTests.tests
            BudgetLimitTests.tests
            InheritedSessionTests.tests
            BrokerHostileTests.tests
            NodeTests.tests
            NodeWorkTests.tests
            ChangedLimitsTests.tests
            ExpiringAuthenticationTests.tests
            BrokerWorldTests.tests
            TidyTests.tests
        ]

    // The clause report goes by the names of all other tests.
    let suite =
        let names =
            Test.toTestCodeList (testList "Core" suites)
            |> Seq.map ExpectoSuite.FullName
            |> Seq.toArray

        ExpectoSuite(testList "Core" (suites @ [ ClauseReport.tests names ]))

type Core() =

    static member Rows() = AllTests.suite.Rows

    [<Theory; MemberData(nameof Core.Rows)>]
    member _.Test(name: string) = AllTests.suite.Run name
