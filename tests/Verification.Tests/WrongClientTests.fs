/// Clients with a mistake: each breaks the statement that the mistake is about, as a server sees it from its bytes.
module Mqtt5.Tests.WrongClientTests

open Expecto
open Mqtt5
open Mqtt5.Verification

let private settings: ScenarioSettings = { Patience = 1_000L<ms>; StartPatience = 2_000L<ms> }

// A program that connects once, writes these frames one after another, and ends.
let private play (task: string) (frames: string list) : ClientRun =
    let mutable run = ClientRun.start settings (ClientSyntax.usual (ClientTask.parse task)) 0L<ms>
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

let private breaks (statement: string) (run: ClientRun) =
    let broken = run.Findings |> Array.collect (fun one -> Array.ofList one.Clauses)

    if not (Array.contains $"MQTT-{statement}" broken) then
        let findings = run.Findings |> Array.map (fun one -> $"%A{one.Clauses}: {one.Detail}")
        failtest $"{statement} was not found, but: {String.concat System.Environment.NewLine findings}"

let tests =
    testList
        "Wrong clients"
        [
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
        ]
