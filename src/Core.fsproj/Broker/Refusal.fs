namespace Mqtt5

/// Why a connection did not become a client, in few kinds, for logs and metrics.
[<RequireQualifiedAccess>]
type RefusalKind =
    /// The authenticator refused it.
    | WrongPassword = 0
    /// It speaks another version of the protocol.
    | OtherVersion = 1
    /// What it sent is no packet, or none that may come before CONNACK.
    | Malformed = 2
    /// The TLS handshake failed.
    | TlsFailure = 3
    /// CONNECT or its authentication did not come in time.
    | NoConnectInTime = 4
    /// It reached a WebSocket listener, and what it sent was no HTTP request for a WebSocket of MQTT.
    | NotHttp = 5
    /// The header of the PROXY protocol is missing or wrong.
    | ProxyHeader = 6
    /// A limit of the broker does not allow it.
    | Limit = 7
    /// The broker refuses it for another reason, such as its permissions.
    | NotAllowed = 8

/// Kinds of refusals.
[<RequireQualifiedAccess>]
module Refusal =

    let private keys =
        [|
            "wrong-password"
            "other-version"
            "malformed"
            "tls-failure"
            "no-connect-in-time"
            "not-http"
            "proxy-header"
            "limit"
            "not-allowed"
        |]

    /// The name of a kind in metrics and logs.
    [<CompiledName("KeyOf")>]
    let keyOf (kind: RefusalKind) : string = keys[int kind]

    /// The kind of a refusal for this fault.
    [<CompiledName("OfFault")>]
    let ofFault (why: Fault) : RefusalKind =
        if why.Limit.IsSome then
            RefusalKind.Limit
        else
            match why.Reason with
            | ReasonCode.UnsupportedProtocolVersion -> RefusalKind.OtherVersion
            | ReasonCode.MalformedPacket
            | ReasonCode.ProtocolError -> RefusalKind.Malformed
            | ReasonCode.BadUserNameOrPassword
            | ReasonCode.BadAuthenticationMethod -> RefusalKind.WrongPassword
            | _ -> RefusalKind.NotAllowed
