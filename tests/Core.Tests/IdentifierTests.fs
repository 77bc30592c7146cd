module Mqtt5.Tests.IdentifierTests

open System
open System.Collections.Generic
open Expecto
open Mqtt5

// What every type of identifier promises, whichever number it holds.
let private identifier<'Id
    when 'Id: struct
    and 'Id: not null
    and 'Id: equality
    and 'Id :> IEquatable<'Id>
    and 'Id :> IComparable<'Id>>
    (name: string)
    (make: int64 -> 'Id)
    (value: 'Id -> int64)
    =
    testList
        name
        [
            testCase "equality, order and text are those of the number" (fun () ->
                let numbers = [ Int64.MinValue; -1L; 0L; 1L; 2L; 1L <<< 32; Int64.MaxValue ]

                for left in numbers do
                    Expect.equal (value (make left)) left "the number"
                    Expect.equal (string (make left)) (string left) "the text"

                    for right in numbers do
                        Expect.equal (make left = make right) (left = right) $"{left} = {right}"
                        Expect.equal ((make left).Equals(make right)) (left = right) $"{left} equals {right}"

                        Expect.equal
                            (sign ((make left).CompareTo(make right)))
                            (sign (compare left right))
                            $"{left} before {right}"

                Expect.equal (value Unchecked.defaultof<'Id>) 0L "the default")

            Parsing.measuring "a key of a dictionary is not boxed" (fun () ->
                let known = Dictionary<'Id, int>()

                for number in 0..99 do
                    known[make (int64 number <<< 16)] <- number

                let lookUp () =
                    let mutable found = 0

                    for number in 0L .. 199L do
                        let mutable index = 0

                        if
                            known.TryGetValue(make (number <<< 16), &index)
                            && (make number).CompareTo(make (number + 1L)) < 0
                        then
                            found <- found + 1

                    found

                for _ in 1..50 do
                    Expect.equal (lookUp ()) 100 "those that are there"

                let before = GC.GetAllocatedBytesForCurrentThread()
                let found = lookUp ()
                let bytes = GC.GetAllocatedBytesForCurrentThread() - before
                Expect.equal (struct (found, bytes)) (struct (100, 0L)) "found, and bytes")
        ]

let tests =
    testList
        "Identifiers"
        [ identifier "SessionId" SessionId _.Value; identifier "ConnectionId" ConnectionId _.Value ]
