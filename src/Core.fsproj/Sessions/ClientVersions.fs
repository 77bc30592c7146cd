namespace Mqtt5

/// What a client does differently in MQTT 3.1.1 and 3.1. All functions are pure.
[<RequireQualifiedAccess>]
module ClientVersions =

    // The fault of a request that the version cannot express. Its reason code tells it from other faults of the caller.
    let private notSupported (fault: Fault) = { fault with Reason = ReasonCode.UnsupportedProtocolVersion }

    /// Why a packet of a client, valid in MQTT 5, cannot be expressed in a version: names the first field that the version
    /// does not have. The reason is always Unsupported Protocol Version, and the caller is to blame.
    [<CompiledName("Check")>]
    let check (version: ProtocolVersion) (packet: Packet) : Fault voption =
        match version with
        | ProtocolVersion.V5 -> ValueNone
        | _ ->
            match Encode.checkIn version ClientToServer packet with
            | ValueSome fault -> ValueSome(notSupported fault)
            | ValueNone -> ValueNone

    let private field (version: ProtocolVersion) packet name =
        ValueSome(
            Fault.caller
                ReasonCode.UnsupportedProtocolVersion
                packet
                name
                $"3.{int packet}"
                $"{(Spec.version version).Name} has no properties"
        )

    let private title id = (Spec.property id).Title

    // A message without the properties that may be left out: a Message Expiry Interval is applied while the message waits,
    // and the Payload Format Indicator only describes the payload.
    let private essential (properties: PublishProperties) =
        { properties with MessageExpiryInterval = ValueNone; PayloadFormatIndicator = ValueNone }

    /// Why a PUBLISH of the application cannot be sent in a version. Its Message Expiry Interval still applies while it waits.
    /// Its Payload Format Indicator is left out, unless it was asked for.
    [<CompiledName("CheckPublish")>]
    let checkPublish (version: ProtocolVersion) (asksForFormat: bool) (publish: Publish) : Fault voption =
        if version.IsV5 || obj.ReferenceEquals(publish.Properties, PublishProperties.Empty) then
            ValueNone
        else
            let properties = essential publish.Properties

            check
                version
                (Packet.Publish
                    { publish with
                        Properties =
                            if asksForFormat then
                                { properties with
                                    PayloadFormatIndicator = publish.Properties.PayloadFormatIndicator
                                }
                            else
                                properties
                    })

    /// Why nothing can be added to messages as User Properties in a version.
    [<CompiledName("CheckUserProperties")>]
    let checkUserProperties (version: ProtocolVersion) : Fault voption =
        if version.IsV5 then
            ValueNone
        else
            field version PacketType.Publish (title PropertyId.UserProperty)

    /// Why requests cannot be made or answered in a version (section 4.10 of MQTT 5).
    [<CompiledName("CheckRequest")>]
    let checkRequest (version: ProtocolVersion) : Fault voption =
        if version.IsV5 then
            ValueNone
        else
            field version PacketType.Publish (title PropertyId.ResponseTopic)

    /// Why a message cannot be sent in a version. Its Message Expiry Interval still applies while it waits, and its Payload
    /// Format Indicator is left out.
    let internal checkMessage (version: ProtocolVersion) (message: Outgoing) : Fault voption =
        if version.IsV5 || obj.ReferenceEquals(message.Properties, PublishProperties.Empty) then
            ValueNone
        else
            checkPublish
                version
                false
                {
                    Delivery = Delivery.AtMostOnce
                    Retain = message.Retain
                    Topic = TopicReference.Name message.Topic
                    Properties = message.Properties
                    Payload = Bytes.Empty
                }

    /// Why a subscription cannot be made in a version: its options beside the QoS [MQTT3-3.8.3-4].
    let internal checkSubscription (version: ProtocolVersion) (one: Subscription) : Fault voption =
        if version.IsV5 || one.Options.Byte = byte one.Options.MaximumQoS then
            ValueNone
        else
            check
                version
                (Packet.Subscribe
                    {
                        PacketId = PacketId.OfValid 1us
                        Properties = SubscribeProperties.Empty
                        Subscriptions = SubscriptionList.Of [| one |]
                    })

    /// Why a DISCONNECT cannot be sent in a version. One with a reason code other than 0x00 can: the connection is closed in
    /// its place, after which the server publishes the Will Message.
    let internal checkDisconnect (version: ProtocolVersion) (outcome: Outcome<DisconnectProperties>) =
        match version, outcome.Properties with
        | ProtocolVersion.V5, _
        | _, ValueNone -> ValueNone
        | _, ValueSome properties ->
            let missing id = field version PacketType.Disconnect (title id)

            if properties.SessionExpiryInterval.IsSome then
                missing PropertyId.SessionExpiryInterval
            elif properties.ReasonString.IsSome then
                missing PropertyId.ReasonString
            elif not properties.UserProperties.IsEmpty then
                missing PropertyId.UserProperty
            else
                ValueNone

    /// Why a DISCONNECT may not be sent: a Session Expiry Interval, for one, may not come with it if CONNECT had none
    /// (section 3.14.2.2.2).
    let internal disconnectFault (outcome: Outcome<DisconnectProperties>) (state: ClientState) =
        let had =
            state.Settings.Properties.SessionExpiryInterval
            |> ValueOption.defaultValue 0u<s>

        match outcome.Properties with
        | _ when (checkDisconnect state.Version outcome).IsSome -> checkDisconnect state.Version outcome
        | _ when (Encode.check ClientToServer (Packet.Disconnect outcome)).IsSome ->
            Encode.check ClientToServer (Packet.Disconnect outcome)
        | ValueSome { SessionExpiryInterval = ValueSome interval } when interval > 0u<s> && had = 0u<s> ->
            ValueSome(
                Fault.caller
                    ReasonCode.ProtocolError
                    PacketType.Disconnect
                    "Session Expiry Interval"
                    "3.14.2.2.2"
                    "it cannot be set when CONNECT had none or 0"
            )
        | _ -> ValueNone

    /// True when User Properties of a message reach the server: false before a version that has them is known to be taken.
    [<CompiledName("HasUserProperties")>]
    let hasUserProperties (state: ClientState) : bool =
        state.Version.IsV5
        && (state.Settings.Version.IsOnly || state.Progress.IsVersionKnown)

    let private expiry (settings: ClientSettings) =
        settings.Properties.SessionExpiryInterval |> ValueOption.defaultValue 0u<s>

    /// Whether the session outlives a connection before MQTT 5: it is to be kept for a while, and the application names the
    /// client. The server does not tell the identifier that it assigns to a client without one [MQTT3-3.1.3-7].
    let internal keepsSession (settings: ClientSettings) = settings.ClientId.IsSome && expiry settings > 0u<s>

    // MQTT 3.1 demands a Client Identifier of 1 to 23 characters.
    let private generatedClientId (seed: uint64) = ClientId.Of $"mqtt5-%016x{seed}"

    /// The Client Identifier to connect with: where MQTT 3.1 demands one, a generated one.
    let internal clientId version (progress: ClientProgress) : ClientId voption =
        match version, progress.ClientId with
        | ProtocolVersion.V31, ValueNone -> ValueSome(generatedClientId progress.Seed)
        | _, id -> id

    /// CONNECT in a version before 5. CleanSession determines when the session ends [MQTT3-3.1.2-4] [MQTT3-3.1.2-6]. What
    /// the client observes by itself is left out: limits of what it receives. A connection that only discards a session has
    /// no Will, which could be published.
    let internal connect
        (isForDiscarding: bool)
        clientId
        (credentials: Credentials)
        (settings: ClientSettings)
        =
        let cleanSession = isForDiscarding || not (keepsSession settings)

        {
            CleanStart = cleanSession
            KeepAlive = settings.KeepAlive
            Properties =
                { settings.Properties with
                    SessionExpiryInterval =
                        if cleanSession then
                            ValueNone
                        else
                            ValueSome(LanguagePrimitives.UInt32WithMeasure Spec.NoExpiry)
                    ReceiveMaximum = ValueNone
                    MaximumPacketSize = ValueNone
                    Authentication = credentials.Authentication
                }
            ClientId = clientId
            Will = if isForDiscarding then ValueNone else settings.Will
            UserName = credentials.UserName
            Password = credentials.Password
        }

    // Preferences that do nothing in a version without the feature. A client that negotiates the version has them for MQTT 5.
    let private withoutPreferences (connect: Connect) =
        { connect with
            Properties =
                { connect.Properties with
                    TopicAliasMaximum = ValueNone
                    RequestResponseInformation = ValueNone
                    RequestProblemInformation = ValueNone
                }
            Will =
                match connect.Will with
                | ValueSome will -> ValueSome { will with Properties.PayloadFormatIndicator = ValueNone }
                | ValueNone -> ValueNone
        }

    /// Why a CONNECT cannot be sent in a version.
    let internal checkConnect version (settings: ClientSettings) (connect: Connect) : Fault voption =
        check
            version
            (Packet.Connect(
                match settings.Version with
                | VersionPolicy.Negotiated -> withoutPreferences connect
                | VersionPolicy.Only _ -> connect
            ))

    /// Why settings, and enhanced authentication, cannot be used in the version that they ask for; <c>ValueNone</c> where
    /// MQTT 5 is tried first.
    [<CompiledName("CheckSettings")>]
    let checkSettings (authentication: Authentication voption) (settings: ClientSettings) : Fault voption =
        match settings.Version with
        | VersionPolicy.Negotiated
        | VersionPolicy.Only ProtocolVersion.V5 -> ValueNone
        | VersionPolicy.Only version ->
            // Any identifier will do where the client generates one.
            let id = ClientId.Of "a"
            let credentials = { Credentials.None with Authentication = authentication }
            check version (Packet.Connect(connect false (ValueSome id) credentials settings))

    let private refusesVersion (connack: Connack) = connack.Reason = ReasonCode.UnsupportedProtocolVersion

    /// Whether a connection ended without a reason that the server told: it closed the connection, or the transport failed.
    let internal isClosed cause =
        match cause with
        | Cause.TransportFailed _ -> true
        | Cause.Failed failure -> failure.Part.IsTransport
        | _ -> false

    /// What an attempt that ended before CONNACK of success tells of the version: the progress with the version to speak
    /// next. A refusal decides for good. A connection that was closed in place of an answer may have another cause; so
    /// MQTT 3.1.1 is tried once, and MQTT 5 again if that ends the same way. A client with enhanced authentication stays
    /// with MQTT 5.
    let internal afterAttempt (phase: ClientPhase) cause (state: ClientState) : ClientProgress =
        let progress = state.Progress
        let mayChange = progress.Version.IsV5 && state.Connection.Method.IsNone

        match phase, cause with
        | _ when state.Settings.Version.IsOnly -> progress
        | ClientPhase.Connecting _, Cause.Refused connack when refusesVersion connack ->
            if mayChange then
                { progress with Version = ProtocolVersion.V311; IsVersionKnown = true }
            else
                progress
        | ClientPhase.Connecting _, Cause.Refused _ -> { progress with IsVersionKnown = true }
        | _ when progress.IsVersionKnown -> progress
        | ClientPhase.Connecting _, _ when mayChange && isClosed cause ->
            { progress with Version = ProtocolVersion.V311 }
        | _ -> { progress with Version = ProtocolVersion.V5 }

    let private lower version (effects: Effects) : Effects =
        let mutable all = Effects.none

        for effect in effects do
            match effect with
            | Send packet ->
                match Lowering.lower version ClientToServer packet with
                | ValueSome packet -> all <- all.Add(Send packet)
                | ValueNone -> ()
            | other -> all <- all.Add other

        all

    /// The effects with the packets that the version can express, and without those that have no counterpart in it: AUTH,
    /// and a DISCONNECT for another reason than 0x00.
    let internal lowered (version: ProtocolVersion) (effects: Effects) : Effects =
        let mutable sends = false

        for index in 0 .. effects.Count - 1 do
            sends <- sends || (effects.Packed index).Effect = EffectKind.Send

        if sends then lower version effects else effects
