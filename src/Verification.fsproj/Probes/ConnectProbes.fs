namespace Mqtt5.Verification

/// Probes for CONNECT and CONNACK (sections 3.1 and 3.2).
[<RequireQualifiedAccess>]
module ConnectProbes =

    let private probe = ProbeSyntax.probe

    let private notConnect =
        [
            "PINGREQ", "C0 00"
            "DISCONNECT", "E0 00"
            "SUBSCRIBE", "82 { 0001 {} \"~/a\" 00 }"
            "AUTH", "F0 00"
            "PUBLISH", "30 { \"~/a\" {} }"
        ]
        |> List.map (fun (name, bytes) ->
            probe
                []
                "3.1.0-1 3.14.0-1"
                $"{name} before CONNECT closes the connection"
                $"""
                c >> {bytes}
                c refused any [MQTT-3.1.0-1]
                """)

    let private malformed =
        [
            "3.1.2-3", "the reserved Connect Flag is set", "10 { \"MQTT\" 05 03 0000 {} \"~c\" }"
            "3.1.4-1", "the flags of the fixed header are set", "11 { \"MQTT\" 05 02 0000 {} \"~c\" }"
            "3.1.4-1", "there are bytes after the payload", "10 { \"MQTT\" 05 02 0000 {} \"~c\" 00 }"
            "3.1.4-1", "the Client Identifier is cut off", "10 { \"MQTT\" 05 02 0000 {} 0005 'ab' }"
            "3.1.4-1", "there is a Will QoS without a Will", "10 { \"MQTT\" 05 0A 0000 {} \"~c\" }"
            "3.1.4-1", "the Will QoS is 3", "10 { \"MQTT\" 05 1E 0000 {} \"~c\" {} \"~/w\" \"x\" }"
            "3.1.4-1", "Receive Maximum is 0", "10 { \"MQTT\" 05 02 0000 { 21 0000 } \"~c\" }"
            "3.1.4-1", "a property comes twice", "10 { \"MQTT\" 05 02 0000 { 21 0009 21 0009 } \"~c\" }"
            "3.1.4-1", "a property is none of CONNECT's", "10 { \"MQTT\" 05 02 0000 { 23 0009 } \"~c\" }"
            "3.1.4-1 4.7.0-1",
            "the Will Topic has a wildcard",
            "10 { \"MQTT\" 05 06 0000 {} \"~c\" {} \"~/+\" \"x\" }"
        ]
        |> List.map (fun (clauses, what, bytes) ->
            probe
                []
                $"{clauses} 3.1.4-1 3.2.2-6 3.2.2-7 3.2.2-8 4.13.1-1"
                $"A CONNECT is refused where {what}"
                $"""
                c >> {bytes}
                c unless CONNACK rc=ServerUnavailable|ServerBusy|ConnectionRateExceeded : the server is busy
                c refused any
                """)

    // The server may answer in the form of another version.
    let private versions =
        [
            "3.1.2-1", "Protocol Name mqtt", "10 { \"mqtt\" 05 02 0000 {} \"~c\" }"
            "3.1.2-1", "Protocol Name MQIsdp", "10 { \"MQIsdp\" 05 02 0000 {} \"~c\" }"
            "3.1.2-2", "Protocol Version 6", "10 { \"MQTT\" 06 02 0000 {} \"~c\" }"
        ]
        |> List.map (fun (clause, what, bytes) ->
            probe
                []
                clause
                $"A CONNECT with the {what} closes the connection"
                $"""
                c >> {bytes}
                c shuts
                """)

    // With the prefix, because another client might use a short one.
    let private identifiers =
        [ ""; "0123456789"; "abcdefghijkl"; "mnopqrstuvwx"; "yzABCDEFGHIJ"; "KLMNOPQRSTUV"; "WXYZ" ]
        |> List.map (fun id ->
            probe
                []
                "3.1.3-5"
                $"A Client Identifier that ends with \"{id}\" is accepted"
                $"""
                c > CONNECT clean=1 clientid="~{id}"
                c first CONNACK rc=Success
                c > DISCONNECT
                """)

    let private others =
        [
            probe
                []
                "3.1.0-2 4.13.1-1"
                "A second CONNECT is a Protocol Error"
                """
                c joins
                c > CONNECT clean=1 clientid="~c"
                c ends ProtocolError
                """
            probe
                []
                "3.1.4-5 3.2.0-1 3.2.0-2 3.2.2-1 3.2.2-2 3.2.2-8 3.12.4-1"
                "CONNECT is answered by one CONNACK before anything else"
                """
                c > CONNECT clean=1 clientid="~c"
                c > PINGREQ
                c > PINGREQ
                c first CONNACK rc=Success sp=0 [MQTT-3.1.4-5 MQTT-3.2.0-1 MQTT-3.2.2-2]
                c < PINGRESP [MQTT-3.12.4-1]
                c < PINGRESP [MQTT-3.12.4-1]
                c quiet
                """
            probe
                []
                "3.1.4-6"
                "After a refused CONNECT nothing that follows is processed"
                """
                w joins
                w subscribes "~/a"
                c >> 10 { "MQTT" 05 03 0000 {} "~c" } 30 { "~/a" {} 'x' } C0 00
                c refused any [MQTT-3.1.4-1]
                w quiet
                """
            probe
                []
                "3.1.4-2 4.13.2-1 3.2.2-6 3.2.2-7"
                "A client with wrong credentials is refused"
                """
                c > CONNECT clean=1 clientid="~c" username="mqtt5-verify-nobody" password="wrong"
                c unless CONNACK rc=Success : the server lets everyone in
                c refused any
                """
            probe
                []
                "3.1.3-6 3.1.3-7 3.2.2-16"
                "An absent Client Identifier is assigned, told and unique"
                """
                c > CONNECT clean=1
                c unless CONNACK rc=ClientIdentifierNotValid : the server assigns no Client Identifiers
                c first CONNACK rc=Success sp=0 AssignedClientIdentifier=$assigned
                d > CONNECT clean=1
                d first CONNACK rc=Success sp=0 AssignedClientIdentifier!=$assigned
                c quiet
                d quiet
                """
            probe
                []
                "3.1.3-7 3.1.3-2"
                "A session goes on under the Client Identifier that was assigned"
                """
                c > CONNECT clean=1 props{SessionExpiryInterval=20}
                c unless CONNACK rc=ClientIdentifierNotValid : the server assigns no Client Identifiers
                c unless CONNACK SessionExpiryInterval=0 : the server keeps no sessions
                c first CONNACK rc=Success AssignedClientIdentifier=$assigned
                c leaves
                c > CONNECT clientid=$assigned props{SessionExpiryInterval=0}
                c first CONNACK rc=Success sp=1
                c > DISCONNECT
                """
            probe
                []
                "3.1.3-8 3.2.2-7"
                "A Client Identifier that the server does not take is refused with 0x85"
                """
                c > CONNECT clean=1 clientid="x"*60000
                c unless CONNACK rc=Success : the server takes a Client Identifier of 60,000 bytes
                c refused ClientIdentifierNotValid|PacketTooLarge|MalformedPacket|ImplementationSpecificError|UnspecifiedError|NotAuthorized|QuotaExceeded
                """
            probe
                []
                "3.1.3-8 3.2.2-6 3.2.2-7"
                "A CONNECT without a Client Identifier is refused with 0x85 where the server assigns none"
                """
                c > CONNECT clean=1
                c unless CONNACK rc=Success : the server assigns Client Identifiers
                c refused ClientIdentifierNotValid
                """
            probe
                []
                "3.1.2-28"
                "Response Information comes only where it is asked for"
                """
                c > CONNECT clean=1 clientid="~c"
                c first CONNACK rc=Success !ResponseInformation
                d > CONNECT clean=1 clientid="~d" props{RequestResponseInformation=0}
                d first CONNACK rc=Success !ResponseInformation
                """
            probe
                [ Shared; QoS2 ]
                "3.1.2-29"
                "Without Request Problem Information acknowledgements say no more"
                """
                c joins props{RequestProblemInformation=0}
                c > UNSUBSCRIBE id=2 filters["~/a"]
                c < UNSUBACK id=2
                c > SUBSCRIBE id=3 filters["$share/g/~/a", "~/b"]
                c < SUBACK id=3
                c > PUBREL id=9
                c < PUBCOMP id=9
                c > PUBLISH topic="~/b" props{UserProperty=("k","v")}
                c < PUBLISH topic="~/b" UserProperty=("k","v")
                """
            probe
                [ QoS1; QoS2 ]
                "3.2.2-9"
                "A server that states no Maximum QoS takes QoS 1 and 2"
                """
                c joins
                c > PUBLISH qos=1 topic="~/a" id=1
                c < PUBACK id=1
                c > PUBLISH qos=2 topic="~/a" id=2
                c < PUBREC id=2
                """
            probe
                [ QoSLimit ]
                "3.2.2-9 3.2.2-10 3.2.2-12"
                "A Maximum QoS holds for PUBLISH and Will, not for SUBSCRIBE"
                """
                c joins
                c > SUBSCRIBE id=1 filters["~/a", "~/b" qos=1, "~/c" qos=2]
                c < SUBACK id=1 codes[Success|GrantedQoS1, Success|GrantedQoS1, Success|GrantedQoS1] [MQTT-3.2.2-10]
                d > CONNECT clean=1 clientid="~d" will[qos=2 topic="~/w"]
                d refused any [MQTT-3.2.2-12]
                c > PUBLISH qos=2 topic="~/a" id=1
                c ends QoSNotSupported [MQTT-3.2.2-9]
                """
            probe
                [ NoRetain ]
                "3.2.2-13"
                "Without retained messages a Will that is to be retained is refused"
                """
                c > CONNECT clean=1 clientid="~c" will[retain=1 topic="~/w"]
                c refused any
                """
            for id in [ "~c"; "\ufeff~c" ] do
                probe
                    []
                    "1.5.4-3"
                    "U+FEFF at the beginning of a text is a character of its own"
                    $"""
                    c > CONNECT clean=1 clientid="{id}"
                    c unless CONNACK rc=ClientIdentifierNotValid : the server takes no such Client Identifier
                    c first CONNACK rc=Success
                    c subscribes "~/\ufeffa"
                    c > PUBLISH topic="~/a" payload="without"
                    c > PUBLISH topic="~/\ufeffa" payload="with"
                    c next PUBLISH topic="~/\ufeffa" payload="with"
                    c quiet
                    """
        ]

    /// The probes.
    [<CompiledName("All")>]
    let all: Probe list = notConnect @ versions @ malformed @ identifiers @ others
