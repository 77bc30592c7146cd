module Mqtt5.Tests.ClauseReport

open Expecto

let tests = testList "ClauseReport" []
