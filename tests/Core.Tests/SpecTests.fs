module Mqtt5.Tests.SpecTests

open Expecto

let tests = testList "Spec" []
