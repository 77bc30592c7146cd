namespace Mqtt5.Verification

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
