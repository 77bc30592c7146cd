module Mqtt5.Tests.ConnectClauseTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.Parsing

let private connectOf (flags: string) (payload: string) =
    packetOf "10" $"0004 4D515454 05 {flags} 0000 00 {payload}"

let private accepts flags payload =
    match accepted ClientToServer (connectOf flags payload) with
    | Packet.Connect connect -> connect
    | packet -> failtest $"{packet.Type}"

let private refuses reason clause offset flags payload =
    connectOf flags payload |> refused ClientToServer reason clause offset

let private unsupported = ReasonCode.UnsupportedProtocolVersion

let private connect =
    [
        clause [ "MQTT-3.1.2-1" ] "the Protocol Name is MQTT" (fun () ->
            let named (name: string) = packetOf "10" $"{name} 05 02 0000 00 0001 61"
            accepted ClientToServer (named "0004 4D515454") |> ignore

            for name in [ "0006 4D5149736470"; "0004 6D717474"; "0000"; "0005 4D51545454"; "0003 4D5154" ] do
                named name |> refused ClientToServer unsupported "MQTT-3.1.2-1" 4)

        testCase
            "the Protocol Version is 5, and is judged before what another version lays out differently"
            (fun () ->
                packetOf "10" "0004 4D515454 04 02 0000 0001 64"
                |> refused ClientToServer unsupported "MQTT-3.1.2-2" 8

                packetOf "10" "0004 4D515454 06 FF FF"
                |> refused ClientToServer unsupported "MQTT-3.1.2-2" 8)

        clause [ "MQTT-3.1.2-3" ] "bit 0 of the Connect Flags is 0" (fun () ->
            for flags in [ "01"; "03"; "07"; "C3" ] do
                refuses malformed "MQTT-3.1.2-3" 9 flags "0001 61 00 0001 77 0000 0000 0000"

            accepts "02" "0001 61" |> ignore)

        clause
            [ "MQTT-3.1.2-9" ]
            "with the Will Flag, Will Properties, Topic and Payload are in the payload"
            (fun () ->
                refuses malformed "MQTT-3.1.2-9" 16 "06" "0001 64"
                refuses malformed "MQTT-3.1.2-9" 17 "06" "0001 64 00"
                refuses malformed "MQTT-3.1.2-9" 20 "06" "0001 64 00 0001 77"
                let will = accepts "06" "0001 64 00 0001 77 0001 FF"

                match will.Will with
                | ValueSome will ->
                    Expect.equal will.Topic (TopicName.Of "w") "topic"
                    Expect.equal will.Payload (Bytes.OfArray [| 0xFFuy |]) "payload"
                | ValueNone -> failtest "no Will")

        clause [ "MQTT-3.1.2-11" ] "without the Will Flag, Will QoS is 0" (fun () ->
            for flags in [ "08"; "0A"; "10"; "18" ] do
                refuses protocolError "MQTT-3.1.2-11" 9 flags "0001 64"

            Expect.isTrue (accepts "02" "0001 64").Will.IsNone "no Will")

        clause [ "MQTT-3.1.2-12" ] "with the Will Flag, Will QoS is 0, 1 or 2" (fun () ->
            let payload = "0001 64 00 0001 77 0000"
            refuses malformed "MQTT-3.1.2-12" 9 "1E" payload

            for flags, qos in [ "06", QoS.AtMostOnce; "0E", QoS.AtLeastOnce; "16", QoS.ExactlyOnce ] do
                match (accepts flags payload).Will with
                | ValueSome will -> Expect.equal will.QoS qos flags
                | ValueNone -> failtest "no Will")

        clause [ "MQTT-3.1.2-13" ] "without the Will Flag, Will Retain is 0" (fun () ->
            refuses protocolError "MQTT-3.1.2-13" 9 "22" "0001 64"

            match (accepts "26" "0001 64 00 0001 77 0000").Will with
            | ValueSome will -> Expect.isTrue will.Retain "with the Will Flag it may be 1"
            | ValueNone -> failtest "no Will")

        clause [ "MQTT-3.1.2-16" ] "without the User Name Flag there is no User Name" (fun () ->
            refuses malformed "MQTT-3.1.2-16" 16 "02" "0001 64 0001 75"
            Expect.isTrue (accepts "02" "0001 64").UserName.IsNone "none"
            // The bytes of a password are not taken for a user name.
            Expect.isTrue (accepts "42" "0001 64 0001 75").UserName.IsNone "none before a password")

        clause [ "MQTT-3.1.2-17" ] "with the User Name Flag there is a User Name" (fun () ->
            refuses malformed "MQTT-3.1.2-17" 16 "82" "0001 64"
            refuses malformed "MQTT-3.1.2-17" 16 "82" "0001 64 0002 75"
            Expect.equal (accepts "82" "0001 64 0001 75").UserName (ValueSome(Utf8String.Of "u")) "a name"
            Expect.equal (accepts "82" "0001 64 0000").UserName (ValueSome(Utf8String.Of "")) "an empty one")

        clause [ "MQTT-3.1.2-18" ] "without the Password Flag there is no Password" (fun () ->
            refuses malformed "MQTT-3.1.2-18" 19 "82" "0001 64 0001 75 0001 70"
            Expect.isTrue (accepts "82" "0001 64 0001 75").Password.IsNone "none")

        clause
            [ "MQTT-3.1.2-19" ]
            "with the Password Flag there is a Password, also without a User Name"
            (fun () ->
                let secret (hex: string) = ValueSome(Secret(Bytes.OfArray(bytesOf hex)))
                refuses malformed "MQTT-3.1.2-19" 16 "42" "0001 64"
                refuses malformed "MQTT-3.1.2-19" 19 "C2" "0001 64 0001 75"
                refuses malformed "MQTT-3.1.2-19" 16 "42" "0001 64 0003 7071"
                Expect.equal (accepts "42" "0001 64 0002 00FF").Password (secret "00FF") "any bytes"
                Expect.equal (accepts "C2" "0001 64 0000 0000").Password (secret "") "no bytes")

        clause [ "MQTT-3.1.3-1" ] "the payload fields come in their order" (fun () ->
            let all = accepts "C6" "0001 63 02 01 01 0001 77 0001 6C 0001 75 0001 70"
            Expect.equal all.ClientId (ValueSome(ClientId.Of "c")) "Client Identifier"
            Expect.equal all.UserName (ValueSome(Utf8String.Of "u")) "User Name"
            Expect.equal all.Password (ValueSome(Secret(Bytes.OfText "p"))) "Password"

            match all.Will with
            | ValueSome will ->
                Expect.equal will.Properties.PayloadFormatIndicator (ValueSome true) "Will Properties"
                Expect.equal will.Topic.Text "w" "Will Topic"
                Expect.equal will.Payload (Bytes.OfText "l") "Will Payload"
            | ValueNone -> failtest "no Will"

            // The Will before the Client Identifier: 00 00 is the Client Identifier, 01 a Will Property Length.
            refuses malformed "2.2.2.2" 16 "06" "00 0001 77 0000 0001 64")

        clause [ "MQTT-3.1.3-3" ] "the Client Identifier is always there, may be empty" (fun () ->
            packetOf "10" "0004 4D515454 05 02 0000 00"
            |> refused ClientToServer malformed "MQTT-3.1.3-3" 13

            refuses malformed "MQTT-3.1.3-3" 13 "02" "0002 61"
            Expect.isTrue (accepts "02" "0000").ClientId.IsNone "empty is absent"
            Expect.equal (accepts "02" "0001 61").ClientId (ValueSome(ClientId.Of "a")) "present")

        clause [ "MQTT-3.1.3-4" ] "the Client Identifier is a UTF-8 Encoded String" (fun () ->
            refuses malformed "MQTT-1.5.4-1" 15 "02" "0001 FF"
            refuses malformed "MQTT-1.5.4-2" 16 "02" "0002 6100")

        clause [ "MQTT-3.1.3-11" ] "the Will Topic is a UTF-8 Encoded String" (fun () ->
            refuses malformed "MQTT-1.5.4-1" 19 "06" "0001 64 00 0001 FF 0000"
            refuses malformed "MQTT-1.5.4-2" 20 "06" "0001 64 00 0002 6100 0000")

        clause [ "MQTT-3.1.3-12" ] "the User Name is a UTF-8 Encoded String" (fun () ->
            refuses malformed "MQTT-1.5.4-1" 18 "82" "0001 64 0001 FF"
            refuses malformed "MQTT-1.5.4-2" 19 "82" "0001 64 0002 6100")

        clause [ "MQTT-3.1.4-1" ] "a CONNECT that is not as section 3.1 lays it out is refused" (fun () ->
            let whole = connectOf "C6" "0001 63 02 01 01 0001 77 0001 6C 0001 75 0001 70"

            // However it is cut, with a Remaining Length that fits.
            for length in 0 .. whole.Length - 3 do
                let cut = Array.append [| 0x10uy; byte length |] (Array.sub whole 2 length)

                match parse ClientToServer cut with
                | Ok _ -> failtest $"accepted with {length} bytes"
                | Error fault -> Expect.isTrue (fault.Reason >= ReasonCode.UnspecifiedError) "an error"

            // And with a byte more than it says.
            Array.concat [ [| 0x10uy; whole[1] + 1uy |]; whole[2..]; [| 0uy |] ]
            |> refused ClientToServer malformed "2.1.4" whole.Length)

        testCase "the Will Topic is a Topic Name" (fun () ->
            refuses protocolError "MQTT-4.7.3-1" 19 "06" "0001 64 00 0000 0000"
            refuses protocolError "MQTT-4.7.0-1" 19 "06" "0001 64 00 0001 2B 0000")
    ]

let private connack =
    [
        clause [ "MQTT-3.2.2-1" ] "bits 7 to 1 of the Connect Acknowledge Flags are 0" (fun () ->
            for flags in 2..255 do
                packetOf "20" $"%02X{flags} 00 00"
                |> refused ServerToClient malformed "MQTT-3.2.2-1" 2

            for flags, expected in [ "00", false; "01", true ] do
                match accepted ServerToClient (packetOf "20" $"{flags} 00 00") with
                | Packet.Connack connack -> Expect.equal connack.SessionPresent expected flags
                | packet -> failtest $"{packet.Type}")

        clause [ "MQTT-3.2.2-6" ] "a CONNACK with an error has Session Present 0" (fun () ->
            for rule in Spec.reasons do
                if
                    rule.FromServer &&& Scope.Connack <> Scope.None
                    && rule.Code <> ReasonCode.Success
                then
                    packetOf "20" $"01 %02X{byte rule.Code} 00"
                    |> refused ServerToClient protocolError "MQTT-3.2.2-6" 2

                    accepted ServerToClient (packetOf "20" $"00 %02X{byte rule.Code} 00") |> ignore)

        clause [ "MQTT-3.2.2-8" ] "CONNACK uses only the codes of its table" (fun () ->
            let table =
                "00 80 81 82 83 84 85 86 87 88 89 8A 8C 90 95 97 99 9A 9B 9C 9D 9F"
                |> bytesOf
                |> Set.ofArray

            for code in 0..255 do
                let packet = packetOf "20" $"00 %02X{code} 00"

                if table.Contains(byte code) then
                    accepted ServerToClient packet |> ignore
                else
                    refused ServerToClient protocolError "MQTT-3.2.2-8" 3 packet)
    ]

let private authentication =
    [
        testCase "Authentication Data has an Authentication Method" (fun () ->
            packetOf "10" "0004 4D515454 05 02 0000 04 16 0001 00 0001 64"
            |> refused ClientToServer protocolError "3.1.2.11.10" 13

            packetOf "20" "00 00 04 16 0001 00"
            |> refused ServerToClient protocolError "3.1.2.11.10" 5)

        testCase
            "Authentication Data and passwords are secrets, in whatever order the properties come"
            (fun () ->
                let section = sectionOf "16 0002 AABB 15 0001 4D"
                let secret = Secret(Bytes.OfArray [| 0xAAuy; 0xBBuy |])

                match accepted ServerToClient (packetOf "20" $"00 00 {section}") with
                | Packet.Connack { Properties = { Authentication = ValueSome authentication } } ->
                    Expect.equal authentication.Method (Utf8String.Of "M") "method"
                    Expect.equal authentication.Data (ValueSome secret) "data"
                | packet -> failtest $"{packet.Type}")
    ]

let tests = testList "CONNECT and CONNACK" (connect @ connack @ authentication)
