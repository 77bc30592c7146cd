/// Randomised sessions: a right server keeps all rules, wrong ones are found out by a small script.
module Mqtt5.Tests.WrongServers.RandomisedTests

open System
open Expecto
open Mqtt5
open Mqtt5.Verification

let private seed = 5

let private scriptsFor (server: SimulatedServer) : int -> RandomisedScript =
    let facts = SimulatedProbes.facts server
    RandomisedScripts.ofSeed facts.Connack seed

let private outcomeOf (server: SimulatedServer) (script: RandomisedScript) : ProbeOutcome =
    (SimulatedSessions.play server script).Outcome.Value

let private exchanges (run: RandomisedRun) : string =
    run.Exchanges
    |> Array.map (fun one -> $"{one.At, 6} {one.Client} {one.Kind} {one.Text}")
    |> String.concat "\n"

// MQTT5_RANDOM_SESSIONS plays more.
let private sessions: int =
    match Environment.GetEnvironmentVariable "MQTT5_RANDOM_SESSIONS" with
    | null
    | "" -> 500
    | count -> int count

let private rightServer (name: string, server: SimulatedServer) =
    testCase $"no session fails at a right server with {name}" (fun () ->
        let script = scriptsFor server

        for number in 1..sessions do
            let run = SimulatedSessions.play server (script number)

            if run.Outcome.Value.Verdict <> Verdict.Pass then
                let least = SimulatedSessions.minimise server (script number)
                let run = SimulatedSessions.play server least
                failtest $"session {number}: {run.Outcome.Value}\n{least}\n{exchanges run}")

let private rightServers =
    let right = SimulatedServer.right

    [
        "every feature", right
        "a Maximum QoS of 1", { right with Settings = { right.Settings with MaximumQoS = QoS.AtLeastOnce } }
        "no retained messages", { right with Settings = { right.Settings with RetainAvailable = false } }
        "a Receive Maximum of 1",
        { right with
            Settings =
                { right.Settings with
                    Limits = { right.Settings.Limits with ReceiveMaximum = 1us; InFlightMessages = 2us }
                }
        }
    ]

// Scripts that the judge once blamed a right server for, or could not play to their end.
let private regressions =
    [
        "The Will of a silent client comes after its DISCONNECT and before the end of its connection",
        """
        a > CONNECT clean=1 keepalive=120 props{SessionExpiryInterval=300} clientid="~a"
        a > SUBSCRIBE id=1 filters["~/+/+" qos=2]
        c > CONNECT clean=1 keepalive=1 clientid="~c" will[qos=1 topic="~/a/b" payload="16"]
        quiet
        wait 3s800ms
        """
        "The Will of a silent client comes before the end of its connection",
        """
        c > CONNECT clean=1 keepalive=120 clientid="~c"
        c > SUBSCRIBE id=1 filters["~/#"]
        b > CONNECT clean=1 keepalive=1 clientid="~b" will[qos=1 topic="~/a" payload="7"]
        b > SUBSCRIBE id=1 filters["~/+" qos=1]
        wait 3s800ms
        """
        "A message of QoS 1 that was under way may expire before it is sent again",
        """
        a > CONNECT clean=1 keepalive=120 props{SessionExpiryInterval=300} clientid="~a"
        a > SUBSCRIBE id=1 filters["~/a" qos=1]
        b > CONNECT clean=1 keepalive=120 clientid="~b"
        quiet
        a holds
        b > PUBLISH qos=1 topic="~/a" id=1 props{MessageExpiryInterval=1} payload="1"
        wait 30ms
        a leaves
        wait 3s200ms
        a > CONNECT keepalive=120 props{SessionExpiryInterval=300} clientid="~a"
        """
        "A step of a client that never connects is left out, while messages come to others",
        """
        a > CONNECT clean=1 keepalive=120 clientid="~a"
        a > SUBSCRIBE id=1 filters["~/a" qos=1]
        b holds
        b > PUBLISH qos=1 topic="~/a" id=1 payload="1"
        a > PUBLISH qos=1 topic="~/a" id=1 payload="2"
        quiet
        """
        "A client that comes back in time cancels its Will, and one that says so keeps its session",
        """
        a > CONNECT clean=1 keepalive=120 clientid="~a"
        a > SUBSCRIBE id=1 filters["~/#" qos=1]
        b > CONNECT clean=1 keepalive=120 props{SessionExpiryInterval=1} clientid="~b" will[qos=1 props{WillDelayInterval=2} topic="~/a" payload="1"]
        b > DISCONNECT rc=DisconnectWithWillMessage props{SessionExpiryInterval=300}
        wait 100ms
        b > CONNECT keepalive=120 clientid="~b"
        wait 3s200ms
        """
    ]

// What a server does wrong, the statement that a session finds broken, and the most steps that show it.
let private mistakes =
    [
        "says Session Present 1 to everyone", "MQTT-3.2.2-2", 1
        "ends every session with its connection", "MQTT-3.1.2-5", 4
        "leaves a connection open whose session was taken over", "MQTT-3.1.4-3", 2
        "publishes a Will after DISCONNECT", "MQTT-3.1.2-8", 4
        "publishes a Will without its delay", "MQTT-3.1.2-8", 4
        "sends nothing again", "MQTT-4.4.0-1", 7
        "keeps no message for a client that is away", "MQTT-4.5.0-1", 8
        "sends again without DUP", "MQTT-3.3.1-1", 7
        "does not answer PUBREC", "MQTT-4.3.3-4", 4
        "sends no PUBACK", "MQTT-4.3.2-4", 2
        "sends PUBACK twice", "MQTT-2.2.1-5", 2
        "leaves User Properties out", "MQTT-3.3.2-17", 3
        "takes every Retain Handling for 0", "MQTT-3.3.1-11", 8
        "takes every Retain Handling for 2", "MQTT-3.3.1-9", 4
        "says RETAIN in every PUBLISH", "MQTT-3.3.1-12", 3
        "sends what is new with DUP", "MQTT-3.3.1-3", 4
        "sends QoS 2 at QoS 1", "MQTT-3.8.4-8", 4
        "takes no notice of Receive Maximum", "MQTT-3.3.4-9", 6
        "sends by a Topic Alias that it never set", "3.3.2.3.4", 4
        "deletes nothing at UNSUBSCRIBE", "3.3.4", 6
        "takes no notice of No Local", "MQTT-3.8.3-3", 3
        "leaves Subscription Identifiers out", "MQTT-3.3.4-3", 4
        "takes + for several levels", "3.3.4", 3
        "never ends a session", "MQTT-4.1.0-2", 4
        "keeps a Will back beyond the end of the session", "MQTT-3.1.2-8", 6
        "takes no notice of Keep Alive", "MQTT-3.1.2-22", 2
        "ends silent connections that have no Keep Alive", "MQTT-3.2.2-22", 2
        "takes no notice of Maximum Packet Size", "MQTT-3.1.2-24", 4
        "adds a Reason String to SUBACK", "MQTT-3.1.2-29", 2
        "takes no notice of a PUBREC of failure", "MQTT-4.5.0-1", 8
        "does not send PUBREL again", "MQTT-4.4.0-1", 8
        "drops a message of QoS 2 under way that has expired", "MQTT-4.3.3-7", 11
        "takes a PUBLISH of QoS 1 with DUP for a repetition", "MQTT-4.5.0-1", 5
        "sends one of several Subscription Identifiers", "MQTT-3.3.4-4", 5
        "does not tell the Client Identifier that it assigns", "MQTT-3.2.2-16", 1
        "sets a Topic Alias only once", "3.3.2.1", 5
        "leaves the Content Type of a Will out", "MQTT-3.1.2-7", 4
        "sorts User Properties", "MQTT-3.3.2-18", 3
        "compares filters of an UNSUBSCRIBE without regard to case", "3.3.4", 8
    ]

let private wrongServers =
    List.concat
        [
            WrongConnects.all
            WrongSessions.all
            WrongPublishes.all
            WrongDeliveries.all
            WrongSubscriptions.all
        ]

let private mistakeTest (mistake: string, clause: string, steps: int) =
    testCase $"[{clause}] a session finds a server that {mistake}" (fun () ->
        let server = (wrongServers |> List.find (fun one -> one.Mistake = mistake)).Server
        let script = scriptsFor server

        // One of the mistakes takes luck: a message of QoS 2 has to expire while it is under way.
        let struct (sessions, candidates) =
            if clause = "MQTT-4.3.3-7" then struct (3_000, 9) else struct (100, 2)

        let failing =
            Seq.init sessions (fun number -> script (number + 1))
            |> Seq.filter (fun script ->
                let outcome = outcomeOf server script
                outcome.Verdict = Verdict.Fail && outcome.Clauses = [ clause ])
            |> Seq.truncate candidates
            |> Seq.sortBy _.Steps.Length
            |> Seq.tryHead

        match failing with
        | None -> failtest $"none of {sessions} sessions finds it"
        | Some script ->
            let least = SimulatedSessions.minimise server script
            let outcome = outcomeOf server least
            Expect.equal outcome.Clauses [ clause ] "the statement of the smaller script"
            Expect.isLessThanOrEqual least.Steps.Length steps $"steps of\n{least}"
            Expect.notEqual (outcomeOf SimulatedServer.right least).Verdict Verdict.Fail "at a right server"
            let again = RandomisedScript.parse $"{least}"
            Expect.equal (outcomeOf server again).Clauses [ clause ] "the statement of the printed script")

let tests =
    testList
        "Randomised sessions"
        [
            yield! List.map rightServer rightServers
            for name, script in regressions do
                testCase $"no fault of a right server: {name}" (fun () ->
                    let run = SimulatedSessions.play SimulatedServer.right (RandomisedScript.parse script)

                    Expect.equal
                        run.Outcome.Value.Verdict
                        Verdict.Pass
                        $"{run.Outcome.Value}\n{exchanges run}")
            yield! List.map mistakeTest mistakes
            testCase "the same seed and number give the same script and the same run" (fun () ->
                let first = scriptsFor SimulatedServer.right
                let second = scriptsFor SimulatedServer.right

                for number in 1..50 do
                    let script = first number
                    Expect.equal $"{second number}" $"{script}" "the script"

                    Expect.equal
                        (exchanges (SimulatedSessions.play SimulatedServer.right (second number)))
                        (exchanges (SimulatedSessions.play SimulatedServer.right script))
                        "the run"

                Expect.notEqual $"{first 1}" $"{first 2}" "sessions of other numbers")
            testCase "a script is read again from its notation" (fun () ->
                let script = scriptsFor SimulatedServer.right

                for number in 1..200 do
                    let text = $"{script number}"
                    Expect.equal $"{RandomisedScript.parse text}" text "the notation")
            testCase "a script that is none is refused with its line" (fun () ->
                for text, line in
                    [
                        "quiet\na flies", "line 2"
                        "a > PINGREQ", "line 1"
                        "# first\n\na > PUBLISH topic=", "line 3"
                        "a > CONNACK", "line 1"
                        "wait long", "line 1"
                    ] do
                    let refusal = Expect.throwsC (fun () -> RandomisedScript.parse text |> ignore) id
                    Expect.isTrue (refusal :? FormatException) $"the kind of {refusal}"
                    Expect.stringContains refusal.Message line text)
            testCase "a script that does not fail is not made smaller" (fun () ->
                let script = scriptsFor SimulatedServer.right 1
                let least = SimulatedSessions.minimise SimulatedServer.right script
                Expect.equal $"{least}" $"{script}" "the script")
        ]
