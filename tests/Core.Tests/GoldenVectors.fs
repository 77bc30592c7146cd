module Mqtt5.Tests.GoldenVectors

open Expecto

let tests = testList "GoldenVectors" []
