namespace Mqtt5.Verification

/// Probes for PUBLISH to a client: identifiers, order, flow control, sizes and Topic Aliases (sections 3.1.2.11, 4.3, 4.6
/// and 4.9).
[<RequireQualifiedAccess>]
module DeliveryProbes =

    let private probe = ProbeSyntax.probe

    let private lines (numbers: seq<int>) (line: int -> string) =
        numbers |> Seq.map line |> String.concat "\n"

    let private identifiers =
        [
            for qos, clauses in [ 1, "2.2.1-4 4.3.2-1 4.3.2-2"; 2, "2.2.1-4 4.3.3-1 4.3.3-2" ] do
                let answer = if qos = 1 then "acked" else "received"

                probe
                    [ QoS2 ]
                    clauses
                    $"New messages of QoS {qos} have Packet Identifiers that are not in use, and DUP 0"
                    ("""
                     p joins
                     s joins
                     s subscribes "~/a" qos=2
                     """
                     + lines (seq { 1..10 }) (fun number ->
                         $"""p > PUBLISH qos={qos} topic="~/a" id={number} payload="{number}"
                             p {answer} {number}
                             {if qos = 2 then $"p completes {number}" else ""}
                             s next PUBLISH qos={qos} dup=0 payload="{number}" id=1..65535""")
                     + "\ns quiet")
            probe
                []
                "4.3.1-1 2.2.1-2"
                "A message of QoS 0 goes out with DUP 0 and without a Packet Identifier"
                """
                p joins
                s joins
                s subscribes "~/a" qos=2
                p > PUBLISH topic="~/a" payload="hi"
                s next PUBLISH topic="~/a" qos=0 dup=0 !id payload="hi"
                """
            probe
                [ QoS1 ]
                "4.3.2-3"
                "A message of QoS 1 without PUBACK is kept, and one with PUBACK is not"
                """
                p joins
                s joins props{SessionExpiryInterval=30}
                s subscribes "~/a" qos=1
                p > PUBLISH qos=1 topic="~/a" id=1 payload="1"
                p acked 1
                p > PUBLISH qos=1 topic="~/a" id=2 payload="2"
                p acked 2
                s next PUBLISH payload="1" id=$one
                s next PUBLISH payload="2" id=$two
                s > PUBACK id=$one
                s quiet
                s leaves
                s resumes props{SessionExpiryInterval=30}
                s sees PUBLISH payload="2" [MQTT-4.3.2-3]
                s < PUBLISH payload="2" id=$two [MQTT-4.4.0-1]
                s quiet
                """
        ]

    let private qos =
        [
            for published in 0..2 do
                for granted in 0..2 do
                    let id = if published = 0 then "" else "id=1"

                    probe
                        (match max published granted with
                         | 0 -> []
                         | 1 -> [ QoS1 ]
                         | _ -> [ QoS2 ])
                        "3.8.4-8"
                        $"A message of QoS {published} goes out at QoS {min published granted} where {granted} is granted"
                        $"""
                        p joins
                        s joins
                        s subscribes "~/a" qos={granted}
                        p > PUBLISH qos={published} topic="~/a" {id} payload="x"
                        {if published = 2 then "p completes 1" else ""}
                        s next PUBLISH qos={min published granted} payload="x"
                        """
        ]

    let private order =
        [
            for qos in 0..2 do
                probe
                    (match qos with
                     | 0 -> []
                     | 1 -> [ QoS1; InFlight 15 ]
                     | _ -> [ QoS2; InFlight 15 ])
                    "4.6.0-5 4.6.0-6"
                    $"Messages of QoS {qos} of a publisher arrive in their order"
                    ($"""
                     p joins
                     s joins
                     s subscribes "~/a" qos={qos}
                     """
                     + lines (seq { 1..15 }) (fun number ->
                         $"""p > PUBLISH qos={qos} topic="~/a" {if qos = 0 then "" else $"id={number}"} payload="{number}" """)
                     + "\n"
                     + (if qos = 2 then
                            lines (seq { 1..15 }) (fun number ->
                                $"p < PUBREC id={number}\np > PUBREL id={number}")
                        else
                            "")
                     + "\n"
                     + lines (seq { 1..15 }) (fun number -> $"s next PUBLISH payload=\"{number}\""))
        ]

    let private flow =
        [
            probe
                [ QoS2 ]
                "3.3.4-9 4.9.0-1 4.9.0-2 4.9.0-3 3.3.4-10"
                "No more is under way than the client's Receive Maximum, and all else goes on"
                """
                p joins
                s joins props{ReceiveMaximum=2}
                s subscribes "~/a" qos=2
                p > PUBLISH qos=1 topic="~/a" id=1 payload="1"
                p acked 1
                p > PUBLISH qos=2 topic="~/a" id=2 payload="2"
                p received 2
                p completes 2
                p > PUBLISH qos=1 topic="~/a" id=3 payload="3"
                p acked 3
                p > PUBLISH qos=1 topic="~/a" id=4 payload="4"
                p acked 4
                s < PUBLISH payload="1" id=$one [MQTT-4.9.0-1]
                s < PUBLISH payload="2" id=$two [MQTT-4.9.0-1]
                s > SUBSCRIBE id=9 filters["~/b"]
                s < SUBACK id=9 [MQTT-3.3.4-10 MQTT-4.9.0-3]
                s > PUBLISH qos=1 topic="~/b" id=1
                s < PUBACK id=1 [MQTT-3.3.4-10 MQTT-4.9.0-3]
                s < PUBLISH topic="~/b" qos=0
                s quiet [MQTT-3.3.4-9 MQTT-4.9.0-2]
                s > PUBREC id=$two
                s < PUBREL id=$two
                s quiet [MQTT-3.3.4-9 MQTT-4.9.0-2]
                s > PUBACK id=$one
                s < PUBLISH payload="3" [MQTT-4.9.0-2]
                s quiet [MQTT-3.3.4-9 MQTT-4.9.0-2]
                s > PUBCOMP id=$two
                s < PUBLISH payload="4" [MQTT-4.9.0-2]
                """
            probe
                [ QoS2 ]
                "4.9.0-2"
                "A PUBREC of failure gives quota back"
                """
                p joins
                s joins props{ReceiveMaximum=1}
                s subscribes "~/a" qos=2
                p > PUBLISH qos=2 topic="~/a" id=1 payload="1"
                p received 1
                p completes 1
                p > PUBLISH qos=1 topic="~/a" id=2 payload="2"
                p acked 2
                s next PUBLISH payload="1" id=$one
                s quiet
                s > PUBREC id=$one rc=QuotaExceeded
                s next PUBLISH payload="2"
                """
            probe
                [ QoS1 ]
                "3.1.2-24 3.1.2-25"
                "A packet beyond the client's Maximum Packet Size is not sent, and counts as sent"
                """
                p joins
                s joins props{MaximumPacketSize=100, ReceiveMaximum=1}
                s subscribes "~/a" qos=1
                p > PUBLISH topic="~/a" payload="x"*100
                p > PUBLISH qos=1 topic="~/a" id=1 payload="x"*110
                p acked 1
                p > PUBLISH qos=1 topic="~/a" id=2 payload="small"
                p acked 2
                s next PUBLISH payload="small" [MQTT-3.1.2-25]
                s quiet [MQTT-3.1.2-24]
                """
            for properties in [ ""; "props{TopicAliasMaximum=0}" ] do
                probe
                    [ QoS1 ]
                    "3.1.2-27"
                    $"Without a Topic Alias Maximum there are no Topic Aliases ({properties})"
                    $"""
                    p joins
                    s joins {properties}
                    s subscribes "~/#" qos=1
                    p > PUBLISH qos=1 topic="~/a" id=1 payload="1"
                    p > PUBLISH qos=1 topic="~/a" id=2 payload="2"
                    p > PUBLISH topic="~/a" payload="3"
                    s < PUBLISH topic="~/a" payload="1" !TopicAlias
                    s < PUBLISH topic="~/a" payload="2" !TopicAlias
                    s < PUBLISH topic="~/a" payload="3" !TopicAlias
                    """
            probe
                [ Wildcards ]
                "3.1.2-26 3.3.2-11 3.3.2-7"
                "The server's Topic Aliases stay within what the client takes, on each connection anew"
                """
                p joins
                s joins props{TopicAliasMaximum=2, SessionExpiryInterval=30}
                s subscribes "~/#"
                p > PUBLISH topic="~/a" payload="1"
                p > PUBLISH topic="~/b" payload="2"
                p > PUBLISH topic="~/c" payload="3"
                p > PUBLISH topic="~/a" payload="4"
                p > PUBLISH topic="~/c" payload="5"
                s < PUBLISH topic="~/a" payload="1"
                s < PUBLISH topic="~/b" payload="2"
                s < PUBLISH topic="~/c" payload="3"
                s < PUBLISH topic="~/a" payload="4"
                s < PUBLISH topic="~/c" payload="5"
                s leaves
                s resumes props{TopicAliasMaximum=1, SessionExpiryInterval=30}
                p > PUBLISH topic="~/a" payload="6"
                p > PUBLISH topic="~/b" payload="7"
                p > PUBLISH topic="~/a" payload="8"
                s < PUBLISH topic="~/a" payload="6"
                s < PUBLISH topic="~/b" payload="7"
                s < PUBLISH topic="~/a" payload="8"
                """
        ]

    let private shared =
        [
            probe
                [ Shared; QoS2 ]
                "4.8.2-3"
                "Each member of a Shared Subscription gets messages at the QoS granted to it"
                """
                p joins
                a joins
                a subscribes "$share/g/~/t"
                p > PUBLISH qos=1 topic="~/t" id=1 payload="1"
                p acked 1
                a next PUBLISH qos=0 payload="1"
                a > UNSUBSCRIBE id=1 filters["$share/g/~/t"]
                a < UNSUBACK id=1
                b joins
                b subscribes "$share/g/~/t" qos=1
                p > PUBLISH qos=2 topic="~/t" id=2 payload="2"
                p received 2
                p completes 2
                b next PUBLISH qos=1 payload="2"
                a quiet
                """
            probe
                [ Shared; QoS2 ]
                "4.8.2-4"
                "A delivery of QoS 2 that was cut is completed with the same member"
                """
                p joins
                a joins props{SessionExpiryInterval=30}
                a subscribes "$share/g/~/t" qos=2
                p > PUBLISH qos=2 topic="~/t" id=1 payload="1"
                p received 1
                p completes 1
                a next PUBLISH qos=2 payload="1" id=$id
                b joins
                b subscribes "$share/g/~/t" qos=2
                a leaves
                b quiet
                a resumes props{SessionExpiryInterval=30}
                a next PUBLISH dup=1 qos=2 payload="1" id=$id
                a > PUBREC id=$id
                a < PUBREL id=$id
                a > PUBCOMP id=$id
                b quiet
                """
            probe
                [ Shared; QoS2 ]
                "4.8.2-5"
                "A message of QoS 2 whose session ends goes to no other member"
                """
                p joins
                a joins
                a subscribes "$share/g/~/t" qos=2
                p > PUBLISH qos=2 topic="~/t" id=1 payload="1"
                p received 1
                p completes 1
                a next PUBLISH qos=2 payload="1"
                b joins
                b subscribes "$share/g/~/t" qos=2
                a leaves
                wait 700
                b quiet
                p > PUBLISH qos=2 topic="~/t" id=2 payload="2"
                p received 2
                p completes 2
                b next PUBLISH qos=2 payload="2"
                """
            for qos, refusal in
                [ 1, "PUBACK id=$id rc=ImplementationSpecificError"; 2, "PUBREC id=$id rc=QuotaExceeded" ] do
                probe
                    [ Shared; QoS2 ]
                    "4.8.2-6"
                    $"A message of QoS {qos} that a member refuses is offered to no other"
                    $"""
                    p joins
                    a joins
                    a subscribes "$share/g/~/t" qos=2
                    p > PUBLISH qos={qos} topic="~/t" id=1 payload="1"
                    {if qos = 2 then "p completes 1" else ""}
                    a next PUBLISH qos={qos} payload="1" id=$id
                    b joins
                    b subscribes "$share/g/~/t" qos=2
                    a > {refusal}
                    a quiet
                    b quiet
                    a leaves
                    b quiet
                    """
        ]

    /// The probes.
    [<CompiledName("All")>]
    let all: Probe list = identifiers @ qos @ order @ flow @ shared
