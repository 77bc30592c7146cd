module Mqtt5.Tests.ReplayTests

open Expecto
open Mqtt5
open Mqtt5.Verification

let private settings =
    { Speed = infinity; Patience = 1_000L<ms>; UserName = ValueNone; Password = ValueNone }

let private packet text =
    match Notation.parse text with
    | Ok packet -> packet
    | Error fault -> failtest $"{text}: {fault}"

// A recording of one connection: a line for each packet, after "c" or "s" for its sender, 100 ms apart, "closed" at the end.
let private plan (lines: string list) =
    lines
    |> List.mapi (fun index line ->
        let at = 1_000_000L<ms> + int64 index * 100L<ms>

        let event =
            match line.Split(' ', 2) with
            | [| "c"; text |] -> TraceEvent.Packet(ClientToServer, 1, packet text)
            | [| "s"; text |] -> TraceEvent.Packet(ServerToClient, 1, packet text)
            | [| "closed"; "c" |] -> TraceEvent.Closed ClientToServer
            | _ -> TraceEvent.Closed ServerToClient

        { At = at; Connection = 1; Event = event }: TraceRecord)
    |> ReplayPlan.ofRecords

let private sent (demands: ReplayDemand[]) =
    demands
    |> Array.toList
    |> List.map (fun demand ->
        match demand with
        | ReplayDemand.Open _ -> "open"
        | ReplayDemand.Close _ -> "close"
        | ReplayDemand.Write(_, bytes) ->
            match Grammar.parse ClientToServer Spec.MaximumPacketBytes 0L bytes.Memory with
            | Ok packet -> Notation.print packet
            | Error fault -> failtest $"{fault}")

// Gives a replay what happens, and looks at what it does each time: a server's packet, "opened", "closed", or "at" a time.
let private play (settings: ReplaySettings) (lines: string list) (script: (string * string list) list) =
    let mutable run = ReplayRun.start settings (plan lines)
    let mutable now = 0L<ms>

    for happening, expected in script do
        let input =
            match happening.Split(' ', 2) with
            | [| "opened" |] -> ReplayInput.Opened 1
            | [| "closed" |] -> ReplayInput.Closed 1
            | [| "begin" |] -> ReplayInput.Tick
            | [| "at"; time |] ->
                now <- int64 time * 1L<ms>
                ReplayInput.Tick
            | _ -> ReplayInput.Received(1, packet happening)

        let struct (next, demands) = ReplayRun.step run now input
        run <- next
        Expect.equal (sent demands) expected $"after '{happening}'"

    run

let private failuresOf (run: ReplayRun) =
    run.Failures
    |> Array.toList
    |> List.map (fun failure ->
        match failure.Clause with
        | ValueSome clause -> $"[{clause}] {failure.Detail}"
        | ValueNone -> failure.Detail)

let private check settings lines script (failures: string list) =
    Expect.equal (failuresOf (play settings lines script)) failures "what went another way"

// Plays it without a failure, and compares the differences: what was recorded, and what is now.
let private differ settings lines script (differences: (string * string) list) =
    let run = play settings lines script

    let text (sight: ReplaySight) =
        match sight with
        | ReplaySight.Packet packet -> Notation.print packet
        | ReplaySight.Closed -> "closed"
        | ReplaySight.Nothing -> "nothing"

    Expect.equal (failuresOf run) [] "what went another way"
    Expect.isTrue run.IsDone "it is at its end"

    Expect.equal
        (run.Differences
         |> Array.toList
         |> List.map (fun one -> text one.Recorded, text one.Live))
        differences
        "differences"

let private connect = "c CONNECT clean=1 clientid=\"a\""
let private hello = "CONNECT clean=1 clientid=\"a\""

// The script after which the connection is accepted and nothing of the rest was sent.
let private opened = [ "begin", [ "open" ]; "opened", [ hello ] ]

let private pub id = $"PUBLISH qos=1 topic=\"t\" id={id}"

let tests =
    testList
        "Replay"
        [
            testCase "a packet goes out after the answers that the recorded client had" (fun () ->
                check
                    settings
                    [
                        connect
                        "s CONNACK"
                        "c SUBSCRIBE id=1 filters[\"t\"]"
                        "s SUBACK id=1 codes[Success]"
                        "c DISCONNECT"
                        "closed c"
                    ]
                    (opened
                     @ [
                         "CONNACK", [ "SUBSCRIBE id=1 filters[\"t\"]" ]
                         "SUBACK id=1 codes[Success]", [ "DISCONNECT"; "close" ]
                     ])
                    [])
            testCase "the times of the recording are kept, and a factor shortens them" (fun () ->
                check
                    { settings with Speed = 2.0 }
                    [ connect; "s CONNACK"; "c PINGREQ"; "s PINGRESP"; "closed c" ]
                    (opened
                     @ [
                         "CONNACK", []
                         "at 99", []
                         "at 100", [ "PINGREQ" ]
                         "PINGRESP", []
                         "at 200", [ "close" ]
                     ])
                    [])
            testCase
                "acknowledgements answer the live server, not the recording [MQTT-4.3.2-4] [MQTT-4.3.3-8]"
                (fun () ->
                    check
                        settings
                        [
                            connect
                            "s CONNACK"
                            "s PUBLISH qos=1 topic=\"t\" id=7"
                            "c PUBACK id=7"
                            "s PUBLISH qos=2 topic=\"t\" id=8"
                            "c PUBREC id=8"
                            "s PUBREL id=8"
                            "c PUBCOMP id=8"
                            "c DISCONNECT"
                        ]
                        (opened
                         @ [
                             "CONNACK", []
                             "PUBLISH qos=2 topic=\"t\" id=1", [ "PUBREC id=1" ]
                             "PUBREL id=1", [ "PUBCOMP id=1" ]
                             "PUBLISH qos=1 topic=\"t\" id=2", [ "PUBACK id=2"; "DISCONNECT"; "close" ]
                         ])
                        [])
            testCase "a message waits for its Packet Identifier [MQTT-2.2.1-3]" (fun () ->
                check
                    settings
                    // The recorded PUBACK of the first was not seen before the second: both were under way on two
                    // connections that a capture takes for one.
                    [ connect; "s CONNACK"; $"c {pub 1}"; $"c {pub 1}"; "closed c" ]
                    (opened @ [ "CONNACK", [ pub 1 ]; "PUBACK id=1", [ pub 1; "close" ] ])
                    [])
            testCase "a message waits for the Receive Maximum of the live server [MQTT-3.3.4-7]" (fun () ->
                check
                    settings
                    [
                        connect
                        "s CONNACK"
                        $"c {pub 1}"
                        $"c {pub 2}"
                        "s PUBACK id=1"
                        "s PUBACK id=2"
                        "closed c"
                    ]
                    (opened
                     @ [
                         "CONNACK props{ReceiveMaximum=1}", [ pub 1 ]
                         "PUBACK id=1", [ pub 2 ]
                         "PUBACK id=2", [ "close" ]
                     ])
                    [])
            testCase
                "a message has its Topic Name where the live server takes no Topic Alias [MQTT-3.2.2-18]"
                (fun () ->
                    check
                        settings
                        [
                            connect
                            "s CONNACK props{TopicAliasMaximum=5}"
                            "c PUBLISH topic=\"t\" props{TopicAlias=1} payload=\"a\""
                            "c PUBLISH props{TopicAlias=1} payload=\"b\""
                            "closed c"
                        ]
                        (opened
                         @ [
                             "CONNACK",
                             [
                                 "PUBLISH topic=\"t\" payload=\"a\""
                                 "PUBLISH topic=\"t\" payload=\"b\""
                                 "close"
                             ]
                         ])
                        [])
            testCase "what a lost session knows nothing of is sent anew [MQTT-3.2.2-5]" (fun () ->
                let recorded =
                    [
                        "c CONNECT clientid=\"a\""
                        "s CONNACK sp=1"
                        "c PUBLISH dup=1 qos=1 topic=\"t\" id=1"
                        "c PUBREL id=2"
                        "closed c"
                    ]

                let resumed = [ "begin", [ "open" ]; "opened", [ "CONNECT clientid=\"a\"" ] ]

                check settings recorded (resumed @ [ "CONNACK", [ pub 1; "close" ] ]) []

                check
                    settings
                    recorded
                    (resumed
                     @ [ "CONNACK sp=1", [ "PUBLISH dup=1 qos=1 topic=\"t\" id=1"; "PUBREL id=2"; "close" ] ])
                    [])
            testCase "a refusal that the recording does not have is a failure" (fun () ->
                check
                    settings
                    [ connect; "s CONNACK"; $"c {pub 1}"; "s PUBACK id=1"; "c DISCONNECT" ]
                    (opened
                     @ [ "CONNACK", [ pub 1 ]; "PUBACK id=1 rc=NotAuthorized", [ "DISCONNECT"; "close" ] ])
                    [ "PUBACK id=1 rc=NotAuthorized refuses what the recorded server did not refuse" ])
            testCase "a refused PUBREC is not waited for any further" (fun () ->
                check
                    settings
                    [
                        connect
                        "s CONNACK"
                        "c PUBLISH qos=2 topic=\"t\" id=1"
                        "s PUBREC id=1"
                        "c PUBREL id=1"
                        "s PUBCOMP id=1"
                        "c DISCONNECT"
                    ]
                    (opened
                     @ [
                         "CONNACK", [ "PUBLISH qos=2 topic=\"t\" id=1" ]
                         "PUBREC id=1 rc=NotAuthorized", [ "DISCONNECT"; "close" ]
                     ])
                    [ "PUBREC id=1 rc=NotAuthorized refuses what the recorded server did not refuse" ])
            testCase "an answer that does not come is a failure, and the replay goes on" (fun () ->
                check
                    settings
                    [ connect; "s CONNACK"; $"c {pub 1}"; "s PUBACK id=1"; "c DISCONNECT" ]
                    (opened
                     @ [ "CONNACK", [ pub 1 ]; "at 999", []; "at 1000", [ "DISCONNECT"; "close" ] ])
                    [
                        "[MQTT-4.3.2-4] the recording has PUBACK for Packet Identifier 1, and none came within 1000 ms"
                    ])
            testCase "a connection that the server ends too early is a failure" (fun () ->
                check
                    settings
                    [ connect; "s CONNACK"; "c PINGREQ"; "s PINGRESP"; "c DISCONNECT" ]
                    (opened @ [ "CONNACK", [ "PINGREQ" ]; "closed", [ "close" ] ])
                    [ "the server closed the connection" ])
            testCase "a refused connection that was refused before is as in the recording" (fun () ->
                check
                    settings
                    [ connect; "s CONNACK rc=NotAuthorized"; "closed s" ]
                    (opened @ [ "CONNACK rc=NotAuthorized", [ "close" ] ])
                    [])
            testCase "PINGREQ goes out where a slow replay is silent for too long [MQTT-3.1.2-20]" (fun () ->
                check
                    { settings with Speed = 0.01 }
                    [ "c CONNECT clean=1 keepalive=10 clientid=\"a\""; "s CONNACK"; "c DISCONNECT" ]
                    [
                        "begin", [ "open" ]
                        "opened", [ "CONNECT clean=1 keepalive=10 clientid=\"a\"" ]
                        "CONNACK", []
                        "at 7400", []
                        "at 7500", [ "PINGREQ" ]
                        "at 20000", [ "DISCONNECT"; "close" ]
                    ]
                    [])
            testCase "given credentials take the place of hidden ones" (fun () ->
                let recorded =
                    [ "c CONNECT clean=1 clientid=\"a\" username=\"u\" password=\"***\""; "s CONNACK" ]

                Expect.equal (ReplayPlan.hiddenPasswords (plan recorded)) [| 1 |] "hidden"

                check
                    { settings with UserName = ValueSome "v"; Password = ValueSome(Bytes.OfText "word") }
                    recorded
                    [
                        "begin", [ "open" ]
                        "opened", [ "CONNECT clean=1 clientid=\"a\" username=\"v\" password=\"word\"" ]
                        "CONNACK", [ "close" ]
                    ]
                    [])
            testCase
                "messages that the recorded client had are waited for a moment before it leaves"
                (fun () ->
                    check
                        settings
                        [ connect; "s CONNACK"; "s PUBLISH topic=\"t\""; "c DISCONNECT" ]
                        (opened @ [ "CONNACK", []; "at 999", []; "at 1000", [ "DISCONNECT"; "close" ] ])
                        [])
            testCase "an answer that says something else is a difference" (fun () ->
                differ
                    settings
                    [
                        connect
                        "s CONNACK props{ReceiveMaximum=10}"
                        "c SUBSCRIBE id=1 filters[\"t\" qos=2]"
                        "s SUBACK id=1 codes[GrantedQoS2]"
                        "c DISCONNECT"
                    ]
                    (opened
                     @ [
                         "CONNACK props{ReceiveMaximum=20}", [ "SUBSCRIBE id=1 filters[\"t\" qos=2]" ]
                         "SUBACK id=1 codes[GrantedQoS1]", [ "DISCONNECT"; "close" ]
                     ])
                    [
                        "CONNACK rc=Success props{ReceiveMaximum=10}",
                        "CONNACK rc=Success props{ReceiveMaximum=20}"
                        "SUBACK id=1 codes[GrantedQoS2]", "SUBACK id=1 codes[GrantedQoS1]"
                    ])
            testCase "what differs from run to run is no difference" (fun () ->
                differ
                    settings
                    [
                        connect
                        "s CONNACK props{AssignedClientIdentifier=\"x\", ReasonString=\"hello\"}"
                        $"c {pub 1}"
                        "s PUBACK id=1"
                        "s PUBLISH qos=1 topic=\"m\" id=5 props{MessageExpiryInterval=9} payload=\"1\""
                        "s PUBLISH topic=\"n\" props{TopicAlias=3}"
                        "s PUBLISH props{TopicAlias=3}"
                        "c DISCONNECT"
                    ]
                    (opened
                     @ [
                         "CONNACK props{AssignedClientIdentifier=\"y\"}", [ pub 1 ]
                         "PUBACK id=1 rc=Success props{ReasonString=\"well\"}", []
                         "PUBLISH topic=\"n\"", []
                         "PUBLISH topic=\"n\"", []
                         "PUBLISH dup=1 qos=1 topic=\"m\" id=1 props{MessageExpiryInterval=4} payload=\"1\"",
                         [ "PUBACK id=1"; "DISCONNECT"; "close" ]
                     ])
                    [])
            testCase "messages that do not come and others that come are differences" (fun () ->
                differ
                    settings
                    [
                        connect
                        "s CONNACK"
                        "s PUBLISH topic=\"a\" payload=\"1\""
                        "s PUBLISH topic=\"a\" payload=\"1\""
                        "s PUBLISH topic=\"b\""
                        "c DISCONNECT"
                    ]
                    (opened
                     @ [
                         "CONNACK", []
                         "PUBLISH topic=\"b\" retain=1", []
                         "PUBLISH topic=\"a\" payload=\"1\"", []
                         "at 1000", [ "DISCONNECT"; "close" ]
                     ])
                    [
                        "PUBLISH topic=\"a\" payload=\"1\"", "nothing"
                        "PUBLISH topic=\"b\"", "nothing"
                        "nothing", "PUBLISH retain=1 topic=\"b\""
                    ])
            testCase "a connection that the recorded server ended has to end, and alike" (fun () ->
                let recorded =
                    [ connect; "s CONNACK"; "c PUBREL id=9"; "s DISCONNECT rc=ProtocolError"; "closed s" ]

                let sent = [ "CONNACK sp=1", [ "PUBREL id=9" ] ]
                let sight = "DISCONNECT rc=ProtocolError"
                let asBefore = "CONNACK rc=Success", "CONNACK sp=1 rc=Success"
                differ settings recorded (opened @ sent @ [ sight, [ "close" ] ]) [ asBefore ]

                differ
                    settings
                    recorded
                    (opened @ sent @ [ "closed", [ "close" ] ])
                    [ asBefore; sight, "closed" ]

                differ
                    settings
                    recorded
                    (opened @ sent @ [ "DISCONNECT rc=MalformedPacket", [ "close" ] ])
                    [ asBefore; sight, "DISCONNECT rc=MalformedPacket" ]

                differ
                    settings
                    recorded
                    (opened @ sent @ [ "at 999", []; "at 1000", [ "close" ] ])
                    [ asBefore; sight, "nothing" ])
            testCase "after an answer in vain, the next of its kind is not waited for" (fun () ->
                check
                    settings
                    [
                        connect
                        "s CONNACK"
                        $"c {pub 1}"
                        "s PUBACK id=1"
                        $"c {pub 2}"
                        "s PUBACK id=2"
                        $"c {pub 3}"
                        "s PUBACK id=3"
                        "c DISCONNECT"
                    ]
                    (opened
                     @ [
                         "CONNACK", [ pub 1 ]
                         "at 999", []
                         "at 1000", [ pub 2; pub 3; "DISCONNECT"; "close" ]
                     ])
                    [
                        for id in 1..3 do
                            $"[MQTT-4.3.2-4] the recording has PUBACK for Packet Identifier {id}, and none came within 1000 ms"
                    ])
            testCase
                "a packet that would break a rule now is left out [MQTT-2.2.1-3] [MQTT-3.3.4-7]"
                (fun () ->
                    check
                        settings
                        [ connect; "s CONNACK"; $"c {pub 1}"; $"c {pub 2}"; "s PUBACK id=2"; "c DISCONNECT" ]
                        (opened
                         @ [
                             "CONNACK props{ReceiveMaximum=1}", [ pub 1 ]
                             "at 999", []
                             "at 1000", [ "DISCONNECT"; "close" ]
                         ])
                        [ "PUBLISH is left out: the Receive Maximum, 1, is reached" ])
            testCase
                "a Client Identifier that was assigned is that of the live server [MQTT-3.2.2-16]"
                (fun () ->
                    let records =
                        [
                            1, "c CONNECT props{SessionExpiryInterval=9}"
                            1, "s CONNACK props{AssignedClientIdentifier=\"then\"}"
                            1, "c DISCONNECT"
                            2, "c CONNECT clientid=\"then\""
                            2, "s CONNACK sp=1"
                        ]
                        |> List.map (fun (number, line) ->
                            let direction = if line[0] = 'c' then ClientToServer else ServerToClient
                            let event = TraceEvent.Packet(direction, 1, packet (line.Substring 2))
                            { At = 1_000L<ms>; Connection = number; Event = event }: TraceRecord)

                    let struct (run, _) =
                        ReplayRun.step
                            (ReplayRun.start settings (ReplayPlan.ofRecords records))
                            0L<ms>
                            ReplayInput.Tick

                    let struct (run, _) = ReplayRun.step run 0L<ms> (ReplayInput.Opened 1)

                    let answer = packet "CONNACK props{AssignedClientIdentifier=\"now\"}"
                    let struct (run, left) = ReplayRun.step run 0L<ms> (ReplayInput.Received(1, answer))
                    Expect.equal (sent left) [ "DISCONNECT"; "open" ] "the first leaves"
                    let struct (_, again) = ReplayRun.step run 0L<ms> (ReplayInput.Opened 2)

                    Expect.equal
                        (sent again)
                        [ "CONNECT clientid=\"now\""; "close" ]
                        "the second names it, and the first is closed")
            testCase "a client that was found silent for too long is silent again [MQTT-3.1.2-22]" (fun () ->
                differ
                    { settings with Speed = 0.1 }
                    [
                        "c CONNECT clean=1 keepalive=2 clientid=\"a\""
                        "s CONNACK"
                        "s DISCONNECT rc=KeepAliveTimeout"
                        "closed s"
                    ]
                    [
                        "begin", [ "open" ]
                        "opened", [ "CONNECT clean=1 keepalive=2 clientid=\"a\"" ]
                        "CONNACK", []
                        "at 2900", []
                        "DISCONNECT rc=KeepAliveTimeout", [ "close" ]
                    ]
                    [])
        ]
