namespace Mqtt5

/// The consequences of an authenticator's results for a connection.
[<RequireQualifiedAccess>]
module Authenticating =

    /// The application could not decide, because it failed.
    [<CompiledName("Unavailable")>]
    let unavailable =
        Fault.ours ReasonCode.ServerUnavailable PacketType.Connect "CONNECT" "the application failed"

    /// The application gave the client no permissions.
    [<CompiledName("NotPermitted")>]
    let notPermitted =
        Fault.ours
            ReasonCode.NotAuthorized
            PacketType.Connect
            "CONNECT"
            "the application gave the client no permissions"

    /// The result in place of that of an authenticator that failed or took too long.
    [<CompiledName("NoResult")>]
    let noResult: AuthenticationResult =
        {
            Reason = ReasonCode.ServerUnavailable
            Data = System.Nullable()
            UserName = null
            ExpiresAt = System.Nullable()
        }

    /// The decision about a CONNECT or an AUTH with this Authentication Method, if it has one.
    [<CompiledName("Judge")>]
    let judge (method': Utf8String voption) (result: AuthenticationResult) : Judgement =
        if byte result.Reason >= 0x80uy then
            Judgement.Refused result.Reason
        else
            let authentication =
                match method' with
                | ValueSome method' when result.Data.HasValue ->
                    ValueSome
                        { Method = method'; Data = ValueSome(Secret(Bytes.Copy result.Data.Value.Span)) }
                | _ -> ValueNone

            match result.Reason, authentication with
            | ReasonCode.ContinueAuthentication, ValueSome challenge -> Judgement.Continue challenge
            | ReasonCode.ContinueAuthentication, ValueNone ->
                Judgement.Refused ReasonCode.BadAuthenticationMethod
            | _ -> Judgement.Accepted(authentication, ValueOption.ofNullable result.ExpiresAt)

    /// The same for a re-authentication. Permissions and subscriptions are those of the name that the connection began
    /// with, so it keeps that name; the flag tells whether another one was proved.
    [<CompiledName("Rejudge")>]
    let rejudge (connection: ServerConnection) (result: AuthenticationResult) : struct (Judgement * bool) =
        let proved =
            match result.UserName with
            | null -> connection.UserName
            | name -> ValueSome name

        if result.Reason = ReasonCode.Success && proved <> connection.UserName then
            struct (Judgement.Refused ReasonCode.NotAuthorized, true)
        else
            struct (judge connection.Method result, false)
