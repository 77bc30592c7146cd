namespace Mqtt5.Verification

open System
open System.Collections.Generic
open System.Security.Cryptography
open System.Text
open Mqtt5

/// The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) for a simulated server, which knows one user. It shares no
/// code with what the clients of the probes say.
[<RequireQualifiedAccess>]
module ScramServer =

    // A simulation has no secret to guard, but many runs.
    let private iterations = 2

    let private salt = Encoding.ASCII.GetBytes "simulated"

    let private utf8 (text: string) = Encoding.UTF8.GetBytes text

    let private xor (first: byte[]) (second: byte[]) = Array.map2 (^^^) first second

    // What is between two points of a text, or behind the first.
    let private after (mark: string) (text: string) =
        match text.IndexOf mark with
        | -1 -> None
        | at -> Some(text.Substring(at + mark.Length))

    let private signature (password: string) (signed: string) (proof: byte[]) =
        let salted = Rfc2898DeriveBytes.Pbkdf2(utf8 password, salt, iterations, HashAlgorithmName.SHA256, 32)

        let stored = SHA256.HashData(HMACSHA256.HashData(salted, utf8 "Client Key"))
        let key = xor proof (HMACSHA256.HashData(stored, utf8 signed))

        if SHA256.HashData key = stored then
            Some(HMACSHA256.HashData(HMACSHA256.HashData(salted, utf8 "Server Key"), utf8 signed))
        else
            None

    let private says (message: string) : Authentication =
        { Method = Utf8String.Of Scram.Method; Data = ValueSome(Secret(Bytes.OfText message)) }

    /// Judges who wants to sign in on the connections of one run, by the number of the connection and its CONNECT or
    /// AUTH. A CONNECT without an Authentication Method is accepted without a User Name, and with that of the user.
    let judge (userName: string) (password: string) : int -> Packet -> Judgement =
        // What was said on a connection until it has an answer to the challenge.
        let said = Dictionary<int, string>()

        let step connection (asked: Authentication) =
            let message =
                match asked.Data with
                | ValueSome data -> Encoding.UTF8.GetString data.Reveal.Span
                | ValueNone -> ""

            match after "n,," message, after ",r=" message, after ",p=" message with
            | _ when asked.Method.Text <> Scram.Method -> Judgement.Refused ReasonCode.BadAuthenticationMethod
            | Some bare, Some nonce, _ when bare.StartsWith $"n={userName}," ->
                let challenge = $"r={nonce}simulated,s={Convert.ToBase64String salt},i={iterations}"
                said[connection] <- $"{bare},{challenge}"
                Judgement.Continue(says challenge)
            | _, _, Some proof when said.ContainsKey connection ->
                let bare = message.Substring(0, message.Length - proof.Length - ",p=".Length)

                match signature password $"{said[connection]},{bare}" (Convert.FromBase64String proof) with
                | Some answer ->
                    Judgement.Accepted(ValueSome(says $"v={Convert.ToBase64String answer}"), ValueNone)
                | None -> Judgement.Refused ReasonCode.NotAuthorized
            | _ -> Judgement.Refused ReasonCode.NotAuthorized

        fun connection packet ->
            match packet with
            | Packet.Connect connect ->
                match connect.Properties.Authentication with
                | ValueSome asked -> step connection asked
                | ValueNone ->
                    let isUser =
                        match connect.UserName, connect.Password with
                        | ValueNone, _ -> true
                        | ValueSome name, ValueSome given ->
                            name.Text = userName
                            && given.Reveal.Span.SequenceEqual(ReadOnlySpan(utf8 password))
                        | _ -> false

                    if isUser then
                        Judgement.Accepted(ValueNone, ValueNone)
                    else
                        Judgement.Refused ReasonCode.BadUserNameOrPassword
            | Packet.Auth auth -> step connection auth.Authentication
            | _ -> Judgement.Refused ReasonCode.NotAuthorized
