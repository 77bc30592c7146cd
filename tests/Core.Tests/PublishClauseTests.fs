module Mqtt5.Tests.PublishClauseTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.Parsing

let private publishOf direction (bytes: byte[]) =
    match accepted direction bytes with
    | Packet.Publish publish -> publish
    | packet -> failtest $"{packet.Type}"

let private eachDirection (check: Direction -> unit) = List.iter check both

let private publish =
    [
        clause [ "MQTT-3.3.1-2" ] "DUP is 0 at QoS 0" (fun () ->
            eachDirection (fun direction ->
                packetOf "38" "0001 61 00" |> refused direction malformed "MQTT-3.3.1-2" 0
                packetOf "39" "0001 61 00" |> refused direction malformed "MQTT-3.3.1-2" 0
                Expect.isFalse (publishOf direction (packetOf "31" "0001 61 00")).Delivery.IsDup "QoS 0"
                Expect.isTrue (publishOf direction (packetOf "3A" "0001 61 0001 00")).Delivery.IsDup "QoS 1"
                Expect.isTrue (publishOf direction (packetOf "3C" "0001 61 0001 00")).Delivery.IsDup "QoS 2"))

        clause [ "MQTT-3.3.1-4" ] "the QoS bits are not both 1" (fun () ->
            eachDirection (fun direction ->
                for first in [ "36"; "37"; "3E"; "3F" ] do
                    packetOf first "0001 61 0001 00" |> refused direction malformed "MQTT-3.3.1-4" 0

                for first, qos in [ "32", QoS.AtLeastOnce; "34", QoS.ExactlyOnce ] do
                    let publish = publishOf direction (packetOf first "0001 61 0001 00")
                    Expect.equal publish.Delivery.QoS qos first))

        clause
            [ "MQTT-3.3.2-1" ]
            "the Topic Name comes first, a string, empty only with a Topic Alias"
            (fun () ->
                packetOf "30" "00" |> refused ClientToServer malformed "MQTT-3.3.2-1" 2
                packetOf "30" "0005 61 00" |> refused ClientToServer malformed "MQTT-3.3.2-1" 2
                packetOf "30" "0001 FF 00" |> refused ClientToServer malformed "MQTT-1.5.4-1" 4
                packetOf "30" "0000 00" |> refused ClientToServer protocolError "MQTT-3.3.2-1" 2

                packetOf "32" "0000 0001 00"
                |> refused ClientToServer protocolError "MQTT-3.3.2-1" 2

                match (publishOf ClientToServer (packetOf "30" "0000 03 23 0007")).Topic with
                | TopicReference.Alias alias -> Expect.equal alias.Value 7us "the alias"
                | _ -> failtest "no alias"

                match (publishOf ClientToServer (packetOf "30" "0001 61 03 23 0007")).Topic with
                | TopicReference.NameAndAlias(name, alias) ->
                    Expect.equal (name.Text, alias.Value) ("a", 7us) "name and alias"
                | _ -> failtest "no alias")

        clause [ "MQTT-3.3.2-2" ] "a Topic Name contains no wildcard" (fun () ->
            eachDirection (fun direction ->
                packetOf "30" "0001 23 00" |> refused direction protocolError "MQTT-3.3.2-2" 4
                packetOf "30" "0001 2B 00" |> refused direction protocolError "MQTT-3.3.2-2" 4

                packetOf "30" "0004 61 2F 62 23 00"
                |> refused direction protocolError "MQTT-3.3.2-2" 7

                packetOf "30" "0004 61 2F 2B 62 00"
                |> refused direction protocolError "MQTT-3.3.2-2" 6))

        clause [ "MQTT-3.3.2-8" ] "a Topic Alias is not 0" (fun () ->
            eachDirection (fun direction ->
                packetOf "30" "0001 61 03 23 0000"
                |> refused direction ReasonCode.TopicAliasInvalid "MQTT-3.3.2-8" 7

                accepted direction (packetOf "30" "0001 61 03 23 FFFF") |> ignore))

        clause [ "MQTT-3.3.2-13" ] "the Response Topic is a UTF-8 Encoded String" (fun () ->
            packetOf "30" "0001 61 04 08 0001 FF"
            |> refused ClientToServer malformed "MQTT-1.5.4-1" 9

            packetOf "30" "0001 61 05 08 0002 6100"
            |> refused ClientToServer malformed "MQTT-1.5.4-2" 10)

        clause [ "MQTT-3.3.2-14" ] "the Response Topic contains no wildcard" (fun () ->
            packetOf "30" "0001 61 04 08 0001 23"
            |> refused ClientToServer protocolError "MQTT-3.3.2-14" 9

            packetOf "30" "0001 61 06 08 0003 612F2B"
            |> refused ClientToServer protocolError "MQTT-3.3.2-14" 11

            packetOf "30" "0001 61 03 08 0000"
            |> refused ClientToServer protocolError "MQTT-4.7.3-1" 9

            Expect.equal
                (publishOf ClientToServer (packetOf "30" "0001 61 04 08 0001 72")).Properties.ResponseTopic
                (ValueSome(TopicName.Of "r"))
                "a Topic Name")

        clause [ "MQTT-3.3.2-19" ] "the Content Type is a UTF-8 Encoded String" (fun () ->
            packetOf "30" "0001 61 04 03 0001 FF"
            |> refused ClientToServer malformed "MQTT-1.5.4-1" 9

            packetOf "30" "0001 61 05 03 0002 6100"
            |> refused ClientToServer malformed "MQTT-1.5.4-2" 10

            Expect.equal
                (publishOf ClientToServer (packetOf "30" "0001 61 03 03 0000")).Properties.ContentType
                (ValueSome(Utf8String.Of ""))
                "empty is present")

        clause [ "MQTT-3.3.4-6" ] "a PUBLISH from a client has no Subscription Identifier" (fun () ->
            packetOf "30" "0001 61 02 0B 01"
            |> refused ClientToServer protocolError "MQTT-3.3.4-6" 6

            let fromServer = publishOf ServerToClient (packetOf "30" "0001 61 04 0B 01 0B 02")

            Expect.sequenceEqual
                fromServer.Properties.SubscriptionIdentifiers
                [ 1u; 2u ]
                "from a server it has")
    ]

// Every code in both directions: those of the table are accepted, with the statement of the packet.
let private codes (id: string) (first: string) (fromClient: string) (fromServer: string) () =
    for direction, table in [ ClientToServer, fromClient; ServerToClient, fromServer ] do
        let table = Set.ofArray (bytesOf table)

        for code in 0..255 do
            for packet in [ packetOf first $"0001 %02X{code}"; packetOf first $"0001 %02X{code} 00" ] do
                if table.Contains(byte code) then
                    accepted direction packet |> ignore
                else
                    refused direction protocolError id 4 packet

let private acknowledgements =
    let answered = "00 80 83 87 90 91 97 99"

    [
        clause
            [ "MQTT-3.4.2-1" ]
            "PUBACK uses only the codes of its table"
            (codes "MQTT-3.4.2-1" "40" answered (answered + " 10"))
        clause
            [ "MQTT-3.5.2-1" ]
            "PUBREC uses only the codes of its table"
            (codes "MQTT-3.5.2-1" "50" answered (answered + " 10"))
        clause [ "MQTT-3.6.2-1" ] "PUBREL uses only 0x00 and 0x92" (codes "MQTT-3.6.2-1" "62" "00 92" "00 92")
        clause
            [ "MQTT-3.7.2-1" ]
            "PUBCOMP uses only 0x00 and 0x92"
            (codes "MQTT-3.7.2-1" "70" "00 92" "00 92")

        clause [ "MQTT-3.6.1-1" ] "the flags of PUBREL are 0010" (fun () ->
            for flags in 0..15 do
                if flags <> 2 then
                    eachDirection (fun direction ->
                        packetOf $"6%01X{flags}" "0001" |> refused direction malformed "MQTT-3.6.1-1" 0)

            eachDirection (fun direction -> accepted direction (packetOf "62" "0001") |> ignore))

        testCase "a Packet Identifier is not 0" (fun () ->
            packetOf "32" "0001 61 0000 00"
            |> refused ClientToServer protocolError "MQTT-2.2.1-3" 5

            packetOf "32" "0001 61 0000 00"
            |> refused ServerToClient protocolError "MQTT-2.2.1-4" 5

            packetOf "82" "0000 00 0001 61 00"
            |> refused ClientToServer protocolError "MQTT-2.2.1-3" 2

            packetOf "A2" "0000 00 0001 61"
            |> refused ClientToServer protocolError "MQTT-2.2.1-3" 2

            for first in [ "40"; "50"; "62"; "70" ] do
                packetOf first "0000" |> refused ClientToServer protocolError "MQTT-2.2.1-5" 2

            for first in [ "90"; "B0" ] do
                packetOf first "0000 00 00"
                |> refused ServerToClient protocolError "MQTT-2.2.1-6" 2)

        testCase "the three forms of an acknowledgement stay apart" (fun () ->
            let outcome hex =
                match accepted ClientToServer (bytesOf hex) with
                | Packet.Puback { Outcome = outcome } -> outcome
                | packet -> failtest $"{packet.Type}"

            match outcome "4002 0001", outcome "4003 0001 00", outcome "4004 0001 00 00" with
            | Outcome.Omitted, Outcome.Code ReasonCode.Success, Outcome.Full(ReasonCode.Success, _) -> ()
            | _ -> failtest "the forms are mixed up")
    ]

let tests = testList "PUBLISH and its acknowledgements" (publish @ acknowledgements)
