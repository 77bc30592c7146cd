namespace Mqtt5.Tests

open Expecto
open Xunit
open Xunit.Sdk
open Xunit.v3

[<assembly: Parallelization(Mode = ParallelMode.All)>]
do ()

/// Every Expecto test of this project by its name, for the test platform.
type Verification() =

    static let suite =
        ExpectoSuite(
            testList
                "Verification"
                [
                    ProtocolMonitorTests.tests
                    ReplayTests.tests
                    BrokenPacketTests.tests
                    SimulationTests.tests
                    ChangeTests.tests
                    WrongServers.WrongServerTests.tests
                    WrongServers.RandomisedTests.tests
                    WrongServers.RandomisedReachTests.tests
                    RemovalTests.tests
                    WrongClientTests.tests
                ]
        )

    static member Rows() = suite.Rows

    [<Theory; MemberData(nameof Verification.Rows)>]
    member _.Test(name: string) = suite.Run name
