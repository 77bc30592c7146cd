namespace Mqtt5.Verification

/// Probes for SUBSCRIBE and UNSUBSCRIBE (sections 3.8 to 3.11), Topic Filters (section 4.7), and what subscriptions make
/// of messages (sections 3.3.1.3 and 3.3.4).
[<RequireQualifiedAccess>]
module SubscribeProbes =

    let private probe = ProbeSyntax.probe

    let private answers =
        [
            probe
                []
                "3.8.4-1 3.8.4-2 2.2.1-6"
                "SUBSCRIBE is answered by SUBACK with its Packet Identifier"
                """
                c joins
                c > SUBSCRIBE id=43981 filters["~/a"]
                c sees SUBACK [MQTT-3.8.4-1]
                c next SUBACK id=43981 [MQTT-3.8.4-2 MQTT-2.2.1-6]
                c > SUBSCRIBE id=65535 filters["~/b"]
                c sees SUBACK [MQTT-3.8.4-1]
                c next SUBACK id=65535 [MQTT-3.8.4-2 MQTT-2.2.1-6]
                """
            probe
                []
                "3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2"
                "SUBACK has a code for each filter in order"
                """
                c joins
                c > SUBSCRIBE id=1 filters["~/a" qos=2, "~/b", "~/c" qos=1, "~/d"]
                c sees SUBACK id=1 [MQTT-3.8.4-1]
                c sees SUBACK id=1 codes[Success|GrantedQoS1|GrantedQoS2|error, Success|GrantedQoS1|GrantedQoS2|error, Success|GrantedQoS1|GrantedQoS2|error, Success|GrantedQoS1|GrantedQoS2|error] [MQTT-3.8.4-5 MQTT-3.8.4-6 MQTT-3.9.3-2]
                c next SUBACK id=1 codes[Success|GrantedQoS1|GrantedQoS2, Success, Success|GrantedQoS1, Success] [MQTT-3.8.4-7 MQTT-3.9.3-1]
                c > PUBLISH topic="~/c" payload="c"
                c next PUBLISH topic="~/c" payload="c" [MQTT-3.8.4-5]
                """
            probe
                []
                "3.10.4-4 3.10.4-5 2.2.1-6"
                "UNSUBSCRIBE is answered by UNSUBACK with its Packet Identifier, also where nothing was deleted"
                """
                c joins
                c > UNSUBSCRIBE id=43982 filters["~/none"]
                c sees UNSUBACK [MQTT-3.10.4-4 MQTT-3.10.4-5]
                c next UNSUBACK id=43982 [MQTT-3.10.4-5 MQTT-2.2.1-6]
                """
            probe
                []
                "3.10.4-6 3.11.3-1 3.11.3-2"
                "UNSUBACK has a code for each filter in order"
                """
                c joins
                c subscribes "~/a", "~/b"
                c > UNSUBSCRIBE id=7 filters["~/a", "~/c", "~/b"]
                c sees UNSUBACK id=7 [MQTT-3.10.4-4]
                c next UNSUBACK id=7 codes[Success, NoSubscriptionExisted, Success]
                c > PUBLISH topic="~/a"
                c > PUBLISH topic="~/b"
                c quiet [MQTT-3.10.4-6]
                """
            probe
                []
                "3.10.4-1 3.10.4-2"
                "UNSUBSCRIBE compares filters character by character"
                """
                c joins
                c subscribes "~/a/b"
                c > UNSUBSCRIBE id=1 filters["~/a/+", "~/a/b/", "~/A/b", "~/a/#"]
                c < UNSUBACK id=1
                c > PUBLISH topic="~/a/b" payload="1"
                c next PUBLISH topic="~/a/b" payload="1" [MQTT-3.10.4-1]
                c > UNSUBSCRIBE id=2 filters["~/a/b"]
                c < UNSUBACK id=2 codes[Success]
                c > PUBLISH topic="~/a/b" payload="2"
                c quiet [MQTT-3.10.4-2 MQTT-3.10.4-1]
                """
            probe
                [ QoS2 ]
                "3.10.4-3"
                "What was under way at UNSUBSCRIBE is completed"
                """
                p joins
                s joins props{SessionExpiryInterval=30}
                s subscribes "~/a" qos=2
                p > PUBLISH qos=2 topic="~/a" id=1 payload="1"
                p received 1
                p completes 1
                p > PUBLISH qos=1 topic="~/a" id=2 payload="2"
                p acked 2
                s < PUBLISH payload="1" id=$one
                s < PUBLISH payload="2" id=$two
                s > UNSUBSCRIBE id=1 filters["~/a"]
                s < UNSUBACK id=1
                s > PUBREC id=$one
                s < PUBREL id=$one
                s leaves
                s resumes props{SessionExpiryInterval=30}
                s sees PUBLISH payload="2" [MQTT-3.10.4-3]
                s < PUBREL id=$one [MQTT-4.4.0-1]
                s < PUBLISH dup=1 payload="2" id=$two [MQTT-4.4.0-1 MQTT-3.3.1-1]
                s > PUBCOMP id=$one
                s > PUBACK id=$two
                s quiet
                """
        ]

    let private replacement =
        [
            for handling, retained in
                [ 0, "c next PUBLISH retain=1 payload=\"kept\" [MQTT-3.8.4-4]"; 1, "c quiet"; 2, "c quiet" ] do
                probe
                    [ Retain; QoS1; SubscriptionIdentifiers ]
                    "3.8.4-3 3.8.4-4"
                    $"A filter that comes again with Retain Handling {handling} replaces its subscription"
                    $$"""
                    c joins
                    c > PUBLISH retain=1 qos=1 topic="~/a" id=9 payload="kept"
                    c acked 9
                    c > SUBSCRIBE id=3 filters["~/a" qos=1 rh=2]
                    c < SUBACK id=3
                    c > SUBSCRIBE id=1 props{SubscriptionIdentifier=5} filters["~/a" rh=2]
                    c < SUBACK id=1
                    c > PUBLISH qos=1 topic="~/a" id=1 payload="one"
                    c acked 1
                    c next PUBLISH topic="~/a" qos=0 SubscriptionIdentifier=5 payload="one" [MQTT-3.8.4-3]
                    c > SUBSCRIBE id=2 filters["~/a" rh={{handling}}]
                    c < SUBACK id=2
                    {{retained}}
                    c > PUBLISH qos=1 topic="~/a" id=2 payload="two"
                    c acked 2
                    c next PUBLISH topic="~/a" payload="two" !SubscriptionIdentifier [MQTT-3.8.4-3 MQTT-3.8.4-4]
                    c quiet [MQTT-3.8.4-3]
                    """
            for handling, clause, first, again in
                [ 0, "3.3.1-9", true, true; 1, "3.3.1-10", true, false; 2, "3.3.1-11", false, false ] do
                let due isDue =
                    if isDue then
                        "c next PUBLISH retain=1 payload=\"kept\""
                    else
                        "c quiet"

                probe
                    [ Retain ]
                    clause
                    $"Retain Handling {handling} says when retained messages come"
                    $$"""
                    p joins
                    p > PUBLISH retain=1 topic="~/a" payload="kept"
                    p quiet
                    c joins
                    c > SUBSCRIBE id=1 filters["~/a" rh={{handling}}]
                    c < SUBACK id=1
                    {{due first}}
                    c > SUBSCRIBE id=2 filters["~/a" rh={{handling}}]
                    c < SUBACK id=2
                    {{due again}}
                    c quiet
                    """
            probe
                []
                "3.8.3-3"
                "No Local keeps a message from its own publisher"
                """
                c joins
                d joins
                c subscribes "~/a" nl=1
                d subscribes "~/a" nl=1
                c > PUBLISH topic="~/a" payload="c"
                d next PUBLISH payload="c"
                c quiet
                d > PUBLISH topic="~/a" payload="d"
                c next PUBLISH payload="d"
                d quiet
                """
        ]

    let private overlapping =
        [
            probe
                [ Wildcards; SubscriptionIdentifiers; QoS2 ]
                "3.3.4-2 3.3.4-3 3.3.4-4 3.3.4-5"
                "Overlapping subscriptions honour the highest QoS, and their Subscription Identifiers are sent"
                """
                c joins
                c > SUBSCRIBE id=1 props{SubscriptionIdentifier=1} filters["~/a/#"]
                c < SUBACK id=1
                c > SUBSCRIBE id=2 props{SubscriptionIdentifier=268435455} filters["~/a/+" qos=1]
                c < SUBACK id=2
                p joins
                p > PUBLISH qos=2 topic="~/a/b" id=1 payload="x"
                p received 1
                p completes 1
                c sees PUBLISH qos=1 payload="x" [MQTT-3.3.4-2]
                c sees PUBLISH SubscriptionIdentifier=1 payload="x"
                c sees PUBLISH SubscriptionIdentifier=268435455 payload="x"
                """
            probe
                [ Shared; SubscriptionIdentifiers ]
                "3.3.4-5 3.3.4-3"
                "A Shared Subscription makes a copy with the Subscription Identifier of its own"
                """
                c joins
                c > SUBSCRIBE id=1 props{SubscriptionIdentifier=5} filters["$share/g/~/a"]
                c < SUBACK id=1
                d joins
                d > SUBSCRIBE id=1 props{SubscriptionIdentifier=6} filters["~/a"]
                d < SUBACK id=1
                e joins
                e subscribes "~/a"
                e > PUBLISH topic="~/a" payload="x"
                c next PUBLISH SubscriptionIdentifier=5
                d next PUBLISH SubscriptionIdentifier=6
                e next PUBLISH !SubscriptionIdentifier
                c quiet
                """
        ]

    let private filters =
        [
            for filter, matching, others in
                [
                    "a/#", [ "a"; "a/"; "a/b"; "a/b/c" ], [ "b"; "A/b"; "ab"; "/a" ]
                    "+", [ "a"; "A" ], [ "/"; "a/b" ]
                    "+/+", [ "/"; "a/b"; "/b" ], [ "a"; "a/b/c" ]
                    "/+", [ "/"; "/a" ], [ "a"; "a/" ]
                    "a/+/c", [ "a/b/c"; "a//c" ], [ "a/c"; "a/b/c/d" ]
                    "+/b/#", [ "a/b"; "/b/c" ], [ "a/c" ]
                ] do
                probe
                    [ Wildcards ]
                    "3.3.2-3 4.7.1-1 4.7.1-2"
                    $"The filter {filter} matches as the standard says"
                    ($"""
                     c joins
                     c subscribes "~/{filter}"
                     """
                     + String.concat "\n" [ for topic in others -> $"c > PUBLISH topic=\"~/{topic}\"" ]
                     + "\nc quiet [MQTT-3.3.2-3]\n"
                     + String.concat
                         "\n"
                         [
                             for topic in matching do
                                 $"c > PUBLISH topic=\"~/{topic}\" payload=\"m\""
                                 "c sees PUBLISH payload=\"m\" [MQTT-4.5.0-1]"
                                 $"c next PUBLISH topic=\"~/{topic}\" payload=\"m\" [MQTT-3.3.2-3]"
                         ])
            probe
                []
                "4.7.3-4 3.3.2-3"
                "Matching changes no characters"
                """
                c joins
                c subscribes "~/a b/É"
                c > PUBLISH topic="~/a b/E\u0301"
                c > PUBLISH topic="~/a b/é"
                c > PUBLISH topic="~/a%20b/É"
                c > PUBLISH topic="~/a b//É"
                c quiet
                c > PUBLISH topic="~/a b/É" payload="same"
                c next PUBLISH topic="~/a b/É" payload="same"
                """
            probe
                [ Wildcards ]
                "4.7.2-1"
                "A filter that begins with + matches no topic that begins with $"
                """
                c joins
                c subscribes "+/^/#", "+/broker/version", "+/broker/uptime"
                d joins
                d > PUBLISH topic="$mqtt5-verify/^/a" payload="dollar"
                p joins
                p > PUBLISH topic="~/a" payload="usual"
                c next PUBLISH topic="~/a" payload="usual"
                wait 500
                c quiet
                """
        ]

    /// The probes.
    [<CompiledName("All")>]
    let all: Probe list = answers @ replacement @ overlapping @ filters
