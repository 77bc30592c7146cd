namespace Mqtt5.Verification

open Mqtt5

// What a server says against a client in CONNACK or DISCONNECT, where the client has kept all rules. Most reason codes are
// about the server itself, and leave open whether it had to.
module internal ServerReasons =

    let private untrue clause expected = ValueSome(struct (clause, expected))

    let private said (value: bool voption) = ValueOption.defaultValue true value

    // Section 3.1.3.1: from 1 to 23 bytes of these have to be taken.
    let private isUsual (id: ClientId) =
        id.Text.Length >= 1
        && id.Text.Length <= 23
        && id.Text |> Seq.forall System.Char.IsAsciiLetterOrDigit

    // The statement that a refused CONNECT shows to be broken, and what was expected.
    let ofConnack (connect: Connect) (reason: ReasonCode) : struct (string * string) voption =
        if
            reason = ReasonCode.ClientIdentifierNotValid
            && (connect.ClientId |> ValueOption.exists isUsual)
        then
            untrue "MQTT-3.1.3-5" "a Client Identifier of letters and digits taken"
        elif
            reason = ReasonCode.MalformedPacket
            || reason = ReasonCode.ProtocolError
            || reason = ReasonCode.UnsupportedProtocolVersion
        then
            untrue "MQTT-3.1.4-5" "CONNECT taken: it is well-formed"
        else
            ValueNone

    // The statement that the end of a connection shows to be broken, and what was expected: the server has told of no such
    // limit in CONNACK, or the client has kept to it.
    let ofDisconnect (connack: ConnackProperties) (reason: ReasonCode) : struct (string * string) voption =
        let kept = "the connection open: the client broke no rule"
        let untold = "the connection open: CONNACK does not say that this is not supported"

        match reason with
        | ReasonCode.MalformedPacket
        | ReasonCode.ProtocolError
        | ReasonCode.ReceiveMaximumExceeded
        | ReasonCode.TopicAliasInvalid -> untrue "4.13.1" kept
        | ReasonCode.KeepAliveTimeout ->
            untrue "MQTT-3.2.2-22" "the connection open: the Keep Alive has not passed"
        | ReasonCode.QoSNotSupported when connack.MaximumQoS.IsNone -> untrue "MQTT-3.2.2-9" untold
        | ReasonCode.RetainNotSupported when said connack.RetainAvailable -> untrue "3.2.2.3.5" untold
        | ReasonCode.PacketTooLarge when connack.MaximumPacketSize.IsNone -> untrue "3.2.2.3.6" untold
        | ReasonCode.WildcardSubscriptionsNotSupported when said connack.WildcardSubscriptionAvailable ->
            untrue "3.2.2.3.11" untold
        | ReasonCode.SubscriptionIdentifiersNotSupported when said connack.SubscriptionIdentifierAvailable ->
            untrue "3.2.2.3.12" untold
        | ReasonCode.SharedSubscriptionsNotSupported when said connack.SharedSubscriptionAvailable ->
            untrue "3.2.2.3.13" untold
        | _ -> ValueNone
