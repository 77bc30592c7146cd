namespace Mqtt5

// The value of a property, whichever record it stands in.
[<RequireQualifiedAccess; NoComparison>]
type internal PropertyValue =
    | Number of uint32
    | Text of Utf8String
    | Topic of TopicName
    | Binary of Bytes
    | Secret of Secret
    | UserProperties of UserProperties
    | SubscriptionIdentifiers of SubscriptionIdentifiers

type internal PropertySet = Map<PropertyId, PropertyValue>

// Properties by their identifiers: what printing and parsing share, so that each record is taken apart in one
// place and put together in one place. Their order on paper is that of Spec.propertiesOf.
[<RequireQualifiedAccess>]
module internal PropertySet =

    let private entry id make value =
        match value with
        | ValueSome value -> [ id, make value ]
        | ValueNone -> []

    let private number id (value: uint32 voption) = entry id PropertyValue.Number value

    let private seconds id (value: uint32<s> voption) =
        entry id (fun value -> PropertyValue.Number(uint32 value)) value

    let private short id (value: uint16 voption) =
        entry id (fun value -> PropertyValue.Number(uint32 value)) value

    let private switch id (value: bool voption) =
        entry id (fun value -> PropertyValue.Number(if value then 1u else 0u)) value

    let private text id value = entry id PropertyValue.Text value

    let private users (list: UserProperties) =
        if list.IsEmpty then
            []
        else
            [ PropertyId.UserProperty, PropertyValue.UserProperties list ]

    let private authentication (value: Authentication voption) =
        match value with
        | ValueNone -> []
        | ValueSome authentication ->
            (PropertyId.AuthenticationMethod, PropertyValue.Text authentication.Method)
            :: entry PropertyId.AuthenticationData PropertyValue.Secret authentication.Data

    let private set (entries: (PropertyId * PropertyValue) list list) : PropertySet =
        Map.ofList (List.concat entries)

    let ofConnect (properties: ConnectProperties) =
        set
            [
                seconds PropertyId.SessionExpiryInterval properties.SessionExpiryInterval
                short PropertyId.ReceiveMaximum properties.ReceiveMaximum
                number PropertyId.MaximumPacketSize properties.MaximumPacketSize
                short PropertyId.TopicAliasMaximum properties.TopicAliasMaximum
                switch PropertyId.RequestResponseInformation properties.RequestResponseInformation
                switch PropertyId.RequestProblemInformation properties.RequestProblemInformation
                users properties.UserProperties
                authentication properties.Authentication
            ]

    let ofWill (properties: WillProperties) =
        set
            [
                seconds PropertyId.WillDelayInterval properties.WillDelayInterval
                switch PropertyId.PayloadFormatIndicator properties.PayloadFormatIndicator
                seconds PropertyId.MessageExpiryInterval properties.MessageExpiryInterval
                text PropertyId.ContentType properties.ContentType
                entry PropertyId.ResponseTopic PropertyValue.Topic properties.ResponseTopic
                entry PropertyId.CorrelationData PropertyValue.Binary properties.CorrelationData
                users properties.UserProperties
            ]

    let ofConnack (properties: ConnackProperties) =
        set
            [
                seconds PropertyId.SessionExpiryInterval properties.SessionExpiryInterval
                short PropertyId.ReceiveMaximum properties.ReceiveMaximum
                entry
                    PropertyId.MaximumQoS
                    (fun qos -> PropertyValue.Number(uint32 (byte qos)))
                    properties.MaximumQoS
                switch PropertyId.RetainAvailable properties.RetainAvailable
                number PropertyId.MaximumPacketSize properties.MaximumPacketSize
                text PropertyId.AssignedClientIdentifier properties.AssignedClientIdentifier
                short PropertyId.TopicAliasMaximum properties.TopicAliasMaximum
                text PropertyId.ReasonString properties.ReasonString
                users properties.UserProperties
                switch PropertyId.WildcardSubscriptionAvailable properties.WildcardSubscriptionAvailable
                switch PropertyId.SubscriptionIdentifierAvailable properties.SubscriptionIdentifierAvailable
                switch PropertyId.SharedSubscriptionAvailable properties.SharedSubscriptionAvailable
                entry
                    PropertyId.ServerKeepAlive
                    (fun value -> PropertyValue.Number(uint32 value))
                    properties.ServerKeepAlive
                text PropertyId.ResponseInformation properties.ResponseInformation
                text PropertyId.ServerReference properties.ServerReference
                authentication properties.Authentication
            ]

    // The Topic Alias stands among the properties on the wire and on paper.
    let ofPublish (topic: TopicReference) (properties: PublishProperties) =
        let alias =
            match topic with
            | TopicReference.Name _ -> ValueNone
            | TopicReference.NameAndAlias(_, alias)
            | TopicReference.Alias alias -> ValueSome alias.Value

        set
            [
                switch PropertyId.PayloadFormatIndicator properties.PayloadFormatIndicator
                seconds PropertyId.MessageExpiryInterval properties.MessageExpiryInterval
                short PropertyId.TopicAlias alias
                entry PropertyId.ResponseTopic PropertyValue.Topic properties.ResponseTopic
                entry PropertyId.CorrelationData PropertyValue.Binary properties.CorrelationData
                users properties.UserProperties
                if not properties.SubscriptionIdentifiers.IsEmpty then
                    [
                        PropertyId.SubscriptionIdentifier,
                        PropertyValue.SubscriptionIdentifiers properties.SubscriptionIdentifiers
                    ]
                text PropertyId.ContentType properties.ContentType
            ]

    let ofAcknowledgement (properties: AcknowledgementProperties) =
        set [ text PropertyId.ReasonString properties.ReasonString; users properties.UserProperties ]

    let ofSubscribe (properties: SubscribeProperties) =
        set
            [
                number PropertyId.SubscriptionIdentifier properties.SubscriptionIdentifier
                users properties.UserProperties
            ]

    let ofUnsubscribe (properties: UserProperties) = set [ users properties ]

    let ofDisconnect (properties: DisconnectProperties) =
        set
            [
                seconds PropertyId.SessionExpiryInterval properties.SessionExpiryInterval
                text PropertyId.ReasonString properties.ReasonString
                users properties.UserProperties
                text PropertyId.ServerReference properties.ServerReference
            ]

    let ofAuth (auth: Auth) =
        set
            [
                authentication (ValueSome auth.Authentication)
                text PropertyId.ReasonString auth.ReasonString
                users auth.UserProperties
            ]

    // A value of another shape than its field has would contradict Spec; no text can bring that about.
    let private find id (choose: PropertyValue -> 'T voption) (set: PropertySet) =
        match Map.tryFind id set with
        | None -> ValueNone
        | Some value ->
            match choose value with
            | ValueSome value -> ValueSome value
            | ValueNone -> invalidOp $"the shape of {id} is not the one of its field"

    let private numberOf convert id set =
        find
            id
            (function
            | PropertyValue.Number value -> ValueSome(convert value)
            | _ -> ValueNone)
            set

    let private uint32Of = numberOf id
    let private uint16Of = numberOf uint16
    let private secondsOf = numberOf LanguagePrimitives.UInt32WithMeasure<s>

    let private shortSecondsOf =
        numberOf (fun value -> LanguagePrimitives.UInt16WithMeasure<s>(uint16 value))

    let private switchOf = numberOf (fun value -> value <> 0u)

    let private qosOf = numberOf (fun value -> LanguagePrimitives.EnumOfValue<byte, QoS>(byte value))

    let private textOf id set =
        find
            id
            (function
            | PropertyValue.Text value -> ValueSome value
            | _ -> ValueNone)
            set

    let private topicOf id set =
        find
            id
            (function
            | PropertyValue.Topic value -> ValueSome value
            | _ -> ValueNone)
            set

    let private binaryOf id set =
        find
            id
            (function
            | PropertyValue.Binary value -> ValueSome value
            | _ -> ValueNone)
            set

    let private usersOf set =
        match Map.tryFind PropertyId.UserProperty set with
        | Some(PropertyValue.UserProperties list) -> list
        | _ -> UserProperties.Empty

    let toAuthentication set : Authentication voption =
        match textOf PropertyId.AuthenticationMethod set with
        | ValueNone -> ValueNone
        | ValueSome method ->
            ValueSome
                {
                    Method = method
                    Data =
                        find
                            PropertyId.AuthenticationData
                            (function
                            | PropertyValue.Secret value -> ValueSome value
                            | _ -> ValueNone)
                            set
                }

    let toAlias set = numberOf (fun value -> TopicAlias.Of(uint16 value)) PropertyId.TopicAlias set

    let toConnect set : ConnectProperties =
        {
            SessionExpiryInterval = secondsOf PropertyId.SessionExpiryInterval set
            ReceiveMaximum = uint16Of PropertyId.ReceiveMaximum set
            MaximumPacketSize = uint32Of PropertyId.MaximumPacketSize set
            TopicAliasMaximum = uint16Of PropertyId.TopicAliasMaximum set
            RequestResponseInformation = switchOf PropertyId.RequestResponseInformation set
            RequestProblemInformation = switchOf PropertyId.RequestProblemInformation set
            UserProperties = usersOf set
            Authentication = toAuthentication set
        }

    let toWill set : WillProperties =
        {
            WillDelayInterval = secondsOf PropertyId.WillDelayInterval set
            PayloadFormatIndicator = switchOf PropertyId.PayloadFormatIndicator set
            MessageExpiryInterval = secondsOf PropertyId.MessageExpiryInterval set
            ContentType = textOf PropertyId.ContentType set
            ResponseTopic = topicOf PropertyId.ResponseTopic set
            CorrelationData = binaryOf PropertyId.CorrelationData set
            UserProperties = usersOf set
        }

    let toConnack set : ConnackProperties =
        {
            SessionExpiryInterval = secondsOf PropertyId.SessionExpiryInterval set
            ReceiveMaximum = uint16Of PropertyId.ReceiveMaximum set
            MaximumQoS = qosOf PropertyId.MaximumQoS set
            RetainAvailable = switchOf PropertyId.RetainAvailable set
            MaximumPacketSize = uint32Of PropertyId.MaximumPacketSize set
            AssignedClientIdentifier = textOf PropertyId.AssignedClientIdentifier set
            TopicAliasMaximum = uint16Of PropertyId.TopicAliasMaximum set
            ReasonString = textOf PropertyId.ReasonString set
            UserProperties = usersOf set
            WildcardSubscriptionAvailable = switchOf PropertyId.WildcardSubscriptionAvailable set
            SubscriptionIdentifierAvailable = switchOf PropertyId.SubscriptionIdentifierAvailable set
            SharedSubscriptionAvailable = switchOf PropertyId.SharedSubscriptionAvailable set
            ServerKeepAlive = shortSecondsOf PropertyId.ServerKeepAlive set
            ResponseInformation = textOf PropertyId.ResponseInformation set
            ServerReference = textOf PropertyId.ServerReference set
            Authentication = toAuthentication set
        }

    let toPublish set : PublishProperties =
        {
            PayloadFormatIndicator = switchOf PropertyId.PayloadFormatIndicator set
            MessageExpiryInterval = secondsOf PropertyId.MessageExpiryInterval set
            ResponseTopic = topicOf PropertyId.ResponseTopic set
            CorrelationData = binaryOf PropertyId.CorrelationData set
            UserProperties = usersOf set
            SubscriptionIdentifiers =
                match Map.tryFind PropertyId.SubscriptionIdentifier set with
                | Some(PropertyValue.SubscriptionIdentifiers list) -> list
                | _ -> SubscriptionIdentifiers.Empty
            ContentType = textOf PropertyId.ContentType set
        }

    let toAcknowledgement set : AcknowledgementProperties =
        { ReasonString = textOf PropertyId.ReasonString set; UserProperties = usersOf set }

    let toSubscribe set : SubscribeProperties =
        {
            SubscriptionIdentifier = uint32Of PropertyId.SubscriptionIdentifier set
            UserProperties = usersOf set
        }

    let toUnsubscribe set : UserProperties = usersOf set

    let toDisconnect set : DisconnectProperties =
        {
            SessionExpiryInterval = secondsOf PropertyId.SessionExpiryInterval set
            ReasonString = textOf PropertyId.ReasonString set
            UserProperties = usersOf set
            ServerReference = textOf PropertyId.ServerReference set
        }

    let toAuth reason authentication set : Auth =
        {
            Reason = reason
            Authentication = authentication
            ReasonString = textOf PropertyId.ReasonString set
            UserProperties = usersOf set
        }
