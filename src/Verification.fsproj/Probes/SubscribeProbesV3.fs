namespace Mqtt5.Verification

open Mqtt5

/// Probes for SUBSCRIBE and UNSUBSCRIBE of MQTT 3.1.1 (sections 3.8 to 3.11), where they differ from those of MQTT 5.
[<RequireQualifiedAccess>]
module SubscribeProbesV3 =

    let private probe = ProbeSyntax.probeIn ProtocolVersion.V311

    /// The probes.
    [<CompiledName("All")>]
    let all: Probe list =
        [
            probe
                [ Retain; QoS1 ]
                "3.8.4-3"
                "A filter that comes again replaces its subscription, brings retained messages again, and loses nothing"
                """
                p joins
                p > PUBLISH retain=1 qos=1 topic="~/a" id=9 payload="kept"
                p acked 9
                c joins
                c subscribes "~/a" qos=1
                c next PUBLISH retain=1 payload="kept" [MQTT3-3.3.1-6]
                p > PUBLISH qos=1 topic="~/a" id=1 payload="one"
                p acked 1
                c > SUBSCRIBE id=2 filters["~/a"]
                c < SUBACK id=2
                c next PUBLISH retain=0 payload="one"
                c next PUBLISH retain=1 qos=0 payload="kept"
                p > PUBLISH qos=1 topic="~/a" id=2 payload="two"
                p acked 2
                c next PUBLISH retain=0 qos=0 payload="two"
                c quiet
                """
            probe
                [ Wildcards ]
                "3.3.5-1"
                "Overlapping subscriptions bring a message at the highest QoS of all"
                """
                c joins
                c subscribes "~/a/#"
                c > SUBSCRIBE id=2 filters["~/a/+" qos=1]
                c < SUBACK id=2
                p joins
                p > PUBLISH qos=1 topic="~/a/b" id=1 payload="x"
                p acked 1
                c sees PUBLISH payload="x" [MQTT3-4.5.0-1]
                c < PUBLISH qos=1 payload="x"
                """
            probe
                []
                "3.8.3-2"
                "A server without wildcards rejects filters that have them"
                """
                c joins
                c > SUBSCRIBE id=1 filters["~/+"]
                c unless SUBACK codes[Success] : the server takes wildcards
                c ends any or SUBACK id=1 codes=error
                """
            probe
                []
                "3.8.4-4 3.8.4-5 3.9.3-1"
                "Many filters in one SUBSCRIBE count as many SUBSCRIBE packets with one SUBACK"
                """
                p joins
                c joins
                c > SUBSCRIBE id=7 filters["~/a" qos=1, "~/b", "~/c" qos=2]
                c sees SUBACK id=7 codes[Success|GrantedQoS1|GrantedQoS2|error, Success|GrantedQoS1|GrantedQoS2|error, Success|GrantedQoS1|GrantedQoS2|error] [MQTT3-3.8.4-5]
                c next SUBACK id=7 codes[Success|GrantedQoS1, Success, Success|GrantedQoS1|GrantedQoS2] [MQTT3-3.9.3-1]
                p > PUBLISH topic="~/a" payload="a"
                p > PUBLISH topic="~/b" payload="b"
                p > PUBLISH topic="~/c" payload="c"
                c next PUBLISH topic="~/a" payload="a"
                c next PUBLISH topic="~/b" payload="b"
                c next PUBLISH topic="~/c" payload="c"
                c quiet
                """
            probe
                []
                "3.9.3-2 3.8.4-5"
                "SUBACK has return codes 0x00, 0x01, 0x02 and 0x80 alone"
                """
                c joins
                c > SUBSCRIBE id=1 filters["~/a", "~/b" qos=1, "~/c" qos=2, "$SYS/mqtt5-verify" qos=2, "$share/g/~/a"]
                c next SUBACK id=1
                """
            probe
                []
                "3.10.4-4 3.10.4-6"
                "UNSUBSCRIBE with several filters has one UNSUBACK, and deletes each"
                """
                c joins
                c subscribes "~/a", "~/b", "~/d"
                c > UNSUBSCRIBE id=7 filters["~/a", "~/c", "~/b"]
                c sees UNSUBACK [MQTT3-3.10.4-4]
                c next UNSUBACK id=7 [MQTT3-3.10.4-4]
                c > PUBLISH topic="~/a"
                c > PUBLISH topic="~/b"
                c quiet [MQTT3-3.10.4-6]
                c > PUBLISH topic="~/d" payload="d"
                c next PUBLISH topic="~/d" payload="d"
                """
            probe
                []
                "3.10.4-1 3.10.4-2"
                "UNSUBSCRIBE compares filters byte by byte"
                """
                c joins
                c subscribes "~/a/b"
                c > UNSUBSCRIBE id=1 filters["~/a/+", "~/a/b/", "~/A/b", "~/a/#"]
                c < UNSUBACK id=1
                c > PUBLISH topic="~/a/b" payload="1"
                c next PUBLISH topic="~/a/b" payload="1" [MQTT3-3.10.4-1]
                c > UNSUBSCRIBE id=2 filters["~/a/b"]
                c < UNSUBACK id=2
                c > PUBLISH topic="~/a/b" payload="2"
                c quiet [MQTT3-3.10.4-1 MQTT3-3.10.4-2]
                """
        ]
