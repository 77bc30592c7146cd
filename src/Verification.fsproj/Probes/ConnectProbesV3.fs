namespace Mqtt5.Verification

open Mqtt5

/// Probes for CONNECT and CONNACK of MQTT 3.1.1 (sections 3.1 and 3.2), where they differ from those of MQTT 5.
[<RequireQualifiedAccess>]
module ConnectProbesV3 =

    let private probe = ProbeSyntax.probeIn ProtocolVersion.V311

    let private notConnect =
        [
            "PINGREQ", "C0 00"
            "DISCONNECT", "E0 00"
            "SUBSCRIBE", "82 { 0001 \"~/a\" 00 }"
            "PUBLISH", "30 { \"~/a\" }"
        ]
        |> List.map (fun (name, bytes) ->
            probe
                []
                "4.8.0-1"
                $"{name} before CONNECT closes the connection"
                $"""
                c >> {bytes}
                c ends any
                """)

    // Answered by nothing, unlike in MQTT 5.
    let private malformed =
        [
            "3.1.2-3", "the reserved Connect Flag is set", "10 { \"MQTT\" 04 03 0000 \"~c\" }"
            "2.2.2-2", "the flags of the fixed header are set", "11 { \"MQTT\" 04 02 0000 \"~c\" }"
            "", "there are bytes after the payload", "10 { \"MQTT\" 04 02 0000 \"~c\" 00 }"
            "", "the Client Identifier is cut off", "10 { \"MQTT\" 04 02 0000 0005 'ab' }"
            "1.5.3-1", "the Client Identifier is not UTF-8", "10 { \"MQTT\" 04 02 0000 0003 76C328 }"
            "3.1.2-9", "there are no Will Topic and Will Message", "10 { \"MQTT\" 04 06 0000 \"~c\" }"
            "3.1.2-11", "there is a Will QoS without a Will", "10 { \"MQTT\" 04 0A 0000 \"~c\" }"
            "3.1.2-11", "there is a Will Retain without a Will", "10 { \"MQTT\" 04 22 0000 \"~c\" }"
            "3.1.2-14", "the Will QoS is 3", "10 { \"MQTT\" 04 1E 0000 \"~c\" \"~/w\" \"x\" }"
            "3.1.2-22", "there is a password without a User Name", "10 { \"MQTT\" 04 42 0000 \"~c\" \"x\" }"
            "4.7.1-1", "the Will Topic has a wildcard", "10 { \"MQTT\" 04 06 0000 \"~c\" \"~/+\" \"x\" }"
        ]
        |> List.collect (fun (clause, what, bytes) ->
            [
                // A server that refuses all clients without a User Name does not say what it finds wrong in this one.
                probe
                    []
                    $"{clause} 4.8.0-1"
                    $"No connection is accepted where {what}"
                    $"""
                    c >> {bytes}
                    c unless CONNACK rc=error : the server refuses the CONNECT with a return code
                    c ends any
                    """
                probe
                    []
                    "3.1.4-1 3.2.2-6"
                    $"The connection is closed without CONNACK where {what}"
                    $"""
                    c >> {bytes}
                    c ends any
                    """
            ])

    // A server of several versions may answer in the form of MQTT 5.
    let private versions =
        [
            for level in [ "01"; "02"; "06"; "7F" ] do
                probe
                    []
                    "3.1.2-2 3.2.2-5"
                    $"The protocol level 0x{level} is refused with return code 0x01"
                    $$"""
                    c >> 10 { "MQTT" {{level}} 02 0000 "~c" }
                    c shuts 20020001|20..0084* [MQTT3-3.1.2-2]
                    """
            for name, level in [ "mqtt", "04"; "MQIsdp", "04"; "MQTTX", "04" ] do
                probe
                    []
                    "3.1.2-1"
                    $"The Protocol Name {name} with level 4 closes the connection"
                    $$"""
                    c >> 10 { "{{name}}" {{level}} 02 0000 "~c" }
                    c shuts
                    """
        ]

    let private identifiers =
        [
            probe
                []
                "3.1.3-6 3.2.2-1"
                "Zero-length Client Identifiers with CleanSession 1 are taken, and are unique"
                """
                c > CONNECT clean=1
                c unless CONNACK rc=ClientIdentifierNotValid : the server assigns no Client Identifiers
                c first CONNACK rc=Success sp=0
                d > CONNECT clean=1
                d first CONNACK rc=Success sp=0
                c quiet
                d quiet
                """
            probe
                []
                "3.1.3-8 3.2.2-4 3.2.2-5"
                "A zero-length Client Identifier with CleanSession 0 is refused with return code 0x02"
                """
                c >> 10 { "MQTT" 04 00 0000 "" }
                c sees CONNACK rc=error [MQTT3-3.1.3-8]
                c refused ClientIdentifierNotValid
                """
            probe
                []
                "3.1.3-9 3.2.2-5"
                "A Client Identifier that the server does not take is refused with return code 0x02"
                """
                c > CONNECT clean=1 clientid="x"*60000
                c unless CONNACK rc=Success : the server takes a Client Identifier of 60,000 bytes
                c unless closed : the server takes no CONNECT of this size
                c refused ClientIdentifierNotValid
                """
        ]

    let private others =
        [
            probe
                []
                "3.1.4-5"
                "After a refused CONNECT nothing that follows is processed"
                """
                w joins
                w subscribes "~/a"
                c >> 10 { "MQTT" 04 00 0000 "" } 30 { "~/a" 'x' } C0 00
                c refused any [MQTT3-3.1.3-8]
                w quiet
                """
            probe
                []
                "3.2.2-2 3.2.2-3 3.2.2-1"
                "Session Present says whether there is stored state"
                """
                c > CONNECT clientid="~c"
                c first CONNACK rc=Success sp=0 [MQTT3-3.2.2-3]
                c leaves
                c > CONNECT clientid="~c"
                c first CONNACK rc=Success sp=1 [MQTT3-3.2.2-2]
                c leaves
                c > CONNECT clean=1 clientid="~c"
                c first CONNACK rc=Success sp=0 [MQTT3-3.2.2-1]
                c leaves
                c > CONNECT clientid="~c"
                c first CONNACK rc=Success sp=0 [MQTT3-3.2.2-3]
                """
        ]

    /// The probes.
    [<CompiledName("All")>]
    let all: Probe list = notConnect @ versions @ malformed @ identifiers @ others
