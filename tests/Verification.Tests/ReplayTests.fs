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
let private check
    (settings: ReplaySettings)
    (lines: string list)
    (script: (string * string list) list)
    (failures: string list)
    =
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

    Expect.equal (run.Failures |> Array.map _.Detail |> List.ofArray) failures "what went another way"

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
                    [ "the recording has PUBACK for Packet Identifier 1, and none came within 1000 ms" ])
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
        ]
