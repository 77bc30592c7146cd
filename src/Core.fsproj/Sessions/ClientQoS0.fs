namespace Mqtt5

/// The way of a received PUBLISH of QoS 0 past the client's machine: a pure function on its bytes, which allocates
/// nothing.
[<RequireQualifiedAccess>]
module ClientQoS0 =

    /// True when a PUBLISH of the server may be handed to the subscriptions without a step: the connection is open, and
    /// the message changes no state, because it has neither a Packet Identifier nor a Topic Alias. A step would give the
    /// same state and nothing but <c>Deliver</c> without a token.
    [<CompiledName("MayDeliver")>]
    let mayDeliver (view: inref<PublishView>) (state: ClientState) : bool =
        state.IsConnected && view.QoS = QoS.AtMostOnce && view.TopicAliasAt < 0
