namespace Mqtt5.Verification

/// Probes for PUBLISH from a client and its acknowledgements (sections 3.3 to 3.7 and 4.3).
[<RequireQualifiedAccess>]
module PublishProbes =

    let private probe = ProbeSyntax.probe

    let private answers =
        [
            probe
                []
                "3.3.4-1 2.2.1-2"
                "PUBLISH of QoS 0 is not answered"
                """
                p joins
                p > PUBLISH topic="~/a" payload="0"
                p quiet
                """
            probe
                [ QoS1 ]
                "3.3.4-1 4.3.2-4 2.2.1-5 3.4.2-1"
                "PUBLISH of QoS 1 is answered with PUBACK and its Packet Identifier"
                """
                p joins
                p > PUBLISH qos=1 topic="~/a" id=4660 payload="1"
                p sees PUBACK [MQTT-3.3.4-1 MQTT-4.3.2-4]
                p next PUBACK id=4660 [MQTT-2.2.1-5 MQTT-4.3.2-4]
                p > PUBLISH qos=1 topic="~/a" id=65535 payload="1"
                p sees PUBACK [MQTT-3.3.4-1 MQTT-4.3.2-4]
                p next PUBACK id=65535 [MQTT-2.2.1-5 MQTT-4.3.2-4]
                p quiet
                """
            probe
                [ QoS2 ]
                "3.3.4-1 4.3.3-8 4.3.3-11 2.2.1-5 3.5.2-1 3.7.2-1"
                "PUBLISH of QoS 2 is answered with PUBREC, and PUBREL with PUBCOMP"
                """
                p joins
                p > PUBLISH qos=2 topic="~/a" id=65535 payload="1"
                p sees PUBREC [MQTT-3.3.4-1 MQTT-4.3.3-8]
                p next PUBREC id=65535 [MQTT-2.2.1-5 MQTT-4.3.3-8]
                p > PUBREL id=65535
                p sees PUBCOMP [MQTT-4.3.3-11]
                p next PUBCOMP id=65535 rc=Success [MQTT-2.2.1-5 MQTT-4.3.3-11]
                p quiet
                """
            probe
                [ QoS1 ]
                "4.3.2-5"
                "After PUBACK the same Packet Identifier is a new message, whatever DUP says"
                """
                s joins
                s subscribes "~/a" qos=1
                p joins
                p > PUBLISH qos=1 topic="~/a" id=7 payload="1"
                p acked 7
                p > PUBLISH dup=1 qos=1 topic="~/a" id=7 payload="2"
                p acked 7
                s < PUBLISH payload="1"
                s < PUBLISH payload="2"
                """
            probe
                [ QoS2 ]
                "4.3.3-10 4.3.3-12 4.3.3-11"
                "Until PUBREL a repeated Packet Identifier is the same message, and after PUBCOMP a new one"
                """
                s joins
                s subscribes "~/a"
                p joins
                p > PUBLISH qos=2 topic="~/a" id=7 payload="1"
                p received 7
                p > PUBLISH dup=1 qos=2 topic="~/a" id=7 payload="1"
                p next PUBREC id=7 rc=Success|NoMatchingSubscribers [MQTT-4.3.3-10]
                p completes 7
                s < PUBLISH payload="1"
                s quiet [MQTT-4.3.3-10]
                p > PUBLISH dup=1 qos=2 topic="~/a" id=7 payload="2"
                p received 7
                p completes 7
                s < PUBLISH payload="2" [MQTT-4.3.3-12]
                s quiet [MQTT-4.3.3-10]
                """
            probe
                [ QoS2 ]
                "4.3.3-10 4.4.0-1"
                "A repetition on the next connection is the same message too"
                """
                s joins
                s subscribes "~/a"
                p joins props{SessionExpiryInterval=30}
                p > PUBLISH qos=2 topic="~/a" id=7 payload="1"
                p received 7
                p leaves
                p resumes props{SessionExpiryInterval=30}
                p > PUBLISH dup=1 qos=2 topic="~/a" id=7 payload="1"
                p next PUBREC id=7
                p completes 7
                s < PUBLISH payload="1"
                s quiet
                """
            probe
                [ QoS2 ]
                "4.3.3-9"
                "After a PUBREC of failure the same Packet Identifier is a new message"
                """
                s joins
                s subscribes "~/a"
                p joins
                p > PUBLISH qos=2 topic="$SYS/mqtt5-verify" id=7
                p unless PUBREC rc=Success|NoMatchingSubscribers : the server takes a PUBLISH to $SYS
                p unless closed : the server closes the connection after a PUBLISH to $SYS
                p next PUBREC id=7 rc=error
                p > PUBLISH qos=2 topic="~/a" id=7 payload="2"
                p received 7
                p completes 7
                s < PUBLISH payload="2"
                """
            probe
                [ QoS2 ]
                "4.3.3-13"
                "A message that expires is still acknowledged to the end"
                """
                p joins
                p > PUBLISH qos=2 topic="~/a" id=7 props{MessageExpiryInterval=1}
                p received 7
                wait 2200
                p > PUBREL id=7
                p next PUBCOMP id=7 rc=Success
                """
            probe
                [ QoS2 ]
                "3.7.2-1 3.6.2-1"
                "Unknown Packet Identifiers are answered with codes of the tables"
                """
                c joins
                c > PUBREL id=9
                c next PUBCOMP id=9 rc=Success|PacketIdentifierNotFound [MQTT-3.7.2-1]
                c > PUBREC id=9
                wait 400
                """
            probe
                [ QoS2 ]
                "3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.6.2-2 3.6.2-3 3.7.2-2 3.7.2-3 3.9.2-1 3.9.2-2 3.11.2-1 3.11.2-2"
                "Acknowledgements are no larger than the client takes"
                """
                c > CONNECT clean=1 clientid="~c" props{MaximumPacketSize=20}
                c unless CONNACK rc=error : the server has no answer of at most 20 bytes
                c first CONNACK rc=Success
                c > PUBREL id=3
                c > SUBSCRIBE id=4 filters["~/b"]
                c > UNSUBSCRIBE id=5 filters["~/c"]
                c < PUBCOMP id=3 [MQTT-4.3.3-11]
                c < SUBACK id=4 [MQTT-3.8.4-1]
                c < UNSUBACK id=5 [MQTT-3.10.4-4]
                c > PUBREC id=6
                c > PUBLISH qos=1 topic="$SYS/mqtt5-verify" id=1
                c > PUBLISH qos=2 topic="$SYS/mqtt5-verify" id=2
                wait 400
                """
        ]

    let private forwarding =
        [
            for qos in 0..1 do
                let id = if qos = 0 then "" else "id=1"

                for name, clauses, property in
                    [
                        "Payload Format Indicator", "3.3.2-4", "PayloadFormatIndicator=1"
                        "Response Topic", "3.3.2-15", "ResponseTopic=\"~/r/s\""
                        "Correlation Data", "3.3.2-16", "CorrelationData=x'00FF80'"
                        "Content Type", "3.3.2-20", "ContentType=\"text/plain; é\""
                        "User Properties",
                        "3.3.2-17 3.3.2-18",
                        "UserProperty=(\"z\",\"1\"), UserProperty=(\"a\",\"2\"), UserProperty=(\"z\",\"1\"), UserProperty=(\"\",\"\")"
                    ] do
                    let properties = "props{" + property + "}"

                    probe
                        (if qos = 0 then [] else [ QoS1 ])
                        clauses
                        $"{name} of a message of QoS {qos} is forwarded unchanged ({property})"
                        $$"""
                        s joins
                        s subscribes "~/a" qos=1
                        p joins
                        p > PUBLISH qos={{qos}} topic="~/a" {{id}} {{properties}} payload="x"
                        s next PUBLISH qos={{qos}} topic="~/a" {{property}} payload="x"
                        """
            probe
                []
                "3.3.2-4"
                "A message without a Payload Format Indicator gets none"
                """
                s joins
                s subscribes "~/a"
                p joins
                p > PUBLISH topic="~/a" payload="x"
                s next PUBLISH payload="x" !PayloadFormatIndicator
                """
            probe
                [ QoS1 ]
                "3.3.2-6 3.3.2-5"
                "Message Expiry counts the time that a message waited, and ends it"
                """
                p joins
                s joins props{SessionExpiryInterval=30}
                s subscribes "~/a" qos=1
                s leaves
                p > PUBLISH qos=1 topic="~/a" id=1 props{MessageExpiryInterval=1} payload="short"
                p acked 1
                p > PUBLISH qos=1 topic="~/a" id=2 props{MessageExpiryInterval=60} payload="long"
                p acked 2
                wait 3000
                s resumes props{SessionExpiryInterval=30}
                s next PUBLISH payload="long" [MQTT-3.3.2-5]
                s quiet [MQTT-3.3.2-5]
                """
            probe
                [ QoS1 ]
                "3.3.2-6"
                "The forwarded Message Expiry Interval is less by the time that the message waited"
                """
                p joins
                s joins props{SessionExpiryInterval=30}
                s subscribes "~/a" qos=1
                s leaves
                p > PUBLISH qos=1 topic="~/a" id=2 props{MessageExpiryInterval=60} payload="long"
                p acked 2
                wait 3000
                s resumes props{SessionExpiryInterval=30}
                s next PUBLISH payload="long" MessageExpiryInterval=52..58
                """
            probe
                [ QoS2 ]
                "4.3.3-7"
                "Expiry does not end a message of QoS 2 that was sent"
                """
                p joins
                s joins props{SessionExpiryInterval=30}
                s subscribes "~/a" qos=2
                p > PUBLISH qos=2 topic="~/a" id=1 props{MessageExpiryInterval=1} payload="x"
                p received 1
                p completes 1
                s next PUBLISH qos=2 payload="x" id=$id
                s leaves
                wait 2500
                s resumes props{SessionExpiryInterval=30}
                s sees PUBLISH qos=2 payload="x" [MQTT-4.3.3-7]
                s next PUBLISH qos=2 payload="x" id=$id [MQTT-4.4.0-1]
                s > PUBREC id=$id
                s < PUBREL id=$id [MQTT-4.3.3-4]
                """
            probe
                [ TopicAliases ]
                "3.3.2-12"
                "Topic Aliases are taken, and can be set again"
                """
                s joins
                s subscribes "~/a", "~/b"
                p joins
                p > PUBLISH topic="~/a" props{TopicAlias=1} payload="1"
                p > PUBLISH props{TopicAlias=1} payload="2"
                p > PUBLISH topic="~/b" props{TopicAlias=1} payload="3"
                p > PUBLISH props{TopicAlias=1} payload="4"
                s next PUBLISH topic="~/a" payload="1"
                s next PUBLISH topic="~/a" payload="2"
                s next PUBLISH topic="~/b" payload="3"
                s next PUBLISH topic="~/b" payload="4"
                """
            probe
                [ TopicAliases ]
                "3.3.2-7"
                "Topic Aliases are forgotten with the connection"
                """
                s joins
                s subscribes "~/a"
                p joins props{SessionExpiryInterval=30}
                p > PUBLISH topic="~/a" props{TopicAlias=1} payload="1"
                s next PUBLISH topic="~/a" payload="1"
                p leaves
                p resumes props{SessionExpiryInterval=30}
                p > PUBLISH props{TopicAlias=1} payload="2"
                s quiet [MQTT-3.3.2-7]
                p ends ProtocolError|TopicAliasInvalid|MalformedPacket [MQTT-4.13.1-1]
                """
            probe
                [ QoS1; QoS2 ]
                "3.3.1-3 4.3.2-2 4.3.3-2 4.3.1-1"
                "DUP of what comes in says nothing about what goes out"
                """
                s joins
                s subscribes "~/a" qos=2
                p joins
                p > PUBLISH dup=1 qos=1 topic="~/a" id=1 payload="1"
                p acked 1
                p > PUBLISH dup=1 qos=2 topic="~/a" id=2 payload="2"
                p received 2
                p completes 2
                p > PUBLISH topic="~/a" payload="0"
                s sees PUBLISH qos=1 payload="1" [MQTT-4.3.2-2]
                s < PUBLISH payload="1" dup=0 [MQTT-3.3.1-3 MQTT-4.3.2-2]
                s sees PUBLISH qos=2 payload="2" [MQTT-4.3.3-2]
                s < PUBLISH payload="2" dup=0 [MQTT-3.3.1-3 MQTT-4.3.3-2]
                s < PUBLISH qos=0 dup=0 payload="0" [MQTT-4.3.1-1]
                """
        ]

    let private retained =
        [
            probe
                [ Retain; QoS1 ]
                "3.3.1-5"
                "A retained message replaces the one before"
                """
                c joins
                c > PUBLISH retain=1 qos=1 topic="~/a" id=1 payload="1"
                c acked 1
                c > PUBLISH retain=1 qos=1 topic="~/a" id=2 payload="2"
                c acked 2
                d joins
                d subscribes "~/a" qos=1
                d next PUBLISH retain=1 payload="2"
                d quiet
                """
            probe
                [ Retain; QoS1 ]
                "3.3.1-6 3.3.1-7"
                "An empty payload removes the retained message, and is delivered and not retained"
                """
                c joins
                w joins
                w subscribes "~/a"
                c > PUBLISH retain=1 qos=1 topic="~/a" id=1 payload="1"
                c acked 1
                c > PUBLISH retain=1 qos=1 topic="~/a" id=2
                c acked 2
                w next PUBLISH payload="1" [MQTT-3.3.1-6]
                w next PUBLISH payload="" [MQTT-3.3.1-6]
                d joins
                d subscribes "~/a" qos=1
                d quiet
                """
            probe
                [ Retain; QoS1 ]
                "3.3.1-8"
                "A message without RETAIN neither replaces nor removes the retained one"
                """
                c joins
                c > PUBLISH retain=1 qos=1 topic="~/a" id=1 payload="1"
                c acked 1
                c > PUBLISH qos=1 topic="~/a" id=2 payload="2"
                c acked 2
                c > PUBLISH qos=1 topic="~/a" id=3
                c acked 3
                d joins
                d subscribes "~/a" qos=1
                d next PUBLISH retain=1 payload="1"
                d quiet
                """
            probe
                [ Retain; QoS1 ]
                "3.3.1-12 3.3.1-13"
                "Retain As Published says what becomes of RETAIN"
                """
                p joins
                a joins
                a subscribes "~/a"
                b joins
                b subscribes "~/a" rap=1
                p > PUBLISH retain=1 qos=1 topic="~/a" id=1 payload="1"
                p acked 1
                p > PUBLISH qos=1 topic="~/a" id=2 payload="2"
                p acked 2
                a next PUBLISH retain=0 payload="1" [MQTT-3.3.1-12]
                a next PUBLISH retain=0 payload="2" [MQTT-3.3.1-12]
                b next PUBLISH retain=1 payload="1" [MQTT-3.3.1-13]
                b next PUBLISH retain=0 payload="2" [MQTT-3.3.1-13]
                """
        ]

    /// The probes.
    [<CompiledName("All")>]
    let all: Probe list = answers @ forwarding @ retained
