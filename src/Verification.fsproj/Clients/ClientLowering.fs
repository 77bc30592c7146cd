namespace Mqtt5.Verification

open Mqtt5

/// Makes scenarios of MQTT 3.1.1 from those of MQTT 5 that are about what both versions say, and has those about the rest.
[<RequireQualifiedAccess>]
module ClientLowering =

    let private version = ProtocolVersion.V311

    // Before MQTT 5 a client may send a packet again on a connection that stays.
    let private others = [ "is not sent again on a connection that stays" ]

    let private again = "MQTT-4.4.0-1"

    let private keepsSession (role: ClientRole) =
        role = ClientRole.PublishSession || role = ClientRole.SubscribeSession

    // What a task is about that 3.1.1 has.
    let private canBeAsked (role: ClientRole) =
        match role with
        | ClientRole.Alias
        | ClientRole.Expiring
        | ClientRole.Request
        | ClientRole.Authenticate -> false
        | _ -> true

    // A session that outlives its connection is one of CleanSession 0, and Keep Alive is in each CONNECT.
    let private ofConnect (condition: string) =
        condition.StartsWith "SessionExpiryInterval" || condition.StartsWith "keepalive"

    let private canExpect (pattern: PacketPattern) =
        let pattern =
            if pattern.Type = "CONNECT" then
                { pattern with Conditions = pattern.Conditions |> List.filter (ofConnect >> not) }
            else
                pattern

        ProbeLowering.canExpect pattern

    let private canDo (step: ClientStep) =
        match step.Action with
        | Reply text -> ProbeLowering.canSend ServerToClient text
        | Accept fields -> ProbeLowering.canSend ServerToClient ("CONNACK " + fields)
        | ReplyRaw _ -> false
        | Hold packet
        | ClientAction.Serve packet -> packet <> "AUTH"
        | ReplyText _
        | InSession
        | OverWebSocket -> true
        | Wants pattern
        | Gets pattern
        | GetsNext pattern
        | Lacks(_, pattern) -> canExpect pattern
        | Ends
        | IsOpen
        | Drop
        | Again
        | Shows _
        | Printed _
        | ClientAction.Wait _
        | Idle -> true

    let private counterparts (role: ClientRole) (clauses: string list) =
        clauses
        |> List.filter (fun id -> id <> again || keepsSession role)
        |> List.collect (Statements.clientCounterpartsIn version)
        |> List.distinct

    // A CONNECT whose session outlives its connection is one of CleanSession 0.
    let private lowerAction (action: ClientAction) =
        match action with
        | Wants pattern when
            pattern.Type = "CONNECT"
            && pattern.Conditions |> List.exists _.StartsWith("SessionExpiryInterval")
            ->
            InSession
        | other -> other

    let private asksForNoSession (step: ClientStep) =
        match step.Action with
        | Wants pattern -> pattern.Type = "CONNECT" && List.contains "clean=1" pattern.Conditions
        | _ -> false

    // A client of 3.1.1 connects again with CleanSession 1 where it was asked for no session that outlives a connection.
    let private lowerTask (scenario: ClientScenario) =
        let role =
            match scenario.Task.Role with
            | role when not (List.exists asksForNoSession scenario.Steps) -> role
            | ClientRole.PublishSession -> ClientRole.Publish
            | ClientRole.SubscribeSession -> ClientRole.Subscribe
            | role -> role

        { scenario.Task with Role = role }

    /// The scenario for 3.1.1; nothing where there is none.
    [<CompiledName("Lower")>]
    let lower (scenario: ClientScenario) : ClientScenario voption =
        let role = scenario.Task.Role
        let clauses = counterparts role scenario.Clauses

        if
            not clauses.IsEmpty
            && canBeAsked role
            && not (List.exists (fun (part: string) -> scenario.Title.Contains part) others)
            && List.forall canExpect scenario.Usual
            && List.forall canDo scenario.Steps
        then
            ValueSome
                {
                    Version = version
                    Clauses = clauses
                    Title = scenario.Title.Replace("Clean Start", "CleanSession")
                    Task = lowerTask scenario
                    Usual = scenario.Usual
                    Steps =
                        scenario.Steps
                        |> List.map (fun step ->
                            { step with
                                Action = lowerAction step.Action
                                Clauses = counterparts role step.Clauses
                            })
                }
        else
            ValueNone

    let private own clauses task title script =
        let scenario = ClientSyntax.scenario "" task title script

        { scenario with
            Version = version
            Clauses = clauses |> List.map (fun id -> "MQTT3-" + id)
        }

    // What binds the receiver of a wrong packet; the other statements bind the end that sends it.
    let private ofReceivers = Set [ "1.5.3-1"; "1.5.3-2"; "2.2.2-2"; "3.3.1-4"; "4.8.0-1" ]

    // Each of them ends the connection; there is no other answer.
    let private violations =
        [
            "a PUBLISH of QoS 3", "36 { \"verify/topic\" 0001 'x' }", [ "3.3.1-4"; "4.8.0-1" ]
            "a PUBLISH without a Topic Name", "30 { \"\" 'x' }", [ "4.7.3-1"; "4.8.0-1" ]
            "a PUBLISH with a wildcard in its Topic Name",
            "30 { \"verify/#\" 'x' }",
            [ "3.3.2-2"; "4.7.1-1"; "4.8.0-1" ]
            "a PUBLISH of QoS 0 with DUP 1", "38 { \"verify/topic\" 'x' }", [ "3.3.1-2"; "4.8.0-1" ]
            "a Topic Name that is no UTF-8", "30 { 0002 C328 'x' }", [ "1.5.3-1"; "4.8.0-1" ]
            "a Topic Name with U+0000", "30 { 0003 610062 'x' }", [ "1.5.3-2"; "4.7.3-2"; "4.8.0-1" ]
            "a PUBREL with wrong flags", "60 { 0001 }", [ "3.6.1-1"; "2.2.2-2"; "4.8.0-1" ]
            "a PINGRESP with wrong flags", "D1 00", [ "2.2.2-2"; "4.8.0-1" ]
            "a second CONNACK", "20 { 00 00 }", [ "4.8.0-1" ]
            "a packet of a type that is reserved", "F0 00", [ "4.8.0-1" ]
            "a DISCONNECT of the server", "E0 00", [ "4.8.0-1" ]
        ]

    let private ownScenarios =
        [
            for title, bytes, clauses in violations do
                let broken =
                    clauses
                    |> List.filter ofReceivers.Contains
                    |> List.map (fun id -> "MQTT3-" + id)
                    |> String.concat " "

                own
                    clauses
                    "subscribe qos=2"
                    $"A client closes the connection after {title}"
                    $"""
                    usual SUBSCRIBE
                    wants SUBSCRIBE
                    >> {bytes}
                    ends [{broken}]
                    """
            own
                [ "4.3.3-2" ]
                "subscribe qos=2"
                "A PUBREL whose message is not known is answered with PUBCOMP"
                """
                usual SUBSCRIBE
                wants SUBSCRIBE
                >> 62 { 0063 }
                < PUBCOMP id=99
                """
            for qos in 1..2 do
                own
                    [ "2.3.1-3" ]
                    $"publish-session qos={qos}"
                    $"A message of QoS {qos} that is sent again keeps its Packet Identifier"
                    $"""
                    usual PUBLISH qos={qos}
                    hold PUBLISH
                    session
                    wants PUBLISH qos={qos} id=$m
                    connack sp=1
                    drops
                    again
                    wants CONNECT clean=0
                    next PUBLISH qos={qos} id=$m
                    """
            own
                [ "3.1.3-2" ]
                "publish-session qos=1"
                "A client goes on with its session by the same Client Identifier"
                """
                usual PUBLISH qos=1
                hold PUBLISH
                session
                wants CONNECT clean=0 clientid=$id
                wants PUBLISH qos=1
                connack sp=1
                drops
                again
                lacks 500 CONNECT clean=0 clientid!=$id
                wants CONNECT clean=0 clientid=$id
                """
        ]

    /// All scenarios that there are for 3.1.1, in their order.
    [<CompiledName("All")>]
    let all (scenarios: seq<ClientScenario>) : ClientScenario list =
        [
            for scenario in scenarios do
                match lower scenario with
                | ValueSome lowered -> lowered
                | ValueNone -> ()

            yield! ownScenarios
        ]
