namespace Mqtt5.Verification

open System
open System.Text
open System.Text.RegularExpressions
open Mqtt5

/// Turns what scripts write with a tilde, a dollar sign or <c>scram-</c> into what goes out.
[<RequireQualifiedAccess>]
module internal ProbeText =

    /// With the prefixes of topics and Client Identifiers.
    let expandPrefixes (settings: ProbeSettings) (text: string) : string =
        let prefix = settings.TopicPrefix

        text
            .Replace("~/", prefix)
            .Replace("^/", prefix.Substring(prefix.IndexOf '/' + 1))
            .Replace("~", settings.ClientIdPrefix)

    /// With the prefixes, and with what names were bound to.
    let expand (settings: ProbeSettings) (names: Map<string, string>) (text: string) : string =
        let text = expandPrefixes settings text

        if text.Contains '$' then
            // A name can be the beginning of another; the longer one counts.
            names
            |> Map.toList
            |> List.sortByDescending (fun (name, _) -> name.Length)
            |> List.fold (fun (text: string) (name, value) -> text.Replace(name, value)) text
        else
            text

    // The text of a value in notation.
    let private textOf (value: string) =
        match Notation.parse $"PUBLISH topic=\"t\" payload={value}" with
        | Ok(Packet.Publish publish) -> Encoding.UTF8.GetString publish.Payload.Span
        | _ -> ""

    /// With the message of SCRAM-SHA-256 that is asked for, or what the challenge lacks for one.
    let expandScram
        (settings: ProbeSettings)
        (names: Map<string, string>)
        (text: string)
        : Result<string, string> =
        let asked = Regex.Match(text, @"scram-(\w+)(\((\$\w+)\))?")

        if not asked.Success then
            Ok text
        else
            let identity: ScramIdentity =
                {
                    UserName = ValueOption.defaultValue "" settings.UserName
                    Password = ValueOption.defaultValue Bytes.Empty settings.Password
                    // The same for the same seed; it protects nothing that lasts.
                    Nonce = settings.ClientIdPrefix
                }

            let challenge () = textOf (Map.find asked.Groups[3].Value names)

            let message =
                match asked.Groups[1].Value with
                | "opening" -> Ok(Scram.opening identity)
                | "proof" -> Scram.answer false identity (challenge ())
                | "forgery" -> Scram.answer true identity (challenge ())
                | other -> invalidArg (nameof text) $"there is no message scram-{other}"

            message
            |> Result.map (fun message ->
                let hexadecimal = Convert.ToHexString(Encoding.UTF8.GetBytes message)
                text.Replace(asked.Value, $"x'{hexadecimal}'"))

    // The password does not travel where a proof of it does.
    let private signsInByScram (connect: Connect) =
        match connect.Properties.Authentication with
        | ValueSome authentication -> authentication.Method.Text = Scram.Method
        | ValueNone -> false

    /// With the name and password of all connections, where a CONNECT has none of its own.
    let withCredentials (settings: ProbeSettings) (packet: Packet) : Packet =
        match packet with
        | Packet.Connect connect when
            connect.UserName.IsNone
            && connect.Password.IsNone
            && not (signsInByScram connect)
            ->
            Packet.Connect
                { connect with
                    UserName = settings.UserName |> ValueOption.map Utf8String.Of
                    Password = settings.Password |> ValueOption.map Secret
                }
        | _ -> packet

    // Each probe has Client Identifiers of its own, so that a session that is to be kept is new as well.
    let private connectBefore5 (connect: Connect) =
        let expiry = ValueOption.defaultValue 0u<s> connect.Properties.SessionExpiryInterval
        let cleanSession = connect.CleanStart && expiry = 0u<s>

        { connect with
            CleanStart = cleanSession
            Properties =
                { connect.Properties with
                    SessionExpiryInterval =
                        if cleanSession then
                            ValueNone
                        else
                            ValueSome(LanguagePrimitives.UInt32WithMeasure<s> Spec.NoExpiry)
                }
        }

    /// A packet as a client of a version sends it: what the version has no bytes for is left out. A session that MQTT 5
    /// would keep for a time is one of CleanSession 0. Nothing, where the version has no such packet.
    let lowered (version: ProtocolVersion) (packet: Packet) : Packet voption =
        match packet with
        | Packet.Connect connect when not version.IsV5 ->
            Lowering.lower version ClientToServer (Packet.Connect(connectBefore5 connect))
        | _ -> Lowering.lower version ClientToServer packet
