module Mqtt5.Tests.FramerTests

open Expecto

let tests = testList "Framer" []
