module Mqtt5.Tests.RetainedMessagesTests

open Expecto

let tests = testList "RetainedMessages" []
