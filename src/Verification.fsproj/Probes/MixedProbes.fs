namespace Mqtt5.Verification

open Mqtt5

/// Probes in which clients of MQTT 5 and MQTT 3.1.1 meet at one server, or one session is used by both. They are about
/// statements of both versions: each binds the server for the connections of its version.
[<RequireQualifiedAccess>]
module MixedProbes =

    let private probe needs clauses title script =
        ProbeSyntax.probeIn ProtocolVersion.V311 (Version5 :: needs) clauses title script

    let private properties =
        "PayloadFormatIndicator=1, MessageExpiryInterval=600, ContentType=\"t\", ResponseTopic=\"~/r\", CorrelationData=x'01', UserProperty=(\"a\",\"1\")"

    let private messages =
        [
            for qos in 0..2 do
                let id = if qos = 0 then "" else "id=1"

                let completes =
                    match qos with
                    | 1 -> "p acked 1"
                    | 2 -> "p received 1\np completes 1"
                    | _ -> ""

                probe
                    [ QoS1; QoS2 ]
                    "MQTT3-4.5.0-1 MQTT-4.5.0-1 MQTT-3.3.2-4 MQTT-3.3.2-17"
                    $"A message of QoS {qos} with properties reaches a client of 3.1.1 without them, and one of 5 with them"
                    $$"""
                    s joins
                    s subscribes "~/a" qos=2
                    t speaks 5
                    t joins
                    t subscribes "~/a" qos=2
                    p speaks 5
                    p joins
                    p > PUBLISH qos={{qos}} topic="~/a" {{id}} props{{{properties}}} payload="payload"
                    {{completes}}
                    s next PUBLISH qos={{qos}} dup=0 topic="~/a" payload="payload" [MQTT3-4.5.0-1]
                    t sees PUBLISH topic="~/a" payload="payload" [MQTT-4.5.0-1]
                    t sees PUBLISH PayloadFormatIndicator=1 payload="payload" [MQTT-3.3.2-4]
                    t next PUBLISH qos={{qos}} topic="~/a" payload="payload" UserProperty=("a","1") [MQTT-3.3.2-17]
                    s quiet
                    """

                probe
                    [ QoS1; QoS2 ]
                    "MQTT-4.5.0-1 MQTT-3.3.2-4"
                    $"A message of QoS {qos} of a client of 3.1.1 reaches one of 5 without properties"
                    $"""
                    t speaks 5
                    t joins
                    t subscribes "~/a" qos=2
                    p joins
                    p > PUBLISH qos={qos} topic="~/a" {id} payload="payload"
                    {completes}
                    t sees PUBLISH qos={qos} topic="~/a" payload="payload" [MQTT-4.5.0-1]
                    t next PUBLISH payload="payload" !PayloadFormatIndicator !ContentType !UserProperty !MessageExpiryInterval [MQTT-3.3.2-4]
                    """
            probe
                [ QoS1 ]
                "MQTT-3.3.2-5 MQTT3-4.5.0-1"
                "Message Expiry ends a message that waits for a client of 3.1.1"
                """
                s keeps
                s subscribes "~/a" qos=1
                s leaves
                p speaks 5
                p joins
                p > PUBLISH qos=1 topic="~/a" id=1 props{MessageExpiryInterval=1} payload="short"
                p acked 1
                p > PUBLISH qos=1 topic="~/a" id=2 props{MessageExpiryInterval=60} payload="long"
                p acked 2
                wait 3000
                s resumes
                s sees PUBLISH payload="long" [MQTT3-4.5.0-1]
                s next PUBLISH topic="~/a" payload="long" [MQTT-3.3.2-5]
                s quiet [MQTT-3.3.2-5]
                """
            probe
                [ Retain; QoS1 ]
                "MQTT-3.3.2-5 MQTT3-3.3.1-6"
                "Message Expiry ends a retained message for clients of 3.1.1"
                """
                p speaks 5
                p joins
                p > PUBLISH retain=1 qos=1 topic="~/a" id=1 props{MessageExpiryInterval=1} payload="short"
                p acked 1
                p > PUBLISH retain=1 qos=1 topic="~/b" id=2 props{MessageExpiryInterval=60, UserProperty=("a","1")} payload="long"
                p acked 2
                wait 3000
                s joins
                s subscribes "~/a", "~/b"
                s sees PUBLISH payload="long" [MQTT3-3.3.1-6]
                s next PUBLISH retain=1 topic="~/b" payload="long" [MQTT-3.3.2-5]
                s quiet [MQTT-3.3.2-5]
                """
        ]

    let private sessions =
        [
            probe
                [ QoS1; QoS2; ProbeNeed.SubscriptionIdentifiers ]
                "MQTT3-3.1.2-4 MQTT3-3.1.3-2 MQTT3-3.2.2-2 MQTT3-4.4.0-1"
                "A client of 3.1.1 goes on with a session of 5, and what was under way is sent again in its layout"
                """
                c speaks 5
                c keeps props{SessionExpiryInterval=60, TopicAliasMaximum=5}
                c > SUBSCRIBE id=1 props{SubscriptionIdentifier=5} filters["~/a" qos=2 rap=1]
                c < SUBACK id=1
                p speaks 5
                p joins
                p > PUBLISH qos=1 topic="~/a" id=1 props{UserProperty=("a","1")} payload="1"
                p acked 1
                p > PUBLISH qos=2 topic="~/a" id=2 props{UserProperty=("a","1")} payload="2"
                p received 2
                p completes 2
                c next PUBLISH qos=1 payload="1" id=$one SubscriptionIdentifier=5
                c next PUBLISH qos=2 payload="2" id=$two SubscriptionIdentifier=5
                c > PUBREC id=$two
                c < PUBREL id=$two
                c leaves
                p > PUBLISH qos=1 topic="~/a" id=3 props{UserProperty=("a","1")} payload="3"
                p acked 3
                c speaks 311
                c > CONNECT clientid="~c"
                c first CONNACK rc=Success sp=1 [MQTT3-3.1.3-2 MQTT3-3.2.2-2]
                c < PUBLISH dup=1 qos=1 topic="~/a" payload="1" id=$one [MQTT3-4.4.0-1]
                c < PUBREL id=$two [MQTT3-4.4.0-1]
                c < PUBLISH dup=0 qos=1 topic="~/a" payload="3" [MQTT3-3.1.2-4]
                c > PUBCOMP id=$two
                c quiet
                """
            probe
                [ QoS1; QoS2 ]
                "MQTT-3.1.2-5 MQTT-3.1.3-2 MQTT-3.2.2-3 MQTT-4.4.0-1"
                "A client of 5 goes on with a session of 3.1.1"
                """
                c keeps
                c subscribes "~/a" qos=2
                p joins
                p > PUBLISH qos=1 topic="~/a" id=1 payload="1"
                p acked 1
                p > PUBLISH qos=2 topic="~/a" id=2 payload="2"
                p received 2
                p completes 2
                c next PUBLISH qos=1 payload="1" id=$one
                c next PUBLISH qos=2 payload="2" id=$two
                c > PUBREC id=$two
                c < PUBREL id=$two
                c leaves
                p > PUBLISH qos=1 topic="~/a" id=3 payload="3"
                p acked 3
                c speaks 5
                c > CONNECT clientid="~c" props{SessionExpiryInterval=60}
                c first CONNACK rc=Success sp=1 [MQTT-3.1.3-2 MQTT-3.2.2-3]
                c < PUBLISH dup=1 qos=1 topic="~/a" payload="1" id=$one [MQTT-4.4.0-1]
                c < PUBREL id=$two [MQTT-4.4.0-1]
                c < PUBLISH dup=0 qos=1 topic="~/a" payload="3" !SubscriptionIdentifier [MQTT-3.1.2-5]
                c > PUBCOMP id=$two
                c quiet
                """
            probe
                [ QoS1 ]
                "MQTT3-4.5.0-1"
                "The limits of a connection of 5 end with it where a client of 3.1.1 goes on with its session"
                """
                c speaks 5
                c keeps props{SessionExpiryInterval=60, ReceiveMaximum=1, MaximumPacketSize=100}
                c subscribes "~/a" qos=1
                c leaves
                c speaks 311
                c resumes
                p joins
                p > PUBLISH qos=1 topic="~/a" id=1 payload="1"
                p acked 1
                p > PUBLISH qos=1 topic="~/a" id=2 payload="2"
                p acked 2
                p > PUBLISH topic="~/a" payload="x"*200
                c < PUBLISH payload="1"
                c < PUBLISH payload="2"
                c sees PUBLISH topic="~/a" qos=0
                """
            probe
                [ QoS2 ]
                "MQTT3-4.3.3-2 MQTT-4.3.3-10"
                "A message of QoS 2 that a client of 5 began is completed by one of 3.1.1, and is one message"
                """
                s joins
                s subscribes "~/a"
                p speaks 5
                p keeps props{SessionExpiryInterval=60}
                p > PUBLISH qos=2 topic="~/a" id=7 props{UserProperty=("a","1")} payload="1"
                p received 7
                p leaves
                p speaks 311
                p resumes
                p > PUBLISH dup=1 qos=2 topic="~/a" id=7 payload="1"
                p next PUBREC id=7 [MQTT3-4.3.3-2]
                p completes 7
                s < PUBLISH payload="1" [MQTT3-4.5.0-1]
                s quiet [MQTT3-4.3.3-2]
                """
            probe
                []
                "MQTT3-3.1.2-6 MQTT3-3.2.2-1"
                "CleanSession 1 drops a session of 5"
                """
                c speaks 5
                c keeps props{SessionExpiryInterval=60}
                c subscribes "~/a"
                c leaves
                c speaks 311
                c > CONNECT clean=1 clientid="~c"
                c first CONNACK rc=Success sp=0 [MQTT3-3.2.2-1]
                p joins
                p > PUBLISH topic="~/a" payload="1"
                p quiet
                c quiet [MQTT3-3.1.2-6]
                """
            for name, first, other, more, clause in
                [
                    "5", "5", "311", "props{SessionExpiryInterval=60}", "MQTT-3.1.4-3"
                    "3.1.1", "311", "5", "", "MQTT3-3.1.4-2"
                ] do
                probe
                    []
                    clause
                    $"A client of the other version takes the Client Identifier of one of {name} over"
                    $"""
                    c speaks {first}
                    c keeps {more}
                    d speaks {other}
                    d > CONNECT clientid="~c"
                    d first CONNACK rc=Success sp=1
                    c ends SessionTakenOver
                    """
        ]

    let private wills =
        [
            probe
                [ QoS1 ]
                "MQTT3-4.5.0-1 MQTT-3.1.2-8"
                "A Will of 5 with properties reaches a client of 3.1.1 without them"
                $$"""
                w joins
                w subscribes "~/will" qos=1
                c speaks 5
                c joins will[qos=1 topic="~/will" props{{{properties}}} payload="gone"]
                c leaves
                w sees PUBLISH topic="~/will" [MQTT-3.1.2-8]
                w next PUBLISH qos=1 topic="~/will" payload="gone" [MQTT3-4.5.0-1]
                """
            probe
                [ QoS1 ]
                "MQTT3-3.1.2-8 MQTT-4.5.0-1"
                "A Will of 3.1.1 reaches a client of 5 at once, also where its session is kept"
                """
                w speaks 5
                w joins
                w subscribes "~/will" qos=1
                c keeps will[qos=1 topic="~/will" payload="gone"]
                c leaves
                w sees PUBLISH payload="gone" [MQTT3-3.1.2-8]
                w next PUBLISH qos=1 topic="~/will" payload="gone" !UserProperty !ContentType [MQTT-4.5.0-1]
                """
            probe
                []
                "MQTT-3.1.3-9"
                "A client of 3.1.1 that goes on with a session of 5 cancels the Will that waits"
                """
                w joins
                w subscribes "~/will"
                c speaks 5
                c keeps props{SessionExpiryInterval=60} will[topic="~/will" props{WillDelayInterval=1} payload="never"]
                c leaves
                c speaks 311
                c resumes
                wait 2000
                w quiet
                """
        ]

    /// The probes.
    [<CompiledName("All")>]
    let all: Probe list = messages @ sessions @ wills
