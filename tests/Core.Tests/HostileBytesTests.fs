module Mqtt5.Tests.HostileBytesTests

open Expecto

let tests = testList "HostileBytes" []
