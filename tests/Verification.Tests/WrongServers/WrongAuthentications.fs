/// Servers with a mistake in SCRAM-SHA-256 (section 4.12).
module Mqtt5.Tests.WrongServers.WrongAuthentications

open System.Collections.Generic
open Mqtt5
open Mqtt5.Verification

let private auths mistake breaks (change: Auth -> Auth list) =
    answers mistake breaks (fun packet ->
        match packet with
        | Packet.Auth auth -> change auth |> List.map Packet.Auth
        | other -> [ other ])

// A server that judges otherwise than it should, given the number of its judgement on the connection, from 1.
let private judges mistake breaks (change: int -> Judgement -> Judgement) =
    let one = wrong mistake breaks (fun () -> straight)

    let judge () =
        let right = one.Server.Judge()
        let judged = Dictionary<int, int>()

        fun connection packet ->
            judged.TryAdd(connection, 0) |> ignore
            judged[connection] <- judged[connection] + 1
            change judged[connection] (right connection packet)

    { one with Server = { one.Server with Judge = judge } }

let private accepts judgement =
    match judgement with
    | Judgement.Refused _ -> Judgement.Accepted(ValueNone, ValueNone)
    | other -> other

let all: WrongServer list =
    [
        auths "names another Authentication Method in AUTH" "4.12.0-5" (fun auth ->
            [ { auth with Authentication = { auth.Authentication with Method = Utf8String.Of "m" } } ])
        auths "says success where the authentication goes on" "4.12.0-2" (fun auth ->
            [ { auth with Reason = ReasonCode.Success } ])
        wrong "sends AUTH with a reason code that it does not have" "3.15.2-1" (fun () ->
            { straight with
                Answered =
                    fun connection frame packet ->
                        if packet.IsSome && packet.Value.IsAuth then
                            frame[2] <- byte ReasonCode.UnspecifiedError

                        [ ToClient(connection, frame) ]
            })
        answers "names no Authentication Method in CONNACK" "4.12.0-5" (fun packet ->
            match packet with
            | Packet.Connack connack ->
                [
                    Packet.Connack
                        { connack with Properties = { connack.Properties with Authentication = ValueNone } }
                ]
            | other -> [ other ])
        judges "takes any proof at first" "4.12.0-4 4.13.2-1 3.2.2-7" (fun number judgement ->
            if number = 2 then accepts judgement else judgement)
        judges "takes any proof of a client that authenticates again" "4.12.1-2" (fun number judgement ->
            if number = 4 then accepts judgement else judgement)
        deaf "takes no notice of a client that authenticates again" "4.12.0-2" (fun packet ->
            match packet with
            | Packet.Auth { Reason = ReasonCode.ReAuthenticate } -> true
            | _ -> false)
        deaf "takes no notice of an AUTH with another method" "4.12.0-5" (fun packet ->
            match packet with
            | Packet.Auth auth -> auth.Authentication.Method.Text <> "SCRAM-SHA-256"
            | _ -> false)
        auths "sends an AUTH that is larger than the client takes" "3.1.2-24 3.15.2-2 3.15.2-3" (fun auth ->
            [
                { auth with
                    UserProperties = UserProperties.Of [ UserProperty.Of("why", String.replicate 200 "x") ]
                    ReasonString = ValueSome(Utf8String.Of(String.replicate 200 "x"))
                }
            ])
    ]
