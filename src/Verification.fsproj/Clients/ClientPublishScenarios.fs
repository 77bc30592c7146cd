namespace Mqtt5.Verification

open System

/// Scenarios for a client that publishes: identifiers, acknowledgements, flow control and the limits of a server (sections
/// 3.2.2, 3.3.4, 4.3, 4.4, 4.6 and 4.9).
[<RequireQualifiedAccess>]
module ClientPublishScenarios =

    let private scenario = ClientSyntax.scenario

    let private exchanges =
        [
            scenario
                "4.4.0-1"
                "publish qos=1"
                "A message of QoS 1 is not sent again on a connection that stays"
                """
                usual PUBLISH qos=1
                hold PUBLISH
                wants PUBLISH qos=1 id=$m
                lacks 2500 PUBLISH id=$m
                > PUBACK id=$m
                """
            scenario
                "4.3.3-4 4.3.3-6 4.4.0-1"
                "publish qos=2"
                "PUBREC is answered with PUBREL, and the message is not sent again after it"
                """
                usual PUBLISH qos=2
                hold PUBLISH
                hold PUBREL
                wants PUBLISH qos=2 id=$m
                lacks 400 PUBREL [MQTT-4.3.3-4]
                > PUBREC id=$m
                < PUBREL id=$m rc=Success [MQTT-4.3.3-4]
                lacks 1500 PUBLISH id=$m [MQTT-4.3.3-6 MQTT-4.4.0-1]
                > PUBCOMP id=$m
                """
            scenario
                "4.4.0-2"
                "publish qos=1"
                "A message of QoS 1 that PUBACK refuses is not sent again"
                """
                usual PUBLISH qos=1
                hold PUBLISH
                wants PUBLISH qos=1 id=$m
                > PUBACK id=$m rc=QuotaExceeded
                lacks 1000 PUBLISH dup=1
                """
            scenario
                "4.4.0-2"
                "publish qos=2"
                "A message of QoS 2 that PUBREC refuses is not sent again"
                """
                usual PUBLISH qos=2
                hold PUBLISH
                wants PUBLISH qos=2 id=$m
                > PUBREC id=$m rc=QuotaExceeded
                lacks 1000 PUBLISH dup=1
                """
            scenario
                "4.6.0-4"
                "publish qos=2 count=3"
                "PUBRELs go out in the order of the PUBRECs"
                """
                usual PUBLISH qos=2
                hold PUBLISH
                hold PUBREL
                wants PUBLISH qos=2 id=$a
                wants PUBLISH qos=2 id=$b
                wants PUBLISH qos=2 id=$c
                > PUBREC id=$c
                > PUBREC id=$a
                > PUBREC id=$b
                next PUBREL id=$c
                next PUBREL id=$a
                next PUBREL id=$b
                """
            scenario
                "1.5.4-3"
                "publish topic=verify/\ufeffbom"
                "U+FEFF in a Topic Name is sent as it is"
                """
                wants CONNECT
                lacks 800 PUBLISH topic="verify/bom"
                wants PUBLISH topic="verify/\ufeffbom"
                """
            scenario
                "3.3.2-2"
                "publish topic=verify/+/topic"
                "A Topic Name with a wildcard is not sent"
                "idle"
            scenario
                "3.3.2-14"
                "request response=verify/#"
                "A Response Topic with a wildcard is not sent"
                "idle"
        ]

    // A client that sends too much has a quota that is too high or does not count: 4.9.0-1 is not failed for it.
    let private quotas =
        [
            scenario
                "3.3.4-7 4.9.0-1 4.9.0-2"
                "publish qos=1 count=3"
                "With a Receive Maximum of 1 the next message of QoS 1 waits for the PUBACK of the last"
                """
                usual PUBLISH qos=1
                connack props{ReceiveMaximum=1}
                hold PUBLISH
                wants PUBLISH qos=1 id=$a
                lacks 700 PUBLISH [MQTT-3.3.4-7 MQTT-4.9.0-2]
                > PUBACK id=$a
                wants PUBLISH qos=1 id=$b
                lacks 400 PUBLISH [MQTT-3.3.4-7 MQTT-4.9.0-2]
                > PUBACK id=$b
                wants PUBLISH qos=1 id=$c
                """
            scenario
                "3.3.4-7 4.9.0-1 4.9.0-2"
                "publish qos=2 count=3"
                "With a Receive Maximum of 1 the next message of QoS 2 waits for the PUBCOMP of the last"
                """
                usual PUBLISH qos=2
                connack props{ReceiveMaximum=1}
                hold PUBLISH
                hold PUBREL
                wants PUBLISH qos=2 id=$a
                lacks 300 PUBLISH [MQTT-3.3.4-7 MQTT-4.9.0-2]
                > PUBREC id=$a
                < PUBREL id=$a [MQTT-4.3.3-4]
                lacks 500 PUBLISH [MQTT-3.3.4-7 MQTT-4.9.0-2]
                > PUBCOMP id=$a
                wants PUBLISH qos=2 id=$b
                lacks 300 PUBLISH [MQTT-3.3.4-7 MQTT-4.9.0-2]
                """
            scenario
                "4.9.0-2"
                "publish qos=2 count=3"
                "A PUBREC of failure gives the quota back"
                """
                usual PUBLISH qos=2
                connack props{ReceiveMaximum=1}
                hold PUBLISH
                wants PUBLISH qos=2 id=$a
                > PUBREC id=$a rc=QuotaExceeded
                wants PUBLISH qos=2 id=$b
                lacks 300 PUBLISH
                """
            scenario
                "3.3.4-8 4.9.0-3"
                "publish qos=1 count=3 keepalive=5"
                "Without send quota PINGREQ goes out in time"
                """
                usual PUBLISH qos=1
                connack props{ReceiveMaximum=1}
                hold PUBLISH
                wants CONNECT keepalive=1..6
                wants PUBLISH qos=1 id=$a
                wait 6000
                < PINGREQ
                """
        ]

    let private limits =
        [
            for qos, most in [ 2, 1; 1, 0 ] do
                scenario
                    "3.2.2-11"
                    $"publish qos={qos}"
                    $"With a Maximum QoS of {most} nothing of QoS {qos} is sent"
                    $"""
                    usual PUBLISH qos={qos}
                    connack props{{MaximumQoS={most}}}
                    wants CONNECT
                    lacks 1200 PUBLISH qos={qos}
                    """
            scenario
                "3.2.2-14"
                "retain"
                "RETAIN is not 1 where the server keeps no retained messages"
                """
                usual PUBLISH retain=1
                connack props{RetainAvailable=0}
                wants CONNECT
                lacks 1200 PUBLISH retain=1
                """
            for qos in 0..1 do
                scenario
                    "3.2.2-15"
                    ($"publish qos={qos} message=" + String('x', 300))
                    $"A message of QoS {qos} above the Maximum Packet Size is not sent"
                    $"""
                    usual PUBLISH qos={qos}
                    connack props{{MaximumPacketSize=200}}
                    wants CONNECT
                    lacks 1200 PUBLISH
                    """
            scenario
                "3.6.2-2 3.6.2-3 3.14.2-3 3.14.2-4"
                "publish qos=2"
                "PUBREL and DISCONNECT are within the Maximum Packet Size"
                """
                usual PUBLISH qos=2
                connack props{MaximumPacketSize=200}
                wants CONNECT
                < PUBREL
                idle
                """
            scenario
                "3.2.2-17 3.3.2-9"
                "alias alias=3 count=2"
                "A Topic Alias above the Topic Alias Maximum is not sent"
                """
                usual PUBLISH TopicAlias=any
                connack props{TopicAliasMaximum=2}
                wants CONNECT
                lacks 1200 PUBLISH TopicAlias=3..65535
                """
            scenario
                "3.2.2-18"
                "alias alias=1 count=2"
                "No Topic Alias is sent where the server takes none"
                """
                usual PUBLISH TopicAlias=any
                wants CONNECT
                lacks 1200 PUBLISH TopicAlias=any
                """
        ]

    /// All of them.
    let all: ClientScenario list = exchanges @ quotas @ limits
