namespace Mqtt5.Verification

open System
open System.Collections.Generic
open Mqtt5

// What CONNECT asks of CONNACK and of all packets after it.
module internal ConnectRules =

    let private isConnected (client: NaiveClient) =
        match client.Latest with
        | null -> false
        | latest ->
            latest.HasConnack
            && not (
                latest.IsRefused
                || latest.IsClosed
                || latest.IsLostByBroker
                || latest.IsOver
                || latest.IsLeaving
            )

    // The broker gives a client that has none an identifier that is not in use [MQTT-3.1.3-6] [MQTT-3.1.3-7].
    let private identify violate (clients: seq<NaiveClient>) (client: NaiveClient) (connack: Connack) =
        match connack.Properties.AssignedClientIdentifier with
        | ValueNone -> violate client "MQTT-3.2.2-16" "an Assigned Client Identifier" "none"
        | ValueSome id ->
            if
                clients
                |> Seq.exists (fun other ->
                    not (obj.ReferenceEquals(other, client))
                    && other.Id = id.Text
                    && isConnected other)
            then
                violate client "MQTT-3.2.2-16" "a Client Identifier that no other client has" id.Text

            client.Id <- id.Text

    // The largest packet that the client takes, in bytes.
    let packetLimitOf (connect: Connect) : int =
        match connect.Properties.MaximumPacketSize with
        | ValueSome most -> int (min most (uint32 Int32.MaxValue))
        | ValueNone -> Int32.MaxValue

    // A CONNACK of success.
    let checkConnack
        (violate: NaiveClient -> string -> string -> string -> unit)
        (clients: seq<NaiveClient>)
        (connection: NaiveConnection)
        (connack: Connack)
        : unit =
        let client = connection.Client
        let connect = connection.Connect.Value

        match connect.ClientId with
        | ValueSome id -> client.Id <- id.Text
        | ValueNone -> identify violate clients client connack

        if
            connack.Properties.ResponseInformation.IsSome
            && connect.Properties.RequestResponseInformation <> ValueSome true
        then
            violate
                client
                "MQTT-3.1.2-28"
                "no Response Information: it was not asked for"
                "Response Information"

        if
            connack.Properties.Authentication.IsSome
            && connect.Properties.Authentication.IsNone
        then
            violate client "MQTT-4.12.0-6" "no Authentication Method: CONNECT has none" "one"

    let private says (properties: AcknowledgementProperties voption) =
        match properties with
        | ValueSome one -> one.ReasonString.IsSome || one.UserProperties.Count > 0
        | ValueNone -> false

    // Whether it has a Reason String or User Properties, and is none of the packets that always may.
    let private explains (packet: Packet) =
        match packet with
        | Packet.Puback one
        | Packet.Pubrec one
        | Packet.Pubrel one
        | Packet.Pubcomp one -> says one.Outcome.Properties
        | Packet.Suback one
        | Packet.Unsuback one -> says (ValueSome one.Properties)
        | Packet.Auth one -> one.ReasonString.IsSome || one.UserProperties.Count > 0
        | _ -> false

    // Any packet that comes.
    let checkPacket
        (violate: NaiveClient -> string -> string -> string -> unit)
        (connection: NaiveConnection)
        (packet: Packet)
        : unit =
        match connection.Connect with
        | ValueNone -> ()
        | ValueSome connect ->
            let client = connection.Client

            match connect.Properties.MaximumPacketSize with
            | ValueSome most when uint32 (Encode.size packet) > most ->
                violate client "MQTT-3.1.2-24" $"no packet above {most} bytes" $"{Encode.size packet} bytes"
            | _ -> ()

            if
                connect.Properties.RequestProblemInformation = ValueSome false
                && explains packet
            then
                violate
                    client
                    "MQTT-3.1.2-29"
                    $"neither Reason String nor User Property in {packet.Type}"
                    "one of them"

            if packet.IsAuth && connect.Properties.Authentication.IsNone then
                violate client "MQTT-4.12.0-6" "no AUTH: CONNECT has no Authentication Method" "AUTH"
