module Mqtt5.Tests.CollectionsTests

open Expecto

let tests = testList "Collections" []
