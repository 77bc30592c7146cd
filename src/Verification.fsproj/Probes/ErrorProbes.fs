namespace Mqtt5.Verification

/// Probes for packets that are malformed or against the protocol, and for DISCONNECT (sections 3.14 and 4.13), and for
/// WebSocket (section 6).
[<RequireQualifiedAccess>]
module ErrorProbes =

    let private probe = ProbeSyntax.probe

    let private reservedBits =
        [
            "3.6.1-1", "PUBREL", "60 02 0001"
            "3.6.1-1", "PUBREL", "61 02 0001"
            "3.8.1-1", "SUBSCRIBE", "80 { 0001 {} \"~/a\" 00 }"
            "3.8.1-1", "SUBSCRIBE", "83 { 0001 {} \"~/a\" 00 }"
            "3.8.3-5", "the Subscription Options", "82 { 0001 {} \"~/a\" 40 }"
            "3.8.3-5", "the Subscription Options", "82 { 0001 {} \"~/a\" 80 }"
            "3.10.1-1", "UNSUBSCRIBE", "A0 { 0001 {} \"~/a\" }"
            "3.14.1-1", "DISCONNECT", "E1 00"
            "3.14.1-1", "DISCONNECT", "E2 02 0000"
            "3.15.1-1", "AUTH", "F1 00"
        ]
        |> List.map (fun (clause, what, bytes) ->
            probe
                []
                $"{clause} 4.13.1-1"
                $"Reserved bits of {what} are malformed: {bytes}"
                $"""
                c joins
                c >> {bytes} C0 00
                c ends MalformedPacket|ProtocolError
                """)

    let private topicNames =
        [
            "4.7.3-1", "a PUBLISH to an empty topic without a Topic Alias", "30 { \"\" {} }"
            "3.8.3-4", "No Local on a Shared Subscription", "82 { 0001 {} \"$share/g/~/a\" 04 }"
        ]
        |> List.map (fun (clauses, what, bytes) ->
            let need = if what.StartsWith "No Local" then [ Shared ] else []

            probe
                need
                $"{clauses} 4.13.1-1"
                $"The server closes the connection after {what}"
                $"""
                c joins
                c >> {bytes}
                c ends MalformedPacket|ProtocolError|TopicNameInvalid
                """)

    // What the standard forbids and does not call an error. A server that forwards such a message breaks the statement
    // itself.
    let private forbidden =
        [
            "3.3.2-2 4.7.0-1", "to #", "30 { \"#\" {} }"
            "3.3.2-2 4.7.0-1", "to a topic with +", "30 { \"~/+\" {} }"
            "3.3.2-14", "with the Response Topic #", "30 { \"~/a\" { 08 \"#\" } }"
            "3.3.2-14", "with a + in its Response Topic", "30 { \"~/a\" { 08 \"~/+\" } }"
        ]
        |> List.map (fun (clauses, what, bytes) ->
            probe
                [ Wildcards ]
                clauses
                $"A message {what} is not forwarded"
                $$"""
                s joins
                s subscribes "~/#"
                c joins
                c >> {{bytes}}
                s quiet
                c notices MalformedPacket|ProtocolError|TopicNameInvalid [MQTT-4.13.1-1]
                """)

    let private subscriptionIdentifier =
        [
            probe
                []
                "3.3.4-6 3.3.4-3"
                "The Subscription Identifier of a client's PUBLISH is not forwarded"
                """
                s joins
                s subscribes "~/a"
                c joins
                c >> 30 { "~/a" { 0B 05 } }
                s unless PUBLISH !SubscriptionIdentifier : the server leaves the Subscription Identifier out
                s quiet
                c notices MalformedPacket|ProtocolError [MQTT-4.13.1-1]
                """
        ]

    // The standard names no reason code for these, and a SUBACK of failure is a usual answer.
    let private topicFilters =
        [
            "4.7.1-1", "~/a#"
            "4.7.1-1", "~/#/b"
            "4.7.1-2", "~/a+"
            "4.7.1-2", "~/+a"
            "4.7.3-1", ""
            "4.8.2-1", "$share//~/a"
            "4.8.2-1", "$share/"
            "4.8.2-2", "$share/+/~/a"
            "4.8.2-2", "$share/g"
            "4.8.2-2", "$share/g/"
            "4.8.2-2", "$share/#/~/a"
        ]
        |> List.map (fun (clause, filter) ->
            probe
                []
                clause
                $"The filter \"{filter}\" is not granted"
                $$"""
                c joins
                c >> 82 { 0001 {} "{{filter}}" 00 }
                c ends any or SUBACK id=1 codes=error
                """)

    // What the standard calls a Malformed Packet or a Protocol Error in so many words.
    let private malformed =
        [
            "flags of PINGREQ that are reserved", "C1 00"
            "QoS 3", "36 { \"~/a\" 0001 {} }"
            "a text that is not UTF-8", "30 { 0002 C328 {} }"
            "U+0000 in a topic", "30 { 0003 610062 {} }"
            "SUBSCRIBE without a filter", "82 { 0001 {} }"
            "a property that PUBLISH does not have", "30 { \"~/a\" { 11 00000001 } }"
            "a Topic Alias of 0", "30 { \"~/a\" { 23 0000 } }"
        ]
        |> List.map (fun (what, bytes) ->
            probe
                []
                "4.13.1-1"
                $"The server closes the connection after {what}"
                $"""
                c joins
                c >> {bytes}
                c ends MalformedPacket|ProtocolError|TopicAliasInvalid|TopicNameInvalid
                """)

    // What follows from the definitions of the two alone.
    let private inferred =
        [
            "a Packet Identifier of 0", "82 { 0000 {} \"~/a\" 00 }"
            "a packet type of 0", "00 00"
            "a Remaining Length of five bytes", "30 FF FF FF FF 01"
            "a CONNACK from a client", "20 03 000000"
            "a PINGRESP from a client", "D0 00"
        ]
        |> List.map (fun (what, bytes) ->
            probe
                []
                "4.13.1-1"
                $"The server closes the connection after {what}, if it checks for that"
                $"""
                c joins
                c >> {bytes}
                c notices any
                """)

    let private endings =
        [
            probe
                []
                "3.14.4-1 3.14.4-2 3.14.2-1"
                "After its DISCONNECT the server sends nothing and closes"
                """
                c joins
                c >> 30 { "#" {} } C0 00 C0 00
                c unless PINGRESP : the server goes on after a PUBLISH to #
                c ends any
                """
            probe
                []
                "3.14.2-3 3.14.2-4 3.14.2-1 4.13.2-1"
                "A DISCONNECT is no larger than the client takes"
                """
                c joins props{MaximumPacketSize=20}
                c >> 30 { "#" {} } C0 00
                c unless PINGRESP : the server goes on after a PUBLISH to #
                c ends any
                """
            probe
                []
                "3.14.2-2 3.14.2-1"
                "A server's DISCONNECT has no Session Expiry Interval"
                """
                c joins props{SessionExpiryInterval=10}
                d > CONNECT clean=1 clientid="~c" props{SessionExpiryInterval=10}
                d < CONNACK
                c ends any
                """
        ]

    let private webSocket =
        [
            probe
                [ WebSocket ]
                "6.0.0-2"
                "Packets and frames of WebSocket need not align"
                """
                c joins
                c >> 82 0E
                c >> 0001 00 0008 'mqtt5-v' 
                c >> '/' 00 C0
                c >> 00 C0 00
                c < SUBACK id=1
                c < PINGRESP
                c < PINGRESP
                """
            probe
                [ WebSocket ]
                "6.0.0-4"
                "The server selects the subprotocol mqtt, and sends binary frames"
                """
                c joins
                c quiet
                """
            probe
                [ WebSocket ]
                "6.0.0-1"
                "A frame of text closes the connection"
                """
                c joins
                c text mqtt
                c ends any
                """
        ]

    /// The probes.
    [<CompiledName("All")>]
    let all: Probe list =
        reservedBits
        @ topicNames
        @ forbidden
        @ subscriptionIdentifier
        @ topicFilters
        @ malformed
        @ inferred
        @ endings
        @ webSocket
