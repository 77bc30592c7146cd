module Mqtt5.Tests.TidyTests

open Expecto

let tests = testList "Tidy" []
