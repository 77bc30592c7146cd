module Mqtt5.Tests.FastPathTests

open Expecto

let tests = testList "FastPath" []
