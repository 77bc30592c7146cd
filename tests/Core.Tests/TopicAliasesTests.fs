module Mqtt5.Tests.TopicAliasesTests

open Expecto

let tests = testList "TopicAliases" []
