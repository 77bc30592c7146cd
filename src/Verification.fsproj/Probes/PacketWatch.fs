namespace Mqtt5.Verification

open Mqtt5

/// A rule that a packet of the server broke, whatever the probe is about.
[<NoComparison>]
type Breach =
    {
        /// The statements.
        Clauses: string list
        /// What was expected instead.
        Expected: string
    }

/// Looks at all packets of a connection, and knows the rules that hold for each.
[<NoComparison>]
type PacketWatch =
    private
        {
            Connect: Connect voption
            HasConnack: bool
            HasDisconnect: bool
            Aliases: Map<uint16, string>
            UnderWay: Set<uint16>
        }

/// The rules for each packet of a server.
[<RequireQualifiedAccess>]
module PacketWatch =

    /// For a new connection.
    let start: PacketWatch =
        {
            Connect = ValueNone
            HasConnack = false
            HasDisconnect = false
            Aliases = Map.empty
            UnderWay = Set.empty
        }

    /// Takes note of a packet that the client sends.
    let sent (packet: Packet) (watch: PacketWatch) : PacketWatch =
        let without (acknowledgement: Acknowledgement) =
            { watch with UnderWay = Set.remove acknowledgement.PacketId.Value watch.UnderWay }

        match packet with
        | Packet.Connect connect when watch.Connect.IsNone -> { watch with Connect = ValueSome connect }
        | Packet.Puback acknowledgement
        | Packet.Pubcomp acknowledgement -> without acknowledgement
        | Packet.Pubrec acknowledgement when byte acknowledgement.Outcome.Reason >= 0x80uy ->
            without acknowledgement
        | _ -> watch

    let private breach clauses expected = ValueSome { Clauses = clauses; Expected = expected }

    let private saysMore (properties: AcknowledgementProperties voption) =
        match properties with
        | ValueSome properties -> properties.ReasonString.IsSome || properties.UserProperties.Count > 0
        | ValueNone -> false

    let private outcomeSaysMore (packet: Packet) =
        match packet with
        | Packet.Puback one
        | Packet.Pubrec one
        | Packet.Pubrel one
        | Packet.Pubcomp one -> saysMore one.Outcome.Properties
        | Packet.Suback one
        | Packet.Unsuback one -> saysMore (ValueSome one.Properties)
        | Packet.Auth one -> one.ReasonString.IsSome || one.UserProperties.Count > 0
        | _ -> false

    // What a packet that is too large should have left out.
    let internal sizeClauses (packet: Packet) =
        let texts
            (reason: string, user: string)
            (reasonString: Utf8String voption)
            (userProperties: UserProperties)
            =
            List.append
                (if reasonString.IsSome then [ reason ] else [])
                (if userProperties.Count > 0 then [ user ] else [])

        let ofOutcome section (one: Acknowledgement) =
            match one.Outcome.Properties with
            | ValueSome properties -> texts section properties.ReasonString properties.UserProperties
            | ValueNone -> []

        match packet with
        | Packet.Publish _ -> [ "MQTT-3.1.2-25" ]
        | Packet.Connack one ->
            texts ("MQTT-3.2.2-19", "MQTT-3.2.2-20") one.Properties.ReasonString one.Properties.UserProperties
        | Packet.Puback one -> ofOutcome ("MQTT-3.4.2-2", "MQTT-3.4.2-3") one
        | Packet.Pubrec one -> ofOutcome ("MQTT-3.5.2-2", "MQTT-3.5.2-3") one
        | Packet.Pubrel one -> ofOutcome ("MQTT-3.6.2-2", "MQTT-3.6.2-3") one
        | Packet.Pubcomp one -> ofOutcome ("MQTT-3.7.2-2", "MQTT-3.7.2-3") one
        | Packet.Suback one ->
            texts ("MQTT-3.9.2-1", "MQTT-3.9.2-2") one.Properties.ReasonString one.Properties.UserProperties
        | Packet.Unsuback one ->
            texts ("MQTT-3.11.2-1", "MQTT-3.11.2-2") one.Properties.ReasonString one.Properties.UserProperties
        | Packet.Disconnect outcome ->
            match outcome.Properties with
            | ValueSome properties ->
                texts ("MQTT-3.14.2-3", "MQTT-3.14.2-4") properties.ReasonString properties.UserProperties
            | ValueNone -> []
        | Packet.Auth one -> texts ("MQTT-3.15.2-2", "MQTT-3.15.2-3") one.ReasonString one.UserProperties
        | _ -> []

    let private ofConnection (packet: Packet) (size: int) (watch: PacketWatch) =
        match watch.Connect with
        | _ when watch.HasDisconnect -> breach [ "MQTT-3.14.4-1" ] "nothing after DISCONNECT"
        | _ when packet.Type = PacketType.Disconnect && not watch.HasConnack ->
            breach [ "MQTT-3.14.0-1" ] "no DISCONNECT before CONNACK"
        | ValueNone -> ValueNone
        | ValueSome connect ->
            let most =
                connect.Properties.MaximumPacketSize
                |> ValueOption.defaultValue System.UInt32.MaxValue

            match packet with
            | Packet.Connack _ when watch.HasConnack -> breach [ "MQTT-3.2.0-2" ] "one CONNACK at most"
            | Packet.Auth _ when connect.Properties.Authentication.IsNone ->
                breach [ "MQTT-4.12.0-6" ] "no AUTH, because CONNECT has no Authentication Method"
            | Packet.Connack _
            | Packet.Auth _ when uint32 size <= most -> ValueNone
            | _ when
                not (
                    watch.HasConnack
                    || packet.Type = PacketType.Connack
                    || packet.Type = PacketType.Auth
                )
                ->
                breach [ "MQTT-3.2.0-1" ] "CONNACK before any other packet"
            | _ when uint32 size > most ->
                breach ("MQTT-3.1.2-24" :: sizeClauses packet) $"no packet of more than {most} bytes"
            | _ when
                connect.Properties.RequestProblemInformation = ValueSome false
                && outcomeSaysMore packet
                ->
                breach [ "MQTT-3.1.2-29" ] "neither Reason String nor User Property in this packet"
            | _ -> ValueNone

    let private aliasOf (publish: Publish) =
        match publish.Topic with
        | TopicReference.Name _ -> ValueNone
        | TopicReference.NameAndAlias(_, alias)
        | TopicReference.Alias alias -> ValueSome alias.Value

    let private ofPublish (publish: Publish) (watch: PacketWatch) =
        let properties = watch.Connect |> ValueOption.map _.Properties

        let aliases =
            properties
            |> ValueOption.bind _.TopicAliasMaximum
            |> ValueOption.defaultValue 0us

        let receiveMaximum =
            properties
            |> ValueOption.bind _.ReceiveMaximum
            |> ValueOption.defaultValue System.UInt16.MaxValue

        match publish.Delivery.PacketId, aliasOf publish with
        | _, ValueSome alias when aliases = 0us ->
            breach [ "MQTT-3.1.2-27" ] $"no Topic Alias, and not {alias}"
        | _, ValueSome alias when alias > aliases ->
            breach [ "MQTT-3.1.2-26"; "MQTT-3.3.2-11" ] $"no Topic Alias above {aliases}"
        | _, ValueSome alias when publish.Topic.IsAlias && not (watch.Aliases.ContainsKey alias) ->
            breach
                [ "MQTT-3.3.2-7" ]
                $"a Topic Name, because Topic Alias {alias} was not set on this connection"
        | ValueSome id, _ when watch.UnderWay.Contains id.Value && not publish.Delivery.IsDup ->
            breach [ "MQTT-2.2.1-4" ] $"another Packet Identifier than {id}, which is in use"
        | ValueSome id, _ when
            not (watch.UnderWay.Contains id.Value)
            && watch.UnderWay.Count >= int receiveMaximum
            ->
            breach
                [ "MQTT-3.3.4-9"; "MQTT-4.9.0-2" ]
                $"no more than {receiveMaximum} PUBLISH packets under way"
        | _ -> ValueNone

    /// Takes note of a packet that the server sent, and tells the rule that it broke. Returns the Topic Name that a Topic
    /// Alias stands for, where the packet has only that.
    let received
        (packet: Packet)
        (size: int)
        (watch: PacketWatch)
        : struct (PacketWatch * string voption * Breach voption) =
        let found = ofConnection packet size watch

        match packet with
        | Packet.Connack _ -> struct ({ watch with HasConnack = true }, ValueNone, found)
        | Packet.Disconnect _ -> struct ({ watch with HasDisconnect = true }, ValueNone, found)
        | Packet.Publish publish ->
            let found = if found.IsSome then found else ofPublish publish watch

            let next =
                match publish.Topic with
                | TopicReference.NameAndAlias(name, alias) ->
                    { watch with Aliases = Map.add alias.Value name.Text watch.Aliases }
                | _ -> watch

            let next =
                match publish.Delivery.PacketId with
                | ValueSome id -> { next with UnderWay = Set.add id.Value next.UnderWay }
                | ValueNone -> next

            let topic =
                match publish.Topic with
                | TopicReference.Alias alias ->
                    match Map.tryFind alias.Value watch.Aliases with
                    | Some name -> ValueSome name
                    | None -> ValueNone
                | _ -> ValueNone

            struct (next, topic, found)
        | _ -> struct (watch, ValueNone, found)
