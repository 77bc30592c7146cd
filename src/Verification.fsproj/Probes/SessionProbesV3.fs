namespace Mqtt5.Verification

open Mqtt5

/// Probes for sessions, Wills and Keep Alive of MQTT 3.1.1 (sections 3.1.2.4 to 3.1.2.10 and 3.14), where they differ from
/// those of MQTT 5.
[<RequireQualifiedAccess>]
module SessionProbesV3 =

    let private probe = ProbeSyntax.probeIn ProtocolVersion.V311

    let private sessions =
        [
            probe
                [ QoS1; QoS2 ]
                "3.1.2-4 3.1.2-5 3.2.2-2"
                "CleanSession 0 keeps the subscriptions and the messages of QoS 1 and 2 that come meanwhile"
                """
                p joins
                c keeps
                c subscribes "~/a" qos=2
                c leaves
                p > PUBLISH qos=1 topic="~/a" id=1 payload="1"
                p acked 1
                p > PUBLISH qos=2 topic="~/a" id=2 payload="2"
                p received 2
                p completes 2
                c resumes
                c < PUBLISH qos=1 topic="~/a" payload="1" [MQTT3-3.1.2-5]
                c < PUBLISH qos=2 topic="~/a" payload="2" [MQTT3-3.1.2-5]
                p > PUBLISH topic="~/a" payload="0"
                c < PUBLISH topic="~/a" payload="0" [MQTT3-3.1.2-4]
                """
            probe
                [ QoS1 ]
                "3.1.2-6 3.1.4-3"
                "CleanSession 1 drops the old session, and its own ends with the connection"
                """
                p joins
                c keeps
                c subscribes "~/a" qos=1
                c leaves
                c > CONNECT clean=1 clientid="~c"
                c first CONNACK rc=Success sp=0 [MQTT3-3.2.2-1]
                c subscribes "~/b" qos=1
                p > PUBLISH qos=1 topic="~/a" id=1 payload="old"
                p acked 1
                c quiet
                c leaves
                p > PUBLISH qos=1 topic="~/b" id=2 payload="late"
                p acked 2
                c > CONNECT clientid="~c"
                c first CONNACK rc=Success sp=0
                p > PUBLISH qos=1 topic="~/b" id=3 payload="new"
                p acked 3
                c quiet
                """
            probe
                [ Retain; QoS1 ]
                "3.1.2-7"
                "Retained messages outlive the session of their publisher"
                """
                p joins
                p > PUBLISH retain=1 qos=1 topic="~/a" id=1 payload="kept"
                p acked 1
                p leaves
                p > CONNECT clean=1 clientid="~p"
                p first CONNACK rc=Success [MQTT3-3.1.4-4]
                p > DISCONNECT
                d joins
                d subscribes "~/a"
                d next PUBLISH retain=1 topic="~/a" payload="kept"
                """
        ]

    let private wills =
        [
            for how, ending in
                [
                    "is gone", "c leaves"
                    "sends what is malformed", "c >> 36 { \"~/a\" 0001 }"
                    "is silent for too long", "c ends any within 12000 [MQTT3-3.1.2-8]"
                ] do
                probe
                    [ QoS1 ]
                    "3.1.2-8 3.1.2-10 3.1.2-16"
                    $"A Will is published once where the client {how}"
                    $$"""
                    w joins
                    w subscribes "~/will" qos=1
                    c > CONNECT clean=1 keepalive=1 clientid="~c" will[qos=1 topic="~/will" payload="gone"]
                    c first CONNACK rc=Success [MQTT3-3.1.4-4]
                    {{ending}}
                    w sees PUBLISH payload="gone" [MQTT3-3.1.2-8]
                    w < PUBLISH qos=1 retain=0 topic="~/will" payload="gone" id=$will [MQTT3-3.1.2-8]
                    w > PUBACK id=$will
                    w quiet [MQTT3-3.1.2-10]
                    v joins
                    v subscribes "~/will"
                    v quiet [MQTT3-3.1.2-16]
                    """
            probe
                []
                "3.1.2-8 3.1.4-2"
                "A Will is published at once where another client takes the Client Identifier over"
                """
                w joins
                w subscribes "~/will"
                c keeps will[topic="~/will" payload="gone"]
                d > CONNECT clientid="~c"
                d first CONNACK rc=Success sp=1 [MQTT3-3.2.2-2]
                c ends any [MQTT3-3.1.4-2]
                w < PUBLISH topic="~/will" payload="gone" [MQTT3-3.1.2-8]
                """
            probe
                [ QoS1 ]
                "3.1.2-10 3.14.4-3"
                "A Will that DISCONNECT deleted is not published when the connection ends"
                """
                w joins
                w subscribes "~/will" qos=1
                c keeps will[qos=1 topic="~/will" payload="gone"]
                c > DISCONNECT
                c leaves
                w quiet
                c resumes
                c leaves
                w quiet
                """
            probe
                [ Wildcards ]
                "3.1.2-12"
                "Without the Will Flag nothing is published when the client is gone"
                """
                w joins
                w subscribes "~/#"
                c joins
                c leaves
                w quiet
                """
            probe
                [ Retain ]
                "3.1.2-17"
                "A Will with Will Retain is published as a retained message"
                """
                w joins
                w subscribes "~/will"
                c joins will[retain=1 topic="~/will" payload="gone"]
                c leaves
                w < PUBLISH topic="~/will" payload="gone" [MQTT3-3.1.2-8]
                v joins
                v subscribes "~/will"
                v < PUBLISH retain=1 topic="~/will" payload="gone"
                """
            probe
                []
                "3.1.2-24"
                "Without a Keep Alive silence is no fault"
                """
                c > CONNECT clean=1 keepalive=0 clientid="~c"
                c first CONNACK rc=Success [MQTT3-3.1.4-4]
                wait 5000
                c quiet
                """
        ]

    /// The probes.
    [<CompiledName("All")>]
    let all: Probe list = sessions @ wills
