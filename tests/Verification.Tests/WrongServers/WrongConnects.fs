/// Servers with a mistake in CONNECT and CONNACK (sections 3.1 and 3.2), or in enhanced authentication (section 4.12).
module Mqtt5.Tests.WrongServers.WrongConnects

open System.Collections.Generic
open Mqtt5
open Mqtt5.Verification

let private isConnect (frame: byte[]) = frame[0] >>> 4 = 1uy

// A server that takes frames of a connection for others until its first CONNECT was seen, and that CONNECT as well.
let private atFirst mistake breaks (change: int -> byte[] -> Packet voption -> WireAction list) =
    wrong mistake breaks (fun () ->
        let connected = HashSet<int>()

        { straight with
            Sent =
                fun connection frame packet ->
                    if connected.Contains connection then
                        [ ToServer(connection, frame) ]
                    else
                        if isConnect frame then
                            connected.Add connection |> ignore

                        change connection frame packet
        })

let private isKnown (userName: Utf8String voption) =
    match userName with
    | ValueSome name -> name.Text = SimulatedServer.UserName
    | ValueNone -> true

let private malformed = "3.1.4-1 3.2.2-6 3.2.2-7 3.2.2-8 4.13.1-1"

let private reads mistake breaks (change: byte[] -> unit) =
    requestBytes mistake breaks (fun frame ->
        if isConnect frame then
            change frame

        Some frame)

let private repairs mistake breaks change = reads mistake $"{breaks} {malformed}" change

let private connacks mistake breaks (change: Connack -> Connack) =
    answers mistake breaks (fun packet ->
        match packet with
        | Packet.Connack connack -> [ Packet.Connack(change connack) ]
        | other -> [ other ])

let private refusal = bytesIn "CONNACK rc=ClientIdentifierNotValid"

let private handshake =
    [
        atFirst "takes no notice of what comes before CONNECT" "3.1.0-1" (fun connection frame _ ->
            if isConnect frame then [ ToServer(connection, frame) ] else [])
        wrong "sends DISCONNECT before CONNACK" "3.14.0-1" (fun () ->
            let answered = HashSet<int>()

            { straight with
                Answered =
                    fun connection frame _ ->
                        answered.Add connection |> ignore
                        [ ToClient(connection, frame) ]
                Closed =
                    fun connection ->
                        [
                            if not (answered.Contains connection) then
                                ToClient(connection, bytesIn "DISCONNECT rc=ProtocolError")
                            CloseClient connection
                        ]
            })
        wrong "takes no notice of a second CONNECT" "3.1.0-2 4.13.1-1" (fun () ->
            let connected = HashSet<int>()

            { straight with
                Sent =
                    fun connection frame _ ->
                        if isConnect frame && not (connected.Add connection) then
                            []
                        else
                            [ ToServer(connection, frame) ]
            })
        wrong "answers a second CONNECT with CONNACK" "3.2.0-2" (fun () ->
            let connected = HashSet<int>()

            { straight with
                Sent =
                    fun connection frame _ ->
                        if isConnect frame && not (connected.Add connection) then
                            [ ToClient(connection, bytesIn "CONNACK") ]
                        else
                            [ ToServer(connection, frame) ]
            })
        answers "sends CONNACK twice" "3.2.0-2" (fun packet ->
            match packet with
            | Packet.Connack connack when connack.Reason = ReasonCode.Success -> [ packet; packet ]
            | other -> [ other ])
        answers "sends PINGRESP before CONNACK" "3.2.0-1" (fun packet ->
            match packet with
            | Packet.Connack _ -> [ Packet.Pingresp; packet ]
            | other -> [ other ])
        answers "answers CONNECT with AUTH and CONNACK" "4.12.0-6" (fun packet ->
            match packet with
            | Packet.Connack connack when connack.Reason = ReasonCode.Success ->
                [
                    Packet.Auth
                        {
                            Reason = ReasonCode.ContinueAuthentication
                            Authentication = { Method = Utf8String.Of "m"; Data = ValueNone }
                            ReasonString = ValueNone
                            UserProperties = UserProperties.Empty
                        }
                    packet
                ]
            | other -> [ other ])
    ]

let private reading =
    [
        reads "takes the Protocol Name mqtt" "3.1.2-1" (fun frame ->
            if frame.Length > 8 && frame[3] = 4uy then
                for index, letter in Seq.indexed "MQTT"B do
                    frame[4 + index] <- letter)
        reads "takes every Protocol Version" "3.1.2-2" (fun frame ->
            if frame.Length > 8 && frame[3] = 4uy then
                frame[8] <- 5uy)
        repairs "takes the reserved Connect Flag" "3.1.2-3" (fun frame ->
            if frame.Length > 9 && frame[3] = 4uy then
                frame[9] <- frame[9] &&& 0xFEuy)
        repairs "takes flags in the fixed header of CONNECT" "" (fun frame -> frame[0] <- 0x10uy)
        atFirst
            "accepts what is no CONNECT"
            $"{malformed} 3.1.2-1 3.1.2-2 3.1.2-3 4.7.0-1"
            (fun connection frame packet ->
                if isConnect frame && packet.IsNone then
                    [ ToClient(connection, bytesIn "CONNACK") ]
                else
                    [ ToServer(connection, frame) ])
        atFirst "says Session Present in a CONNACK of failure" "3.2.2-6" (fun connection frame packet ->
            if isConnect frame && packet.IsNone then
                [ ToClient(connection, RawBytes.parse "20 03 01 81 00"); CloseClient connection ]
            else
                [ ToServer(connection, frame) ])
        atFirst
            "refuses with a reason code that CONNACK does not have"
            "3.2.2-8"
            (fun connection frame packet ->
                if isConnect frame && packet.IsNone then
                    [ ToClient(connection, RawBytes.parse "20 03 00 04 00"); CloseClient connection ]
                else
                    [ ToServer(connection, frame) ])
        wrong
            "leaves the connection open after a CONNACK of failure"
            $"{malformed} 3.1.2-1 3.1.2-2 3.1.2-3 4.7.0-1 4.12.0-1 4.12.0-4 4.13.2-1"
            (fun () ->
                let refused = HashSet<int>()

                { straight with
                    Answered =
                        fun connection frame packet ->
                            match packet with
                            | ValueSome(Packet.Connack connack) when isFailure connack.Reason ->
                                refused.Add connection |> ignore
                            | _ -> ()

                            [ ToClient(connection, frame) ]
                    Closed =
                        fun connection ->
                            if refused.Contains connection then [] else [ CloseClient connection ]
                })
        wrong "processes what follows a CONNECT that it refuses" "3.1.4-6" (fun () ->
            let refused = HashSet<int>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueNone when isConnect frame -> refused.Add connection |> ignore
                        | _ -> ()

                        if refused.Contains connection && frame[0] >>> 4 = 3uy then
                            [ ToClient(1, frame) ]
                        else
                            [ ToServer(connection, frame) ]
            })
        wrong "takes no notice of wrong credentials" "3.1.4-2 4.13.2-1 3.2.2-6 3.2.2-7" (fun () ->
            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Connect connect) when not (isKnown connect.UserName) -> []
                        | _ -> [ ToServer(connection, frame) ]
            })
    ]

let private identifiers =
    [
        wrong "sets a reserved bit in the Connect Acknowledge Flags" "3.2.2-1" (fun () ->
            { straight with
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Connack _) -> frame[2] <- frame[2] ||| 0x80uy
                        | _ -> ()

                        [ ToClient(connection, frame) ]
            })
        atFirst "refuses Client Identifiers of 14 bytes" "3.1.3-5" (fun connection frame packet ->
            match packet with
            | ValueSome(Packet.Connect { ClientId = ValueSome id }) when id.Text.Length = 14 ->
                [ ToClient(connection, refusal); CloseClient connection ]
            | _ -> [ ToServer(connection, frame) ])
        connacks
            "does not tell the Client Identifier that it assigns"
            "3.1.3-2 3.1.3-6 3.1.3-7 3.2.2-16"
            (fun connack ->
                { connack with
                    Properties = { connack.Properties with AssignedClientIdentifier = ValueNone }
                })
        connacks
            "assigns the same Client Identifier to everyone"
            "3.1.3-2 3.1.3-6 3.1.3-7 3.2.2-16"
            (fun connack ->
                { connack with
                    Properties =
                        { connack.Properties with
                            AssignedClientIdentifier =
                                connack.Properties.AssignedClientIdentifier
                                |> ValueOption.map (fun _ -> Utf8String.Of "same")
                        }
                })
        atFirst
            "does not answer a CONNECT with a Client Identifier that it does not take"
            "3.1.3-8 3.2.2-7"
            (fun connection frame _ -> if frame.Length > 50_000 then [] else [ ToServer(connection, frame) ])
        requests "leaves U+FEFF out of Topic Filters" "1.5.4-3" (fun packet ->
            match packet with
            | Packet.Subscribe subscribe ->
                [
                    Packet.Subscribe
                        { subscribe with
                            Subscriptions =
                                subscribe.Subscriptions
                                |> Seq.map (fun one ->
                                    { one with
                                        Filter = TopicFilter.Of(one.Filter.Text.Replace("\ufeff", ""))
                                    })
                                |> SubscriptionList.Of
                        }
                ]
            | other -> [ other ])
    ]

let private answering =
    [
        connacks "tells Response Information unasked" "3.1.2-28" (fun connack ->
            { connack with
                Properties =
                    { connack.Properties with ResponseInformation = ValueSome(Utf8String.Of "response/") }
            })
        connacks "names an Authentication Method unasked" "4.12.0-6" (fun connack ->
            { connack with
                Properties =
                    { connack.Properties with
                        Authentication = ValueSome { Method = Utf8String.Of "m"; Data = ValueNone }
                    }
            })
        connacks
            "says why it refuses in a CONNACK beyond Maximum Packet Size"
            "3.1.2-24 3.2.2-19"
            (fun connack ->
                if isFailure connack.Reason then
                    { connack with
                        Properties =
                            { connack.Properties with
                                ReasonString = ValueSome(Utf8String.Of(String.replicate 40 "why "))
                            }
                    }
                else
                    connack)
        connacks
            "adds User Properties to a CONNACK beyond Maximum Packet Size"
            "3.1.2-24 3.2.2-20"
            (fun connack ->
                if isFailure connack.Reason then
                    { connack with
                        Properties =
                            { connack.Properties with
                                ReasonString = ValueNone
                                UserProperties =
                                    UserProperties.Of [ UserProperty.Of("why", String.replicate 40 "x") ]
                            }
                    }
                else
                    connack)
        atFirst
            "does not answer a CONNECT with an unknown Authentication Method"
            "4.12.0-1 4.12.0-4 3.2.2-7 4.13.2-1"
            (fun connection frame packet ->
                match packet with
                | ValueSome(Packet.Connect connect) when connect.Properties.Authentication.IsSome -> []
                | _ -> [ ToServer(connection, frame) ])
        dumb "does not answer PINGREQ" "3.12.4-1" _.IsPingresp
    ]

let private atMostQoS1 = set (fun settings -> { settings with MaximumQoS = QoS.AtLeastOnce })
let private withoutRetain = set (fun settings -> { settings with RetainAvailable = false })

let private limits =
    [
        wrong "closes the connection after a QoS that it did not exclude" "3.2.2-9" (fun () ->
            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish publish) when publish.Delivery.QoS = QoS.ExactlyOnce ->
                            [
                                ToClient(connection, bytesIn "DISCONNECT rc=QoSNotSupported")
                                CloseClient connection
                            ]
                        | _ -> [ ToServer(connection, frame) ]
            })
        wrong "takes a PUBLISH beyond the Maximum QoS that it told" "3.2.2-9" (fun () ->
            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish publish) when publish.Delivery.QoS = QoS.ExactlyOnce ->
                            [ ToClient(connection, bytesIn $"PUBREC id={publish.Delivery.PacketId.Value}") ]
                        | _ -> [ ToServer(connection, frame) ]
            })
        |> atMostQoS1
        answers "refuses a subscription beyond its Maximum QoS" "3.2.2-10" (fun packet ->
            match packet with
            | Packet.Suback suback when suback.Reasons.Count > 2 ->
                [
                    Packet.Suback
                        { suback with
                            Reasons =
                                suback.Reasons
                                |> Seq.mapi (fun index reason ->
                                    if index = 2 then ReasonCode.ImplementationSpecificError else reason)
                                |> ReasonCodeList.Of
                        }
                ]
            | other -> [ other ])
        |> atMostQoS1
        connects "takes a Will beyond its Maximum QoS" "3.2.2-12" (fun connect ->
            { connect with
                Will = connect.Will |> ValueOption.map (fun will -> { will with QoS = QoS.AtMostOnce })
            })
        |> atMostQoS1
        connects "takes a Will with RETAIN though it retains nothing" "3.2.2-13" (fun connect ->
            { connect with
                Will = connect.Will |> ValueOption.map (fun will -> { will with Retain = false })
            })
        |> withoutRetain
    ]

let all: WrongServer list = handshake @ reading @ identifiers @ answering @ limits
