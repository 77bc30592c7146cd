/// Clients with a mistake: each breaks the statement that the mistake is about, as a server sees it from its bytes.
module Mqtt5.Tests.WrongClientTests

open Expecto
open Mqtt5
open Mqtt5.Verification

let private settings: ScenarioSettings = { Patience = 1_000L<ms>; StartPatience = 2_000L<ms> }

// A program of a version that connects once, writes these frames one after another, and ends.
let private playIn version (task: string) (frames: string list) : ClientRun =
    let mutable run = ClientRun.start settings (ClientSyntax.usualIn version (ClientTask.parse task)) 0L<ms>

    let mutable now = 0L<ms>

    let feed input =
        now <- now + 10L<ms>
        let struct (next, _) = ClientRun.step run now input
        run <- next

    feed ClientInput.Tick
    feed (ClientInput.Connected 1)

    for frame in frames do
        feed (ClientInput.Received(1, Bytes.OfArray(RawBytes.parse frame)))

    feed (ClientInput.Closed 1)
    feed (ClientInput.Exited(0, ""))

    while run.Outcome.IsNone && now < 60_000L<ms> do
        now <- now + 1_000L<ms>
        let struct (next, _) = ClientRun.step run now ClientInput.Tick
        run <- next

    run

let private play task frames = playIn ProtocolVersion.V5 task frames

let private connect = "10 { \"MQTT\" 05 02 003C {} \"c\" }"
let private disconnect = "E0 00"

// The mistake, the statement, and the frames behind CONNECT.
let private mistakes =
    [
        "sends a Topic Name with a wildcard", "3.3.2-2", [ "30 { \"a/+\" {} }" ]
        "sets DUP at QoS 0", "3.3.1-2", [ "38 { \"a\" {} }" ]
        "sets DUP at the first time", "4.3.2-2", [ "3A { \"a\" 0001 {} }" ]
        "sends QoS 3", "3.3.1-4", [ "36 { \"a\" 0001 {} }" ]
        "sends a message of QoS 1 without a Packet Identifier", "2.2.1-3", [ "32 { \"a\" 0000 {} }" ]
        "uses a Packet Identifier twice", "2.2.1-3", [ "34 { \"a\" 0001 {} }"; "82 { 0001 {} \"a\" 00 }" ]
        "sends a Subscription Identifier", "3.3.4-6", [ "30 { \"a\" { 0B 01 } }" ]
        "sends a Topic Alias of 0", "3.3.2-8", [ "30 { \"a\" { 23 0000 } }" ]
        "sends a Response Topic with a wildcard", "3.3.2-14", [ "30 { \"a\" { 08 \"#\" } }" ]
        "sends a text that is not UTF-8", "1.5.4-1", [ "30 { 0002 C328 {} }" ]
        "sends U+0000", "1.5.4-2", [ "30 { 0003 610062 {} }" ]
        "sets the flags of SUBSCRIBE", "3.8.1-1", [ "80 { 0001 {} \"a\" 00 }" ]
        "subscribes to nothing", "3.8.3-2", [ "82 { 0001 {} }" ]
        "sets reserved Subscription Options", "3.8.3-5", [ "82 { 0001 {} \"a\" 40 }" ]
        "sets No Local for a Shared Subscription", "3.8.3-4", [ "82 { 0001 {} \"$share/g/a\" 04 }" ]
        "sets the flags of UNSUBSCRIBE", "3.10.1-1", [ "A0 { 0001 {} \"a\" }" ]
        "unsubscribes from nothing", "3.10.3-2", [ "A2 { 0001 {} }" ]
        "sets the flags of DISCONNECT", "3.14.1-1", [ "E1 00" ]
        "sends something after DISCONNECT", "3.14.4-1", [ disconnect; "C0 00" ]
        "connects twice", "3.1.0-2", [ connect ]
    ]

let private wrongConnects =
    [
        "begins with PINGREQ", "3.1.0-1", "C0 00"
        "has another Protocol Name", "3.1.2-1", "10 { \"mqtt\" 05 02 003C {} \"c\" }"
        "sets the reserved Connect Flag", "3.1.2-3", "10 { \"MQTT\" 05 03 003C {} \"c\" }"
        "has a Will QoS without a Will", "3.1.2-11", "10 { \"MQTT\" 05 0A 003C {} \"c\" }"
        "has no Client Identifier", "3.1.3-3", "10 { \"MQTT\" 05 02 003C {} }"
    ]

// The same before MQTT 5: a client of 3.1.1.
let private play311 task frames = playIn ProtocolVersion.V311 task frames

let private connect311 = "10 { \"MQTT\" 04 02 003C \"c\" }"

let private mistakes311 =
    [
        "sends a Topic Name with a wildcard", "3.3.2-2", [ "30 { \"a/+\" }" ]
        "sends a Topic Name without a character", "4.7.3-1", [ "30 { \"\" }" ]
        "sets DUP at QoS 0", "3.3.1-2", [ "38 { \"a\" }" ]
        "sets DUP at QoS 0", "4.3.1-1", [ "38 { \"a\" }" ]
        "sets DUP at the first time", "4.3.2-1", [ "3A { \"a\" 0001 }" ]
        "sends QoS 3", "3.3.1-4", [ "36 { \"a\" 0001 }" ]
        "sends a message of QoS 1 without a Packet Identifier", "2.3.1-1", [ "32 { \"a\" 0000 }" ]
        "uses a Packet Identifier twice", "2.3.1-2", [ "34 { \"a\" 0001 }"; "82 { 0001 \"a\" 00 }" ]
        "sends a text that is not UTF-8", "1.5.3-1", [ "30 { 0002 C328 }" ]
        "sends U+0000", "1.5.3-2", [ "30 { 0003 610062 }" ]
        "sets the flags of SUBSCRIBE", "3.8.1-1", [ "80 { 0001 \"a\" 00 }" ]
        "subscribes to nothing", "3.8.3-3", [ "82 { 0001 }" ]
        "sets the flags of UNSUBSCRIBE", "3.10.1-1", [ "A0 { 0001 \"a\" }" ]
        "unsubscribes from nothing", "3.10.3-2", [ "A2 { 0001 }" ]
        "sends something after DISCONNECT", "3.14.4-2", [ "E0 00"; "C0 00" ]
        "releases a message that was never received", "2.3.1-6", [ "62 { 0009 }" ]
    ]

let private wrongConnects311 =
    [
        "begins with PINGREQ", "3.1.0-1", "C0 00"
        "has a Will QoS without a Will", "3.1.2-11", "10 { \"MQTT\" 04 0A 003C \"c\" }"
        "has a Will QoS without a Will", "3.1.2-13", "10 { \"MQTT\" 04 0A 003C \"c\" }"
        "has Will Retain without a Will", "3.1.2-15", "10 { \"MQTT\" 04 22 003C \"c\" }"
        "has a password without a User Name", "3.1.2-22", "10 { \"MQTT\" 04 42 003C \"c\" \"p\" }"
        "has no Client Identifier", "3.1.3-3", "10 { \"MQTT\" 04 02 003C }"
        "wants a session without a Client Identifier to be kept", "3.1.3-7", "10 { \"MQTT\" 04 00 003C \"\" }"
    ]

let private breaksOf prefix (statement: string) (run: ClientRun) =
    let broken = run.Findings |> Array.collect (fun one -> Array.ofList one.Clauses)

    if not (Array.contains $"{prefix}-{statement}" broken) then
        let findings = run.Findings |> Array.map (fun one -> $"%A{one.Clauses}: {one.Detail}")
        failtest $"{statement} was not found, but: {String.concat System.Environment.NewLine findings}"

let private breaks statement run = breaksOf "MQTT" statement run

// What a program does in a scenario, one after another.
type private Deed =
    | Opens of connection: int
    | Writes of connection: int * frame: string
    | Waits of int64<ms>
    | Leaves of connection: int
    // What the transport below says, about a statement of MQTT 5.
    | Keeps of statement: string
    | Violates of connection: int * statement: string

// The scenario of this title, with a program that does these deeds and then nothing more.
let private playScenarioIn version (title: string) (deeds: Deed list) : ClientRun =
    let scenario = ClientCatalogue.scenariosIn version |> Array.find (fun one -> one.Title = title)
    let mutable run = ClientRun.start settings scenario 0L<ms>
    let mutable now = 0L<ms>

    let feed time input =
        now <- now + time
        let struct (next, _) = ClientRun.step run now input
        run <- next

    feed 10L<ms> ClientInput.Tick

    for deed in deeds do
        match deed with
        | Opens number -> feed 10L<ms> (ClientInput.Connected number)
        | Writes(number, frame) ->
            feed 10L<ms> (ClientInput.Received(number, Bytes.OfArray(RawBytes.parse frame)))
        | Waits time -> feed time ClientInput.Tick
        | Leaves number -> feed 10L<ms> (ClientInput.Closed number)
        | Keeps statement -> feed 10L<ms> (ClientInput.Kept $"MQTT-{statement}")
        | Violates(number, statement) ->
            feed 10L<ms> (ClientInput.Violated(number, $"MQTT-{statement}", "another one"))

    while run.Outcome.IsNone && now < 60_000L<ms> do
        feed 500L<ms> ClientInput.Tick

    run

let private playScenario title deeds = playScenarioIn ProtocolVersion.V5 title deeds

// Clean Start 0, a Session Expiry Interval of 100 s, and a Keep Alive that is off.
let private connectToSession = "10 { \"MQTT\" 05 00 0000 { 11 00000064 } \"c\" }"

// Publishes at QoS 1 until the server closes, and connects again.
let private loses (messages: string list) =
    [
        Opens 1
        Writes(1, connectToSession)
        for message in messages do
            Writes(1, message)
        Opens 2
        Writes(2, connectToSession)
    ]

let private sentAgain = "A message of QoS 1 without an answer is sent again when the session goes on"
let private sentInOrder = "Messages of QoS 1 are sent again in their order"

let private ends verdict clauses (run: ClientRun) =
    let outcome = run.Outcome.Value
    Expect.equal outcome.Verdict verdict $"verdict: {outcome.Expected}; seen: {outcome.Seen}"

    Expect.equal
        (Set.ofList outcome.Clauses)
        (clauses |> List.map (fun one -> $"MQTT-{one}") |> Set.ofList)
        "clauses"

let private sessions =
    [
        testCase
            "a client that forgets its session breaks what binds it to send again, and nothing else"
            (fun () ->
                let run = playScenario sentAgain (loses [ "32 { \"a\" 0001 {} 'x' }" ])
                ends Verdict.Fail [ "4.3.2-3"; "4.4.0-1"; "3.1.2-23" ] run
                Expect.isEmpty run.Findings "findings")
        testCase "a client that sends again with DUP 0 breaks MQTT-3.3.1-1 alone" (fun () ->
            let message = "32 { \"a\" 0001 {} 'x' }"
            let run = playScenario sentAgain (loses [ message ] @ [ Writes(2, message) ])
            ends Verdict.Pass [] run
            Expect.equal (run.Findings |> Array.map _.Clauses) [| [ "MQTT-3.3.1-1" ] |] "findings")
        testCase "a client that sends again as it should breaks nothing" (fun () ->
            let run =
                playScenario
                    sentAgain
                    (loses [ "32 { \"a\" 0001 {} 'x' }" ] @ [ Writes(2, "3A { \"a\" 0001 {} 'x' }") ])

            ends Verdict.Pass [] run
            Expect.isEmpty run.Findings "findings")
        testCase "an order can be broken by messages alone that are sent again [MQTT-4.6.0-1]" (fun () ->
            let messages = [ for id in 1..3 -> $"32 {{ \"a\" 000{id} {{}} 'x' }}" ]
            playScenario sentInOrder (loses messages) |> ends Verdict.NotApplicable []

            playScenario sentInOrder (loses messages @ [ Writes(2, "3A { \"a\" 0002 {} 'x' }") ])
            |> ends Verdict.Fail [ "4.6.0-1" ])
        testCase "a PUBREL of a session that is lost breaks MQTT-3.2.2-5, not MQTT-2.2.1-5" (fun () ->
            let run =
                playScenario
                    "After Session Present 0 no PUBREL of the earlier session is sent"
                    [
                        Opens 1
                        Writes(1, connectToSession)
                        Writes(1, "34 { \"a\" 0001 {} 'x' }")
                        Writes(1, "62 { 0001 }")
                        Opens 2
                        Writes(2, connectToSession)
                        Writes(2, "62 { 0001 }")
                    ]

            ends Verdict.Fail [ "3.2.2-5" ] run

            Expect.isTrue
                (run.Findings |> Array.forall (fun one -> one.Clauses = [ "MQTT-3.2.2-5" ]))
                "findings")
        testCase "a PUBREL of no message breaks MQTT-2.2.1-5" (fun () ->
            breaks "2.2.1-5" (play "publish qos=1" [ connect; "62 { 0009 }" ]))
        testCase "a client that starts slowly has the usual time from then on" (fun () ->
            let run =
                playScenario
                    "A message of QoS 1 is answered with PUBACK"
                    [
                        Waits 1_900L<ms>
                        Opens 1
                        Writes(1, connect)
                        Waits 700L<ms>
                        Writes(1, "82 { 0001 {} \"verify/topic\" 02 }")
                        Writes(1, "40 { 000A }")
                    ]

            ends Verdict.Pass [] run)
    ]

// A session of CleanSession 0, with a Keep Alive that is off.
let private connectToSession311 = "10 { \"MQTT\" 04 00 0000 \"c\" }"

let private connectAs311 (name: string) = $"10 {{ \"MQTT\" 04 00 0000 \"{name}\" }}"

let private play311Scenario title deeds = playScenarioIn ProtocolVersion.V311 title deeds

let private judged verdict (clauses: string list) (run: ClientRun) =
    let outcome = run.Outcome.Value
    Expect.equal outcome.Verdict verdict $"verdict: {outcome.Expected}; seen: {outcome.Seen}"

    for clause in clauses do
        Expect.contains outcome.Clauses clause "the statement"

// A session that begins with CleanSession 1, as a client of 3.1.1 does that wants to discard an earlier one.
let private beginsAnew =
    [
        Opens 1
        Writes(1, "10 { \"MQTT\" 04 02 0000 \"c\" }")
        Writes(1, "E0 00")
        Leaves 1
        Opens 2
        Writes(2, connectToSession311)
    ]

let private kept311 =
    [
        testCase "a session of 3.1.1 may begin with a connection of CleanSession 1 before it" (fun () ->
            let begun =
                beginsAnew
                @ [ Writes(2, "32 { \"a\" 0001 'x' }"); Opens 3; Writes(3, connectToSession311) ]

            play311Scenario sentAgain begun
            |> judged Verdict.Fail [ "MQTT3-4.4.0-1"; "MQTT3-3.1.2-4"; "MQTT3-4.1.0-1" ]

            play311Scenario sentAgain (begun @ [ Writes(3, "3A { \"a\" 0001 'x' }") ])
            |> judged Verdict.Pass [])
        testCase "a client without such a session shows nothing about it" (fun () ->
            play311Scenario sentAgain [ Opens 1; Writes(1, connect311); Writes(1, "32 { \"a\" 0001 'x' }") ]
            |> judged Verdict.NotApplicable [])
        testCase
            "a client of 3.1.1 that sends again with another Packet Identifier [MQTT3-2.3.1-3]"
            (fun () ->
                let title = "A message of QoS 1 that is sent again keeps its Packet Identifier"

                let lost =
                    [
                        Opens 1
                        Writes(1, connectToSession311)
                        Writes(1, "32 { \"a\" 0001 'x' }")
                        Opens 2
                        Writes(2, connectToSession311)
                    ]

                play311Scenario title (lost @ [ Writes(2, "3A { \"a\" 0002 'x' }") ])
                |> judged Verdict.Fail [ "MQTT3-2.3.1-3" ]

                play311Scenario title (lost @ [ Writes(2, "3A { \"a\" 0001 'x' }") ])
                |> judged Verdict.Pass []
                // Nothing is sent again under another one.
                play311Scenario title lost |> judged Verdict.NotApplicable [])
        testCase "a client of 3.1.1 that takes another name for its session [MQTT3-3.1.3-2]" (fun () ->
            let again name =
                play311Scenario
                    "A client goes on with its session by the same Client Identifier"
                    [
                        Opens 1
                        Writes(1, connectAs311 "first")
                        Writes(1, "32 { \"a\" 0001 'x' }")
                        Opens 2
                        Writes(2, connectAs311 name)
                    ]

            again "other" |> judged Verdict.Fail [ "MQTT3-3.1.3-2" ]
            again "first" |> judged Verdict.Pass [])
        testCase "a client of 3.1.1 that sends again after CleanSession 1 [MQTT3-3.1.2-6]" (fun () ->
            let again =
                play311Scenario
                    "After CleanSession 1 a message of QoS 1 is not sent again as if the session went on"

            let lost =
                [
                    Opens 1
                    Writes(1, connect311)
                    Writes(1, "32 { \"a\" 0001 'x' }")
                    Opens 2
                    Writes(2, connect311)
                ]

            again (lost @ [ Writes(2, "3A { \"a\" 0001 'x' }") ])
            |> judged Verdict.Fail [ "MQTT3-3.1.2-6" ]

            again lost |> judged Verdict.Pass [])
    ]

let private webSockets =
    [
        for version, prefix, connect, subscribe in
            [
                ProtocolVersion.V5, "MQTT", connect, "82 { 0001 {} \"verify/topic\" 01 }"
                ProtocolVersion.V311, "MQTT3", connect311, "82 { 0001 \"verify/topic\" 01 }"
            ] do
            let begun = [ Opens 1; Keeps "6.0.0-3"; Writes(1, connect); Writes(1, subscribe) ]
            let name = if version.IsV5 then "MQTT 5" else "3.1.1"

            testCase $"a client of {name} that offers no subprotocol [{prefix}-6.0.0-3]" (fun () ->
                let offers = "A client offers the WebSocket subprotocol mqtt and sends binary frames"
                let run = playScenarioIn version offers [ Opens 1; Violates(1, "6.0.0-3") ]
                breaksOf prefix "6.0.0-3" run
                let right = playScenarioIn version offers begun
                judged Verdict.Pass [] right
                Expect.isEmpty right.Findings "findings")

            testCase
                $"a client of {name} that does not read packets over several frames [{prefix}-6.0.0-2]"
                (fun () ->
                    let spans = playScenarioIn version "Packets that span frames of a WebSocket are taken"
                    spans begun |> judged Verdict.Fail [ $"{prefix}-6.0.0-2" ]
                    let acknowledged = [ Writes(1, "40 { 001A }"); Writes(1, "40 { 001B }") ]
                    spans (begun @ acknowledged) |> judged Verdict.Pass []
                    // Over TCP nothing is shown.
                    spans ((begun |> List.filter (fun one -> one <> Keeps "6.0.0-3")) @ acknowledged)
                    |> judged Verdict.NotApplicable [])

            testCase $"a client of {name} that takes a text frame [{prefix}-6.0.0-1]" (fun () ->
                let text = playScenarioIn version "A text frame ends the connection"
                text begun |> judged Verdict.Fail [ $"{prefix}-6.0.0-1" ]
                text (begun @ [ Leaves 1 ]) |> judged Verdict.Pass [])
    ]

let private sessions311 =
    [
        testCase "a client of 3.1.1 that forgets its session breaks MQTT3-4.4.0-1" (fun () ->
            let lost =
                [
                    Opens 1
                    Writes(1, connectToSession311)
                    Writes(1, "32 { \"a\" 0001 'x' }")
                    Opens 2
                    Writes(2, connectToSession311)
                ]

            let run = playScenarioIn ProtocolVersion.V311 sentAgain lost
            Expect.equal run.Outcome.Value.Verdict Verdict.Fail "it sends nothing again"
            Expect.contains run.Outcome.Value.Clauses "MQTT3-4.4.0-1" "the statement"

            let again =
                playScenarioIn ProtocolVersion.V311 sentAgain (lost @ [ Writes(2, "3A { \"a\" 0001 'x' }") ])

            Expect.equal again.Outcome.Value.Verdict Verdict.Pass "it sends the message again"
            Expect.isEmpty again.Findings "findings")
        testCase "a client of 3.1.1 that goes on after a wrong packet breaks MQTT3-4.8.0-1" (fun () ->
            let play deeds =
                playScenarioIn
                    ProtocolVersion.V311
                    "A client closes the connection after a PUBLISH of QoS 3"
                    ([ Opens 1; Writes(1, connect311); Writes(1, "82 { 0001 \"verify/topic\" 02 }") ]
                     @ deeds)

            let run = play []
            Expect.equal run.Outcome.Value.Verdict Verdict.Fail "it goes on"
            Expect.contains run.Outcome.Value.Clauses "MQTT3-4.8.0-1" "the statement"
            Expect.equal (play [ Leaves 1 ]).Outcome.Value.Verdict Verdict.Pass "it closes")
        testCase "a client of 3.1.1 that takes a DUP of QoS 0 does not break what binds the sender" (fun () ->
            let run =
                playScenarioIn
                    ProtocolVersion.V311
                    "A client closes the connection after a PUBLISH of QoS 0 with DUP 1"
                    [ Opens 1; Writes(1, connect311); Writes(1, "82 { 0001 \"verify/topic\" 02 }") ]

            Expect.equal run.Outcome.Value.Clauses [ "MQTT3-4.8.0-1" ] "the statements")
        testCase "each statement of 3.1.1 about clients has a scenario or a rule" (fun () ->
            let judged =
                Set.ofSeq (
                    Seq.append
                        (ClientCatalogue.scenariosIn ProtocolVersion.V311 |> Seq.collect _.Clauses)
                        (ClientRules.allIn ProtocolVersion.V311 |> Seq.collect _.Clauses)
                )

            let known = Statements.clientIn ProtocolVersion.V311 |> Array.map _.Id |> Set.ofArray
            Expect.isEmpty (judged - known) "statements that are none of clients"

            Expect.isEmpty (known - judged) "statements without one")
    ]

let tests =
    testList
        "Wrong clients"
        [
            for mistake, statement, frames in mistakes311 do
                testCase $"of 3.1.1: {mistake} [MQTT3-{statement}]" (fun () ->
                    breaksOf "MQTT3" statement (play311 "publish qos=1" (connect311 :: frames)))
            for mistake, statement, frame in wrongConnects311 do
                testCase $"of 3.1.1: {mistake} [MQTT3-{statement}]" (fun () ->
                    breaksOf "MQTT3" statement (play311 "publish qos=1" [ frame ]))
            testCase "a right client of 3.1.1 breaks nothing" (fun () ->
                let right =
                    [
                        connect311
                        "30 { \"a\" }"
                        "32 { \"a\" 0001 }"
                        "82 { 0002 \"a/+\" 01 \"b\" 00 }"
                        "A2 { 0003 \"a/+\" }"
                        "C0 00"
                        "E0 00"
                    ]

                Expect.isEmpty
                    ((play311 "publish qos=1" right).Findings
                     |> Array.map (fun one -> $"%A{one.Clauses} {one.Detail}"))
                    "findings"

                Expect.isEmpty
                    (play311 "login" [ "10 { \"MQTT\" 04 02 003C \"\" }"; "E0 00" ]).Findings
                    "no name")
            testCase "a client of MQTT 5 is none of 3.1.1, and the other way round" (fun () ->
                breaksOf "MQTT3" "3.1.2-2" (play311 "publish qos=1" [ connect ])
                breaks "3.1.2-2" (play "publish qos=1" [ connect311 ]))
            yield! sessions311
            yield! kept311
            yield! webSockets
            for mistake, statement, frames in mistakes do
                testCase $"{mistake} [MQTT-{statement}]" (fun () ->
                    breaks statement (play "publish qos=1" (connect :: frames)))
            for mistake, statement, frame in wrongConnects do
                testCase $"{mistake} [MQTT-{statement}]" (fun () ->
                    breaks statement (play "publish qos=1" [ frame ]))
            testCase "a right client breaks nothing" (fun () ->
                let right =
                    [
                        connect
                        "30 { \"a\" {} }"
                        "32 { \"a\" 0001 {} }"
                        "82 { 0002 {} \"a/+\" 01 \"$share/g/#\" 00 }"
                        "A2 { 0003 {} \"a/+\" }"
                        "C0 00"
                        disconnect
                    ]

                Expect.isEmpty (play "publish qos=1" right).Findings "findings")
            yield! sessions
        ]
