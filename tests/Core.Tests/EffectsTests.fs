module Mqtt5.Tests.EffectsTests

open System
open Expecto
open FsCheck.FSharp
open Mqtt5

let private settle (ticket: int) = Effect.Settle(Ticket(int64 ticket), ReasonCode.Success)

let private ticketsOf (effects: Effects) =
    [
        for effect in effects do
            match effect with
            | Effect.Settle(ticket, _) -> int ticket.Value
            | _ -> failtest "only these were added"
    ]

let private sized = Gen.choose (0, 40) |> Arb.fromGen

let private made (count: int) =
    Seq.fold (fun (effects: Effects) ticket -> effects.Add(settle ticket)) Effects.none (seq { 1..count })

let tests =
    testList
        "Effects"
        [
            testPropertyWithConfig Clauses.config "stand in the order in which they were added"
            <| Prop.forAll sized (fun count ->
                Expect.equal (ticketsOf (made count)) [ 1..count ] "in order"
                Expect.equal (made count).Count count "the count")

            testPropertyWithConfig Clauses.config "of one value are not changed by what is added to it"
            <| Prop.forAll (Arb.zip (sized, sized)) (fun (common, more) ->
                let start = made common

                let one =
                    Seq.fold (fun (all: Effects) n -> all.Add(settle n)) start (seq { 100 .. 100 + more })

                let other = start.Add(settle 7).Append(made more)
                Expect.equal (ticketsOf start) [ 1..common ] "the start"
                Expect.equal (ticketsOf one) ([ 1..common ] @ [ 100 .. 100 + more ]) "one way on"
                Expect.equal (ticketsOf other) ([ 1..common ] @ [ 7 ] @ [ 1..more ]) "another")

            testCase "can be very many"
            <| fun () ->
                let many = made 1_000_000
                Expect.equal many.Count 1_000_000 "all of them"

                match many[999_999] with
                | Effect.Settle(ticket, _) -> Expect.equal ticket.Value 1_000_000L "the last"
                | _ -> failtest "only these were added"

            testCase "have nothing beyond the last"
            <| fun () ->
                for index in [ -1; 3; 100 ] do
                    Expect.throwsT<IndexOutOfRangeException> (fun () -> (made 3)[index] |> ignore) "beyond"
        ]
