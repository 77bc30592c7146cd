module Mqtt5.Tests.ExplainTests

open Expecto

let tests = testList "Explain" []
