/// Servers with a mistake in what they keep of a client: its session, its Will, and what is under way (sections 3.1.2,
/// 4.1 and 4.4).
module Mqtt5.Tests.WrongServers.WrongSessions

open System
open System.Collections.Generic
open Mqtt5
open Mqtt5.Verification

let private ends mistake breaks (change: ConnectionEnd -> ConnectionEnd) =
    machines
        mistake
        breaks
        { Machines.Real with
            Session =
                fun () now event state ->
                    let struct (next, effects) = ServerSession.step now event state
                    let mutable changed = Effects.none

                    for effect in effects do
                        changed <-
                            match effect with
                            | Effect.Serve(ServerTask.Detached ending) ->
                                changed.Add(Effect.Serve(ServerTask.Detached(change ending)))
                            | other -> changed.Add other

                    struct (next, changed)
        }

let private present (isPresent: bool) (packet: Packet) =
    match packet with
    | Packet.Connack connack when connack.Reason = ReasonCode.Success ->
        [ Packet.Connack { connack with SessionPresent = isPresent } ]
    | other -> [ other ]

let private willOf mistake breaks (change: Will -> Will) =
    connects mistake breaks (fun connect -> { connect with Will = ValueOption.map change connect.Will })

let private sessions =
    [
        answers "says Session Present 1 to everyone" "3.1.2-6 3.2.2-2 3.2.2-3" (present true)
        answers "says Session Present 0 to everyone" "3.1.2-5 3.2.2-3" (present false)
        ends "ends every session with its connection" "3.1.2-5" (fun ending ->
            { ending with SessionExpiry = 0u<s> })
        ends "never ends a session" "4.1.0-2" (fun ending ->
            { ending with SessionExpiry = UInt32.MaxValue * 1u<s> })
        requests "takes no notice of the Session Expiry Interval in DISCONNECT" "3.1.2-23" (fun packet ->
            match packet with
            | Packet.Disconnect outcome -> [ Packet.Disconnect(Outcome.Code outcome.Reason) ]
            | other -> [ other ])
        wrongBy "goes on with the session in spite of Clean Start" "3.1.2-4 3.2.2-2 3.1.4-4" (fun versionOf ->
            let clean = HashSet<int>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Connect connect) when connect.ClientId.IsSome ->
                            if connect.CleanStart then
                                clean.Add connection |> ignore

                            [
                                ToServer(
                                    connection,
                                    bytesFor
                                        (versionOf connection)
                                        (Packet.Connect { connect with CleanStart = false })
                                )
                            ]
                        | _ -> [ ToServer(connection, frame) ]
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Connack _ as packet) when clean.Contains connection ->
                            [
                                ToClient(
                                    connection,
                                    bytesFor (versionOf connection) (List.head (present false packet))
                                )
                            ]
                        | _ -> [ ToClient(connection, frame) ]
            })
        wrong "leaves a connection open whose session was taken over" "3.1.4-3" (fun () ->
            let over = HashSet<int>()

            { straight with
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Disconnect outcome) when
                            outcome.Reason = ReasonCode.SessionTakenOver
                            ->
                            over.Add connection |> ignore
                            []
                        | _ -> [ ToClient(connection, frame) ]
                Closed =
                    fun connection -> if over.Contains connection then [] else [ CloseClient connection ]
            })
    ]

let private wills =
    [
        ends "publishes no Will" "3.1.2-8" (fun ending -> { ending with KeepsWill = false })
        ends "publishes a Will after DISCONNECT" "3.14.4-3 3.1.2-10" (fun ending ->
            { ending with KeepsWill = true })
        wrongBy "publishes a Will twice" "3.1.2-10" (fun versionOf ->
            { straight with
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish publish) when
                            textOf publish.Payload = "gone" && not publish.Retain
                            ->
                            [
                                ToClient(connection, frame)
                                ToClient(
                                    connection,
                                    bytesFor (versionOf connection) (Packet.Publish(withId 900us publish))
                                )
                            ]
                        | _ -> [ ToClient(connection, frame) ]
            })
        willOf "publishes a Will at QoS 0" "3.1.2-7" (fun will -> { will with QoS = QoS.AtMostOnce })
        willOf "leaves the Content Type of a Will out" "3.1.2-7" (fun will ->
            { will with Properties = { will.Properties with ContentType = ValueNone } })
        willOf "leaves one of the User Properties of a Will out" "3.1.3-10" (fun will ->
            { will with
                Properties =
                    { will.Properties with
                        UserProperties = UserProperties.Of(Seq.truncate 2 will.Properties.UserProperties)
                    }
            })
        willOf "does not retain a Will" "3.1.2-15" (fun will -> { will with Retain = false })
        willOf "retains every Will" "3.1.2-14" (fun will -> { will with Retain = true })
        willOf "publishes a Will without its delay" "3.1.2-8 3.1.3-9" (fun will ->
            { will with Properties = { will.Properties with WillDelayInterval = ValueNone } })
        connects "keeps a Will back beyond the end of the session" "3.1.2-8" (fun connect ->
            match connect.Will with
            | ValueSome will when connect.Properties.SessionExpiryInterval = ValueSome 1u<s> ->
                { connect with
                    Properties =
                        { connect.Properties with SessionExpiryInterval = will.Properties.WillDelayInterval }
                }
            | _ -> connect)
        wrong "publishes a Will that waits although the client is back" "3.1.3-9 3.1.2-8" (fun () ->
            let wills = Dictionary<string, Will>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        [
                            ToServer(connection, frame)
                            match packet with
                            | ValueSome(Packet.Connect connect) ->
                                let id =
                                    connect.ClientId |> ValueOption.map _.Text |> ValueOption.defaultValue ""

                                match wills.TryGetValue id with
                                | true, will when
                                    not connect.CleanStart && will.Properties.WillDelayInterval.IsSome
                                    ->
                                    Later(
                                        1_000L<ms>,
                                        [
                                            ToClient(
                                                1,
                                                bytesIn
                                                    $"PUBLISH topic=\"{will.Topic.Text}\" payload=\"never\""
                                            )
                                        ]
                                    )
                                | _ -> ()

                                connect.Will |> ValueOption.iter (fun will -> wills[id] <- will)
                            | _ -> ()
                        ]
            })
        connects "takes no notice of Keep Alive" "3.1.2-22 3.2.2-22" (fun connect ->
            { connect with KeepAlive = 0us<s> })
        connects "ends silent connections that have no Keep Alive" "3.2.2-22" (fun connect ->
            if connect.KeepAlive = 0us<s> then
                { connect with KeepAlive = 3us<s> }
            else
                connect)
        wrong "counts Keep Alive from CONNECT" "3.1.2-22 3.2.2-22" (fun () ->
            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome Packet.Pingreq -> [ ToClient(connection, bytesIn "PINGRESP") ]
                        | _ -> [ ToServer(connection, frame) ]
            })
    ]

let private redelivery =
    [
        dumb "sends nothing again" "4.4.0-1" (fun packet ->
            match packet with
            | Packet.Publish publish -> publish.Delivery.IsDup
            | _ -> false)
        dumb "does not send QoS 2 again" "4.4.0-1 4.3.3-3" (fun packet ->
            match packet with
            | Packet.Publish publish -> publish.Delivery.IsDup && publish.Delivery.QoS = QoS.ExactlyOnce
            | _ -> false)
        machines
            "keeps no message for a client that is away"
            "4.5.0-1"
            { Machines.Real with
                Session =
                    fun () now event state ->
                        match event with
                        | ServerEvent.Forward _ when not state.IsConnected -> struct (state, Effects.none)
                        | _ -> ServerSession.step now event state
            }
        delivers "sends again without DUP" "3.3.1-1" (withDup false)
        wrongBy "sends again on the same connection" "4.4.0-1" (fun versionOf ->
            let acknowledged = HashSet<struct (int * uint16)>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Puback one)
                        | ValueSome(Packet.Pubrec one) ->
                            acknowledged.Add(struct (connection, one.PacketId.Value)) |> ignore
                        | _ -> ()

                        [ ToServer(connection, frame) ]
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish publish) when publish.Delivery.PacketId.IsSome ->
                            let again =
                                ToClient(
                                    connection,
                                    bytesFor (versionOf connection) (Packet.Publish(withDup true publish))
                                )

                            [ ToClient(connection, frame); Later(1_400L<ms>, [ again ]) ]
                        | _ -> [ ToClient(connection, frame) ]
            })
        wrong "does not send PUBREL again" "4.4.0-1 4.3.3-5" (fun () ->
            let resumed = HashSet<int>()
            let received = HashSet<int>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Pubrec _) -> received.Add connection |> ignore
                        | _ -> ()

                        [ ToServer(connection, frame) ]
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Connack connack) when connack.SessionPresent ->
                            resumed.Add connection |> ignore
                            [ ToClient(connection, frame) ]
                        | ValueSome(Packet.Pubrel _) when
                            resumed.Contains connection && not (received.Contains connection)
                            ->
                            []
                        | _ -> [ ToClient(connection, frame) ]
            })
        wrongBy "sends PUBLISH again after PUBREL" "4.3.3-6 4.4.0-1" (fun versionOf ->
            let sent = Dictionary<uint16, Publish>()
            let resumed = HashSet<int>()

            { straight with
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Connack connack) when connack.SessionPresent ->
                            resumed.Add connection |> ignore
                            [ ToClient(connection, frame) ]
                        | ValueSome(Packet.Publish publish) ->
                            publish.Delivery.PacketId
                            |> ValueOption.iter (fun id -> sent[id.Value] <- publish)

                            [ ToClient(connection, frame) ]
                        | ValueSome(Packet.Pubrel pubrel) when
                            resumed.Contains connection && sent.ContainsKey pubrel.PacketId.Value
                            ->
                            let again = withDup true sent[pubrel.PacketId.Value]

                            [
                                ToClient(connection, frame)
                                ToClient(connection, bytesFor (versionOf connection) (Packet.Publish again))
                            ]
                        | _ -> [ ToClient(connection, frame) ]
            })
        dumb "does not answer PUBREC" "4.3.3-4" _.IsPubrel
        deaf "takes no notice of PUBACK" "4.3.2-3" _.IsPuback
        deaf "takes no notice of PUBCOMP" "4.3.3-5" _.IsPubcomp
        deaf "takes no notice of a PUBACK of failure" "4.4.0-2" (fun packet ->
            match packet with
            | Packet.Puback one -> isFailure one.Outcome.Reason
            | _ -> false)
        deaf "takes no notice of a PUBREC of failure" "4.4.0-2" (fun packet ->
            match packet with
            | Packet.Pubrec one -> isFailure one.Outcome.Reason
            | _ -> false)
    ]

let all: WrongServer list = sessions @ wills @ redelivery
