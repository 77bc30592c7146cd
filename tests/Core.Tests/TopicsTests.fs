module Mqtt5.Tests.TopicsTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses

let private matches filter topic = Topic.matches (TopicFilter.Of filter) (TopicName.Of topic)

let tests =
    testList
        "Topics"
        [
            clause [ "MQTT-4.7.1-1" ] "# matches its parent level and everything below" (fun () ->
                Expect.isTrue (matches "sport/#" "sport") "parent"
                Expect.isTrue (matches "sport/#" "sport/a/b") "below"
                Expect.isFalse (matches "sport/#" "sports") "another level")
        ]
