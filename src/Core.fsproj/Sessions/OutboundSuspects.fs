namespace Mqtt5

// The messages that a peer may have ended a connection for.
[<RequireQualifiedAccess>]
module internal OutboundSuspects =

    /// How many messages were sent on this connection and are not acknowledged, and the Packet Identifier of one of
    /// them; 0 where there is none.
    let underWay (state: Outbound) : struct (int * uint16) =
        state.InFlight
        |> PacketIdMap.fold
            (fun (struct (count, id)) one exchange ->
                match exchange with
                | Exchange.Message(Stage = (Stage.AwaitPuback | Stage.AwaitPubrec); HoldsQuota = true) ->
                    struct (count + 1, one)
                | _ -> struct (count, id))
            (struct (0, 0us))

    /// Takes a message that is under way out of the session, and gives it.
    let remove (id: uint16) (state: Outbound) : struct (Outbound * Outgoing voption) =
        match PacketIdMap.tryFind id state.InFlight with
        | ValueSome(Exchange.Message(Message = message; HoldsQuota = holds)) ->
            struct ({ state with
                        InFlight = PacketIdMap.remove id state.InFlight
                        InFlightBytes = state.InFlightBytes - message.Cost
                        Quota = if holds then state.Quota + 1 else state.Quota
                    },
                    ValueSome message)
        | _ -> struct (state, ValueNone)

    /// A server before MQTT 5 cannot say why it ends a connection, and a network that fails looks the same. Only a message
    /// with which so many connections in a row ended, with nothing else under way, is taken for the cause.
    [<Literal>]
    let ClosesForMessage = 5

    let private closed =
        Fault.caller
            ReasonCode.UnspecifiedError
            PacketType.Publish
            "PUBLISH"
            "4.13"
            $"each of {ClosesForMessage} connections in a row was closed after the message had been sent; it may be larger than the server takes"

    /// Why a message that a server before MQTT 5 ends each connection for is not sent again.
    let closedFor (version: ProtocolVersion) : Fault = Fault.inVersion version closed

    /// From now on as many messages may be under way as the peer takes.
    let widen (receiveMaximum: uint16) (state: Outbound) : Outbound =
        { state with
            Quota = state.Quota + int receiveMaximum - state.Window
            Connection.Window = int receiveMaximum
        }
