namespace Mqtt5.Verification

open Mqtt5

/// Probes for PUBLISH of MQTT 3.1.1 and its acknowledgments (sections 3.3, 4.3 and 4.6), where they differ from those of
/// MQTT 5.
[<RequireQualifiedAccess>]
module PublishProbesV3 =

    let private probe = ProbeSyntax.probeIn ProtocolVersion.V311

    let private lines (numbers: seq<int>) (line: int -> string) =
        numbers |> Seq.map line |> String.concat "\n"

    let private order =
        [
            for qos, answer, clause in [ 1, "PUBACK", "4.6.0-2"; 2, "PUBREC", "4.6.0-3" ] do
                probe
                    [ (if qos = 1 then QoS1 else QoS2) ]
                    $"{clause} 3.3.4-1"
                    $"Each {answer} comes in the order of the PUBLISH packets"
                    ("""
                     p joins
                     """
                     + lines (seq { 1..15 }) (fun number ->
                         $"p > PUBLISH qos={qos} topic=\"~/a\" id={200 - number} payload=\"{number}\"")
                     + "\n"
                     + lines (seq { 1..15 }) (fun number ->
                         $"p sees {answer} id={200 - number} [MQTT3-3.3.4-1]\np next {answer} id={200 - number} [MQTT3-{clause}]")
                     + "\np quiet")
            probe
                [ QoS2 ]
                "4.6.0-4 4.3.3-1"
                "Each PUBREL comes in the order of the PUBREC packets"
                ("""
                 p joins
                 s joins
                 s subscribes "~/a" qos=2
                 """
                 + lines (seq { 1..4 }) (fun number ->
                     $"p > PUBLISH qos=2 topic=\"~/a\" id={number} payload=\"{number}\"\np received {number}\np completes {number}")
                 + "\n"
                 + lines (seq { 1..4 }) (fun number ->
                     $"s next PUBLISH qos=2 payload=\"{number}\" id=$m{number}")
                 + "\n"
                 + lines [ 3; 1; 4; 2 ] (fun number -> $"s > PUBREC id=$m{number}")
                 + "\n"
                 + lines [ 3; 1; 4; 2 ] (fun number ->
                     $"s sees PUBREL id=$m{number} [MQTT3-4.3.3-1]\ns next PUBREL id=$m{number} [MQTT3-4.6.0-4]"))
        ]

    let private redelivery =
        [
            probe
                [ QoS1; QoS2 ]
                "4.6.0-1 4.4.0-1"
                "PUBLISH packets are sent again in the order in which they were sent first"
                """
                p joins
                s keeps
                s subscribes "~/a" qos=2
                p > PUBLISH qos=1 topic="~/a" id=1 payload="1"
                p acked 1
                p > PUBLISH qos=2 topic="~/a" id=2 payload="2"
                p received 2
                p completes 2
                p > PUBLISH qos=1 topic="~/a" id=3 payload="3"
                p acked 3
                s next PUBLISH payload="1" id=$one
                s next PUBLISH payload="2" id=$two
                s next PUBLISH payload="3" id=$three
                s leaves
                s resumes
                s sees PUBLISH payload="1" id=$one [MQTT3-4.4.0-1]
                s sees PUBLISH payload="2" id=$two [MQTT3-4.4.0-1]
                s sees PUBLISH payload="3" id=$three [MQTT3-4.4.0-1]
                s next PUBLISH payload="1" [MQTT3-4.6.0-1]
                s next PUBLISH payload="2" [MQTT3-4.6.0-1]
                s next PUBLISH payload="3" [MQTT3-4.6.0-1]
                """
        ]

    let private answers =
        [
            probe
                [ QoS2 ]
                "4.3.3-2 2.3.1-6"
                "PUBREL is answered with PUBCOMP also where its Packet Identifier is unknown"
                """
                c joins
                c > PUBREL id=4660
                c sees PUBCOMP [MQTT3-4.3.3-2]
                c next PUBCOMP id=4660 [MQTT3-2.3.1-6]
                c quiet
                """
            for qos, answer in [ 1, "PUBACK"; 2, "PUBREC" ] do
                probe
                    [ (if qos = 1 then QoS1 else QoS2) ]
                    "3.3.5-2 3.3.4-1"
                    $"A PUBLISH of QoS {qos} that may not be authorized is acknowledged as usual, or closes the connection"
                    $"""
                    c joins
                    c > PUBLISH qos={qos} topic="$SYS/mqtt5-verify" id=9 payload="x"
                    c ends any or {answer} id=9
                    """
            probe
                [ QoS2 ]
                "3.3.5-2 4.3.3-2"
                "A PUBLISH of QoS 2 that may not be authorized is completed as usual, and its identifier is free afterwards"
                """
                s joins
                s subscribes "~/a"
                c joins
                c > PUBLISH qos=2 topic="$SYS/mqtt5-verify" id=9 payload="x"
                c unless closed : the server closes the connection after a PUBLISH to $SYS
                c next PUBREC id=9
                c > PUBREL id=9
                c next PUBCOMP id=9
                c > PUBLISH qos=2 topic="~/a" id=9 payload="next"
                c received 9
                c completes 9
                s next PUBLISH topic="~/a" payload="next"
                """
            probe
                [ QoS1; QoS2 ]
                "3.3.1-2 3.3.1-3 4.3.1-1"
                "What goes out at QoS 0 has DUP 0, whatever came in"
                """
                s joins
                s subscribes "~/a"
                p joins
                p > PUBLISH dup=1 qos=1 topic="~/a" id=1 payload="1"
                p acked 1
                p > PUBLISH dup=1 qos=2 topic="~/a" id=2 payload="2"
                p received 2
                p completes 2
                s sees PUBLISH payload="1" [MQTT3-4.5.0-1]
                s next PUBLISH qos=0 dup=0 payload="1"
                s sees PUBLISH payload="2" [MQTT3-4.5.0-1]
                s next PUBLISH qos=0 dup=0 payload="2"
                """
            probe
                [ QoS1 ]
                "4.3.2-2"
                "Each PUBLISH of QoS 1 is answered, also one that comes again on an open connection"
                """
                p joins
                p > PUBLISH qos=1 topic="~/a" id=7 payload="1"
                p > PUBLISH dup=1 qos=1 topic="~/a" id=7 payload="1"
                p next PUBACK id=7
                p next PUBACK id=7
                p quiet
                """
        ]

    let private retained =
        [
            probe
                [ Retain; QoS1 ]
                "3.3.1-5 3.3.1-8 3.3.1-6"
                "The last retained message of each matching topic comes with RETAIN 1, and at its QoS"
                """
                p joins
                p > PUBLISH retain=1 qos=1 topic="~/a" id=1 payload="old"
                p acked 1
                p > PUBLISH retain=1 qos=1 topic="~/a" id=2 payload="a"
                p acked 2
                p > PUBLISH retain=1 qos=1 topic="~/b" id=3 payload="b"
                p acked 3
                d joins
                d subscribes "~/a" qos=1, "~/b" qos=1
                d sees PUBLISH payload="a" [MQTT3-3.3.1-6]
                d sees PUBLISH payload="b" [MQTT3-3.3.1-6]
                d sees PUBLISH qos=1 topic="~/a" payload="a" [MQTT3-3.3.1-5]
                d < PUBLISH retain=1 payload="a" [MQTT3-3.3.1-8]
                d < PUBLISH retain=1 payload="b" [MQTT3-3.3.1-8]
                d quiet [MQTT3-3.3.1-5]
                """
            probe
                [ Retain; QoS1 ]
                "3.3.1-7"
                "A retained message of QoS 0 discards the one before"
                """
                p joins
                p > PUBLISH retain=1 qos=1 topic="~/a" id=1 payload="old"
                p acked 1
                p > PUBLISH retain=1 topic="~/a" payload="new"
                p quiet
                d joins
                d subscribes "~/a" qos=1
                d never PUBLISH payload="old"
                """
            probe
                [ Retain; QoS1 ]
                "3.3.1-9"
                "What matches an established subscription comes with RETAIN 0"
                """
                d joins
                d subscribes "~/a" qos=1
                p joins
                p > PUBLISH retain=1 qos=1 topic="~/a" id=1 payload="1"
                p acked 1
                p > PUBLISH retain=1 topic="~/a" payload="0"
                d next PUBLISH retain=0 payload="1"
                d next PUBLISH retain=0 payload="0"
                """
            probe
                [ Retain; QoS1 ]
                "3.3.1-10 3.3.1-11"
                "An empty retained message is delivered, removes the retained one, and is not stored"
                """
                w joins
                w subscribes "~/a" qos=1
                p joins
                p > PUBLISH retain=1 qos=1 topic="~/a" id=1 payload="kept"
                p acked 1
                p > PUBLISH retain=1 qos=1 topic="~/a" id=2
                p acked 2
                w next PUBLISH payload="kept" [MQTT3-4.5.0-1]
                w next PUBLISH retain=0 payload="" [MQTT3-3.3.1-10]
                d joins
                d subscribes "~/a" qos=1
                d never PUBLISH payload="kept" [MQTT3-3.3.1-10]
                d quiet [MQTT3-3.3.1-11]
                """
        ]

    /// The probes.
    [<CompiledName("All")>]
    let all: Probe list = order @ redelivery @ answers @ retained
