namespace Mqtt5

/// Where a connection stands before it belongs to a session.
[<Struct; RequireQualifiedAccess>]
type HandshakePhase =
    /// CONNECT has to come.
    | AwaitConnect
    /// The authenticator judges a CONNECT or an AUTH. Nothing more is read meanwhile.
    | Judging
    /// The client has to answer a challenge with AUTH.
    | AwaitAuth
    /// The registry is asked. From here on the connection belongs to a session, unless it is refused.
    | Admitting
    /// The connection was refused or lost.
    | Over

/// What a connection accepts: the versions, and the clients that need no further authentication.
[<Struct; NoComparison>]
type Trust =
    {
        /// Whether there is an authenticator.
        HasAuthenticator: bool
        /// Whether clients without User Name and password are let in.
        AllowAnonymous: bool
        /// Whether the peer is trusted, as one of the same process is.
        IsTrusted: bool
        /// The versions that may be spoken. Others are refused with CONNACK 0x84, which before MQTT 5 is 0x01.
        Versions: ProtocolVersions
    }

/// The state of a connection before it belongs to a session. Immutable.
[<NoComparison; NoEquality>]
type HandshakeState =
    {
        /// How the broker behaves.
        Settings: BrokerSettings
        /// The clients that are accepted without further authentication.
        Trust: Trust
        /// What the first packet was found to speak; MQTT 5 before that.
        Protocol: Protocol
        /// Where the connection stands.
        Phase: HandshakePhase
        /// When it is given up.
        Until: Instant
        /// The CONNECT, once it came.
        Connect: Connect voption
        /// The name that an authenticator proved; absent: none did.
        Owner: string voption
        /// When the authentication expires; absent: never.
        AuthenticatedUntil: Instant voption
        /// The last data of enhanced authentication, for CONNACK.
        Final: Authentication voption
    }

    /// The name that the client proved to have, or that a trusted client gave; absent: none.
    member this.UserName =
        match this.Owner, this.Connect with
        | ValueSome owner, _ -> ValueSome owner
        | ValueNone, ValueSome { UserName = ValueSome given } when this.Trust.IsTrusted ->
            ValueSome given.Text
        | _ -> ValueNone

/// What happens to a connection before it belongs to a session.
[<Struct; RequireQualifiedAccess; NoComparison; NoEquality>]
type HandshakeEvent =
    /// The first packet arrived, in this protocol; <c>Received</c> or <c>ReceivedFault</c> follows.
    | Greeting of Protocol: Protocol
    /// A packet arrived. It is parsed from memory that stays as it is.
    | Received of Packet: Packet
    /// Bytes arrived that are no packet, or no allowed one.
    | ReceivedFault of Fault: Fault
    /// The authenticator's decision about CONNECT or AUTH, and the name that it proved.
    | Judged of Judgement: Judgement * Owner: string voption
    /// The registry, or the server as a whole, does not admit the client.
    | NotAdmitted of Why: Fault
    /// The transport failed or was closed.
    | TransportClosed
    /// Time has passed.
    | Tick

/// The first part of a connection, up to the point where it is attached to a session: one CONNECT, its limits, the
/// authentication. A pure function of time, event and state.
[<RequireQualifiedAccess>]
module Handshake =

    /// A connection that was opened just now.
    [<CompiledName("Start")>]
    let start (now: Instant) (trust: Trust) (settings: BrokerSettings) : HandshakeState =
        {
            Settings = settings
            Trust = trust
            Protocol = Protocol.V5
            Phase = HandshakePhase.AwaitConnect
            Until = now + settings.Limits.ConnectTimeout
            Connect = ValueNone
            Owner = ValueNone
            AuthenticatedUntil = ValueNone
            Final = ValueNone
        }

    /// Whether the next packet may be read now. While the authenticator judges, it has to wait.
    [<CompiledName("MayRead")>]
    let mayRead (state: HandshakeState) : bool =
        match state.Phase with
        | HandshakePhase.AwaitConnect
        | HandshakePhase.AwaitAuth -> true
        | _ -> false

    /// When the next <c>Tick</c> is due; absent: never.
    [<CompiledName("Deadline")>]
    let deadline (state: HandshakeState) : Instant voption =
        match state.Phase with
        | HandshakePhase.Over
        | HandshakePhase.Admitting -> ValueNone
        | _ -> ValueSome state.Until

    let private over (state: HandshakeState) = { state with Phase = HandshakePhase.Over }

    let private close state = struct (over state, Effects.one CloseTransport)

    // The largest packet that the client takes, as far as it is known.
    let private limitOf (state: HandshakeState) =
        match state.Connect with
        | ValueSome { Properties = { MaximumPacketSize = ValueSome limit } } ->
            int (min limit (uint32 Spec.MaximumPacketBytes))
        | _ -> Spec.MaximumPacketBytes

    let private setOf (version: ProtocolVersion) =
        match version with
        | ProtocolVersion.V5 -> ProtocolVersions.V5
        | ProtocolVersion.V311 -> ProtocolVersions.V311
        | ProtocolVersion.V31 -> ProtocolVersions.V31

    let private versionOff =
        Fault.peer
            ReasonCode.UnsupportedProtocolVersion
            PacketType.Connect
            -1L
            "Protocol Version"
            "MQTT-3.1.2-2"
            "the listener does not take this version"

    /// Why a CONNECT of this version is refused [MQTT-3.1.2-2] [MQTT3-3.1.2-2], if the connection does not take it.
    [<CompiledName("VersionProblem")>]
    let versionProblem (version: ProtocolVersion) (trust: Trust) : Fault voption =
        if trust.Versions &&& setOf version = ProtocolVersions.None then
            ValueSome(Fault.inVersion version versionOff)
        else
            ValueNone

    let private tooLong reason field =
        Fault.ours reason PacketType.Connect field "the name is longer than the limit"
        |> Fault.exceeding LimitName.NameBytes

    let private identifierTooLong = tooLong ReasonCode.ClientIdentifierNotValid "Client Identifier"

    let private userNameTooLong = tooLong ReasonCode.BadUserNameOrPassword "User Name"

    /// Why a CONNECT is refused whose names are longer than the limit [MQTT-3.1.3-8] [MQTT3-3.1.3-9]; absent: they are not.
    [<CompiledName("NameProblem")>]
    let nameProblem (version: ProtocolVersion) (limits: BrokerLimits) (connect: Connect) : Fault voption =
        let identifierBytes =
            match connect.ClientId with
            | ValueSome id -> id.Utf8String.ByteCount
            | ValueNone -> 0

        let userNameBytes =
            match connect.UserName with
            | ValueSome name -> name.ByteCount
            | ValueNone -> 0

        if identifierBytes > limits.NameBytes then
            ValueSome(Fault.inVersion version identifierTooLong)
        elif userNameBytes > limits.NameBytes then
            ValueSome(Fault.inVersion version userNameTooLong)
        else
            ValueNone

    // The packet as the client can read it; <c>ValueNone</c>: there is no such packet, or it is too large.
    let private fit (state: HandshakeState) (packet: Packet) : Packet voption =
        let version = state.Protocol.Version

        match Lowering.lower version ServerToClient packet with
        | ValueSome packet -> Encode.fitIn version (limitOf state) packet
        | ValueNone -> ValueNone

    // A CONNACK of failure [MQTT-3.2.2-6] [MQTT3-3.2.2-4], then the connection is closed [MQTT-3.2.2-7] [MQTT-3.1.4-2]
    // [MQTT3-3.2.2-5]. Where no code fits, it is closed without CONNACK [MQTT3-3.2.2-6].
    let private refuse (reason: ReasonCode) (detail: string) (state: HandshakeState) =
        let reason =
            if
                byte reason >= 0x80uy
                && Spec.reasonAllowed ServerToClient PacketType.Connack reason
            then
                reason
            else
                ReasonCode.UnspecifiedError

        let leadsElsewhere = reason = ReasonCode.UseAnotherServer || reason = ReasonCode.ServerMoved

        let connack =
            Packet.Connack
                {
                    SessionPresent = false
                    Reason = reason
                    Properties =
                        { ConnackProperties.Empty with
                            ReasonString = if detail = "" then ValueNone else ValueSome(Utf8String.Of detail)
                            ServerReference =
                                if leadsElsewhere then state.Settings.ServerReference else ValueNone
                        }
                }

        // [MQTT-3.2.2-19] [MQTT-3.2.2-20]
        match fit state connack with
        | ValueSome packet -> struct (over state, (Effects.one (Send packet)).Add CloseTransport)
        | ValueNone -> close state

    let private fail (fault: Fault) (state: HandshakeState) =
        let phase =
            if state.Phase = HandshakePhase.AwaitConnect then
                BeforeConnect
            else
                Connecting

        // Never a DISCONNECT here [MQTT-3.14.0-1].
        match Fault.onWireIn state.Protocol.Version Server phase fault with
        | SendConnack reason -> refuse reason fault.Detail state
        | CloseOnly
        | SendDisconnect _ -> close state

    let private protocolError packet clause detail =
        Fault.protocolError packet -1L (Spec.packet packet).Name clause detail

    // Why a CONNECT is refused, independent of the client.
    let private problem (settings: BrokerSettings) (connect: Connect) : struct (ReasonCode * string) voption =
        let limits = settings.Limits

        match connect.ClientId, connect.Will with
        | ValueNone, _ when not settings.AssignsClientIds ->
            // [MQTT-3.1.3-8]
            ValueSome(struct (ReasonCode.ClientIdentifierNotValid, "a Client Identifier is needed"))
        | _, ValueSome will when will.QoS > settings.MaximumQoS ->
            // [MQTT-3.2.2-12]
            ValueSome(struct (ReasonCode.QoSNotSupported, "the Will QoS is above the Maximum QoS"))
        | _, ValueSome will when will.Retain && not settings.RetainAvailable ->
            // [MQTT-3.2.2-13]
            ValueSome(struct (ReasonCode.RetainNotSupported, "retained messages are not available"))
        | _, ValueSome will when TopicLimits.isRefused settings will.Topic.Utf8.Span ->
            ValueSome(struct (ReasonCode.TopicNameInvalid, "the Will Topic is not accepted"))
        | _, ValueSome will when
            settings.ChecksPayloadFormat
            && will.Properties.PayloadFormatIndicator = ValueSome true
            && not (System.Text.Unicode.Utf8.IsValid will.Payload.Span)
            ->
            ValueSome(struct (ReasonCode.PayloadFormatInvalid, "the Will Payload is not UTF-8"))
        | _, ValueSome will when will.Payload.Length > limits.MaximumPacketBytes ->
            ValueSome(struct (ReasonCode.QuotaExceeded, "the Will Payload is too large"))
        | _ -> ValueNone

    let private admitting (final: Authentication voption) (owner: string voption) (connect: Connect) state =
        // CONNACK names the method if, and only if, CONNECT did [MQTT-4.12.0-5] [MQTT-4.12.0-6].
        let final =
            match connect.Properties.Authentication, final with
            | ValueNone, _ -> ValueNone
            | ValueSome asked, ValueSome final -> ValueSome { final with Method = asked.Method }
            | ValueSome asked, ValueNone -> ValueSome { Method = asked.Method; Data = ValueNone }

        struct ({ state with Phase = HandshakePhase.Admitting; Owner = owner; Final = final },
                Effects.one (Serve(ServerTask.Admit(connect, final))))

    // A trusted client, or one without a name where that is allowed, is not asked for more.
    let private isAcceptedAsItIs (connect: Connect) (trust: Trust) =
        connect.Properties.Authentication.IsNone
        && (trust.IsTrusted
            || (trust.AllowAnonymous && connect.UserName.IsNone && connect.Password.IsNone))

    /// Whether the authenticator decides about a CONNECT.
    [<CompiledName("IsJudged")>]
    let isJudged (trust: Trust) (connect: Connect) : bool =
        trust.HasAuthenticator && not (isAcceptedAsItIs connect trust)

    let private authenticate (packet: Packet) (connect: Connect) (state: HandshakeState) =
        if isAcceptedAsItIs connect state.Trust then
            admitting ValueNone ValueNone connect state
        elif isJudged state.Trust connect then
            struct ({ state with Phase = HandshakePhase.Judging },
                    Effects.one (Serve(ServerTask.Authenticate packet)))
        elif connect.Properties.Authentication.IsSome then
            // [MQTT-4.12.0-1]
            refuse ReasonCode.BadAuthenticationMethod "" state
        else
            admitting ValueNone ValueNone connect state

    let private received (packet: Packet) (state: HandshakeState) =
        match state.Phase, packet with
        | HandshakePhase.AwaitConnect, Packet.Connect connect ->
            let state = { state with Connect = ValueSome connect }

            match problem state.Settings connect with
            | ValueSome(struct (reason, detail)) -> refuse reason detail state
            | ValueNone -> authenticate packet connect state
        | HandshakePhase.AwaitAuth, Packet.Auth auth ->
            let method =
                state.Connect
                |> ValueOption.bind (fun connect -> connect.Properties.Authentication)
                |> ValueOption.map (fun authentication -> authentication.Method)

            if method <> ValueSome auth.Authentication.Method then
                let detail = "the Authentication Method is not the one of CONNECT"
                fail (protocolError PacketType.Auth "MQTT-4.12.0-5" detail) state
            elif auth.Reason <> ReasonCode.ContinueAuthentication then
                let detail = "only Continue authentication may come before CONNACK"
                fail (protocolError PacketType.Auth "MQTT-4.12.0-3" detail) state
            else
                struct ({ state with Phase = HandshakePhase.Judging },
                        Effects.one (Serve(ServerTask.Authenticate packet)))
        | HandshakePhase.AwaitAuth, Packet.Disconnect _ -> close state
        | HandshakePhase.AwaitConnect, other ->
            fail (protocolError other.Type "MQTT-3.1.0-1" "the first packet is CONNECT") state
        | HandshakePhase.AwaitAuth, other ->
            let clause =
                if other.Type = PacketType.Connect then
                    "MQTT-3.1.0-2"
                else
                    "MQTT-3.1.2-30"

            let detail = "only AUTH and DISCONNECT may come while the authentication goes on"
            fail (protocolError other.Type clause detail) state
        // After a refusal nothing is processed [MQTT-3.1.4-6] [MQTT3-3.1.4-5].
        | HandshakePhase.Over, _ -> struct (state, Effects.none)
        | _, other ->
            let detail = "a packet was read while CONNECT was being judged"
            fail (Fault.ours ReasonCode.ImplementationSpecificError other.Type "CONNECT" detail) state

    let private judged (judgement: Judgement) (owner: string voption) (state: HandshakeState) =
        match state.Phase, state.Connect with
        | HandshakePhase.Judging, ValueSome connect ->
            match judgement, connect.Properties.Authentication with
            | Judgement.Accepted(final, until), _ ->
                admitting final owner connect { state with AuthenticatedUntil = until }
            | Judgement.Continue authentication, ValueSome asked ->
                // [MQTT-4.12.0-2]
                let auth =
                    {
                        Reason = ReasonCode.ContinueAuthentication
                        Authentication = { authentication with Method = asked.Method }
                        ReasonString = ValueNone
                        UserProperties = UserProperties.Empty
                    }

                match fit state (Packet.Auth auth) with
                | ValueSome packet ->
                    struct ({ state with Phase = HandshakePhase.AwaitAuth }, Effects.one (Send packet))
                | ValueNone -> refuse ReasonCode.PacketTooLarge "" state
            | Judgement.Continue _, ValueNone ->
                refuse ReasonCode.ImplementationSpecificError "the authenticator failed" state
            // [MQTT-4.12.0-1] [MQTT-4.12.0-4]
            | Judgement.Refused reason, _ -> refuse reason "" state
        | _ -> struct (state, Effects.none)

    /// The next state, and what is to be done, in order.
    [<CompiledName("Step")>]
    let step
        (now: Instant)
        (event: HandshakeEvent)
        (state: HandshakeState)
        : struct (HandshakeState * Effects) =
        match event with
        | HandshakeEvent.Greeting protocol -> struct ({ state with Protocol = protocol }, Effects.none)
        | HandshakeEvent.Received packet -> received packet state
        | HandshakeEvent.ReceivedFault fault ->
            match state.Phase with
            | HandshakePhase.Over
            | HandshakePhase.Admitting -> struct (state, Effects.none)
            | _ -> fail fault state
        | HandshakeEvent.Judged(judgement, owner) -> judged judgement owner state
        | HandshakeEvent.NotAdmitted why ->
            match state.Phase with
            | HandshakePhase.Over -> struct (state, Effects.none)
            | HandshakePhase.AwaitConnect -> close state
            | _ -> refuse why.Reason "" state
        | HandshakeEvent.TransportClosed -> struct (over state, Effects.none)
        | HandshakeEvent.Tick ->
            match deadline state with
            | ValueSome until when until <= now -> close state
            | _ -> struct (state, Effects.none)
