/// The laws of what a broker keeps, on every step of simulated runs.
module Mqtt5.Tests.ChangeTests

open System
open System.Linq
open System.Threading
open Expecto
open Mqtt5
open Mqtt5.Verification

// The ordinary run takes two hundred seeds. MQTT5_SIMULATION_SEEDS asks for another number.
let private seeds =
    match Environment.GetEnvironmentVariable "MQTT5_SIMULATION_SEEDS" with
    | null
    | "" -> 200
    | text -> min 200 (Int32.Parse text)

// Counts what it sees, so that a run in which nothing happens is noticed.
type private Watch() =
    let mutable steps = 0L
    let mutable kept = 0L
    let mutable changes = 0L
    let kinds = Collections.Concurrent.ConcurrentDictionary<string, int>()
    member _.Steps = Volatile.Read &steps
    member _.Kept = Volatile.Read &kept
    member _.Changes = Volatile.Read &changes
    member _.Kinds = kinds

    interface IBrokerWatch with
        member _.Stepped(before, after) =
            DurabilityLaws.server before after
            Interlocked.Increment &steps |> ignore

            for change in DurabilityLaws.changesBetween (DurableState.Of before) (DurableState.Of after) do
                kinds[DurabilityLaws.kindOf change] <- 1
                Interlocked.Increment &kept |> ignore

        member _.Changed(before, after, made) =
            DurabilityLaws.broker before after made
            Interlocked.Add(&changes, int64 made.Length) |> ignore

let tests =
    testList
        "Changes"
        [
            testCase "every step of the node is the fold of its changes" (fun () ->
                let watch = Watch()
                let machines = { Machines.Real with Watch = watch }

                ParallelEnumerable
                    .Range(1, seeds)
                    .ForAll(fun seed ->
                        Simulation.runWith machines null (Scenarios.ofSeed (uint64 seed)) |> ignore)

                Console.WriteLine
                    $"{seeds} seeds, {watch.Steps} steps, {watch.Kept} changes of sessions, {watch.Changes} of the broker"

                Expect.isGreaterThan watch.Steps (100L * int64 seeds) "steps"
                Expect.isGreaterThan watch.Kept (20L * int64 seeds) "changes of sessions"
                Expect.isGreaterThan watch.Changes (10L * int64 seeds) "changes of the broker"

                for kind in [ "Kept"; "Moved"; "Gone"; "Held"; "Freed"; "Cleared" ] do
                    Expect.isTrue (watch.Kinds.ContainsKey kind) $"{kind} happens")
        ]
