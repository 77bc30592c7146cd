module Mqtt5.Tests.NotationTests

open Expecto

let tests = testList "Notation" []
