namespace Mqtt5.Verification

open Mqtt5

/// Probes for packets of MQTT 3.1.1 that are malformed or against the protocol (section 4.8), and for WebSocket (section 6).
/// A server has no DISCONNECT: it closes the connection.
[<RequireQualifiedAccess>]
module ErrorProbesV3 =

    let private probe = ProbeSyntax.probeIn ProtocolVersion.V311

    let private closes =
        [
            "3.6.1-1 2.2.2-2", "reserved bits of PUBREL", "60 02 0001"
            "3.6.1-1 2.2.2-2", "reserved bits of PUBREL", "61 02 0001"
            "3.8.1-1 2.2.2-2", "reserved bits of SUBSCRIBE", "80 { 0001 \"~/a\" 00 }"
            "3.8.1-1 2.2.2-2", "reserved bits of SUBSCRIBE", "83 { 0001 \"~/a\" 00 }"
            "3.10.1-1 2.2.2-2", "reserved bits of UNSUBSCRIBE", "A0 { 0001 \"~/a\" }"
            "3.14.1-1 2.2.2-2", "reserved bits of DISCONNECT", "E1 00"
            "2.2.2-1 2.2.2-2", "reserved bits of PINGREQ", "C1 00"
            "3.8.3-4", "QoS 3 in SUBSCRIBE", "82 { 0001 \"~/a\" 03 }"
            "3.8.3-4", "reserved bits of the Requested QoS", "82 { 0001 \"~/a\" 04 }"
            "3.8.3-4", "reserved bits of the Requested QoS", "82 { 0001 \"~/a\" 10 }"
            "3.8.3-4", "reserved bits of the Requested QoS", "82 { 0001 \"~/a\" 80 }"
            "3.8.3-3", "SUBSCRIBE without a filter", "82 { 0001 }"
            "3.10.3-2", "UNSUBSCRIBE without a filter", "A2 { 0001 }"
            "3.3.1-4", "PUBLISH of QoS 3", "36 { \"~/a\" 0001 }"
            "1.5.3-1 3.3.2-1", "a Topic Name that is not UTF-8", "30 { 0002 C328 }"
            "1.5.3-1 3.8.3-1", "a Topic Filter that is not UTF-8", "82 { 0001 0003 EDA080 00 }"
            "1.5.3-2 4.7.3-2", "U+0000 in a Topic Name", "30 { 0003 610062 }"
            "1.5.3-2 4.7.3-2", "U+0000 in a Topic Filter", "82 { 0001 0003 610062 00 }"
            "3.3.2-1", "a PUBLISH without a whole Topic Name", "30 { 0009 'ab' }"
            "2.3.1-1", "a PUBLISH of QoS 1 without a Packet Identifier", "32 { \"~/a\" }"
        ]
        |> List.map (fun (clauses, what, bytes) ->
            probe
                []
                $"{clauses} 4.8.0-1"
                $"The server closes the connection after {what}: {bytes}"
                $"""
                c joins
                c >> {bytes} C0 00
                c ends any
                """)

    // What the standard forbids, without saying what becomes of the connection.
    let private notices =
        [
            "2.3.1-1", "a Packet Identifier of 0 in SUBSCRIBE", "82 { 0000 \"~/a\" 00 }"
            "2.3.1-1", "a Packet Identifier of 0 in UNSUBSCRIBE", "A2 { 0000 \"~/a\" }"
            "2.3.1-1", "a Packet Identifier of 0 in PUBLISH", "32 { \"~/a\" 0000 }"
            "3.3.1-2", "DUP at QoS 0", "38 { \"~/a\" }"
            "4.7.3-1", "an empty Topic Name", "30 { \"\" }"
            "", "a packet type of 0", "00 00"
            "", "a packet type of 15", "F0 00"
            "", "a Remaining Length of five bytes", "30 FF FF FF FF 01"
            "", "a CONNACK from a client", "20 02 0000"
            "", "a PINGRESP from a client", "D0 00"
            "", "a PUBACK of three bytes", "40 03 000100"
            "3.14.1-1", "a DISCONNECT with a reason code", "E0 01 00"
        ]
        |> List.map (fun (clauses, what, bytes) ->
            probe
                []
                $"{clauses} 4.8.0-1"
                $"The server closes the connection after {what}, if it checks for that"
                $"""
                c joins
                c >> {bytes}
                c notices any
                """)

    let private forbidden =
        [ "to #", "30 { \"#\" }"; "to a topic with +", "30 { \"~/+\" }" ]
        |> List.map (fun (what, bytes) ->
            probe
                [ Wildcards ]
                "3.3.2-2 4.7.1-1"
                $"A message {what} is not forwarded"
                $$"""
                s joins
                s subscribes "~/#"
                c joins
                c >> {{bytes}}
                s quiet
                c notices any [MQTT3-4.8.0-1]
                """)

    let private topicFilters =
        [ "4.7.1-2", "~/a#"; "4.7.1-2", "~/#/b"; "4.7.1-3", "~/a+"; "4.7.1-3", "~/+a"; "4.7.3-1", "" ]
        |> List.map (fun (clause, filter) ->
            probe
                []
                clause
                $"The filter \"{filter}\" is not granted"
                $$"""
                c joins
                c >> 82 { 0001 "{{filter}}" 00 }
                c ends any or SUBACK id=1 codes=error
                """)

    let private others =
        [
            probe
                [ WebSocket ]
                "6.0.0-2"
                "Packets and frames of WebSocket need not align"
                """
                c joins
                c >> 82 0D
                c >> 0001 0008 'mqtt5-v'
                c >> '/' 00 C0
                c >> 00 C0 00
                c < SUBACK id=1
                c < PINGRESP
                c < PINGRESP
                """
            probe
                [ Unseen "no client can make a server fail while it processes a packet" ]
                "4.8.0-2"
                "A transient error closes the connection"
                ""
            probe
                [ Unseen "the length of a text has two bytes, so nothing longer can be sent" ]
                "4.7.3-3"
                "A topic of more than 65,535 bytes is not taken"
                ""
        ]

    /// The probes.
    [<CompiledName("All")>]
    let all: Probe list = closes @ notices @ forbidden @ topicFilters @ others
