namespace Mqtt5

open System.Collections.Generic
open NotationValues

// Makes packets of the lines of notation. What a packet record cannot hold is refused here; what a direction
// forbids is not, because a line of notation need not say its direction.
[<RequireQualifiedAccess>]
module internal NotationParse =

    // The fields of a packet, a Will Message or a subscription. At is where a missing one is reported.
    [<NoComparison; NoEquality>]
    type private Fields = { At: Located<string>; ByName: Dictionary<string, NotationField> }

    let private fieldsOf (at: Located<string>) (allowed: string list) (fields: NotationField list) =
        let byName = Dictionary<string, NotationField>()

        let rec add (fields: NotationField list) =
            match fields with
            | [] -> Ok { At = at; ByName = byName }
            | field :: rest ->
                if not (List.contains field.Name.Item allowed) then
                    let expected = if allowed.IsEmpty then "no field" else NotationSyntax.oneOf allowed
                    faultAt field.Name "this field cannot stand here" expected
                elif byName.TryAdd(field.Name.Item, field) then
                    add rest
                else
                    faultAt field.Name "this field stands twice" ""

        add fields

    let private value
        (name: string)
        (fields: Fields)
        : Result<Located<NotationValue> voption, NotationFault> =
        match fields.ByName.TryGetValue name with
        | false, _ -> Ok ValueNone
        | true, field ->
            match field.Content with
            | NotationContent.Value value -> Ok(ValueSome value)
            | _ -> faultAt field.Name "this field has a single value" $"{name}="

    let private optional name (read: Located<NotationValue> -> Result<'T, NotationFault>) fields =
        result {
            match! value name fields with
            | ValueNone -> return ValueNone
            | ValueSome value ->
                let! value = read value
                return ValueSome value
        }

    let private orElse fallback name read fields =
        optional name read fields |> Result.map (ValueOption.defaultValue fallback)

    let private required name read (fields: Fields) =
        result {
            match! optional name read fields with
            | ValueSome value -> return value
            | ValueNone -> return! faultAt fields.At $"the field {name} is missing" $"{name}="
        }

    let private flag name fields =
        orElse false name (fun value -> number 0u 1u value |> Result.map (fun number -> number = 1u)) fields

    let private enumeration (maximum: uint32) name fields =
        orElse 0uy name (fun value -> number 0u maximum value |> Result.map byte) fields

    let private qos fields : Result<QoS, NotationFault> =
        enumeration 2u "qos" fields |> Result.map LanguagePrimitives.EnumOfValue

    let private packetId value = number 1u 65_535u value |> Result.map (uint16 >> PacketId.OfValid)

    // ValueNone where the packet has no props at all.
    let private optionalProperties scope (fields: Fields) =
        match fields.ByName.TryGetValue "props" with
        | false, _ -> Ok ValueNone
        | true, field ->
            match field.Content with
            | NotationContent.Properties entries ->
                propertySet scope field.Name entries |> Result.map ValueSome
            | _ -> faultAt field.Name "props stand in braces" "props{"

    let private properties scope fields =
        optionalProperties scope fields
        |> Result.map (ValueOption.defaultValue Map.empty)

    let private groups (name: string) (fields: Fields) =
        match fields.ByName.TryGetValue name with
        | false, _ -> faultAt fields.At $"the field {name} is missing" $"{name}["
        | true, field ->
            match field.Content with
            | NotationContent.Groups groups -> Ok struct (field, groups)
            | _ -> faultAt field.Name "this field is a list" $"{name}["

    let private named (name: string) (at: Located<unit>) : Located<string> =
        { Line = at.Line; Column = at.Column; Item = name }

    let private all
        (read: 'A -> Result<'B, NotationFault>)
        (items: 'A list)
        : Result<List<'B>, NotationFault> =
        let results = List<'B>()

        let rec add items =
            match items with
            | [] -> Ok results
            | item :: rest ->
                match read item with
                | Ok result ->
                    results.Add result
                    add rest
                | Error fault -> Error fault

        add items

    // The one value that begins the group.
    let private head expected (group: NotationGroup) =
        match group.Values with
        | [ value ] when value.Column = group.Start.Column -> Ok value
        | _ -> faultAt group.Start "this is not one item of the list" expected

    let private alone expected (group: NotationGroup) =
        match group.Fields with
        | [] -> head expected group
        | field :: _ -> faultAt field.Name "this field cannot stand here" "a comma"

    let subscription (group: NotationGroup) : Result<Subscription, NotationFault> =
        result {
            let! value = head "a Topic Filter in quotes, then its options" group
            let! filter = topicFilter value
            let! fields = fieldsOf (named "" group.Start) [ "qos"; "nl"; "rap"; "rh" ] group.Fields
            let! qos = qos fields
            let! noLocal = flag "nl" fields
            let! retainAsPublished = flag "rap" fields
            let! handling = enumeration 2u "rh" fields

            if noLocal && filter.IsShared then
                return! faultAt value "a shared subscription cannot have No Local [MQTT-3.8.3-4]" "nl=0"
            else
                return
                    {
                        Filter = filter
                        Options =
                            {
                                MaximumQoS = qos
                                NoLocal = noLocal
                                RetainAsPublished = retainAsPublished
                                RetainHandling = LanguagePrimitives.EnumOfValue handling
                            }
                    }
        }

    // An empty list cannot travel; the list's own rule says why.
    let private listOf create (field: NotationField) items =
        match create items with
        | Ok list -> Ok list
        | Error(fault: Fault) -> faultAt field.Name $"{fault.Detail} [{fault.Clause}]" ""

    let private will (field: NotationField) : Result<Will, NotationFault> =
        let names = [ "qos"; "retain"; "props"; "topic"; "payload" ]

        match field.Content with
        | NotationContent.Groups [ { Values = []; Fields = fields } ] ->
            result {
                let! fields = fieldsOf field.Name names fields
                let! qos = qos fields
                let! retain = flag "retain" fields
                let! properties = properties Scope.Will fields
                let! topic = required "topic" topicName fields
                let! payload = orElse Bytes.Empty "payload" binaryData fields

                return
                    {
                        QoS = qos
                        Retain = retain
                        Properties = PropertySet.toWill properties
                        Topic = topic
                        Payload = payload
                    }
            }
        | NotationContent.Groups [] -> faultAt field.Name "the field topic is missing" "topic="
        | NotationContent.Groups({ Values = value :: _ } :: _) ->
            faultAt value "a Will Message has fields only" (NotationSyntax.oneOf names)
        | NotationContent.Groups(_ :: group :: _) ->
            faultAt group.Start "a connection has one Will Message" "]"
        | _ -> faultAt field.Name "the fields of a Will Message stand in brackets" "will["

    // The version whose level is given, MQTT 5 when none is, and whose Protocol Name stands there, if one does.
    let private protocol fields =
        result {
            let! level = orElse (uint32 Spec.ProtocolVersion) "ver" (number 3u 5u) fields
            let rule = Spec.versions |> Array.find (fun rule -> uint32 rule.Level = level)

            match!
                optional
                    "name"
                    (fun value -> text value |> Result.map (fun text -> struct (value, text)))
                    fields
            with
            | ValueSome(struct (value, name)) when name.Text <> rule.ProtocolName ->
                return! faultAt value "the Protocol Name is another one" $"\"{rule.ProtocolName}\""
            | _ -> return rule.Version
        }

    // Before MQTT 5 a CONNECT has no properties, and clean says how long the session lives.
    let private connectProperties (version: ProtocolVersion) cleanStart (fields: Fields) =
        match version with
        | ProtocolVersion.V5 -> properties Scope.Connect fields |> Result.map PropertySet.toConnect
        | _ when fields.ByName.ContainsKey "props" ->
            faultAt fields.ByName["props"].Name $"{(Spec.version version).Name} has no properties" ""
        | _ when cleanStart -> Ok ConnectProperties.Empty
        | _ ->
            Ok
                { ConnectProperties.Empty with
                    SessionExpiryInterval = ValueSome(LanguagePrimitives.UInt32WithMeasure Spec.NoExpiry)
                }

    let private connect fields =
        result {
            let! version = protocol fields
            let! cleanStart = flag "clean" fields
            let! keepAlive = orElse 0u "keepalive" (number 0u 65_535u) fields
            let! properties = connectProperties version cleanStart fields
            let! clientId = optional "clientid" text fields

            let! will =
                match fields.ByName.TryGetValue "will" with
                | true, field -> will field |> Result.map ValueSome
                | _ -> Ok ValueNone

            let! userName = optional "username" text fields
            let! password = optional "password" (binaryData >> Result.map Secret) fields

            return
                Packet.Connect
                    {
                        CleanStart = cleanStart
                        KeepAlive = LanguagePrimitives.UInt16WithMeasure<s>(uint16 keepAlive)
                        Properties = properties
                        ClientId =
                            match clientId with
                            | ValueSome text when not text.IsEmpty -> ValueSome(ClientId.OfValid text)
                            | _ -> ValueNone
                        Will = will
                        UserName = userName
                        Password = password
                    }
        }

    let private connack fields =
        result {
            let! present = flag "sp" fields
            let! reason = orElse ReasonCode.Success "rc" reason fields
            let! properties = properties Scope.Connack fields

            return
                Packet.Connack
                    {
                        SessionPresent = present
                        Reason = reason
                        Properties = PropertySet.toConnack properties
                    }
        }

    let private delivery (fields: Fields) =
        result {
            let! qos = qos fields
            let! dup = flag "dup" fields
            let! id = optional "id" packetId fields

            match qos, id with
            | QoS.AtMostOnce, ValueSome _ ->
                return!
                    faultAt
                        fields.ByName["id"].Name
                        "QoS 0 has no Packet Identifier [MQTT-2.2.1-2]"
                        "qos=1 or qos=2"
            | QoS.AtMostOnce, ValueNone when dup ->
                return! faultAt fields.ByName["dup"].Name "QoS 0 has no DUP [MQTT-3.3.1-2]" "dup=0"
            | QoS.AtMostOnce, ValueNone -> return Delivery.AtMostOnce
            | QoS.AtLeastOnce, ValueSome id -> return Delivery.AtLeastOnce(id, dup)
            | _, ValueSome id -> return Delivery.ExactlyOnce(id, dup)
            | _, ValueNone -> return! faultAt fields.At "the field id is missing" "id="
        }

    // An empty topic is the same as none, as on the wire.
    let private topicOrEmpty (value: Located<NotationValue>) =
        match value.Item with
        | NotationValue.Text utf8 when utf8.IsEmpty -> Ok ValueNone
        | _ -> topicName value |> Result.map ValueSome

    let private publish (fields: Fields) =
        result {
            let! delivery = delivery fields
            let! retain = flag "retain" fields
            let! name = orElse ValueNone "topic" topicOrEmpty fields
            let! properties = properties Scope.Publish fields
            let! payload = orElse Bytes.Empty "payload" payload fields

            let! topic =
                match name, PropertySet.toAlias properties with
                | ValueSome name, ValueSome alias -> Ok(TopicReference.NameAndAlias(name, alias))
                | ValueSome name, ValueNone -> Ok(TopicReference.Name name)
                | ValueNone, ValueSome alias -> Ok(TopicReference.Alias alias)
                | ValueNone, ValueNone ->
                    faultAt
                        fields.At
                        "there is neither a topic nor a TopicAlias"
                        "topic= or props{TopicAlias="

            return
                Packet.Publish
                    {
                        Delivery = delivery
                        Retain = retain
                        Topic = topic
                        Properties = PropertySet.toPublish properties
                        Payload = payload
                    }
        }

    let private outcome scope (toProperties: PropertySet -> 'Properties) fields =
        result {
            let! code = optional "rc" reason fields
            let! properties = optionalProperties scope fields

            return
                match code, properties with
                | ValueNone, ValueNone -> Outcome.Omitted
                | ValueSome code, ValueNone -> Outcome.Code code
                | code, ValueSome set ->
                    Outcome.Full(ValueOption.defaultValue ReasonCode.Success code, toProperties set)
        }

    let private acknowledgement scope (make: Acknowledgement -> Packet) fields =
        result {
            let! id = required "id" packetId fields
            let! outcome = outcome scope PropertySet.toAcknowledgement fields
            return make { PacketId = id; Outcome = outcome }
        }

    let private subscribe fields =
        result {
            let! id = required "id" packetId fields
            let! properties = properties Scope.Subscribe fields
            let! struct (field, groups) = groups "filters" fields
            let! subscriptions = all subscription groups
            let! subscriptions = listOf SubscriptionList.Create field subscriptions

            return
                Packet.Subscribe
                    {
                        PacketId = id
                        Properties = PropertySet.toSubscribe properties
                        Subscriptions = subscriptions
                    }
        }

    let private unsubscribe fields =
        result {
            let! id = required "id" packetId fields
            let! properties = properties Scope.Unsubscribe fields
            let! struct (field, groups) = groups "filters" fields
            let! filters = all (alone "a Topic Filter in quotes" >> Result.bind topicFilter) groups
            let! filters = listOf TopicFilterList.Create field filters

            return
                Packet.Unsubscribe
                    {
                        PacketId = id
                        UserProperties = PropertySet.toUnsubscribe properties
                        Filters = filters
                    }
        }

    let private subscriptionAcknowledgement scope (make: SubscriptionAcknowledgement -> Packet) fields =
        result {
            let! id = required "id" packetId fields
            let! properties = properties scope fields
            let! struct (_, groups) = groups "codes" fields
            let! codes = all (alone reasonExpected >> Result.bind reason) groups

            return
                make
                    {
                        PacketId = id
                        Properties = PropertySet.toAcknowledgement properties
                        Reasons = ReasonCodeList.Of codes
                    }
        }

    let private auth (fields: Fields) =
        result {
            let! code = required "rc" reason fields
            let! properties = properties Scope.Auth fields

            match PropertySet.toAuthentication properties with
            | ValueSome authentication ->
                return Packet.Auth(PropertySet.toAuth code authentication properties)
            | ValueNone ->
                return!
                    faultAt fields.At "the property AuthenticationMethod is missing" "AuthenticationMethod="
        }

    let private disconnect fields =
        outcome Scope.Disconnect PropertySet.toDisconnect fields
        |> Result.map Packet.Disconnect

    // Which fields a packet has, and how it is put together from them.
    let private shape (packetType: PacketType) =
        let scope = Spec.scopeOf packetType
        let acknowledgement make = struct ([ "id"; "rc"; "props" ], acknowledgement scope make)

        let subscriptionAcknowledgement make =
            struct ([ "id"; "props"; "codes" ], subscriptionAcknowledgement scope make)

        match packetType with
        | PacketType.Connect ->
            struct ([
                        "name"
                        "ver"
                        "clean"
                        "keepalive"
                        "props"
                        "clientid"
                        "will"
                        "username"
                        "password"
                    ],
                    connect)
        | PacketType.Connack -> struct ([ "sp"; "rc"; "props" ], connack)
        | PacketType.Publish ->
            struct ([ "dup"; "qos"; "retain"; "topic"; "id"; "props"; "payload" ], publish)
        | PacketType.Puback -> acknowledgement Packet.Puback
        | PacketType.Pubrec -> acknowledgement Packet.Pubrec
        | PacketType.Pubrel -> acknowledgement Packet.Pubrel
        | PacketType.Pubcomp -> acknowledgement Packet.Pubcomp
        | PacketType.Subscribe -> struct ([ "id"; "props"; "filters" ], subscribe)
        | PacketType.Suback -> subscriptionAcknowledgement Packet.Suback
        | PacketType.Unsubscribe -> struct ([ "id"; "props"; "filters" ], unsubscribe)
        | PacketType.Unsuback -> subscriptionAcknowledgement Packet.Unsuback
        | PacketType.Pingreq -> struct ([], (fun _ -> Ok Packet.Pingreq))
        | PacketType.Pingresp -> struct ([], (fun _ -> Ok Packet.Pingresp))
        | PacketType.Disconnect -> struct ([ "rc"; "props" ], disconnect)
        | _ -> struct ([ "rc"; "props" ], auth)

    let private packetRules = Spec.packets |> Array.filter (fun rule -> rule.FromClient || rule.FromServer)

    let packet (line: NotationLine) : Result<Packet, NotationFault> =
        match packetRules |> Array.tryFind (fun rule -> rule.Name = line.Type.Item) with
        | None ->
            faultAt
                line.Type
                "there is no packet of this type"
                (NotationSyntax.oneOf (packetRules |> Seq.map _.Name))
        | Some rule ->
            let struct (names, make) = shape rule.Type
            fieldsOf line.Type names line.Fields |> Result.bind make
