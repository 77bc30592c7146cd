namespace Mqtt5.Verification

/// Scenarios about connections and sessions: Keep Alive, what is sent again after a reconnect, sessions that are lost, and
/// errors (sections 3.1.2, 3.2.2, 4.4, 4.12 and 4.13).
[<RequireQualifiedAccess>]
module ClientSessionScenarios =

    let private scenario = ClientSyntax.scenario

    let private keepAlives =
        [
            scenario
                "3.1.2-20"
                "subscribe keepalive=5"
                "A client that has nothing to send sends PINGREQ within its Keep Alive"
                """
                wants CONNECT keepalive=1..6
                wait 7000
                < PINGREQ
                """
            scenario
                "3.1.2-21 3.2.2-21"
                "subscribe"
                "The Server Keep Alive takes the place of the Keep Alive"
                """
                usual CONNECT
                connack props{ServerKeepAlive=2}
                wants CONNECT
                < PINGREQ
                < PINGREQ
                """
        ]

    let private sentAgain =
        [
            for qos, clauses in [ 1, "4.3.2-3"; 2, "4.3.3-3" ] do
                scenario
                    $"{clauses} 4.4.0-1 3.1.2-23"
                    $"publish-session qos={qos}"
                    $"A message of QoS {qos} without an answer is sent again when the session goes on"
                    $"""
                    usual PUBLISH qos={qos}
                    hold PUBLISH
                    wants CONNECT SessionExpiryInterval=1..4294967295
                    wants PUBLISH qos={qos} id=$m
                    connack sp=1
                    drops
                    again
                    wants CONNECT clean=0
                    < PUBLISH qos={qos} id=$m
                    lacks 600 PUBLISH id=$m [MQTT-4.4.0-1]
                    """
            scenario
                "4.3.3-5 4.3.3-6 4.4.0-1"
                "publish-session qos=2"
                "PUBREL without PUBCOMP is sent again when the session goes on, and the message is not"
                """
                usual PUBLISH qos=2
                hold PUBLISH
                hold PUBREL
                wants CONNECT SessionExpiryInterval=1..4294967295
                wants PUBLISH qos=2 id=$m
                > PUBREC id=$m
                < PUBREL id=$m [MQTT-4.3.3-4]
                connack sp=1
                drops
                again
                wants CONNECT clean=0
                < PUBREL id=$m [MQTT-4.3.3-5 MQTT-4.4.0-1]
                lacks 600 PUBLISH id=$m [MQTT-4.3.3-6]
                """
            // Some send the next one when the last one is acknowledged.
            for qos, acknowledgement in [ 1, "PUBACK"; 2, "PUBREC" ] do
                scenario
                    "4.6.0-1"
                    $"publish-session qos={qos} count=3"
                    $"Messages of QoS {qos} are sent again in their order"
                    $"""
                    usual PUBLISH qos={qos}
                    hold PUBLISH
                    wants CONNECT SessionExpiryInterval=1..4294967295
                    wants PUBLISH qos={qos} id=$a
                    wants PUBLISH qos={qos} id=$b
                    wants PUBLISH qos={qos} id=$c
                    connack sp=1
                    drops
                    again
                    wants CONNECT clean=0
                    next PUBLISH id=$a
                    > {acknowledgement} id=$a
                    next PUBLISH id=$b
                    > {acknowledgement} id=$b
                    next PUBLISH id=$c
                    """
            scenario
                "4.4.0-2"
                "publish-session qos=1"
                "A message that PUBACK refused is not sent again when the session goes on"
                """
                usual PUBLISH qos=1
                hold PUBLISH
                wants CONNECT SessionExpiryInterval=1..4294967295
                wants PUBLISH qos=1 id=$m
                > PUBACK id=$m rc=QuotaExceeded
                wait 300
                connack sp=1
                drops
                again
                wants CONNECT clean=0
                lacks 800 PUBLISH dup=1
                """
            // A program that sends nothing again in any case says nothing about expiry.
            scenario
                "4.3.3-7"
                "expiring qos=2 expiry=5"
                "A message of QoS 2 that was sent is sent again after it has expired"
                """
                usual PUBLISH qos=2 MessageExpiryInterval=any
                hold PUBLISH
                wants CONNECT SessionExpiryInterval=1..4294967295
                wants PUBLISH qos=2 id=$m
                connack sp=1
                drops
                again
                wants CONNECT clean=0
                wants PUBLISH id=$m
                hold CONNECT
                drops
                again
                wants CONNECT clean=0
                wait 5200
                > CONNACK sp=1
                < PUBLISH id=$m
                """
            scenario
                "3.3.2-7"
                "alias qos=1"
                "A message is sent again with its Topic Name, whatever its Topic Alias was"
                """
                usual PUBLISH qos=1 TopicAlias=any
                connack props{TopicAliasMaximum=10}
                hold PUBLISH
                wants PUBLISH qos=1 TopicAlias=any
                drops
                connack sp=1 props{TopicAliasMaximum=10}
                again
                wants PUBLISH qos=1
                wait 200
                """
        ]

    let private received =
        [
            scenario
                "4.3.3-10 3.1.2-23"
                "subscribe-session qos=2"
                "A message of QoS 2 that comes again on another connection of the session is not passed on again"
                """
                usual SUBSCRIBE
                hold PUBREC
                wants CONNECT SessionExpiryInterval=1..4294967295
                wants SUBSCRIBE
                > PUBLISH qos=2 topic="verify/topic" id=12 payload="twice"
                < PUBREC id=12 rc=Success [MQTT-4.3.3-8]
                connack sp=1
                drops
                again
                wants CONNECT clean=0
                > PUBLISH dup=1 qos=2 topic="verify/topic" id=12 payload="twice"
                < PUBREC id=12 rc=Success
                > PUBREL id=12
                < PUBCOMP id=12 rc=Success [MQTT-4.3.3-11]
                shows twice
                prints 1 twice
                """
        ]

    let private lost =
        [
            for clean, clause in [ 0, "3.2.2-5"; 1, "3.1.2-4" ] do
                let how = if clean = 0 then "Session Present 0" else "Clean Start 1"

                for qos in 1..2 do
                    scenario
                        clause
                        $"publish-session qos={qos}"
                        $"After {how} a message of QoS {qos} is not sent again as if the session went on"
                        $"""
                        usual PUBLISH qos={qos}
                        hold PUBLISH
                        wants PUBLISH qos={qos} id=$m
                        drops
                        again
                        wants CONNECT clean={clean}
                        lacks 1500 PUBLISH dup=1
                        """

                scenario
                    clause
                    "publish-session qos=2"
                    $"After {how} no PUBREL of the earlier session is sent"
                    $"""
                    usual PUBLISH qos=2
                    hold PUBLISH
                    hold PUBREL
                    wants PUBLISH qos=2 id=$m
                    > PUBREC id=$m
                    < PUBREL id=$m [MQTT-4.3.3-4]
                    drops
                    again
                    wants CONNECT clean={clean}
                    lacks 1500 PUBREL
                    """

                scenario
                    clause
                    "subscribe-session qos=2"
                    $"After {how} the Packet Identifiers of the earlier session are forgotten"
                    $"""
                    usual SUBSCRIBE
                    hold PUBREC
                    wants SUBSCRIBE
                    > PUBLISH topic="verify/topic" payload="ready"
                    > PUBLISH qos=2 topic="verify/topic" id=12 payload="early"
                    < PUBREC id=12 rc=Success [MQTT-4.3.3-8]
                    shows ready
                    drops
                    again
                    wants CONNECT clean={clean}
                    wants SUBSCRIBE
                    > PUBLISH qos=2 topic="verify/topic" id=12 payload="fresh"
                    < PUBREC id=12 rc=Success
                    > PUBREL id=12
                    < PUBCOMP id=12
                    prints 1 fresh
                    """
            for task in [ "subscribe"; "publish qos=1" ] do
                scenario
                    "3.2.2-4"
                    task
                    $"A client without a session closes after Session Present 1 ({task})"
                    """
                    usual CONNECT
                    hold CONNECT
                    wants CONNECT
                    > CONNACK sp=1
                    ends
                    """
        ]

    let private errors =
        [
            scenario
                "3.14.1-1"
                "subscribe"
                "A DISCONNECT with wrong flags ends the connection"
                """
                usual SUBSCRIBE
                wants SUBSCRIBE
                >> E1 00
                ends
                """
            scenario
                "3.15.1-1"
                "subscribe"
                "An AUTH with wrong flags ends the connection"
                """
                usual SUBSCRIBE
                wants SUBSCRIBE
                >> F1 { 18 { 15 "VERIFY" } }
                ends
                """
            scenario
                "4.12.0-7"
                "subscribe"
                "Without an Authentication Method the client sends no AUTH"
                """
                usual SUBSCRIBE
                wants CONNECT !AuthenticationMethod
                wants SUBSCRIBE
                > AUTH rc=ContinueAuthentication props{AuthenticationMethod="VERIFY"}
                lacks 600 AUTH
                """
            for title, bytes in
                [
                    "a PUBLISH of QoS 3", "36 { \"verify/topic\" 0001 {} }"
                    "a PUBREL with wrong flags", "60 { 0001 }"
                    "a second CONNACK", "20 { 00 00 {} }"
                    "a PUBLISH with an unknown Topic Alias", "30 { \"\" { 23 FFFF } 'x' }"
                ] do
                scenario
                    "4.13.2-1"
                    "subscribe qos=2"
                    $"A client that refuses {title} with DISCONNECT closes"
                    $"""
                    usual SUBSCRIBE
                    wants SUBSCRIBE
                    >> {bytes}
                    wants DISCONNECT rc=error
                    ends
                    """
        ]

    let private authentication =
        [
            scenario
                "4.12.0-3 4.12.0-5"
                "authenticate"
                "An AUTH that answers another has the reason code Continue authentication and the same method"
                """
                hold CONNECT
                wants CONNECT AuthenticationMethod=$method
                > AUTH rc=ContinueAuthentication props{AuthenticationMethod=$method}
                lacks 1000 AUTH rc=Success|ReAuthenticate
                wants AUTH rc=ContinueAuthentication AuthenticationMethod=$method
                """
            scenario
                "3.1.2-30"
                "authenticate"
                "With an Authentication Method only AUTH or DISCONNECT come before CONNACK"
                """
                hold CONNECT
                wants CONNECT AuthenticationMethod=$method
                wait 800
                > CONNACK props{AuthenticationMethod=$method}
                wait 300
                """
            scenario
                "3.15.2-2 3.15.2-3"
                "authenticate"
                "AUTH is within the Maximum Packet Size"
                """
                connack props{MaximumPacketSize=200}
                wants CONNECT AuthenticationMethod=any
                wants AUTH
                """
            scenario
                "4.12.1-2"
                "authenticate"
                "A re-authentication that the server refuses ends the connection"
                """
                wants CONNECT AuthenticationMethod=any
                wants AUTH rc=ReAuthenticate
                > DISCONNECT rc=NotAuthorized
                ends
                """
        ]

    // The server writes each packet in two frames.
    let private webSockets =
        [
            scenario
                "6.0.0-1 6.0.0-3"
                "websocket qos=1"
                "A client offers the WebSocket subprotocol mqtt and sends binary frames"
                """
                usual SUBSCRIBE
                wants SUBSCRIBE
                websocket
                """
            scenario
                "6.0.0-2"
                "websocket qos=1"
                "Packets that span frames of a WebSocket are taken"
                """
                usual SUBSCRIBE
                wants SUBSCRIBE
                websocket
                > PUBLISH qos=1 topic="verify/topic" id=26 payload="one"
                < PUBACK id=26
                > PUBLISH qos=1 topic="verify/topic" id=27 payload="two"
                < PUBACK id=27
                """
            scenario
                "6.0.0-1"
                "websocket qos=1"
                "A text frame ends the connection"
                """
                usual SUBSCRIBE
                wants SUBSCRIBE
                websocket
                >text text
                ends
                """
        ]

    /// All of them.
    let all: ClientScenario list =
        List.concat [ keepAlives; sentAgain; received; lost; errors; authentication; webSockets ]
