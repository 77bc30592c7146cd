module Mqtt5.Tests.GrammarTests

open Expecto

let tests = testList "Grammar" []
