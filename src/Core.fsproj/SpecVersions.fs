namespace Mqtt5

// The tables of MQTT 3.1.1 and 3.1, as far as they differ from those of MQTT 5. MQTT 3.1 has no numbered statements,
// so those of 3.1.1 are cited for both, as [MQTT3-x.y.z-n]: the digit keeps them apart from those of MQTT 5.
[<RequireQualifiedAccess>]
module internal SpecVersions =

    let rules: VersionRule[] =
        let rule version name protocolName level =
            { Version = version; Name = name; ProtocolName = protocolName; Level = level }

        [|
            rule ProtocolVersion.V5 "MQTT 5" "MQTT" 5uy
            rule ProtocolVersion.V311 "MQTT 3.1.1" "MQTT" 4uy
            rule ProtocolVersion.V31 "MQTT 3.1" "MQIsdp" 3uy
        |]

    // A refusal that no code fits is not answered at all [MQTT3-3.2.2-6].
    let returnCodes: ReturnCodeRule[] =
        let rule code title reason others =
            { Code = code; Title = title; Reason = reason; Says = Array.append [| reason |] others }

        [|
            rule 0uy "Connection Accepted" ReasonCode.Success [||]
            rule
                1uy
                "Connection Refused, unacceptable protocol version"
                ReasonCode.UnsupportedProtocolVersion
                [||]
            rule 2uy "Connection Refused, identifier rejected" ReasonCode.ClientIdentifierNotValid [||]
            rule
                3uy
                "Connection Refused, Server unavailable"
                ReasonCode.ServerUnavailable
                [|
                    ReasonCode.ServerBusy
                    ReasonCode.QuotaExceeded
                    ReasonCode.UseAnotherServer
                    ReasonCode.ServerMoved
                    ReasonCode.ConnectionRateExceeded
                |]
            rule 4uy "Connection Refused, bad user name or password" ReasonCode.BadUserNameOrPassword [||]
            rule
                5uy
                "Connection Refused, not authorized"
                ReasonCode.NotAuthorized
                [| ReasonCode.Banned; ReasonCode.BadAuthenticationMethod |]
        |]

    // The statements and sections of MQTT 5 that the rules of both versions name, and where 3.1.1 has them.
    let counterparts: (string * string)[] =
        [|
            "MQTT-1.5.4-1", "MQTT3-1.5.3-1"
            "MQTT-1.5.4-2", "MQTT3-1.5.3-2"
            "MQTT-1.5.4-3", "MQTT3-1.5.3-3"
            "MQTT-1.5.5-1", "2.2.3"
            "1.5.6", "1.5.3"
            "2.1", "2.2"
            "2.1.2", "2.2.1"
            "2.1.4", "2.2.3"
            "MQTT-2.1.3-1", "MQTT3-2.2.2-1"
            "2.2.1", "2.3.1"
            "MQTT-2.2.1-2", "MQTT3-2.3.1-5"
            "MQTT-2.2.1-3", "MQTT3-2.3.1-1"
            "MQTT-2.2.1-4", "MQTT3-2.3.1-1"
            "MQTT-2.2.1-5", "MQTT3-2.3.1-6"
            "MQTT-2.2.1-6", "MQTT3-2.3.1-7"
            "2.4", "4.8"
            "MQTT-3.1.0-1", "MQTT3-3.1.0-1"
            "MQTT-3.1.0-2", "MQTT3-3.1.0-2"
            "MQTT-3.1.2-1", "MQTT3-3.1.2-1"
            "MQTT-3.1.2-2", "MQTT3-3.1.2-2"
            "MQTT-3.1.2-3", "MQTT3-3.1.2-3"
            "MQTT-3.1.2-9", "MQTT3-3.1.2-9"
            "MQTT-3.1.2-11", "MQTT3-3.1.2-11"
            "MQTT-3.1.2-12", "MQTT3-3.1.2-14"
            "MQTT-3.1.2-13", "MQTT3-3.1.2-11"
            "MQTT-3.1.2-16", "MQTT3-3.1.2-18"
            "MQTT-3.1.2-17", "MQTT3-3.1.2-19"
            "MQTT-3.1.2-18", "MQTT3-3.1.2-20"
            "MQTT-3.1.2-19", "MQTT3-3.1.2-21"
            "MQTT-3.1.2-22", "MQTT3-3.1.2-24"
            "MQTT-3.1.3-3", "MQTT3-3.1.3-3"
            "MQTT-3.1.3-4", "MQTT3-3.1.3-4"
            "MQTT-3.1.3-5", "MQTT3-3.1.3-5"
            "MQTT-3.1.3-8", "MQTT3-3.1.3-9"
            "MQTT-3.1.3-11", "MQTT3-3.1.3-10"
            "MQTT-3.1.3-12", "MQTT3-3.1.3-11"
            "MQTT-3.2.2-1", "3.2.2.1"
            "MQTT-3.2.2-6", "MQTT3-3.2.2-4"
            "MQTT-3.2.2-8", "3.2.2.3"
            "MQTT-3.3.1-2", "MQTT3-3.3.1-2"
            "MQTT-3.3.1-4", "MQTT3-3.3.1-4"
            "MQTT-3.3.2-1", "MQTT3-3.3.2-1"
            "MQTT-3.3.2-2", "MQTT3-3.3.2-2"
            "MQTT-3.6.1-1", "MQTT3-3.6.1-1"
            "MQTT-3.8.1-1", "MQTT3-3.8.1-1"
            "3.8.3.1", "MQTT3-3.8.3-4"
            "MQTT-3.8.3-1", "MQTT3-3.8.3-1"
            "MQTT-3.8.3-2", "MQTT3-3.8.3-3"
            "MQTT-3.8.3-5", "MQTT3-3.8.3-4"
            "MQTT-3.9.3-2", "MQTT3-3.9.3-2"
            "MQTT-3.10.1-1", "MQTT3-3.10.1-1"
            "MQTT-3.10.3-1", "MQTT3-3.10.3-1"
            "MQTT-3.10.3-2", "MQTT3-3.10.3-2"
            "MQTT-3.14.1-1", "MQTT3-3.14.1-1"
            "4.13", "4.8"
            "MQTT-4.3.3-4", "MQTT3-4.3.3-1"
            "MQTT-4.7.0-1", "MQTT3-4.7.1-1"
            "MQTT-4.7.1-1", "MQTT3-4.7.1-2"
            "MQTT-4.7.1-2", "MQTT3-4.7.1-3"
            "MQTT-4.7.3-1", "MQTT3-4.7.3-1"
            "MQTT-4.7.3-2", "MQTT3-4.7.3-2"
            "MQTT-4.7.3-3", "MQTT3-4.7.3-3"
        |]
