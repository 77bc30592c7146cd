namespace Mqtt5

// The SUBSCRIBE and UNSUBSCRIBE packets of a client, and what keeps them from being sent on a connection.
module internal ClientRequestPackets =

    /// Why a subscription would break what the server announced, or cannot be expressed in the version.
    let refuseOne (limits: ServerLimits) (one: Subscription) : Fault voption =
        let notSupported reason clause detail =
            ValueSome(Fault.caller reason PacketType.Subscribe "Topic Filter" clause detail)

        let unsayable = ClientVersions.checkSubscription limits.Version one

        if unsayable.IsSome then
            unsayable
        elif one.Filter.HasWildcard && not limits.WildcardSubscriptions then
            notSupported
                ReasonCode.WildcardSubscriptionsNotSupported
                "3.2.2.3.11"
                "the server has no wildcard subscriptions"
        elif one.Filter.IsShared && not limits.SharedSubscriptions then
            notSupported
                ReasonCode.SharedSubscriptionsNotSupported
                "3.2.2.3.13"
                "the server has no shared subscriptions"
        else
            ValueNone

    let private refuse (limits: ServerLimits) (request: SubscribeRequest) : Fault voption =
        let mutable fault = ValueNone

        for one in request.Subscriptions do
            if fault.IsNone then
                fault <- refuseOne limits one

        fault

    /// Why a packet cannot be sent to the server for its size.
    let tooLarge (limits: ServerLimits) (packet: Packet) =
        if int64 (Encode.size packet) <= int64 limits.MaximumPacketBytes then
            ValueNone
        else
            ValueSome(
                Fault.caller
                    ReasonCode.PacketTooLarge
                    packet.Type
                    "Maximum Packet Size"
                    "MQTT-3.2.2-15"
                    "the packet would be larger than the server takes"
            )

    /// The Subscription Identifier of a request, where the server takes one.
    let identifierFor (limits: ServerLimits) (request: SubscribeRequest) =
        if limits.SubscriptionIdentifiers then
            request.Identifier
        else
            ValueNone

    /// The SUBSCRIBE of a request.
    let subscribePacket identifier id (request: SubscribeRequest) =
        Packet.Subscribe
            {
                PacketId = PacketId.OfValid id
                Properties = { SubscriptionIdentifier = identifier; UserProperties = request.UserProperties }
                Subscriptions = request.Subscriptions
            }

    /// The packet of a request.
    let packetFor limits id request =
        match request with
        | ClientRequest.Subscribe(Request = request) ->
            subscribePacket (identifierFor limits request) id request
        | ClientRequest.Unsubscribe(_, sent, userProperties, _) ->
            Packet.Unsubscribe
                {
                    PacketId = PacketId.OfValid id
                    UserProperties = userProperties
                    Filters = TopicFilterList.Of sent
                }

    // The User Properties of a request of the application. Those of earlier requests are left out where the client itself
    // subscribes again.
    let private refuseProperties (limits: ServerLimits) request =
        match limits.Version, request with
        | ProtocolVersion.V5, _
        | _, ClientRequest.Subscribe(Again = true) -> ValueNone
        | version, _ -> ClientVersions.check version (packetFor limits 1us request)

    /// Why a request cannot be sent on a connection with these limits.
    let faultOf limits request =
        let refused =
            match request with
            | ClientRequest.Subscribe(Request = subscribe) -> refuse limits subscribe
            | ClientRequest.Unsubscribe _ -> ValueNone

        let refused = if refused.IsSome then refused else refuseProperties limits request

        if refused.IsSome then
            refused
        else
            tooLarge limits (packetFor limits 1us request)
