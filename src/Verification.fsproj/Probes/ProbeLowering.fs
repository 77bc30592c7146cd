namespace Mqtt5.Verification

open System.Text.RegularExpressions
open Mqtt5

/// Makes probes of MQTT 3.1.1 from those of MQTT 5 that are about what both versions say. A probe is kept where a statement
/// of 3.1.1 stands for one of its own, where each of its packets loses nothing but the time that a session is kept, and
/// where it expects nothing that 3.1.1 has no bytes for.
[<RequireQualifiedAccess>]
module ProbeLowering =

    let private version = ProtocolVersion.V311

    let private sample: ProbeSettings =
        {
            TopicPrefix = "a/b/"
            ClientIdPrefix = "c"
            UserName = ValueNone
            Password = ValueNone
            Patience = 0L<ms>
        }

    // Of these MQTT 3.1.1 has probes of its own.
    let private others =
        [ "is refused with 0x85"; "Clean Start 1 throws the session away"; "Retain Handling" ]

    // The packet of a step, with something for what is known only in a run.
    let private packetOf (text: string) =
        let text = ProbeText.expandPrefixes sample text

        match Notation.parse (Regex.Replace(text, @"(\w+)=\$\w+", "$1=1")) with
        | Ok packet -> ValueSome packet
        | Error _ -> ValueNone

    // A session that is kept for a time is kept before MQTT 5 too, so the time is no loss.
    let private withoutExpiry (packet: Packet) =
        match packet with
        | Packet.Connect connect ->
            Packet.Connect
                { connect with
                    CleanStart = false
                    Properties = { connect.Properties with SessionExpiryInterval = ValueNone }
                }
        | other -> other

    /// Whether a packet in notation loses nothing but the time that a session is kept when an end sends it in 3.1.1.
    let internal canSend direction (text: string) : bool =
        let lowered packet =
            if direction = ClientToServer then
                ProbeText.lowered version packet
            else
                Lowering.lower version direction packet

        match packetOf text |> ValueOption.map (fun packet -> packet, lowered packet) with
        | ValueSome(packet, ValueSome lowered) ->
            Notation.print (withoutExpiry packet) = Notation.print (withoutExpiry lowered)
        | _ -> false

    let private fields = Set [ "dup"; "qos"; "retain"; "topic"; "payload"; "id"; "sp"; "clean" ]

    /// Whether 3.1.1 has what a pattern names.
    let internal canExpect (pattern: PacketPattern) : bool =
        let canHold (condition: string) =
            let name = condition.Split([| '='; '[' |])[0]

            match pattern.Type, name with
            | "CONNACK", "rc" -> true
            | _, "rc" -> condition.Contains "Success"
            | "SUBACK", "codes" -> true
            | _ -> fields.Contains(name.TrimStart('!').TrimEnd '!')

        match pattern.Type with
        | "DISCONNECT"
        | "AUTH" -> false
        | _ -> List.forall canHold pattern.Conditions

    let private canDo (step: ProbeStep) =
        match step.Action with
        | ProbeAction.Send text -> canSend ClientToServer text
        | Expect pattern
        | ExpectNext pattern
        | ExpectFirst pattern
        | Await pattern
        | ExpectOnly pattern
        | ExpectNone pattern -> canExpect pattern
        | Ends(_, alternative, _) -> ValueOption.forall canExpect alternative
        | SendRaw _
        | Shuts _
        | Notices _
        | Speak _ -> false
        | SendText _
        | Refused _
        | StaysOpen
        | Leave
        | Pause _
        | Unless _
        | UnlessClosed _ -> true

    let private canNeed (need: ProbeNeed) =
        match need with
        | QoS1
        | QoS2
        | Retain
        | Wildcards
        | WebSocket
        | InFlight _ -> true
        | _ -> false

    let private lowerStep (step: ProbeStep) =
        { step with Clauses = step.Clauses |> List.collect (Statements.counterpartsIn version) }

    /// The probe for 3.1.1; nothing where there is none.
    [<CompiledName("Lower")>]
    let lower (probe: Probe) : Probe voption =
        let clauses =
            probe.Clauses
            |> List.collect (Statements.counterpartsIn version)
            |> List.distinct

        if
            not clauses.IsEmpty
            && not (List.exists (fun (part: string) -> probe.Title.Contains part) others)
            && List.forall canNeed probe.Needs
            && List.forall canDo probe.Steps
        then
            ValueSome
                {
                    Clauses = clauses
                    Version = version
                    Title = probe.Title.Replace("Clean Start", "CleanSession")
                    Needs = probe.Needs
                    Steps = List.map lowerStep probe.Steps
                }
        else
            ValueNone

    /// All probes that there are for 3.1.1, in their order.
    [<CompiledName("All")>]
    let all (probes: seq<Probe>) : Probe list =
        [
            for probe in probes do
                match lower probe with
                | ValueSome lowered -> lowered
                | ValueNone -> ()
        ]
