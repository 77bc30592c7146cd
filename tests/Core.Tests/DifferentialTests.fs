module Mqtt5.Tests.DifferentialTests

open Expecto

let tests = testList "Differential" []
