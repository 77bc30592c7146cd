namespace Mqtt5.Verification

open System.Collections.Generic
open Mqtt5

// What a client has to respect that a server announced in CONNACK, and a server that a client announced in CONNECT.
module internal ConnectionRules =

    // The Maximum Packet Size of the other end.
    let size (findings: List<Finding>) (packetBytes: int) (sender: Sender) =
        if uint32 packetBytes > sender.MaximumPacketBytes then
            // [MQTT-3.1.2-24] [MQTT-3.2.2-15]
            findings.Add
                {
                    By = sender.Direction
                    Clause =
                        if sender.Direction = ClientToServer then
                            "MQTT-3.2.2-15"
                        else
                            "MQTT-3.1.2-24"
                    Detail =
                        $"{packetBytes} bytes, and the Maximum Packet Size is {sender.MaximumPacketBytes}"
                }

    // What a CONNACK without the property means.
    let private isAvailable (property: bool voption) = property <> ValueSome false

    let private client (findings: List<Finding>) clause detail =
        findings.Add { By = ClientToServer; Clause = clause; Detail = detail }

    // A PUBLISH of a client.
    let publish (findings: List<Finding>) (limits: ConnackProperties) (packet: Publish) =
        match limits.MaximumQoS with
        | ValueSome maximum when packet.Delivery.QoS > maximum ->
            client
                findings
                "MQTT-3.2.2-11"
                $"QoS {int packet.Delivery.QoS}, and the Maximum QoS is {int maximum}"
        | _ -> ()

        if packet.Retain && not (isAvailable limits.RetainAvailable) then
            client
                findings
                "MQTT-3.2.2-14"
                "RETAIN is 1, and the server said that it keeps no retained messages"

    // A SUBSCRIBE of a client.
    let subscribe (findings: List<Finding>) (limits: ConnackProperties) (packet: Subscribe) =
        let mutable hasWildcard = false
        let mutable isShared = false

        for subscription in packet.Subscriptions do
            hasWildcard <- hasWildcard || subscription.Filter.HasWildcard
            isShared <- isShared || subscription.Filter.IsShared

        if hasWildcard && not (isAvailable limits.WildcardSubscriptionAvailable) then
            client
                findings
                "3.2.2.3.11"
                "a wildcard, and the server said that it has no wildcard subscriptions"

        if
            packet.Properties.SubscriptionIdentifier.IsSome
            && not (isAvailable limits.SubscriptionIdentifierAvailable)
        then
            client findings "3.2.2.3.12" "a Subscription Identifier, and the server said that it takes none"

        if isShared && not (isAvailable limits.SharedSubscriptionAvailable) then
            client findings "3.2.2.3.13" "a shared subscription, and the server said that it has none"

    // The Topic Alias of a PUBLISH. Before the limits are known any alias may stand.
    let alias (findings: List<Finding>) (topic: TopicReference) (sender: Sender) : Sender =
        match sender.Aliases.Resolve topic with
        | Ok(struct (_, aliases)) -> { sender with Aliases = aliases }
        | Error fault ->
            // [MQTT-3.3.2-9] [MQTT-3.3.2-11]
            findings.Add { By = sender.Direction; Clause = fault.Clause; Detail = fault.Detail }
            sender

    let private server (findings: List<Finding>) clause detail =
        findings.Add { By = ServerToClient; Clause = clause; Detail = detail }

    // A CONNACK that answers this CONNECT.
    let connack (findings: List<Finding>) (connect: Connect) (packet: Connack) =
        let isAccepted = packet.Reason = ReasonCode.Success

        if isAccepted && packet.SessionPresent && connect.CleanStart then
            server findings "MQTT-3.2.2-2" "Session Present is 1, and Clean Start was 1"

        if packet.SessionPresent && not isAccepted then
            server findings "MQTT-3.2.2-6" "Session Present is 1 with a reason code other than success"

        if
            isAccepted
            && connect.ClientId.IsNone
            && packet.Properties.AssignedClientIdentifier.IsNone
        then
            server findings "MQTT-3.2.2-16" "the Assigned Client Identifier is missing"

        if
            packet.Properties.ResponseInformation.IsSome
            && connect.Properties.RequestResponseInformation <> ValueSome true
        then
            server findings "MQTT-3.1.2-28" "Response Information was not requested"

        match connect.Properties.Authentication, packet.Properties.Authentication with
        | ValueNone, ValueSome _ ->
            server findings "MQTT-4.12.0-6" "an Authentication Method, and CONNECT had none"
        | ValueSome asked, ValueSome given when not (asked.Method.Equals given.Method) ->
            server findings "MQTT-4.12.0-5" "the Authentication Method is not that of CONNECT"
        | ValueSome _, ValueNone when isAccepted ->
            server findings "MQTT-4.12.0-5" "the Authentication Method of CONNECT is missing"
        | _ -> ()

    // An AUTH of either end.
    let auth (findings: List<Finding>) by (connect: Connect) (packet: Auth) =
        let report clause detail = findings.Add { By = by; Clause = clause; Detail = detail }

        match connect.Properties.Authentication with
        | ValueNone ->
            report
                (if by = ClientToServer then "MQTT-4.12.0-7" else "MQTT-4.12.0-6")
                "CONNECT had no Authentication Method"
        | ValueSome asked when not (asked.Method.Equals packet.Authentication.Method) ->
            report
                (if packet.Reason = ReasonCode.ReAuthenticate then
                     "MQTT-4.12.1-1"
                 else
                     "MQTT-4.12.0-5")
                "the Authentication Method is not that of CONNECT"
        | ValueSome _ -> ()

    // Reason String and User Properties of a server's packet that a client may have asked to leave out.
    let problemInformation (findings: List<Finding>) (connect: Connect) (packet: Packet) =
        if connect.Properties.RequestProblemInformation = ValueSome false then
            let told =
                match packet with
                | Packet.Puback packet
                | Packet.Pubrec packet
                | Packet.Pubrel packet
                | Packet.Pubcomp packet ->
                    match packet.Outcome.Properties with
                    | ValueSome properties ->
                        properties.ReasonString.IsSome || not properties.UserProperties.IsEmpty
                    | ValueNone -> false
                | Packet.Suback packet
                | Packet.Unsuback packet ->
                    packet.Properties.ReasonString.IsSome
                    || not packet.Properties.UserProperties.IsEmpty
                | Packet.Auth packet -> packet.ReasonString.IsSome || not packet.UserProperties.IsEmpty
                | _ -> false

            if told then
                server
                    findings
                    "MQTT-3.1.2-29"
                    "a Reason String or User Property, and Request Problem Information was 0"
