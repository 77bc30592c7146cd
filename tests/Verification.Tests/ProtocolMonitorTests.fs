module Mqtt5.Tests.ProtocolMonitorTests

open System.Collections.Generic
open Expecto
open Mqtt5
open Mqtt5.Verification

// Runs a script, one event a line: a packet after "c" or "s" for its sender, "wait" and milliseconds, or "again" for the
// end of the connection and another one. The result are sender and clause of each violation.
let private runIn version (script: string list) : string list =
    let found = List<string>()
    let mutable state = MonitorState.Empty
    let mutable now = 1_000L<ms>
    let mutable connection = 1

    let take (struct (next, violations: ProtocolViolation[])) =
        state <- next

        for violation in violations do
            let who = if violation.Direction = ClientToServer then "client" else "server"
            Expect.equal violation.Connection connection "the connection"
            Expect.equal violation.At now "the time"
            found.Add $"{who} {violation.Clause}"

    for line in script do
        match line.Split(' ', 2) with
        | [| "wait"; time |] ->
            now <- now + int64 time * 1L<ms>
            take (ProtocolMonitor.tick now state)
        | [| "again" |] ->
            state <- ProtocolMonitor.closed connection state
            connection <- connection + 1
        | [| sender; text |] ->
            let direction = if sender = "c" then ClientToServer else ServerToClient

            match Notation.parse text with
            | Error fault -> failtest $"{line}: {fault}"
            | Ok packet ->
                let packet = (Lowering.lower version direction packet).Value
                now <- now + 1L<ms>

                take (
                    ProtocolMonitor.stepIn version now connection direction (Encode.size packet) packet state
                )
        | _ -> failtest line

    List.ofSeq found

let private run script = runIn ProtocolVersion.V5 script

let private hello = [ "c CONNECT clean=1 keepalive=10 clientid=\"a\""; "s CONNACK" ]

let private resumed =
    [ "c CONNECT keepalive=10 clientid=\"a\" props{SessionExpiryInterval=100}"; "s CONNACK sp=1" ]

let private with' (connect: string) (connack: string) =
    [ $"c CONNECT clean=1 clientid=\"a\" {connect}"; $"s CONNACK {connack}" ]

// The statement, what the violation shows, and the script whose last event breaks it.
let private broken (who: string) (clause: string) (script: string list) : Test =
    let name = String.concat "; " script

    testCase $"[{clause}] {who}: {name}" (fun () ->
        Expect.equal (run script) [ $"{who} {clause}" ] "the violations"
        // The rest of the script is in order, so it is the last event that breaks the rule.
        Expect.isEmpty (run (List.take (script.Length - 1) script)) "before the last event")

let private clean (name: string) (script: string list) : Test =
    testCase $"no violation: {name}" (fun () -> Expect.isEmpty (run script) "violations")

let private p1 id = $"c PUBLISH qos=1 topic=\"t\" id={id}"
let private p2 id = $"c PUBLISH qos=2 topic=\"t\" id={id}"
let private d1 id = $"s PUBLISH qos=1 topic=\"t\" id={id}"
let private d2 id = $"s PUBLISH qos=2 topic=\"t\" id={id}"
let private name1 = "ReceiveMaximum=1"

let private order =
    [
        broken "client" "MQTT-3.1.0-1" [ "c PINGREQ" ]
        broken "client" "MQTT-3.1.0-2" (hello @ [ hello[0] ])
        broken "server" "MQTT-3.2.0-1" [ hello[0]; "s PUBLISH topic=\"t\"" ]
        broken "server" "MQTT-3.2.0-1" [ "s CONNACK" ]
        broken "server" "MQTT-3.2.0-2" (hello @ [ "s CONNACK" ])
        broken "server" "MQTT-3.2.2-7" [ hello[0]; "s CONNACK rc=NotAuthorized"; "s DISCONNECT" ]
        broken "server" "MQTT-3.14.0-1" [ hello[0]; "s DISCONNECT" ]
        broken "client" "MQTT-3.14.4-1" (hello @ [ "c DISCONNECT"; "c PINGREQ" ])
        broken "server" "MQTT-3.14.4-1" (hello @ [ "s DISCONNECT rc=ServerBusy"; "s PUBLISH topic=\"t\"" ])
        broken "server" "3.13" (hello @ [ "c PINGREQ"; "s PINGRESP"; "s PINGRESP" ])
        broken "client" "3.14.2.2.2" (hello @ [ "c DISCONNECT rc=Success props{SessionExpiryInterval=5}" ])
        broken "server" "MQTT-3.2.2-2" [ hello[0]; "s CONNACK sp=1" ]
        broken "server" "MQTT-3.2.2-6" [ resumed[0]; "s CONNACK sp=1 rc=ServerBusy" ]
        broken "server" "MQTT-3.2.2-16" [ "c CONNECT clean=1"; "s CONNACK" ]
        broken "server" "MQTT-3.1.2-28" [ hello[0]; "s CONNACK props{ResponseInformation=\"r\"}" ]
        broken "server" "MQTT-4.12.0-6" [ hello[0]; "s CONNACK props{AuthenticationMethod=\"M\"}" ]
        broken
            "server"
            "MQTT-4.12.0-5"
            [ "c CONNECT clean=1 props{AuthenticationMethod=\"M\"} clientid=\"a\""; "s CONNACK" ]
        broken
            "server"
            "MQTT-4.12.0-6"
            [ hello[0]; "s AUTH rc=ContinueAuthentication props{AuthenticationMethod=\"M\"}" ]
        broken
            "client"
            "MQTT-4.12.0-7"
            (hello @ [ "c AUTH rc=ReAuthenticate props{AuthenticationMethod=\"M\"}" ])
        broken
            "client"
            "MQTT-4.12.1-1"
            (with' "props{AuthenticationMethod=\"M\"}" "props{AuthenticationMethod=\"M\"}"
             @ [ "c AUTH rc=ReAuthenticate props{AuthenticationMethod=\"N\"}" ])
        broken
            "server"
            "MQTT-3.1.2-29"
            (with' "props{RequestProblemInformation=0}" ""
             @ [ p1 1; "s PUBACK id=1 rc=Success props{ReasonString=\"why\"}" ])
    ]

let private limits =
    [
        broken "client" "MQTT-3.3.4-7" (with' "" $"props{{{name1}}}" @ [ p1 1; p2 2 ])
        broken "server" "MQTT-3.3.4-9" (with' $"props{{{name1}}}" "" @ [ d1 1; d1 2 ])
        broken "client" "MQTT-3.3.2-9" (hello @ [ "c PUBLISH topic=\"t\" props{TopicAlias=1}" ])
        broken
            "server"
            "MQTT-3.3.2-11"
            (with' "props{TopicAliasMaximum=1}" ""
             @ [ "s PUBLISH topic=\"t\" props{TopicAlias=2}" ])
        broken
            "client"
            "3.3.2.3.4"
            (with' "" "props{TopicAliasMaximum=1}" @ [ "c PUBLISH props{TopicAlias=1}" ])
        broken
            "client"
            "MQTT-3.2.2-15"
            (with' "" "props{MaximumPacketSize=20}"
             @ [ "c PUBLISH topic=\"t\" payload=\"x\"*16" ])
        broken
            "server"
            "MQTT-3.1.2-24"
            (with' "props{MaximumPacketSize=20}" ""
             @ [ "s PUBLISH topic=\"t\" payload=\"x\"*16" ])
        broken "client" "MQTT-3.2.2-11" (with' "" "props{MaximumQoS=1}" @ [ p2 1 ])
        broken
            "client"
            "MQTT-3.2.2-14"
            (with' "" "props{RetainAvailable=0}" @ [ "c PUBLISH retain=1 topic=\"t\"" ])
        broken
            "client"
            "3.2.2.3.11"
            (with' "" "props{WildcardSubscriptionAvailable=0}"
             @ [ "c SUBSCRIBE id=1 filters[\"#\"]" ])
        broken
            "client"
            "3.2.2.3.12"
            (with' "" "props{SubscriptionIdentifierAvailable=0}"
             @ [ "c SUBSCRIBE id=1 props{SubscriptionIdentifier=1} filters[\"a\"]" ])
        broken
            "client"
            "3.2.2.3.13"
            (with' "" "props{SharedSubscriptionAvailable=0}"
             @ [ "c SUBSCRIBE id=1 filters[\"$share/g/a\"]" ])
        broken "client" "MQTT-3.1.2-20" (hello @ [ "wait 11001" ])
        broken
            "client"
            "MQTT-3.1.2-20"
            [
                hello[0]
                "s CONNACK props{ServerKeepAlive=2}"
                "wait 2500"
                "c PINGREQ"
                "s PINGRESP"
                "wait 3001"
            ]
        testCase "[MQTT-3.1.2-22] server: the connection stays open" (fun () ->
            Expect.equal
                (run (hello @ [ "wait 11500"; "wait 5000"; "wait 5000"; "wait 50000" ]))
                [ "client MQTT-3.1.2-20"; "server MQTT-3.1.2-22" ]
                "each once")
    ]

let private exchanges =
    [
        broken
            "server"
            "MQTT-3.8.4-6"
            (hello
             @ [ "c SUBSCRIBE id=1 filters[\"a\", \"b\"]"; "s SUBACK id=1 codes[Success]" ])
        broken
            "server"
            "MQTT-3.8.4-2"
            (hello @ [ "c SUBSCRIBE id=1 filters[\"a\"]"; "s SUBACK id=2 codes[Success]" ])
        broken
            "server"
            "MQTT-3.11.3-2"
            (hello
             @ [ "c UNSUBSCRIBE id=1 filters[\"a\"]"; "s UNSUBACK id=1 codes[Success, Success]" ])
        broken
            "server"
            "MQTT-3.10.4-5"
            (hello @ [ "c SUBSCRIBE id=1 filters[\"a\"]"; "s UNSUBACK id=1 codes[Success]" ])
        broken "client" "MQTT-2.2.1-3" (hello @ [ p1 1; p1 1 ])
        broken "client" "MQTT-2.2.1-3" (hello @ [ p1 1; "c SUBSCRIBE id=1 filters[\"a\"]" ])
        broken "client" "MQTT-2.2.1-3" (hello @ [ "c SUBSCRIBE id=1 filters[\"a\"]"; p1 1 ])
        broken "server" "MQTT-2.2.1-4" (hello @ [ d1 1; d2 1 ])
        broken "server" "MQTT-2.2.1-5" (hello @ [ "s PUBACK id=1" ])
        broken "client" "MQTT-2.2.1-5" (hello @ [ "c PUBREC id=1" ])
        broken "server" "MQTT-2.2.1-5" (hello @ [ p2 1; "s PUBREC id=1"; "s PUBCOMP id=1" ])
        broken "server" "MQTT-2.2.1-5" (hello @ [ p2 1; "s PUBREC id=1"; "s PUBREC id=1" ])
        broken "server" "MQTT-3.3.4-1" (hello @ [ p2 1; "s PUBACK id=1" ])
        broken "client" "MQTT-3.3.4-1" (hello @ [ d1 1; "c PUBREC id=1" ])
        broken "client" "MQTT-4.3.3-4" (hello @ [ p2 1; "c PUBREL id=1" ])
        broken "client" "MQTT-4.3.3-4" (hello @ [ p1 1; "c PUBREL id=1" ])
        broken "client" "MQTT-2.2.1-5" (hello @ [ p2 1; "s PUBREC id=1 rc=NotAuthorized"; "c PUBREL id=1" ])
        broken "client" "MQTT-4.6.0-2" (hello @ [ d1 1; d1 2; "c PUBACK id=2" ])
        broken "client" "MQTT-4.6.0-3" (hello @ [ d2 1; d2 2; "c PUBREC id=2" ])
        broken
            "client"
            "MQTT-4.6.0-4"
            (hello @ [ p2 1; p2 2; "s PUBREC id=2"; "s PUBREC id=1"; "c PUBREL id=1" ])
        broken "client" "MQTT-4.3.2-2" (hello @ [ "c PUBLISH dup=1 qos=1 topic=\"t\" id=1" ])
        broken "server" "MQTT-4.3.3-2" (hello @ [ "s PUBLISH dup=1 qos=2 topic=\"t\" id=1" ])
        broken "client" "MQTT-4.4.0-1" (hello @ [ p1 1; "c PUBLISH dup=1 qos=1 topic=\"t\" id=1" ])
        broken "client" "MQTT-4.4.0-1" (hello @ [ p2 1; "s PUBREC id=1"; "c PUBREL id=1"; "c PUBREL id=1" ])
        broken "client" "MQTT-3.3.1-1" (resumed @ [ p1 1; "again" ] @ resumed @ [ p1 1 ])
        broken
            "client"
            "MQTT-4.3.3-6"
            (resumed
             @ [ p2 1; "s PUBREC id=1"; "c PUBREL id=1"; "again" ]
             @ resumed
             @ [ "c PUBLISH dup=1 qos=2 topic=\"t\" id=1" ])
    ]

let private innocent =
    [
        clean
            "all exchanges"
            (hello
             @ [ "c SUBSCRIBE id=1 filters[\"#\" qos=2]"; "s SUBACK id=1 codes[GrantedQoS2]" ]
             @ [ p1 1; p2 2; "s PUBACK id=1"; "s PUBREC id=2"; "c PUBREL id=2"; "s PUBCOMP id=2"; p1 1 ]
             @ [ d1 1; d2 2; "c PUBACK id=1"; "c PUBREC id=2"; "s PUBREL id=2"; "c PUBCOMP id=2"; d2 2 ]
             @ [ "c UNSUBSCRIBE id=7 filters[\"#\"]"; "s UNSUBACK id=7 codes[Success]"; "c DISCONNECT" ])
        clean
            "the Receive Maximum is given back"
            (with' "" $"props{{{name1}}}"
             @ [
                 p1 1
                 "s PUBACK id=1"
                 p2 1
                 "s PUBREC id=1 rc=QuotaExceeded"
                 p2 2
                 "s PUBREC id=2"
                 "c PUBREL id=2"
                 "s PUBCOMP id=2"
                 p1 3
             ])
        clean
            "a session that goes on"
            (resumed
             @ [ p1 1; p2 2; "s PUBREC id=2"; d1 1; "again" ]
             @ resumed
             @ [
                 "c PUBLISH dup=1 qos=1 topic=\"t\" id=1"
                 "c PUBREL id=2"
                 "s PUBACK id=1"
                 "s PUBCOMP id=2"
             ]
             @ [ "s PUBLISH dup=1 qos=1 topic=\"t\" id=1"; "c PUBACK id=1" ])
        // The PUBREC may have been lost behind the monitor.
        clean
            "a PUBLISH that is sent again after its PUBREC was lost"
            (resumed
             @ [ p2 1; "s PUBREC id=1"; "again" ]
             @ resumed
             @ [
                 "c PUBLISH dup=1 qos=2 topic=\"t\" id=1"
                 "s PUBREC id=1"
                 "c PUBREL id=1"
                 "s PUBCOMP id=1"
             ])
        clean
            "a session whose beginning was not seen"
            (resumed
             @ [
                 "c PUBREL id=4"
                 "s PUBCOMP id=4"
                 "s PUBLISH dup=1 qos=1 topic=\"t\" id=9"
                 "c PUBACK id=9"
             ])
        clean
            "what a client sent before it read the CONNACK"
            [ hello[0]; p2 1; "s CONNACK props{MaximumQoS=1}"; p2 2 ]
        clean
            "a client without Keep Alive"
            [ "c CONNECT clean=1 clientid=\"a\""; "s CONNACK"; "wait 9999999" ]
        clean "a refused connection" [ hello[0]; "s CONNACK rc=NotAuthorized" ]
        clean
            "answers to what is not known"
            (hello
             @ [ "c PUBREL id=9 rc=PacketIdentifierNotFound"; "s PUBCOMP id=9 rc=PacketIdentifierNotFound" ])
        testCase "what was sent before the CONNACK is judged by its limits later" (fun () ->
            let script = [ hello[0]; p1 1; "s CONNACK props{MaximumQoS=1}"; "wait 1000"; p2 2 ]
            Expect.equal (run script) [ "client MQTT-3.2.2-11" ] "the violations")
        testCase "bytes that are no packet break the clause of their fault" (fun () ->
            let struct (_, found) =
                ProtocolMonitor.malformed
                    5L<ms>
                    3
                    ServerToClient
                    PacketType.Publish
                    "MQTT-3.3.2-2"
                    "wildcard"
                    MonitorState.Empty

            Expect.equal
                (found |> Array.map string)
                [| "the server breaks [MQTT-3.3.2-2]: PUBLISH: wildcard" |]
                "the violation")
    ]

let private stamped (event: TraceEvent) : TraceRecord =
    { At = 1_900_000_000_123L<ms>; Connection = 7; Event = event }

let private parsesBack (event: TraceEvent) =
    let line = TraceText.print (stamped event)

    match TraceText.parse 1 line with
    | Ok(ValueSome record) ->
        Expect.equal (TraceText.print record) line "the line"
        Expect.equal record.At 1_900_000_000_123L<ms> "the time"
        Expect.equal record.Connection 7 "the connection"
    | Ok ValueNone -> failtest "no record"
    | Error fault -> failtest $"{fault}: {line}"

let private text =
    [
        testPropertyWithConfig
            { FsCheckConfig.defaultConfig with
                maxTest = 2_000
                arbitrary = [ typeof<MqttArbitraries> ]
            }
            "every packet of a trace parses back"
            (fun (sample: PacketSample) ->
                let packet = sample.Packet
                parsesBack (TraceEvent.Packet(ServerToClient, Encode.size packet, packet))
                parsesBack (TraceEvent.Packet(ServerToClient, 2, TraceRedaction.withoutSecrets packet))
                parsesBack (TraceEvent.Packet(ServerToClient, 2, TraceRedaction.withoutPayload packet)))
        testCase "the other events parse back" (fun () ->
            parsesBack TraceEvent.Opened
            parsesBack (TraceEvent.Closed ServerToClient)

            parsesBack (
                TraceEvent.Malformed(ClientToServer, 4, "MQTT-2.1.3-1", Bytes.OfArray [| 0xC1uy; 0uy |])
            ))
        testCase "what is no trace is told with line and column" (fun () ->
            let rows =
                [
                    "yesterday #1 OPENED", 1
                    "2030-01-31T12:00:00.000Z 1 OPENED", 26
                    "2030-01-31T12:00:00.000Z #0 OPENED", 27
                    "2030-01-31T12:00:00.000Z #1 SHUT", 29
                    "2030-01-31T12:00:00.000Z #1 [c>s] x PINGREQ", 35
                    "2030-01-31T12:00:00.000Z #1 [c>s] 2 PINGREK", 37
                    "2030-01-31T12:00:00.000Z #1 [c>s] 2 MALFORMED 2.1 x'0'", 53
                ]

            for line, column in rows do
                match TraceText.parse 4 line with
                | Error fault -> Expect.equal (fault.Line, fault.Column) (4, column) line
                | Ok _ -> failtest line)
    ]

// The same before MQTT 5: the last event breaks the rule, and nothing before it.
let private brokenIn version (who: string) (clause: string) (script: string list) : Test =
    let name = String.concat "; " script

    testCase $"[{clause}] {version} {who}: {name}" (fun () ->
        Expect.equal (runIn version script) [ $"{who} {clause}" ] "the violations"
        Expect.isEmpty (runIn version (List.take (script.Length - 1) script)) "before the last event")

let private cleanIn version (name: string) (script: string list) : Test =
    testCase $"no violation of {version}: {name}" (fun () ->
        Expect.isEmpty (runIn version script) "violations")

let private kept = "c CONNECT keepalive=10 clientid=\"a\" props{SessionExpiryInterval=4294967295}"

let private again id = $"c PUBLISH dup=1 qos=1 topic=\"t\" id={id}"

let private older =
    [
        for version in [ ProtocolVersion.V311; ProtocolVersion.V31 ] do
            brokenIn version "client" "MQTT3-3.1.0-1" [ "c PINGREQ" ]
            brokenIn version "client" "MQTT3-3.1.0-2" (hello @ [ hello[0] ])
            brokenIn version "server" "MQTT3-3.2.0-1" [ hello[0]; "s PUBLISH topic=\"t\"" ]
            brokenIn version "client" "MQTT3-3.14.4-2" (hello @ [ "c DISCONNECT"; "c PINGREQ" ])
            brokenIn version "client" "MQTT3-2.3.1-2" (hello @ [ p1 1; p2 1 ])
            brokenIn version "server" "MQTT3-2.3.1-4" (hello @ [ d1 1; d1 1 ])
            brokenIn version "client" "MQTT3-4.3.2-1" (hello @ [ again 1 ])
            brokenIn version "client" "MQTT3-2.3.1-6" (hello @ [ "c PUBACK id=7" ])
            brokenIn version "client" "MQTT3-4.6.0-2" (hello @ [ d1 1; d1 2; "c PUBACK id=2" ])
            brokenIn version "client" "MQTT3-3.1.2-23" (hello @ [ "wait 11500" ])

            brokenIn
                version
                "server"
                "MQTT3-3.8.4-5"
                (hello
                 @ [ "c SUBSCRIBE id=1 filters[\"a\", \"b\"]"; "s SUBACK id=1 codes[Success]" ])

            brokenIn
                version
                "client"
                "MQTT3-3.3.1-1"
                [ kept; "s CONNACK"; p1 1; "again"; kept; "s CONNACK sp=1"; p1 1 ]

            cleanIn
                version
                "what is sent again while its answer is due"
                (hello @ [ p1 1; again 1; "s PUBACK id=1"; "s PUBACK id=1" ])

            cleanIn
                version
                "a SUBSCRIBE that is sent again"
                (hello
                 @ [
                     "c SUBSCRIBE id=1 filters[\"a\"]"
                     "c SUBSCRIBE id=1 filters[\"a\"]"
                     "s SUBACK id=1 codes[Success]"
                 ])

            cleanIn
                version
                "an UNSUBACK, which has no codes"
                (hello
                 @ [ "c UNSUBSCRIBE id=1 filters[\"a\"]"; "s UNSUBACK id=1 codes[Success]" ])

        brokenIn ProtocolVersion.V311 "server" "MQTT3-3.2.2-1" [ hello[0]; "s CONNACK sp=1" ]
        cleanIn
            ProtocolVersion.V311
            "a client without an identifier"
            [ "c CONNECT clean=1 keepalive=10"; "s CONNACK" ]
        // The server does not tell whether the session goes on.
        cleanIn
            ProtocolVersion.V31
            "a message of a session that goes on"
            [ kept; "s CONNACK"; p1 1; "again"; kept; "s CONNACK"; again 1 ]
    ]

let tests =
    testList
        "ProtocolMonitor"
        [
            testList "order" order
            testList "limits" limits
            testList "exchanges" exchanges
            testList "innocent" innocent
            testList "before MQTT 5" older
            testList "text" text
        ]
