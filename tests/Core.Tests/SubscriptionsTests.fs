module Mqtt5.Tests.SubscriptionsTests

open Expecto

let tests = testList "Subscriptions" []
