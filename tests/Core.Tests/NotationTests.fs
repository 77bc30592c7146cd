module Mqtt5.Tests.NotationTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Generators

let tests =
    testList
        "Notation"
        [
            testPropertyWithConfig config "equality" (fun (sample: Sample) -> sample.Packet = sample.Packet)
        ]
