namespace Mqtt5.Verification

/// Scenarios for a client that subscribes: what it answers to PUBLISH, in which order, and what it passes on (sections 3.3.4,
/// 4.3, 4.5 and 4.6).
[<RequireQualifiedAccess>]
module ClientReceiveScenarios =

    let private scenario = ClientSyntax.scenario

    // The server sends a message of QoS 2 and completes it.
    let private complete (id: int) (fields: string) (payload: string) =
        $"""> PUBLISH qos=2 topic="verify/topic" id={id} {fields} payload="{payload}"
            < PUBREC id={id} rc=Success [MQTT-4.3.3-8]
            > PUBREL id={id}
            < PUBCOMP id={id} rc=Success [MQTT-4.3.3-11]
            """

    let private answers =
        [
            scenario
                "3.3.4-1"
                "subscribe qos=2"
                "A message of QoS 0 is not answered"
                """
                usual SUBSCRIBE
                wants SUBSCRIBE
                > PUBLISH topic="verify/topic" payload="zero"
                lacks 400 PUBACK
                lacks 100 PUBREC
                open
                """
            scenario
                "3.3.4-1 4.3.2-4"
                "subscribe qos=2"
                "A message of QoS 1 is answered with PUBACK"
                """
                usual SUBSCRIBE
                wants SUBSCRIBE
                > PUBLISH qos=1 topic="verify/topic" id=10 payload="one"
                < PUBACK id=10
                lacks 200 PUBREC
                """
            scenario
                "3.3.4-1 4.3.3-8 4.3.3-11"
                "subscribe qos=2"
                "A message of QoS 2 is answered with PUBREC, and PUBREL with PUBCOMP"
                """
                usual SUBSCRIBE
                hold PUBREC
                wants SUBSCRIBE
                > PUBLISH qos=2 topic="verify/topic" id=11 payload="two"
                < PUBREC id=11 rc=Success [MQTT-3.3.4-1 MQTT-4.3.3-8]
                lacks 200 PUBCOMP [MQTT-4.3.3-11]
                > PUBREL id=11
                < PUBCOMP id=11 rc=Success [MQTT-4.3.3-11]
                """
            scenario
                "4.3.3-10"
                "subscribe qos=2"
                "Before PUBREL a message of QoS 2 that comes again is answered with PUBREC again"
                """
                usual SUBSCRIBE
                hold PUBREC
                wants SUBSCRIBE
                > PUBLISH qos=2 topic="verify/topic" id=12 payload="twice"
                < PUBREC id=12 rc=Success [MQTT-4.3.3-8]
                > PUBLISH dup=1 qos=2 topic="verify/topic" id=12 payload="twice"
                < PUBREC id=12 rc=Success
                > PUBREL id=12
                < PUBCOMP id=12 rc=Success [MQTT-4.3.3-11]
                """
            scenario
                "4.3.3-10"
                "subscribe qos=2"
                "Before PUBREL a message of QoS 2 that comes again is not passed on again"
                """
                usual SUBSCRIBE
                hold PUBREC
                wants SUBSCRIBE
                > PUBLISH qos=2 topic="verify/topic" id=12 payload="twice"
                wants PUBREC id=12 rc=Success
                > PUBLISH dup=1 qos=2 topic="verify/topic" id=12 payload="twice"
                wants PUBREC id=12 rc=Success
                > PUBREL id=12
                shows twice
                prints 1 twice
                """
            scenario
                "4.3.3-12"
                "subscribe qos=2"
                "After PUBCOMP the Packet Identifier stands for a new message"
                $"""
                usual SUBSCRIBE
                hold PUBREC
                wants SUBSCRIBE
                {complete 13 "" "first"}
                {complete 13 "" "second"}
                """
            scenario
                "4.3.3-12"
                "subscribe qos=2"
                "After PUBCOMP a message with the same Packet Identifier is passed on"
                $"""
                usual SUBSCRIBE
                hold PUBREC
                wants SUBSCRIBE
                {complete 13 "" "first"}
                shows first
                {complete 13 "" "second"}
                prints 1 second
                """
            scenario
                "4.3.2-5"
                "subscribe qos=2"
                "After PUBACK the Packet Identifier stands for a new message, whatever DUP says"
                """
                usual SUBSCRIBE
                wants SUBSCRIBE
                > PUBLISH qos=1 topic="verify/topic" id=14 payload="first"
                < PUBACK id=14
                > PUBLISH dup=1 qos=1 topic="verify/topic" id=14 payload="second"
                < PUBACK id=14
                """
            scenario
                "4.3.2-5"
                "subscribe qos=2"
                "After PUBACK a message with the same Packet Identifier is passed on"
                """
                usual SUBSCRIBE
                wants SUBSCRIBE
                > PUBLISH qos=1 topic="verify/topic" id=14 payload="first"
                < PUBACK id=14
                shows first
                > PUBLISH dup=1 qos=1 topic="verify/topic" id=14 payload="second"
                < PUBACK id=14
                prints 1 second
                """
            scenario
                "4.3.3-13"
                "subscribe qos=2"
                "The exchange of a message of QoS 2 is completed after the message has expired"
                """
                usual SUBSCRIBE
                hold PUBREC
                wants SUBSCRIBE
                > PUBLISH qos=2 topic="verify/topic" id=15 props{MessageExpiryInterval=1} payload="old"
                < PUBREC id=15 rc=Success
                wait 1600
                > PUBREL id=15
                < PUBCOMP id=15 rc=Success
                """
            scenario
                "4.3.3-9"
                "subscribe qos=2"
                "After a PUBREC of failure the Packet Identifier stands for a new message"
                """
                usual SUBSCRIBE
                hold PUBREC
                wants SUBSCRIBE
                > PUBLISH qos=2 topic="verify/topic" id=16 props{PayloadFormatIndicator=1} payload=x'FF'
                wants PUBREC id=16 rc=error
                > PUBLISH qos=2 topic="verify/topic" id=16 payload="new"
                < PUBREC id=16 rc=Success
                """
            scenario
                "4.5.0-2"
                "subscribe qos=2"
                "A message that no subscription asked for is acknowledged"
                """
                usual SUBSCRIBE
                hold PUBREC
                wants SUBSCRIBE
                > PUBLISH qos=1 topic="verify-unasked/topic" id=17 payload="unasked"
                < PUBACK id=17
                > PUBLISH qos=2 topic="verify-unasked/topic" id=18 payload="unasked"
                < PUBREC id=18
                """
            scenario
                "4.6.0-2"
                "subscribe qos=2"
                "PUBACKs go out in the order of the messages"
                """
                usual SUBSCRIBE
                wants SUBSCRIBE
                > PUBLISH qos=1 topic="verify/topic" id=30 payload="a"
                > PUBLISH qos=1 topic="verify/topic" id=20 payload="b"
                > PUBLISH qos=1 topic="verify/topic" id=25 payload="c"
                next PUBACK id=30
                next PUBACK id=20
                next PUBACK id=25
                """
            scenario
                "4.6.0-3"
                "subscribe qos=2"
                "PUBRECs go out in the order of the messages"
                """
                usual SUBSCRIBE
                hold PUBREC
                wants SUBSCRIBE
                > PUBLISH qos=2 topic="verify/topic" id=30 payload="a"
                > PUBLISH qos=2 topic="verify/topic" id=20 payload="b"
                > PUBLISH qos=2 topic="verify/topic" id=25 payload="c"
                next PUBREC id=30
                next PUBREC id=20
                next PUBREC id=25
                """
            scenario
                "3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.7.2-2 3.7.2-3"
                "subscribe qos=2"
                "Acknowledgements are within the Maximum Packet Size"
                $"""
                usual SUBSCRIBE
                connack props{{MaximumPacketSize=100}}
                hold PUBREC
                wants SUBSCRIBE
                > PUBLISH qos=1 topic="verify/topic" id=19 payload="one"
                < PUBACK id=19
                {complete 20 "" "two"}
                """
            scenario
                "1.5.4-3"
                "subscribe topic=verify/\ufeff/topic"
                "U+FEFF in a Topic Name is kept by the receiver"
                """
                wants CONNECT
                lacks 500 SUBSCRIBE "verify//topic"
                wants SUBSCRIBE "verify/\ufeff/topic"
                > PUBLISH topic="verify/\ufeff/topic" payload="marked"
                shows marked
                """
        ]

    let private aliases =
        [
            scenario
                "3.3.2-10"
                "subscribe qos=2"
                "The greatest Topic Alias that CONNECT allows is taken"
                """
                usual SUBSCRIBE
                wants CONNECT TopicAliasMaximum=1..65535 TopicAliasMaximum=$max
                wants SUBSCRIBE
                > PUBLISH qos=1 topic="verify/topic" id=21 props{TopicAlias=$max} payload="named"
                < PUBACK id=21
                > PUBLISH qos=1 id=22 props{TopicAlias=$max} payload="short"
                < PUBACK id=22
                > PUBLISH qos=1 topic="verify/topic" id=23 props{TopicAlias=1} payload="least"
                < PUBACK id=23
                open
                """
            scenario
                "3.3.2-7"
                "subscribe-session qos=1"
                "A Topic Alias of an earlier connection is not used"
                """
                usual SUBSCRIBE
                wants CONNECT TopicAliasMaximum=1..65535
                wants SUBSCRIBE
                > PUBLISH topic="verify/topic" props{TopicAlias=1} payload="named"
                shows named
                drops
                again
                wants CONNECT TopicAliasMaximum=1..65535
                wait 400
                > PUBLISH props{TopicAlias=1} payload="stale"
                prints 0 stale
                """
        ]

    /// All of them.
    let all: ClientScenario list = answers @ aliases
