module Mqtt5.Tests.EncodeTests

open Expecto

let tests = testList "Encode" []
