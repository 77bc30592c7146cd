namespace Mqtt5.Verification

open Mqtt5

/// A packet of a client, and what was known on its connection before.
[<NoComparison>]
type ClientPacket =
    {
        /// The packet.
        Packet: Packet
        /// The number of the connection, from 1.
        Connection: int
        /// The CONNECT of the connection, which may be the packet itself.
        Connect: Connect voption
        /// What the server announced when it accepted the connection.
        Limits: ConnackProperties voption
        /// Whether the server said that a session goes on.
        IsResumed: bool
        /// The Packet Identifiers of the messages that the client sent so far, on all connections.
        Published: Set<uint16>
    }

/// A rule that holds for packets of a client in every scenario.
[<NoComparison; NoEquality>]
type ClientRule =
    {
        /// The statements.
        Clauses: string list
        /// What holds, as a sentence.
        Title: string
        /// Why the rule does not apply where no packet showed that it is kept.
        Missing: string
        /// Whether the rule is about this packet.
        IsAbout: ClientPacket -> bool
    }

/// The rules that all packets of a client are held to, whatever a scenario is about. <c>ProtocolMonitor</c> and the grammar
/// find what breaks them; here stands which packets they are about.
[<RequireQualifiedAccess>]
module ClientRules =

    let private rule (clauses: string) title missing isAbout =
        {
            Clauses = clauses.Split ' ' |> Array.map (fun id -> "MQTT-" + id) |> List.ofArray
            Title = title
            Missing = missing
            IsAbout = isAbout
        }

    let private connect (test: Connect -> bool) (one: ClientPacket) =
        match one.Packet with
        | Packet.Connect connect -> test connect
        | _ -> false

    let private publish (test: Publish -> bool) (one: ClientPacket) =
        match one.Packet with
        | Packet.Publish publish -> test publish
        | _ -> false

    let private ofType (packet: PacketType) (one: ClientPacket) = one.Packet.Type = packet

    let private isSizeLimited (one: ClientPacket) =
        match one.Limits with
        | ValueSome limits -> limits.MaximumPacketSize.IsSome
        | ValueNone -> false

    let private limited packet one = ofType packet one && isSizeLimited one

    let private aliasMaximum (one: ClientPacket) =
        match one.Limits with
        | ValueSome limits -> limits.TopicAliasMaximum |> ValueOption.defaultValue 0us
        | ValueNone -> 0us

    let private isNew qos (publish: Publish) = publish.Delivery.QoS = qos && not publish.Delivery.IsDup

    let private hasAlias (publish: Publish) = not publish.Topic.IsName

    let private takesIdentifier (one: ClientPacket) =
        match one.Packet with
        | Packet.Subscribe _
        | Packet.Unsubscribe _ -> true
        | Packet.Publish publish -> publish.Delivery.PacketId.IsSome
        | _ -> false

    let private acknowledges (one: ClientPacket) =
        match one.Packet with
        | Packet.Puback _
        | Packet.Pubrec _
        | Packet.Pubrel _
        | Packet.Pubcomp _ -> true
        | _ -> false

    let private isShared (one: ClientPacket) =
        match one.Packet with
        | Packet.Subscribe subscribe -> subscribe.Subscriptions |> Seq.exists _.Filter.IsShared
        | _ -> false

    let private authenticates (one: ClientPacket) =
        match one.Connect with
        | ValueSome connect -> connect.Properties.Authentication.IsSome
        | ValueNone -> false

    let private isReauthentication (one: ClientPacket) =
        match one.Packet with
        | Packet.Auth auth -> auth.Reason = ReasonCode.ReAuthenticate
        | _ -> false

    let private texts packet section =
        rule
            $"{section}-2 {section}-3"
            $"{packet} omits what would make it larger than the Maximum Packet Size of the server"
            $"the program sent no {packet} where the server has a Maximum Packet Size"

    /// All rules in the order of the standard.
    let all: ClientRule list =
        [
            rule
                "2.2.1-2 4.3.1-1"
                "A PUBLISH of QoS 0 has no Packet Identifier and DUP 0"
                "the program sent no PUBLISH of QoS 0"
                (publish (fun one -> one.Delivery.QoS = QoS.AtMostOnce))
            rule
                "2.2.1-3"
                "A new SUBSCRIBE, UNSUBSCRIBE or PUBLISH has a Packet Identifier that is not in use"
                "the program sent nothing with a Packet Identifier of its own"
                takesIdentifier
            rule
                "2.2.1-5"
                "An acknowledgement has the Packet Identifier of its PUBLISH"
                "the program sent no acknowledgement"
                acknowledges
            rule
                "3.1.0-1 3.1.2-1 3.1.3-3 3.1.3-4"
                "CONNECT comes first, with the Protocol Name and a Client Identifier of UTF-8"
                "the program did not connect"
                (connect (fun _ -> true))
            rule
                "3.1.2-9 3.1.2-12 3.1.3-11"
                "A Will Message has all of its fields, and a QoS of 0 to 2"
                "the program had no Will Message"
                (connect _.Will.IsSome)
            rule
                "3.1.2-11 3.1.2-13"
                "Without a Will Message, Will QoS and Will Retain are 0"
                "the program always had a Will Message"
                (connect _.Will.IsNone)
            rule
                "3.1.2-16"
                "Without its flag there is no User Name"
                "the program always had a User Name"
                (connect _.UserName.IsNone)
            rule
                "3.1.2-17 3.1.3-12"
                "With its flag there is a User Name of UTF-8"
                "the program had no User Name"
                (connect _.UserName.IsSome)
            rule
                "3.1.2-18"
                "Without its flag there is no password"
                "the program always had a password"
                (connect _.Password.IsNone)
            rule
                "3.1.2-19"
                "With its flag there is a password"
                "the program had no password"
                (connect _.Password.IsSome)
            rule
                "3.1.2-30"
                "After a CONNECT with an Authentication Method only AUTH or DISCONNECT come until CONNACK"
                "the program had no Authentication Method"
                (fun one -> authenticates one && (one.Limits.IsSome || ofType PacketType.Auth one))
            rule
                "3.1.3-1"
                "Will, User Name and password come in this order"
                "the program had neither Will nor User Name nor password"
                (connect (fun one -> one.Will.IsSome || one.UserName.IsSome || one.Password.IsSome))
            rule
                "3.2.2-17 3.3.2-9"
                "A Topic Alias is within the Topic Alias Maximum of the server"
                "the program set no Topic Alias where the server takes some"
                (fun one -> publish hasAlias one && aliasMaximum one > 0us)
            rule
                "3.2.2-18"
                "There is no Topic Alias where the server takes none"
                "the program sent no PUBLISH to a server that takes no Topic Alias"
                (fun one -> publish (fun _ -> true) one && aliasMaximum one = 0us)
            rule
                "3.3.1-1"
                "A PUBLISH that is sent again has DUP 1"
                "the program sent no PUBLISH again"
                (publish _.Delivery.IsDup)
            rule
                "3.3.2-2 3.3.4-6"
                "A PUBLISH has no wildcard in its Topic Name and no Subscription Identifier"
                "the program sent no PUBLISH"
                (publish (fun _ -> true))
            rule
                "3.3.2-14"
                "A Response Topic has no wildcard"
                "the program sent no Response Topic"
                (publish _.Properties.ResponseTopic.IsSome)
            rule
                "3.4.2-1"
                "PUBACK has a reason code of its table"
                "the program sent no PUBACK"
                (ofType PacketType.Puback)
            texts "PUBACK" "3.4.2" (limited PacketType.Puback)
            rule
                "3.5.2-1"
                "PUBREC has a reason code of its table"
                "the program sent no PUBREC"
                (ofType PacketType.Pubrec)
            texts "PUBREC" "3.5.2" (limited PacketType.Pubrec)
            rule
                "3.6.1-1 3.6.2-1"
                "PUBREL has the flags 0010 and a reason code of its table"
                "the program sent no PUBREL"
                (ofType PacketType.Pubrel)
            texts "PUBREL" "3.6.2" (limited PacketType.Pubrel)
            rule
                "3.7.2-1"
                "PUBCOMP has a reason code of its table"
                "the program sent no PUBCOMP"
                (ofType PacketType.Pubcomp)
            texts "PUBCOMP" "3.7.2" (limited PacketType.Pubcomp)
            rule
                "3.8.1-1 3.8.3-1 3.8.3-2"
                "SUBSCRIBE has the flags 0010 and Topic Filters of UTF-8, at least one"
                "the program did not subscribe"
                (ofType PacketType.Subscribe)
            rule
                "3.8.3-4"
                "No Local is 0 in a Shared Subscription"
                "the program made no Shared Subscription"
                isShared
            rule
                "3.10.1-1 3.10.3-1 3.10.3-2"
                "UNSUBSCRIBE has the flags 0010 and Topic Filters of UTF-8, at least one"
                "the program did not unsubscribe"
                (ofType PacketType.Unsubscribe)
            rule
                "3.14.2-1"
                "DISCONNECT has a reason code of its table"
                "the program sent no DISCONNECT"
                (ofType PacketType.Disconnect)
            rule
                "3.14.2-3 3.14.2-4"
                "DISCONNECT omits what would make it larger than the Maximum Packet Size of the server"
                "the program sent no DISCONNECT where the server has a Maximum Packet Size"
                (limited PacketType.Disconnect)
            rule
                "3.14.4-1 3.14.4-2"
                "After DISCONNECT nothing is sent and the connection is closed"
                "the program sent no DISCONNECT"
                (ofType PacketType.Disconnect)
            rule
                "3.15.1-1 3.15.2-1 4.12.0-5"
                "AUTH has the flags 0000, a reason code of its table and the method of CONNECT"
                "the program sent no AUTH"
                (ofType PacketType.Auth)
            texts "AUTH" "3.15.2" (limited PacketType.Auth)
            rule
                "4.3.2-1 4.3.2-2"
                "A new message of QoS 1 has a Packet Identifier that is not in use, and DUP 0"
                "the program sent no new message of QoS 1"
                (publish (isNew QoS.AtLeastOnce))
            rule
                "4.3.3-1 4.3.3-2"
                "A new message of QoS 2 has a Packet Identifier that is not in use, and DUP 0"
                "the program sent no new message of QoS 2"
                (publish (isNew QoS.ExactlyOnce))
            rule
                "4.12.1-1"
                "A re-authentication has the method of CONNECT"
                "the program did not authenticate again"
                isReauthentication
        ]

    let private isLowerable (one: ClientRule) =
        one.Clauses
        |> List.exists (fun id -> not (Statements.clientCounterpartsIn ProtocolVersion.V311 id).IsEmpty)

    // What MQTT 5 has no rule like.
    let private ownOf311: ClientRule list =
        let own clause title missing isAbout =
            { Clauses = [ clause ]; Title = title; Missing = missing; IsAbout = isAbout }

        [
            own
                "MQTT3-2.3.1-1"
                "A SUBSCRIBE, an UNSUBSCRIBE and a PUBLISH above QoS 0 have a Packet Identifier other than 0"
                "the program sent nothing with a Packet Identifier of its own"
                takesIdentifier
            own
                "MQTT3-2.2.2-1"
                "Flags that are reserved have the value of the standard"
                "the program did not connect"
                (fun _ -> true)
            own
                "MQTT3-3.3.2-1"
                "A PUBLISH begins with a Topic Name of UTF-8"
                "the program sent no PUBLISH"
                (publish (fun _ -> true))
            own
                "MQTT3-4.7.1-2"
                "In a Topic Filter # stands alone or behind /, and last"
                "the program did not subscribe"
                (ofType PacketType.Subscribe)
            own
                "MQTT3-4.7.1-3"
                "In a Topic Filter + fills a level"
                "the program did not subscribe"
                (ofType PacketType.Subscribe)
            own
                "MQTT3-3.1.2-22"
                "A password comes with a User Name"
                "the program had no password"
                (connect _.Password.IsSome)
            own
                "MQTT3-3.1.3-7"
                "A Client Identifier of no bytes comes with CleanSession 1"
                "the program always had a Client Identifier"
                (connect _.ClientId.IsNone)
            own
                "MQTT3-4.7.3-3"
                "A topic has at most 65,535 bytes"
                "the length of a text has two bytes, so nothing longer can be sent"
                (fun _ -> false)
            own
                "MQTT3-4.8.0-2"
                "A transient error closes the connection"
                "no server can make a client fail while it processes a packet"
                (fun _ -> false)
        ]

    let private allOf311 =
        lazy
            ((all
              |> List.filter isLowerable
              |> List.map (fun one ->
                  { one with
                      Clauses =
                          one.Clauses
                          |> List.collect (Statements.clientCounterpartsIn ProtocolVersion.V311)
                          |> List.distinct
                      Title = one.Title.Replace(" and a reason code of its table", "")
                  }))
             @ ownOf311)

    /// The rules of a version.
    [<CompiledName("AllIn")>]
    let allIn (version: ProtocolVersion) : ClientRule list = if version.IsV5 then all else allOf311.Value

    /// All statements that a violation is about: the one that the monitor names, and those that say the same of a packet
    /// like this. Empty where the monitor warns of what no statement forbids.
    [<CompiledName("Related")>]
    let related (clause: string) (one: ClientPacket) : string list =
        let qos =
            match one.Packet with
            | Packet.Publish publish -> publish.Delivery.QoS
            | _ -> QoS.AtMostOnce

        let hasServerKeepAlive =
            match one.Limits with
            | ValueSome limits -> limits.ServerKeepAlive.IsSome
            | ValueNone -> false

        let isFreshAgain = one.Connection > 1 && one.Limits.IsSome && not one.IsResumed

        let discarded =
            match one.Connect with
            | ValueSome connect when isFreshAgain && connect.CleanStart -> [ "MQTT-3.1.2-4" ]
            | _ when isFreshAgain -> [ "MQTT-3.2.2-5" ]
            | _ -> []

        let isOfMessage =
            match one.Packet with
            | Packet.Pubrel pubrel -> one.Published.Contains pubrel.PacketId.Value
            | _ -> false

        let also more = clause :: List.filter (fun other -> other <> clause) more

        match clause, qos with
        | "MQTT-2.2.1-3", QoS.AtLeastOnce -> also [ "MQTT-4.3.2-1" ]
        | "MQTT-2.2.1-3", QoS.ExactlyOnce -> also [ "MQTT-4.3.3-1" ]
        | "MQTT-3.3.1-2", _ -> also [ "MQTT-4.3.1-1" ]
        // Where a server takes none, its maximum is 0, and each is beyond it.
        | "MQTT-3.3.2-9", _ when aliasMaximum one = 0us -> also [ "MQTT-3.2.2-18" ]
        | "MQTT-3.3.2-9", _ -> also [ "MQTT-3.2.2-17" ]
        | "3.3.2.3.4", _ when one.Connection > 1 -> also [ "MQTT-3.3.2-7" ]
        | "MQTT-3.3.4-7", _ -> also [ "MQTT-4.9.0-2" ]
        // Its own Keep Alive a client may have kept.
        | "MQTT-3.1.2-20", _ when hasServerKeepAlive -> [ "MQTT-3.1.2-21"; "MQTT-3.2.2-21" ]
        | "MQTT-3.2.2-15", _ -> also (PacketWatch.sizeClauses one.Packet)
        | ("MQTT-4.3.2-2" | "MQTT-4.3.3-2"), _ -> also discarded
        // The identifier is that of a message. No statement forbids a PUBREL after a PUBREC of failure; after the loss of
        // the session the loss is what was not noticed.
        | "MQTT-2.2.1-5", _ when isOfMessage -> discarded
        | _ -> [ clause ]

    /// As <c>related</c>, for a packet of a client of a version.
    [<CompiledName("RelatedIn")>]
    let relatedIn (version: ProtocolVersion) (clause: string) (one: ClientPacket) : string list =
        match version with
        | ProtocolVersion.V5 -> related clause one
        // A packet may be sent again on a connection that stays.
        | _ when clause = "MQTT-4.4.0-1" -> []
        | _ ->
            related clause one
            |> List.collect (Statements.clientCounterpartsIn version)
            |> List.distinct
