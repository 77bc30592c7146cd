module Mqtt5.Tests.SimulationTests

open System
open System.IO
open System.Linq
open Expecto
open Mqtt5
open Mqtt5.Verification

// The ordinary run takes a thousand seeds. MQTT5_SIMULATION_SEEDS asks for another number, and MQTT5_SIMULATION_FIRST
// for other ones. MQTT5_SIMULATION_SUSPENDS=1 suspends turns in all of them, and 0 in none.
let private setting (name: string) (usual: uint64) : uint64 =
    match Environment.GetEnvironmentVariable name with
    | null
    | "" -> usual
    | text -> UInt64.Parse text

let private scenarioOf (seed: uint64) : Scenario =
    let scenario = Scenarios.ofSeed seed

    match Environment.GetEnvironmentVariable "MQTT5_SIMULATION_SUSPENDS" with
    | null
    | "" -> scenario
    | choice -> { scenario with Broker = { scenario.Broker with SuspendsTurns = (choice = "1") } }

let private runSeeds (first: uint64) (count: uint64) =
    ParallelEnumerable
        .Range(0, int count)
        .Select(fun index -> Simulation.run (scenarioOf (first + uint64 index)))
        .ToArray()

let private failure (result: SimulationResult) =
    let least = Simulation.minimise Machines.Real result

    failtest
        $"seed {result.Scenario.Seed} breaks {result.Violations.Count} rules, first {result.Violations[0]}; the least script:\n{least}"

// A seed with other settings of the broker breaks no rule.
let private runsClean (settings: SimulatedBrokerSettings -> SimulatedBrokerSettings) (seed: uint64) =
    let scenario = Scenarios.ofSeed seed
    let result = Simulation.run { scenario with Broker = settings scenario.Broker }

    if not result.IsClean then
        failure result

let private mutantTests =
    [
        for mutant in Mutants.all do
            testCase mutant.Name (fun () ->
                match Mutants.find mutant with
                | Some(seed, violation) ->
                    Console.WriteLine $"| {mutant.Name} | {seed} | {violation.Clause} |"
                | None -> failtest $"not found with {Mutants.MaximumSeeds} seeds")
    ]

let tests =
    testList
        "Simulation"
        [
            testCase "no seed breaks a rule" (fun () ->
                let count = setting "MQTT5_SIMULATION_SEEDS" 1_000UL
                let results = runSeeds (setting "MQTT5_SIMULATION_FIRST" 1UL) count

                for result in results do
                    if not result.IsClean then
                        failure result

                let virtualTime = results.Sum(fun result -> int64 result.Duration)
                let packets = results.Sum(fun result -> result.Packets)

                Console.WriteLine
                    $"{count} seeds, {packets} packets, {virtualTime / 60_000L} virtual minutes"

                Expect.isGreaterThan
                    virtualTime
                    (3_600L * int64 count)
                    "an hour for a thousand seeds, in milliseconds"

                Expect.isGreaterThan packets (500L * int64 count) "packets")
            testCase "seeds that have found something run clean" (fun () ->
                // A message that another member of a shared subscription was given with RETAIN and QoS of the first one's
                // subscription, a Will that was due between CONNECT and CONNACK of its client, a message of QoS 2 that a
                // client sent anew to a client that had subscribed meanwhile, a Will that came twice, the second time
                // with a refusal that the broker did not get, and a client of MQTT 3.1.1 that closed each connection for an
                // identifier in use in a session that it did not know to be lost, in one of them because its application had
                // disconnected before the CONNACK came. In the others the model was wrong: of a
                // session whose client had another Maximum Packet Size before, of two copies of a message with identifiers
                // of their own, of an earlier connection that was noticed to be lost after a later one, and of a session that a
                // CONNECT ends with the connection before.
                let seeds =
                    [
                        758UL
                        3_481UL
                        2_798UL
                        4_231UL
                        5_757UL
                        15_121UL
                        61_448UL
                        69_961UL
                        75_336UL
                        80_383UL
                        81_407UL
                        90_781UL
                        91_160UL
                        110_506UL
                        126_985UL
                    ]

                seeds |> List.iter (runsClean id))
            testCase "seeds that have found something with suspended turns run clean" (fun () ->
                // Connections of a client that were claimed in the other order, a Will that was published although DISCONNECT
                // had been read, also between the input of the earlier connection and the claim, and messages of an earlier
                // connection that came after newer ones. And what the model took for wrong: messages whose first copies had
                // expired, and a CONNACK that was read after the broker had lost the connection.
                let seeds =
                    [
                        493UL
                        1_906UL
                        1_970UL
                        2_052UL
                        2_498UL
                        2_740UL
                        3_345UL
                        3_821UL
                        4_027UL
                        4_673UL
                        20_166UL
                        21_099UL
                        22_979UL
                        23_533UL
                        24_135UL
                        27_515UL
                        30_062UL
                    ]

                seeds
                |> List.iter (runsClean (fun broker -> { broker with SuspendsTurns = true })))
            testCase "seeds that have found something with short turns run clean" (fun () ->
                // A DISCONNECT that was lost with the connection that it had waited in. In the other the model was wrong: of
                // a session that an earlier CONNECT, taken last, went on with.
                for seed, work in [ 14_999UL, 17; 2_732UL, 3 ] do
                    seed
                    |> runsClean (fun broker -> { broker with SuspendsTurns = true; TurnWork = work }))
            testCase "a seed runs the same way each time" (fun () ->
                for seed in 1UL .. 20UL do
                    let first = Simulation.runSeed seed
                    let second = Simulation.runSeed seed
                    Expect.equal second.Packets first.Packets $"packets of seed {seed}"
                    Expect.equal second.Duration first.Duration $"time of seed {seed}")
            testCase "a script replays the run that it was printed from" (fun () ->
                for seed in 1UL .. 20UL do
                    let scenario = Scenarios.ofSeed seed
                    let script = ScenarioNotation.print scenario
                    Expect.equal (ScenarioNotation.print (ScenarioNotation.parse script)) script "the script"
                    let result = Simulation.replay script
                    Expect.equal result.Packets (Simulation.run scenario).Packets $"packets of seed {seed}")
            testCase "a script that is none is refused with its line" (fun () ->
                for script, line in
                    [
                        "seed 1\nat 5s c0 fly", "line 2"
                        "seed x", "line 1"
                        "client last-id=0 aliases=0 PINGREQ", "line 1"
                        "broker receive-maximum=1", "line 1"
                    ] do
                    let refusal = Expect.throwsC (fun () -> ScenarioNotation.parse script |> ignore) id
                    Expect.isTrue (refusal :? FormatException) $"the kind of {refusal}"
                    Expect.stringContains refusal.Message line script)
            testCase "a failure shrinks to a script that still fails" (fun () ->
                let mutant =
                    Mutants.all
                    |> List.find (fun one -> one.Name = "the broker sends a PUBACK twice")

                let seed, violation = (Mutants.find mutant).Value
                let result = Simulation.runWith mutant.Machines null (Scenarios.ofSeed (uint64 seed))
                let least = Simulation.minimise mutant.Machines result
                Expect.isLessThan least.Scenario.Steps.Length 6 "steps"
                Expect.equal least.Violations[0].Clause violation.Clause "the clause"
                let again = ScenarioNotation.parse (least.ToString())
                Expect.isFalse (Simulation.runWith mutant.Machines null again).IsClean "the printed script")
            testCase "a run is written as a capture and read again" (fun () ->
                use stream = new MemoryStream()
                let sent = Collections.Generic.List<struct (int * Direction * byte[])>()
                let writer = PcapngWriter stream
                let capture = writer :> ISimulationTap

                let both =
                    { new ISimulationTap with
                        member _.Opened(at, connection) = capture.Opened(at, connection)

                        member _.Sent(at, connection, direction, bytes) =
                            sent.Add(struct (connection, direction, bytes))
                            capture.Sent(at, connection, direction, bytes)

                        member _.Closed(at, connection, direction) =
                            capture.Closed(at, connection, direction)
                    }

                Simulation.runWith Machines.Real both (Scenarios.ofSeed 3UL) |> ignore
                let file = stream.ToArray()

                match Environment.GetEnvironmentVariable "MQTT5_CAPTURE" with
                | null
                | "" -> ()
                | path -> File.WriteAllBytes(path, file)

                let read = PcapngReader.read 1883 (ReadOnlyMemory file)
                Expect.equal read.Count sent.Count "segments"

                for segment, struct (connection, direction, bytes) in Seq.zip read sent do
                    Expect.equal segment.Connection connection "connection"
                    Expect.equal segment.Direction direction "direction"
                    Expect.isTrue (segment.Bytes.Equals(Bytes.OfArray bytes)) "bytes"

                let refusal =
                    Expect.throwsC
                        (fun () ->
                            PcapngReader.read 1883 (ReadOnlyMemory file[.. file.Length - 3]) |> ignore)
                        id

                Expect.isTrue (refusal :? InvalidDataException) "a capture that is cut off")
            testCase "a connection with the addresses of an earlier one has a number of its own" (fun () ->
                use stream = new MemoryStream()
                let writer = PcapngWriter stream

                let sent (at: Instant) (text: string) =
                    writer.Sent(at, 1, ClientToServer, ReadOnlySpan(Text.Encoding.UTF8.GetBytes text))

                // SYN comes twice where the network lost the answer; what is sent twice is read once.
                writer.Opened(0L<ms>, 1)
                writer.Opened(1L<ms>, 1)
                sent 2L<ms> "first"
                writer.Closed(3L<ms>, 1, ClientToServer)
                writer.Opened(4L<ms>, 1)
                sent 5L<ms> "second"
                writer.Sent(6L<ms>, 2, ClientToServer, ReadOnlySpan "third"B)

                let read = PcapngReader.read 1883 (ReadOnlyMemory(stream.ToArray()))

                let found =
                    [ for one in read -> one.Connection, Text.Encoding.UTF8.GetString one.Bytes.Span ]

                Expect.equal found [ 1, "first"; 2, "second"; 3, "third" ] "segments")
            testList "a mistake in a machine is found" mutantTests
            testCase "[MQTT-4.6.0-3] a PUBREC after a resume does not overtake earlier ones" (fun () ->
                let script =
                    File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "data", "pubrec-order.txt"))

                Expect.isTrue (Simulation.replay script).IsClean "the script that found it")
        ]
