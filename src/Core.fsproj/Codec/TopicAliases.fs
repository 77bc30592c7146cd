namespace Mqtt5

/// The Topic Aliases that the peer has set on one connection: which Topic Name each stands for. Immutable; a
/// new connection starts with none [MQTT-3.3.2-7].
[<Sealed; AllowNullLiteral(false)>]
type InboundTopicAliases private (direction: Direction, maximum: uint16, names: Map<uint16, TopicName>) =

    let aboveMaximum () =
        let clause =
            match direction with
            | ClientToServer -> "MQTT-3.3.2-9"
            | ServerToClient -> "MQTT-3.3.2-11"

        Fault.peer
            ReasonCode.TopicAliasInvalid
            PacketType.Publish
            -1L
            "Topic Alias"
            clause
            $"the Topic Alias is above the Topic Alias Maximum, which is {maximum}"
        |> Fault.exceeding LimitName.TopicAliasMaximum

    let unknown () =
        Fault.protocolError
            PacketType.Publish
            -1L
            "Topic Alias"
            "3.3.2.3.4"
            "the Topic Alias has not been set on this connection"

    /// No alias, for a new connection.
    /// <param name="direction">The way that the PUBLISH packets travel.</param>
    /// <param name="maximum">The Topic Alias Maximum that this end announced; 0: it takes no alias.</param>
    static member Empty(direction: Direction, maximum: uint16) =
        InboundTopicAliases(direction, maximum, Map.empty)

    /// The greatest alias that is taken; all from 1 up to it are [MQTT-3.3.2-10] [MQTT-3.3.2-12].
    member _.Maximum = maximum

    /// The Topic Name of a PUBLISH, and the aliases after it: a name with an alias sets or replaces what the
    /// alias stands for. The fault blames the peer: 0x94 for an alias above the maximum [MQTT-3.3.2-9]
    /// [MQTT-3.3.2-11], 0x82 for one that was not set. Its offset is -1: the caller knows where the packet was.
    member this.Resolve(topic: TopicReference) : Result<struct (TopicName * InboundTopicAliases), Fault> =
        match topic with
        | TopicReference.Name name -> Ok(struct (name, this))
        | TopicReference.NameAndAlias(_, alias)
        | TopicReference.Alias alias when alias.Value > maximum -> Error(aboveMaximum ())
        | TopicReference.NameAndAlias(name, alias) ->
            match names.TryGetValue alias.Value with
            | true, known when known.Equals name -> Ok(struct (known, this))
            | _ -> Ok(struct (name, InboundTopicAliases(direction, maximum, names.Add(alias.Value, name))))
        | TopicReference.Alias alias ->
            match names.TryGetValue alias.Value with
            | true, name -> Ok(struct (name, this))
            | _ -> Error(unknown ())

// An alias that is in use, and when it was last used, counted in assignments.
[<Struct; NoComparison>]
type internal AssignedAlias = { Alias: TopicAlias; LastUse: int64 }

/// The Topic Aliases that this end has set on one connection, and which topic to give up for another: the one
/// that was not used for longest. Immutable; a new connection starts with none [MQTT-3.3.2-7].
[<Sealed; AllowNullLiteral(false)>]
type OutboundTopicAliases
    private (maximum: uint16, uses: int64, byTopic: Map<string, AssignedAlias>, byUse: Map<int64, string>) =

    let used (topic: TopicName) alias (byTopic: Map<string, AssignedAlias>) (byUse: Map<int64, string>) =
        OutboundTopicAliases(
            maximum,
            uses + 1L,
            byTopic.Add(topic.Text, { Alias = alias; LastUse = uses }),
            byUse.Add(uses, topic.Text)
        )

    static member internal New(maximum: uint16) = OutboundTopicAliases(maximum, 0L, Map.empty, Map.empty)

    /// The greatest alias that the peer takes [MQTT-3.3.2-9] [MQTT-3.3.2-11].
    member _.Maximum = maximum

    /// How to name the topic of the next PUBLISH, and the aliases after it: by its alias alone if it has one;
    /// else in full, with an alias from 1 up to the maximum, which is taken from the topic that was not used
    /// for longest when all are in use. The PUBLISH has to be sent, and in the order of the assignments. One
    /// that may be sent again on another connection is kept with its Topic Name.
    member this.Assign(topic: TopicName) : struct (TopicReference * OutboundTopicAliases) =
        match byTopic.TryGetValue topic.Text with
        | true, assigned when assigned.LastUse = uses - 1L ->
            struct (TopicReference.Alias assigned.Alias, this)
        | true, assigned ->
            struct (TopicReference.Alias assigned.Alias,
                    used topic assigned.Alias byTopic (byUse.Remove assigned.LastUse))
        | false, _ when maximum = 0us -> struct (TopicReference.Name topic, this)
        | false, _ when byTopic.Count < int maximum ->
            let alias = TopicAlias.Of(uint16 (byTopic.Count + 1))
            struct (TopicReference.NameAndAlias(topic, alias), used topic alias byTopic byUse)
        | false, _ ->
            let lastUse, oldest = Map.minKeyValue byUse
            let alias = byTopic[oldest].Alias

            struct (TopicReference.NameAndAlias(topic, alias),
                    used topic alias (byTopic.Remove oldest) (byUse.Remove lastUse))

// One for all the connections that take no alias, which most do. A value of a module, and not of the type: see
// EmptyProperties.
module internal NoTopicAliases =
    let value = OutboundTopicAliases.New 0us

type OutboundTopicAliases with

    /// No alias, for a new connection to a peer that announced this Topic Alias Maximum; 0: it takes none.
    static member Empty(maximum: uint16) =
        if maximum = 0us then
            NoTopicAliases.value
        else
            OutboundTopicAliases.New maximum
