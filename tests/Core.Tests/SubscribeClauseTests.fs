module Mqtt5.Tests.SubscribeClauseTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.Parsing

let private subscribe (payload: string) = packetOf "82" $"0001 00 {payload}"
let private unsubscribe (payload: string) = packetOf "A2" $"0001 00 {payload}"

let private flags (id: string) (kind: string) (right: int) (body: string) () =
    for flags in 0..15 do
        let packet = packetOf $"{kind}%01X{flags}" body

        if flags = right then
            accepted ClientToServer packet |> ignore
        else
            refused ClientToServer malformed id 0 packet

// Lists of one code: those of the table are accepted, wherever they stand in the list.
let private codes (id: string) (first: string) (table: string) () =
    let table = Set.ofArray (bytesOf table)

    for code in 0..255 do
        let packet = packetOf first $"0001 00 00 %02X{code} 00"

        if table.Contains(byte code) then
            accepted ServerToClient packet |> ignore
        else
            refused ServerToClient protocolError id 6 packet

let private optionsOf (byte: string) =
    match accepted ClientToServer (subscribe $"0001 61 {byte}") with
    | Packet.Subscribe packet -> (Seq.exactlyOne packet.Subscriptions).Options
    | packet -> failtest $"{packet.Type}"

let private subscriptions =
    [
        clause
            [ "MQTT-3.8.1-1" ]
            "the flags of SUBSCRIBE are 0010"
            (flags "MQTT-3.8.1-1" "8" 2 "0001 00 0001 61 00")
        clause
            [ "MQTT-3.10.1-1" ]
            "the flags of UNSUBSCRIBE are 0010"
            (flags "MQTT-3.10.1-1" "A" 2 "0001 00 0001 61")

        clause [ "MQTT-3.8.3-1" ] "a Topic Filter of SUBSCRIBE is a UTF-8 Encoded String" (fun () ->
            subscribe "0001 FF 00" |> refused ClientToServer malformed "MQTT-1.5.4-1" 7

            subscribe "0001 61 00 0002 6100 00"
            |> refused ClientToServer malformed "MQTT-1.5.4-2" 12

            subscribe "0005 61 00" |> refused ClientToServer malformed "3.8.3" 5)

        clause [ "MQTT-3.10.3-1" ] "a Topic Filter of UNSUBSCRIBE is a UTF-8 Encoded String" (fun () ->
            unsubscribe "0001 FF" |> refused ClientToServer malformed "MQTT-1.5.4-1" 7

            unsubscribe "0001 61 0002 6100"
            |> refused ClientToServer malformed "MQTT-1.5.4-2" 11

            unsubscribe "0005 61" |> refused ClientToServer malformed "3.10.3" 5)

        clause [ "MQTT-3.8.3-2" ] "SUBSCRIBE has at least one Topic Filter with its options" (fun () ->
            subscribe "" |> refused ClientToServer protocolError "MQTT-3.8.3-2" 5
            subscribe "0001 61" |> refused ClientToServer malformed "3.8.3.1" 8

            match accepted ClientToServer (subscribe "0001 61 00 0001 62 01") with
            | Packet.Subscribe packet ->
                let filters =
                    [ for item in packet.Subscriptions -> item.Filter.Text, item.Options.MaximumQoS ]

                Expect.equal filters [ "a", QoS.AtMostOnce; "b", QoS.AtLeastOnce ] "in order"
                Expect.equal packet.Subscriptions.Count 2 "count"
            | packet -> failtest $"{packet.Type}")

        clause [ "MQTT-3.10.3-2" ] "UNSUBSCRIBE has at least one Topic Filter" (fun () ->
            unsubscribe "" |> refused ClientToServer protocolError "MQTT-3.10.3-2" 5

            match accepted ClientToServer (unsubscribe "0001 61 0001 62") with
            | Packet.Unsubscribe packet ->
                Expect.equal [ for filter in packet.Filters -> filter.Text ] [ "a"; "b" ] "in order"
                Expect.equal packet.Filters.Count 2 "count"
            | packet -> failtest $"{packet.Type}")

        clause [ "MQTT-3.8.3-4" ] "a shared subscription has no No Local" (fun () ->
            let shared = "000A 2473686172652F672F61"

            for options in [ "04"; "05"; "0C"; "16" ] do
                subscribe $"{shared} {options}"
                |> refused ClientToServer protocolError "MQTT-3.8.3-4" 17

            accepted ClientToServer (subscribe $"{shared} 29") |> ignore
            // Neither $share nor $shared/x is a shared filter.
            accepted ClientToServer (subscribe "0006 247368617265 04") |> ignore
            accepted ClientToServer (subscribe "0009 247368617265642F78 04") |> ignore)

        clause [ "MQTT-3.8.3-5" ] "bits 6 and 7 of the Subscription Options are 0" (fun () ->
            for options in 64..255 do
                subscribe $"0001 61 %02X{options}"
                |> refused ClientToServer malformed "MQTT-3.8.3-5" 8)

        testCase
            "Maximum QoS and Retain Handling are not 3, all other options are read as they stand"
            (fun () ->
                for options in 0..63 do
                    let hex = $"%02X{options}"

                    if options &&& 0x03 = 0x03 || options &&& 0x30 = 0x30 then
                        subscribe $"0001 61 {hex}" |> refused ClientToServer protocolError "3.8.3.1" 8
                    else
                        let read = optionsOf hex
                        Expect.equal (int read.MaximumQoS) (options &&& 3) "Maximum QoS"
                        Expect.equal read.NoLocal (options &&& 4 <> 0) "No Local"
                        Expect.equal read.RetainAsPublished (options &&& 8 <> 0) "Retain As Published"
                        Expect.equal (int read.RetainHandling) (options >>> 4) "Retain Handling"
                        Expect.equal (int read.Byte) options "the byte")

        clause
            [ "MQTT-3.9.3-2" ]
            "SUBACK uses only the codes of its table"
            (codes "MQTT-3.9.3-2" "90" "00 01 02 80 83 87 8F 91 97 9E A1 A2")
        clause
            [ "MQTT-3.11.3-2" ]
            "UNSUBACK uses only the codes of its table"
            (codes "MQTT-3.11.3-2" "B0" "00 11 80 83 87 8F 91")

        testCase "SUBACK and UNSUBACK have at least one reason code" (fun () ->
            packetOf "90" "0001 00" |> refused ServerToClient protocolError "3.9.3" 5
            packetOf "B0" "0001 00" |> refused ServerToClient protocolError "3.11.3" 5)
    ]

let private filterCases (id: string) (reason: ReasonCode) (cases: (string * int) list) =
    for filter, at in cases do
        let utf8 = (Bytes.OfText filter).Span.ToArray()
        let content = $"%04X{utf8.Length} {System.Convert.ToHexString utf8}"
        subscribe $"{content} 00" |> refused ClientToServer reason id (7 + at)
        unsubscribe content |> refused ClientToServer reason id (7 + at)

let private filters =
    [
        clause [ "MQTT-4.7.1-1" ] "# stands alone in the last level" (fun () ->
            filterCases
                "MQTT-4.7.1-1"
                protocolError
                [ "a#", 1; "a/#/b", 2; "##", 0; "#/", 0; "a/b#", 3; "+/#/+", 2 ])

        clause [ "MQTT-4.7.1-2" ] "+ fills a whole level" (fun () ->
            filterCases "MQTT-4.7.1-2" protocolError [ "a+", 1; "+a", 0; "a/+b/c", 2; "++", 0; "a/b+/c", 3 ])

        clause [ "MQTT-4.7.3-1" ] "a Topic Filter and a Topic Name have a character" (fun () ->
            filterCases "MQTT-4.7.3-1" protocolError [ "", 0 ]

            packetOf "10" "0004 4D515454 05 06 0000 00 0001 64 00 0000 0000"
            |> refused ClientToServer protocolError "MQTT-4.7.3-1" 19)

        clause [ "MQTT-4.7.3-2" ] "a Topic Filter and a Topic Name contain no U+0000" (fun () ->
            filterCases "MQTT-1.5.4-2" malformed [ "a\000", 1; "\000", 0; "a/\000/#", 2 ]

            packetOf "30" "0002 6100 00"
            |> refused ClientToServer malformed "MQTT-1.5.4-2" 5)

        clause [ "MQTT-4.7.0-1" ] "wildcards stand in filters, never in names" (fun () ->
            for topic in [ "23"; "2B" ] do
                packetOf "10" $"0004 4D515454 05 06 0000 00 0001 64 00 0001 {topic} 0000"
                |> refused ClientToServer protocolError "MQTT-4.7.0-1" 19

                packetOf "30" $"0001 {topic} 00"
                |> refused ServerToClient protocolError "MQTT-3.3.2-2" 4

                accepted ClientToServer (subscribe $"0001 {topic} 00") |> ignore
                accepted ClientToServer (unsubscribe $"0001 {topic}") |> ignore)

        clause [ "MQTT-4.8.2-1" ] "a shared filter has a ShareName of at least one character" (fun () ->
            filterCases "MQTT-4.8.2-1" protocolError [ "$share//a", 7; "$share//", 7; "$share///", 7 ])

        clause
            [ "MQTT-4.8.2-2" ]
            "a ShareName is free of wildcards and followed by / and a Topic Filter"
            (fun () ->
                filterCases
                    "MQTT-4.8.2-2"
                    protocolError
                    [ "$share/g", 8; "$share/g/", 9; "$share/g+/a", 8; "$share/#/a", 7; "$share/", 7 ]

                filterCases "MQTT-4.7.1-1" protocolError [ "$share/g/a#", 10 ])
    ]

let private disconnectAndAuth =
    let fromClient = "00 04 80 81 82 83 90 93 94 95 96 97 98 99 9B"

    let fromServer =
        "00 80 81 82 83 87 89 8B 8C 8D 8E 8F 90 93 94 95 96 97 98 99 9A 9B 9C 9D 9E 9F A0 A1 A2"

    [
        clause [ "MQTT-3.14.1-1" ] "the flags of DISCONNECT are 0000" (flags "MQTT-3.14.1-1" "E" 0 "00 00")

        clause
            [ "MQTT-3.14.2-1" ]
            "DISCONNECT uses only the codes of its table, in their direction"
            (fun () ->
                for direction, table in [ ClientToServer, fromClient; ServerToClient, fromServer ] do
                    let table = Set.ofArray (bytesOf table)

                    for code in 0..255 do
                        for packet in [ packetOf "E0" $"%02X{code}"; packetOf "E0" $"%02X{code} 00" ] do
                            if table.Contains(byte code) then
                                accepted direction packet |> ignore
                            else
                                refused direction protocolError "MQTT-3.14.2-1" 2 packet)

        clause [ "MQTT-3.14.2-2" ] "a server's DISCONNECT has no Session Expiry Interval" (fun () ->
            packetOf "E0" "00 05 11 0000000A"
            |> refused ServerToClient protocolError "MQTT-3.14.2-2" 4

            match accepted ClientToServer (packetOf "E0" "00 05 11 0000000A") with
            | Packet.Disconnect(Outcome.Full(_, properties)) ->
                Expect.equal properties.SessionExpiryInterval (ValueSome 10u<s>) "a client's may"
            | packet -> failtest $"{packet.Type}")

        testCase "a client's DISCONNECT has no Server Reference" (fun () ->
            packetOf "E0" "00 06 1C 0003 683A31"
            |> refused ClientToServer protocolError "3.14.2.2.5" 4)

        clause
            [ "MQTT-3.15.1-1" ]
            "the flags of AUTH are 0000"
            (flags "MQTT-3.15.1-1" "F" 0 "18 04 15 0001 4D")

        clause [ "MQTT-3.15.2-1" ] "AUTH uses only 0x00, 0x18 and 0x19, in their direction" (fun () ->
            for direction, table in [ ClientToServer, "18 19"; ServerToClient, "00 18" ] do
                let table = Set.ofArray (bytesOf table)

                for code in 0..255 do
                    let packet = packetOf "F0" $"%02X{code} 04 15 0001 4D"

                    if table.Contains(byte code) then
                        accepted direction packet |> ignore
                    else
                        refused direction protocolError "MQTT-3.15.2-1" 2 packet)

        testCase "AUTH names its method" (fun () ->
            bytesOf "F000" |> refused ClientToServer protocolError "3.15.2.2.2" 2
            packetOf "F0" "18 00" |> refused ClientToServer protocolError "3.15.2.2.2" 4

            packetOf "F0" "18 04 16 0001 00"
            |> refused ClientToServer protocolError "3.1.2.11.10" 4)
    ]

let tests = testList "SUBSCRIBE to AUTH" (subscriptions @ filters @ disconnectAndAuth)
