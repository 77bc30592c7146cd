module Mqtt5.Tests.PreludeTests

open Expecto

let tests = testList "Prelude" []
