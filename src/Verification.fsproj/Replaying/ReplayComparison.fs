namespace Mqtt5.Verification

open Mqtt5

/// What a recorded or a live server did, where the other did something else.
[<RequireQualifiedAccess; NoComparison>]
type ReplaySight =
    /// It sent a packet.
    | Packet of Packet: Packet
    /// It ended the connection without DISCONNECT.
    | Closed
    /// It did nothing.
    | Nothing

/// Something that the live server did in another way than the recorded one.
[<NoComparison>]
type ReplayDifference =
    {
        /// The number of the connection.
        Connection: int
        /// What the recorded server did.
        Recorded: ReplaySight
        /// What the live server did.
        Live: ReplaySight
    }

/// Tells when two servers say the same. Left out is what differs from run to run: Packet Identifiers and DUP of messages,
/// Topic Aliases, what is left of the Message Expiry Interval, Reason Strings, Authentication Data, which Client Identifier
/// was assigned and which Response Information was given.
module internal ReplayComparison =

    let private masked (text: string) = ValueOption.map (fun (_: Utf8String) -> Utf8String.Of text)

    let private outcome isEmpty withoutText (given: Outcome<'Properties>) =
        match given.Properties with
        | ValueSome properties when not (isEmpty (withoutText properties)) ->
            Outcome.Full(given.Reason, withoutText properties)
        | _ -> Outcome.Code given.Reason

    let private acknowledgement (one: Acknowledgement) =
        let withoutText (properties: AcknowledgementProperties) = { properties with ReasonString = ValueNone }
        let isEmpty (properties: AcknowledgementProperties) = properties.UserProperties.Count = 0
        { one with Outcome = outcome isEmpty withoutText one.Outcome }

    let private listed (one: SubscriptionAcknowledgement) =
        { one with Properties = { one.Properties with ReasonString = ValueNone } }

    // An answer with all that may differ in one form.
    let private usual (packet: Packet) : Packet =
        match TraceRedaction.withoutSecrets packet with
        | Packet.Connack connack ->
            let properties = connack.Properties

            Packet.Connack
                { connack with
                    Properties =
                        { properties with
                            AssignedClientIdentifier = masked "assigned" properties.AssignedClientIdentifier
                            ResponseInformation = masked "given" properties.ResponseInformation
                            ReasonString = ValueNone
                        }
                }
        | Packet.Puback one -> Packet.Puback(acknowledgement one)
        | Packet.Pubrec one -> Packet.Pubrec(acknowledgement one)
        | Packet.Pubcomp one -> Packet.Pubcomp(acknowledgement one)
        | Packet.Suback one -> Packet.Suback(listed one)
        | Packet.Unsuback one -> Packet.Unsuback(listed one)
        | Packet.Auth one -> Packet.Auth { one with ReasonString = ValueNone }
        | Packet.Disconnect one ->
            let withoutText (properties: DisconnectProperties) = { properties with ReasonString = ValueNone }

            let isEmpty (properties: DisconnectProperties) =
                properties.UserProperties.Count = 0
                && properties.ServerReference.IsNone
                && properties.SessionExpiryInterval.IsNone

            Packet.Disconnect(outcome isEmpty withoutText one)
        | other -> other

    /// Whether two answers say the same.
    let isSame (recorded: Packet) (live: Packet) : bool =
        Notation.print (usual recorded) = Notation.print (usual live)

    /// What two messages share where they are the same. Their topics are named.
    let keyOf (publish: Publish) : string =
        let first = PacketId.Of 1us

        let delivery =
            match publish.Delivery with
            | Delivery.AtMostOnce -> Delivery.AtMostOnce
            | Delivery.AtLeastOnce _ -> Delivery.AtLeastOnce(first, false)
            | Delivery.ExactlyOnce _ -> Delivery.ExactlyOnce(first, false)

        Notation.print (
            Packet.Publish
                { publish with
                    Delivery = delivery
                    Properties = { publish.Properties with MessageExpiryInterval = ValueNone }
                }
        )

    /// The message with its Topic Name in the place of an alias, and the aliases after it.
    let named (publish: Publish) (aliases: InboundTopicAliases) : struct (Publish * InboundTopicAliases) =
        match aliases.Resolve publish.Topic with
        | Ok(struct (topic, aliases)) -> struct ({ publish with Topic = TopicReference.Name topic }, aliases)
        | Error _ -> struct (publish, aliases)

/// The messages that a recorded client got on a connection and that have not come again, and those that came besides.
[<NoComparison>]
type internal ReplayMessages =
    {
        Awaited: Map<string, Publish list>
        Surplus: Publish list
        Aliases: InboundTopicAliases
        Count: int
    }

module internal ReplayMessages =

    // How many messages that came besides are told of a connection.
    let private MostSurplus = 100

    /// None has come.
    let ofRecorded (recorded: Publish list) : ReplayMessages =
        let add (awaited: Map<string, Publish list>) publish =
            let key = ReplayComparison.keyOf publish

            match awaited.TryGetValue key with
            | true, others -> awaited.Add(key, publish :: others)
            | _ -> awaited.Add(key, [ publish ])

        {
            Awaited = List.fold add Map.empty recorded
            Surplus = []
            Aliases = InboundTopicAliases.Empty(ServerToClient, System.UInt16.MaxValue)
            Count = 0
        }

    /// One has come.
    let arrived (publish: Publish) (messages: ReplayMessages) : ReplayMessages =
        let struct (publish, aliases) = ReplayComparison.named publish messages.Aliases
        let key = ReplayComparison.keyOf publish
        let messages = { messages with Aliases = aliases; Count = messages.Count + 1 }

        match messages.Awaited.TryGetValue key with
        | true, [ _ ] -> { messages with Awaited = messages.Awaited.Remove key }
        | true, _ :: others -> { messages with Awaited = messages.Awaited.Add(key, others) }
        | _ when messages.Surplus.Length < MostSurplus ->
            { messages with Surplus = publish :: messages.Surplus }
        | _ -> messages

    /// What did not come, and what came besides, of a connection.
    let differences (number: int) (messages: ReplayMessages) : ReplayDifference list =
        let sight publish = ReplaySight.Packet(Packet.Publish publish)

        [
            for missing in messages.Awaited |> Map.toSeq |> Seq.collect snd do
                { Connection = number; Recorded = sight missing; Live = ReplaySight.Nothing }
            for surplus in List.rev messages.Surplus do
                { Connection = number; Recorded = ReplaySight.Nothing; Live = sight surplus }
        ]
