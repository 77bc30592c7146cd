namespace Mqtt5.Verification

open System
open System.Collections.Concurrent
open System.Collections.Generic
open System.Threading
open Mqtt5

// A thread that runs one action at a time, and hands control back when the action waits or ends. The caller waits while
// it runs, so that the two never run side by side.
[<Sealed; AllowNullLiteral(false)>]
type private Coroutine() =
    let goOn = new SemaphoreSlim(0)
    let control = new SemaphoreSlim(0)
    let mutable action: unit -> unit = ignore
    let mutable failure: exn | null = null
    let mutable isDone = false
    let mutable waits = 0

    member _.Loop() =
        while true do
            goOn.Wait()

            try
                action ()
            with problem ->
                failure <- problem

            isDone <- true
            control.Release() |> ignore

    member _.IsDone = isDone

    // Runs the action until it waits or ends.
    member this.Start(next: unit -> unit) =
        action <- next
        failure <- null
        isDone <- false
        waits <- 0
        this.Resume()

    // Goes on with the action.
    member this.Resume() =
        goOn.Release() |> ignore
        control.Wait()

        match failure with
        | null -> ()
        | problem -> raise (InvalidOperationException("a suspended turn failed", problem))

    // Without an action.
    member _.Clear() = action <- ignore

    // How often the action has waited.
    member _.Waits = waits

    // Called by the action: the caller goes on.
    member _.Wait() =
        waits <- waits + 1
        control.Release() |> ignore
        goOn.Wait()

// Idle coroutines, with their threads, are kept for the whole process.
module private Coroutines =
    let private idle = ConcurrentBag<Coroutine>()

    // One that has nothing to do, or a new one.
    let rent () : Coroutine =
        match idle.TryTake() with
        | true, known -> known
        | _ ->
            let coroutine = Coroutine()
            let thread = Thread(coroutine.Loop, 1_048_576, IsBackground = true)
            thread.Start()
            coroutine

    let giveBack (coroutine: Coroutine) =
        coroutine.Clear()
        idle.Add coroutine

// A turn that waits.
[<Sealed; AllowNullLiteral(false)>]
type private SuspendedTurn(coroutine: Coroutine) =
    member _.Coroutine = coroutine

// Turns of the node that wait before one of their gates, for a time that is drawn, while the rest of the world goes on. A
// turn that is preempted ends after the one in between; these end in any order, as those of threads do.
[<Sealed; AllowNullLiteral(false)>]
type internal SuspendedTurns(agenda: Agenda, dice: Dice) =
    let waiting = List<SuspendedTurn>()
    let mutable current: Coroutine | null = null
    // How many gates are taken before a turn waits.
    let mutable gatesLeft = 0

    let rec run (coroutine: Coroutine) (go: unit -> unit) =
        current <- coroutine

        try
            go ()
        finally
            current <- null

        if coroutine.IsDone then
            Coroutines.giveBack coroutine
        else
            let turn = SuspendedTurn coroutine
            waiting.Add turn
            agenda.After(int64 (dice.Between(1, 150)) * 1L<ms>, (fun () -> resume turn))

    and resume (turn: SuspendedTurn) =
        if waiting.Remove turn then
            run turn.Coroutine turn.Coroutine.Resume

    // Runs a turn that may wait before one of so many gates.
    member _.Run(gates: int, turn: unit -> unit) =
        match current with
        | null ->
            let coroutine = Coroutines.rent ()
            gatesLeft <- dice.Between(1, gates)
            run coroutine (fun () -> coroutine.Start turn)
        // It is a part of one that may.
        | _ -> turn ()

    // Called before each gate.
    member _.BeforeGate() =
        match current with
        | null -> ()
        | coroutine ->
            gatesLeft <- gatesLeft - 1

            if gatesLeft = 0 then
                coroutine.Wait()
                // Other turns have run meanwhile. This one may wait once more.
                gatesLeft <- if coroutine.Waits = 1 then dice.Below 5 else 0

    // Goes on with all turns to their ends.
    member _.Finish() =
        while waiting.Count > 0 do
            resume waiting[0]
