module Mqtt5.Tests.Generators

let placeholder = ()
