namespace Mqtt5.Verification

/// Probes for session state (sections 3.1.2.4 and 4.1), the Will Message (section 3.1.2.5), Keep Alive (section 3.1.2.10),
/// and redelivery (section 4.4).
[<RequireQualifiedAccess>]
module SessionProbes =

    let private probe = ProbeSyntax.probe

    let private sessions =
        [
            probe
                [ QoS1 ]
                "3.1.2-5 3.1.2-6 3.1.2-23 3.2.2-3 3.1.3-2 4.5.0-1"
                "Clean Start 0 makes a session and goes on with it"
                """
                c > CONNECT clientid="~c" props{SessionExpiryInterval=30}
                c unless CONNACK SessionExpiryInterval=0 : the server keeps no sessions
                c first CONNACK rc=Success sp=0 [MQTT-3.1.2-6 MQTT-3.2.2-3]
                c subscribes "~/a" qos=1
                c leaves
                p joins
                p > PUBLISH qos=1 topic="~/a" id=1 payload="kept"
                p acked 1
                c > CONNECT clientid="~c" props{SessionExpiryInterval=30}
                c first CONNACK rc=Success sp=1 [MQTT-3.1.2-5 MQTT-3.1.2-23 MQTT-3.2.2-3 MQTT-3.1.3-2]
                c < PUBLISH qos=1 topic="~/a" payload="kept" [MQTT-4.5.0-1 MQTT-3.1.2-5]
                """
            probe
                [ QoS1 ]
                "3.1.2-4 3.2.2-2 3.1.4-4"
                "Clean Start 1 throws the session away"
                """
                p joins
                c > CONNECT clientid="~c" props{SessionExpiryInterval=30}
                c first CONNACK rc=Success
                c subscribes "~/a" qos=1
                c leaves
                p > PUBLISH qos=1 topic="~/a" id=1
                p acked 1
                c > CONNECT clean=1 clientid="~c" props{SessionExpiryInterval=30}
                c first CONNACK rc=Success sp=0 [MQTT-3.2.2-2]
                p > PUBLISH qos=1 topic="~/a" id=2
                p acked 2
                c quiet
                """
            probe
                []
                "4.1.0-2 3.1.2-23"
                "A session ends when its Session Expiry Interval has run out"
                """
                c > CONNECT clean=1 clientid="~c" props{SessionExpiryInterval=1}
                c unless CONNACK SessionExpiryInterval=any : the server chooses the interval
                c first CONNACK rc=Success
                c leaves
                wait 3000
                c > CONNECT clientid="~c"
                c first CONNACK rc=Success sp=0
                """
            probe
                []
                "4.1.0-2"
                "Without a Session Expiry Interval the session ends with its connection"
                """
                c joins
                c leaves
                c > CONNECT clientid="~c"
                c first CONNACK rc=Success sp=0
                """
            probe
                []
                "3.1.2-23 4.1.0-2"
                "DISCONNECT changes the Session Expiry Interval"
                """
                c joins props{SessionExpiryInterval=1}
                c > DISCONNECT rc=Success props{SessionExpiryInterval=30}
                c leaves
                d joins props{SessionExpiryInterval=30}
                d > DISCONNECT rc=Success props{SessionExpiryInterval=0}
                d leaves
                wait 2500
                c > CONNECT clientid="~c" props{SessionExpiryInterval=1}
                c first CONNACK rc=Success sp=1 [MQTT-3.1.2-23]
                d > CONNECT clientid="~d"
                d first CONNACK rc=Success sp=0 [MQTT-4.1.0-2]
                """
            probe
                []
                "4.13.1-1"
                "A session without an expiry cannot be given one by DISCONNECT"
                """
                c joins
                c > DISCONNECT rc=Success props{SessionExpiryInterval=5}
                c ends ProtocolError
                """
            probe
                []
                "3.1.4-3 3.1.3-2 3.1.4-4 3.14.4-2"
                "A second connection takes the Client Identifier over"
                """
                c joins props{SessionExpiryInterval=30}
                c subscribes "~/a"
                d > CONNECT clientid="~c" props{SessionExpiryInterval=30}
                d first CONNACK rc=Success sp=1 [MQTT-3.1.3-2 MQTT-3.1.4-4]
                c ends SessionTakenOver [MQTT-3.1.4-3 MQTT-3.14.4-2]
                w joins
                w > PUBLISH topic="~/a" payload="new"
                d < PUBLISH topic="~/a" payload="new" [MQTT-3.1.3-2 MQTT-3.1.4-4]
                """
            probe
                [ QoS1; QoS2 ]
                "4.5.0-1"
                "What was taken goes to the session of everyone who subscribed"
                """
                p joins
                c joins props{SessionExpiryInterval=30}
                c subscribes "~/a" qos=2
                d joins props{SessionExpiryInterval=30}
                d subscribes "~/a" qos=1
                e joins
                e subscribes "~/a" qos=2
                c leaves
                d leaves
                p > PUBLISH qos=2 topic="~/a" id=1 payload="1"
                p received 1
                p completes 1
                e < PUBLISH qos=2 topic="~/a" payload="1"
                c resumes props{SessionExpiryInterval=30}
                c < PUBLISH qos=2 topic="~/a" payload="1"
                d resumes props{SessionExpiryInterval=30}
                d < PUBLISH qos=1 topic="~/a" payload="1"
                """
        ]

    let private wills =
        [
            for how, ending in
                [
                    "the client is gone", "c leaves"
                    "it says so in DISCONNECT", "c > DISCONNECT rc=DisconnectWithWillMessage"
                    "it sends what is malformed", "c >> 36 { \"~/a\" 0001 {} }"
                ] do
                probe
                    [ QoS1 ]
                    "3.1.2-7 3.1.2-8 3.1.2-10 3.1.2-14 3.1.3-10"
                    $"A Will is published once, with all that belongs to it, where {how}"
                    $$"""
                    w joins
                    w subscribes "~/will" qos=1
                    c joins will[qos=1 topic="~/will" props{PayloadFormatIndicator=1, ContentType="t", ResponseTopic="~/r", CorrelationData=x'01', UserProperty=("b","2"), UserProperty=("a","1"), UserProperty=("b","1")} payload="gone"]
                    {{ending}}
                    w sees PUBLISH payload="gone" [MQTT-3.1.2-8]
                    w sees PUBLISH UserProperty=("b","2") UserProperty=("a","1") UserProperty=("b","1") [MQTT-3.1.3-10]
                    w < PUBLISH qos=1 topic="~/will" payload="gone" PayloadFormatIndicator=1 ContentType="t" ResponseTopic="~/r" CorrelationData=x'01' id=$will [MQTT-3.1.2-7]
                    w > PUBACK id=$will
                    w quiet [MQTT-3.1.2-10]
                    v joins
                    v subscribes "~/will"
                    v quiet [MQTT-3.1.2-14]
                    """
            probe
                [ Retain ]
                "3.1.2-15"
                "A Will with Will Retain is retained"
                """
                w joins
                w subscribes "~/will"
                c joins will[retain=1 topic="~/will" payload="gone"]
                c leaves
                w < PUBLISH topic="~/will" payload="gone" [MQTT-3.1.2-8]
                v joins
                v subscribes "~/will"
                v < PUBLISH retain=1 topic="~/will" payload="gone"
                """
            probe
                []
                "3.14.4-3 3.1.2-8 3.1.2-10"
                "DISCONNECT with Success drops the Will"
                """
                w joins
                w subscribes "~/will"
                c joins will[topic="~/will" payload="gone"]
                c > DISCONNECT
                c leaves
                w quiet
                """
            probe
                []
                "3.1.2-8"
                "A Will waits for its Will Delay Interval"
                """
                w joins
                w subscribes "~/will"
                c joins props{SessionExpiryInterval=30} will[topic="~/will" props{WillDelayInterval=2} payload="late"]
                c leaves
                w quiet
                wait 900
                w < PUBLISH topic="~/will" payload="late"
                """
            probe
                []
                "3.1.2-8"
                "A Will that waits is published when the session ends"
                """
                w joins
                w subscribes "~/will"
                c joins props{SessionExpiryInterval=1} will[topic="~/will" props{WillDelayInterval=30} payload="end"]
                c leaves
                w < PUBLISH topic="~/will" payload="end"
                """
            probe
                []
                "3.1.3-9 3.1.2-8"
                "A new connection of the session cancels a Will that waits"
                """
                w joins
                w subscribes "~/will"
                c joins props{SessionExpiryInterval=30} will[topic="~/will" props{WillDelayInterval=1} payload="never"]
                c leaves
                c resumes props{SessionExpiryInterval=30}
                wait 2000
                w quiet
                """
            probe
                []
                "3.1.2-22 3.2.2-22"
                "One and a half Keep Alives of silence end the connection, and the Will applies"
                """
                w joins
                w subscribes "~/will"
                c > CONNECT clean=1 keepalive=2 clientid="~c" will[topic="~/will" payload="gone"]
                c unless CONNACK ServerKeepAlive=any : the server chooses the Keep Alive
                c first CONNACK rc=Success
                wait 1500
                c > PINGREQ
                c < PINGRESP [MQTT-3.12.4-1]
                wait 2000
                c open
                c ends any within 12000
                w < PUBLISH topic="~/will" payload="gone"
                """
            probe
                []
                "3.2.2-22"
                "Without a Keep Alive silence is no fault"
                """
                c > CONNECT clean=1 keepalive=0 clientid="~c"
                c unless CONNACK ServerKeepAlive=any : the server chooses the Keep Alive
                c first CONNACK rc=Success
                wait 5000
                c quiet
                """
        ]

    let private redelivery =
        [
            probe
                [ QoS1; QoS2 ]
                "4.4.0-1 3.3.1-1 4.3.2-3 4.3.3-3 4.3.3-5 4.3.3-6"
                "A resumed session sends again what was not acknowledged, and nothing else"
                """
                p joins
                c joins props{SessionExpiryInterval=30}
                c subscribes "~/a" qos=2
                p > PUBLISH qos=1 topic="~/a" id=1 payload="1"
                p > PUBLISH qos=2 topic="~/a" id=2 payload="2"
                p > PUBLISH qos=2 topic="~/a" id=3 payload="3"
                p > PUBLISH qos=1 topic="~/a" id=4 payload="4"
                p received 2
                p completes 2
                p received 3
                p completes 3
                c < PUBLISH qos=1 dup=0 payload="1" id=$one
                c < PUBLISH qos=2 dup=0 payload="2" id=$two
                c < PUBLISH qos=2 dup=0 payload="3" id=$three
                c < PUBLISH qos=1 dup=0 payload="4" id=$four
                c > PUBREC id=$three
                c < PUBREL id=$three [MQTT-4.3.3-4]
                c > PUBACK id=$four
                wait 1500
                c quiet [MQTT-4.4.0-1]
                c leaves
                c resumes props{SessionExpiryInterval=30}
                c sees PUBLISH payload="1" qos=1 [MQTT-4.4.0-1 MQTT-4.3.2-3]
                c sees PUBLISH payload="2" qos=2 [MQTT-4.4.0-1 MQTT-4.3.3-3]
                c sees PUBLISH payload="1" id=$one [MQTT-4.4.0-1]
                c sees PUBLISH payload="2" id=$two [MQTT-4.4.0-1]
                c < PUBREL id=$three [MQTT-4.4.0-1 MQTT-4.3.3-5]
                c < PUBLISH dup=1 payload="1" [MQTT-3.3.1-1]
                c < PUBLISH dup=1 payload="2" [MQTT-3.3.1-1]
                c quiet [MQTT-4.3.3-6 MQTT-4.4.0-1]
                """
            probe
                [ QoS1; QoS2 ]
                "4.4.0-2"
                "An acknowledgement of failure ends the exchange"
                """
                p joins
                c joins props{SessionExpiryInterval=30}
                c subscribes "~/a" qos=2
                p > PUBLISH qos=1 topic="~/a" id=1 payload="1"
                p > PUBLISH qos=2 topic="~/a" id=2 payload="2"
                p received 2
                p completes 2
                c < PUBLISH payload="1" id=$one
                c < PUBLISH payload="2" id=$two
                c > PUBACK id=$one rc=UnspecifiedError
                c > PUBREC id=$two rc=QuotaExceeded
                wait 400
                c leaves
                c resumes props{SessionExpiryInterval=30}
                c quiet
                """
            probe
                [ QoS2 ]
                "4.3.3-4 4.3.3-5 4.3.3-6"
                "PUBREC is answered with PUBREL, and the message is not sent again"
                """
                p joins
                s joins props{SessionExpiryInterval=30}
                s subscribes "~/a" qos=2
                p > PUBLISH qos=2 topic="~/a" id=9 payload="x"
                p received 9
                p completes 9
                s < PUBLISH qos=2 id=$id
                s > PUBREC id=$id
                s < PUBREL id=$id [MQTT-4.3.3-4]
                s leaves
                s resumes props{SessionExpiryInterval=30}
                s < PUBREL id=$id [MQTT-4.3.3-5]
                s quiet [MQTT-4.3.3-6]
                s > PUBCOMP id=$id
                s leaves
                s resumes props{SessionExpiryInterval=30}
                s quiet [MQTT-4.3.3-5]
                """
        ]

    /// The probes.
    [<CompiledName("All")>]
    let all: Probe list = sessions @ wills @ redelivery
