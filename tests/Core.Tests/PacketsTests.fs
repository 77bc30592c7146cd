module Mqtt5.Tests.PacketsTests

open Expecto

let tests = testList "Packets" []
