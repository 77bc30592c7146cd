namespace Mqtt5.Verification

open Mqtt5

/// All probes.
[<RequireQualifiedAccess>]
module Catalogue =

    /// The probes in the order of the standard's chapters, as far as they have one.
    [<CompiledName("Probes")>]
    let probes: Lazy<Probe[]> =
        lazy
            (Array.ofList (
                List.concat
                    [
                        ConnectProbes.all
                        AuthenticationProbes.all
                        SessionProbes.all
                        PublishProbes.all
                        DeliveryProbes.all
                        SubscribeProbes.all
                        ErrorProbes.all
                    ]
            ))

    // What MQTT 3.1.1 says as MQTT 5 does is tried by the same probes.
    let private probesOf311 =
        lazy
            (Array.ofList (
                List.concat
                    [
                        ConnectProbesV3.all
                        SessionProbesV3.all
                        PublishProbesV3.all
                        SubscribeProbesV3.all
                        ErrorProbesV3.all
                        ProbeLowering.all probes.Value
                        MixedProbes.all
                    ]
            ))

    /// The probes of a version; none for MQTT 3.1, which has no numbered statements.
    [<CompiledName("ProbesIn")>]
    let probesIn (version: ProtocolVersion) : Probe[] =
        match version with
        | ProtocolVersion.V5 -> probes.Value
        | ProtocolVersion.V311 -> probesOf311.Value
        | ProtocolVersion.V31 -> [||]

    let private statementsOf311 =
        lazy
            (let mixed = MixedProbes.all |> Seq.collect _.Clauses |> Set.ofSeq

             Array.append
                 (Statements.serverIn ProtocolVersion.V311)
                 (Statements.server.Value |> Array.filter (fun one -> mixed.Contains one.Id)))

    /// The statements that the probes of a version are about, in the order of the standard. Behind those of MQTT 3.1.1 come
    /// the statements of MQTT 5 that hold where clients of both versions meet.
    [<CompiledName("StatementsIn")>]
    let statementsIn (version: ProtocolVersion) : Statement[] =
        match version with
        | ProtocolVersion.V311 -> statementsOf311.Value
        | other -> Statements.serverIn other
