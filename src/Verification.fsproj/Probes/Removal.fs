namespace Mqtt5.Verification

open Mqtt5

// Removes what runs leave on a server.
module internal Removal =

    let private bytesOf (version: ProtocolVersion) (settings: ProbeSettings) (notation: string) =
        match Notation.parse notation with
        | Error fault -> invalidOp $"{notation}: {fault}"
        | Ok packet ->
            let packet = ProbeText.withCredentials settings packet

            match Encode.toBytesIn version Direction.ClientToServer packet with
            | Ok bytes -> bytes
            | Error fault -> invalidOp $"{notation}: {fault}"

    // Whether a CONNECT makes a session that outlives its connection and has no name before CONNACK.
    let isNameless (connect: Connect) : bool =
        connect.ClientId.IsNone
        && connect.Properties.SessionExpiryInterval
           |> ValueOption.exists (fun expiry -> expiry > 0u<s>)

    // What ends the session of the connection that it is sent on, whatever its name is.
    let farewell: Bytes =
        let properties = { DisconnectProperties.Empty with SessionExpiryInterval = ValueSome 0u<s> }
        let packet = Packet.Disconnect(Outcome.Full(ReasonCode.Success, properties))

        match Encode.toBytes Direction.ClientToServer packet with
        | Ok bytes -> Bytes.OfArray bytes
        | Error fault -> invalidOp $"{fault}"

    // What is to be sent, on a connection for each, to end sessions and remove retained messages.
    let packets
        (version: ProtocolVersion)
        (settings: ProbeSettings)
        (clientIds: Set<string>)
        (retainedTopics: Set<string>)
        : Bytes[] =
        let quoted (text: string) = text.Replace("\\", "\\\\").Replace("\"", "\\\"")

        let all lines = lines |> List.map (bytesOf version settings) |> Array.concat |> Bytes.OfArray

        [|
            for id in clientIds do
                all [ $"CONNECT clean=1 clientid=\"{quoted id}\""; "DISCONNECT" ]

            if not retainedTopics.IsEmpty then
                all
                    [
                        $"CONNECT clean=1 clientid=\"{settings.ClientIdPrefix}z\""
                        for topic in retainedTopics do
                            $"PUBLISH retain=1 topic=\"{quoted topic}\""
                        "DISCONNECT"
                    ]
        |]
