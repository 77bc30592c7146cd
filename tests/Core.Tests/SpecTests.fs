module Mqtt5.Tests.SpecTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Parsing

let private hex (bytes: seq<byte>) = bytes |> Seq.map (fun value -> $"%02X{value}") |> String.concat " "

// The tables of the standard once more, as they are printed: by packet here, by property and code in Spec.
let private propertiesByPacket =
    [
        Scope.Connect, "11 15 16 17 19 21 22 26 27"
        Scope.Will, "01 02 03 08 09 18 26"
        Scope.Connack, "11 12 13 15 16 1A 1C 1F 21 22 24 25 26 27 28 29 2A"
        Scope.Publish, "01 02 03 08 09 0B 23 26"
        Scope.Puback, "1F 26"
        Scope.Pubrec, "1F 26"
        Scope.Pubrel, "1F 26"
        Scope.Pubcomp, "1F 26"
        Scope.Subscribe, "0B 26"
        Scope.Suback, "1F 26"
        Scope.Unsubscribe, "26"
        Scope.Unsuback, "1F 26"
        Scope.Disconnect, "11 1C 1F 26"
        Scope.Auth, "15 16 1F 26"
    ]

let private packets =
    testList
        "packets"
        [
            testCase "stand at the index of their number" (fun () ->
                Expect.hasLength Spec.packets 16 "sixteen types"

                Spec.packets
                |> Array.iteri (fun index rule -> Expect.equal (int rule.Type) index rule.Name))

            testCase "have the flags and directions of the table" (fun () ->
                let row kind = let rule = Spec.packet kind in rule.Flags, rule.FromClient, rule.FromServer

                for kind, expected in
                    [
                        PacketType.Connect, (0, true, false)
                        PacketType.Connack, (0, false, true)
                        PacketType.Publish, (-1, true, true)
                        PacketType.Puback, (0, true, true)
                        PacketType.Pubrec, (0, true, true)
                        PacketType.Pubrel, (2, true, true)
                        PacketType.Pubcomp, (0, true, true)
                        PacketType.Subscribe, (2, true, false)
                        PacketType.Suback, (0, false, true)
                        PacketType.Unsubscribe, (2, true, false)
                        PacketType.Unsuback, (0, false, true)
                        PacketType.Pingreq, (0, true, false)
                        PacketType.Pingresp, (0, false, true)
                        PacketType.Disconnect, (0, true, true)
                        PacketType.Auth, (0, true, true)
                    ] do
                    Expect.equal (row kind) expected $"{kind}"

                Expect.isFalse (Spec.mayTravel ClientToServer PacketType.Reserved) "type 0 never travels"
                Expect.isFalse (Spec.mayTravel ServerToClient PacketType.Reserved) "type 0 never travels")

            testCase "have the properties of the table" (fun () ->
                for scope, expected in propertiesByPacket do
                    let properties = Spec.propertiesOf scope |> Array.map byte |> Array.sort
                    Expect.equal (hex properties) expected $"{scope}"

                Expect.isEmpty (Spec.propertiesOf Scope.None) "nowhere")
        ]

let private properties =
    testList
        "properties"
        [
            testCase "are 27, each once" (fun () ->
                Expect.hasLength Spec.properties 27 "properties"
                Expect.hasLength (Spec.properties |> Array.distinctBy _.Id) 27 "identifiers"
                Expect.hasLength (Spec.properties |> Array.distinctBy _.Name) 27 "names"

                for rule in Spec.properties do
                    Expect.equal (rule.Title.Replace(" ", "")) rule.Name "the name is the title in one word"
                    Expect.equal (Spec.tryProperty (byte rule.Id)) (ValueSome rule) rule.Name

                let known = Spec.properties |> Array.map (fun rule -> byte rule.Id) |> Set.ofArray

                for id in 0..255 do
                    Expect.equal (Spec.tryProperty (byte id)).IsSome (known.Contains(byte id)) $"%02X{id}")

            testCase "stand in the scopes that list them" (fun () ->
                for rule in Spec.properties do
                    for scope, listed in propertiesByPacket do
                        let inScope = (bytesOf listed) |> Array.contains (byte rule.Id)
                        Expect.equal (rule.Scopes.HasFlag scope) inScope $"{rule.Name} in {scope}")

            testCase "have the shapes of the table" (fun () ->
                let ofShape shapes =
                    Spec.properties
                    |> Array.filter (fun rule -> List.contains rule.Shape shapes)
                    |> Array.map (fun rule -> byte rule.Id)
                    |> hex

                Expect.equal (ofShape [ Shape.Byte; Shape.Switch ]) "01 17 19 24 25 28 29 2A" "Byte"
                Expect.equal (ofShape [ Shape.TwoByteInteger ]) "13 21 22 23" "Two Byte Integer"
                Expect.equal (ofShape [ Shape.FourByteInteger ]) "02 11 18 27" "Four Byte Integer"
                Expect.equal (ofShape [ Shape.VariableByteInteger ]) "0B" "Variable Byte Integer"
                Expect.equal (ofShape [ Shape.BinaryData ]) "09 16" "Binary Data"
                Expect.equal (ofShape [ Shape.Utf8StringPair ]) "26" "UTF-8 String Pair"

                Expect.equal
                    (ofShape [ Shape.Utf8EncodedString; Shape.TopicNameString ])
                    "03 08 12 15 1A 1C 1F"
                    "UTF-8 Encoded String"

                Expect.equal (ofShape [ Shape.TopicNameString ]) "08" "Topic Name")

            testCase "repeat only as User Property, and as Subscription Identifier of PUBLISH" (fun () ->
                for rule in Spec.properties do
                    let expected =
                        match rule.Id with
                        | PropertyId.UserProperty -> rule.Scopes
                        | PropertyId.SubscriptionIdentifier -> Scope.Publish
                        | _ -> Scope.None

                    Expect.equal rule.Repeatable expected rule.Name)

            testCase "have the ranges of the table" (fun () ->
                let range id = let rule = Spec.property id in rule.Minimum, rule.Maximum

                for id in
                    [
                        PropertyId.PayloadFormatIndicator
                        PropertyId.RequestProblemInformation
                        PropertyId.RequestResponseInformation
                        PropertyId.MaximumQoS
                        PropertyId.RetainAvailable
                        PropertyId.WildcardSubscriptionAvailable
                        PropertyId.SubscriptionIdentifierAvailable
                        PropertyId.SharedSubscriptionAvailable
                    ] do
                    Expect.equal (range id) (0u, 1u) $"{id}"

                Expect.equal (range PropertyId.ReceiveMaximum) (1u, 65_535u) "Receive Maximum"
                Expect.equal (range PropertyId.TopicAlias) (1u, 65_535u) "Topic Alias"
                Expect.equal (range PropertyId.TopicAliasMaximum) (0u, 65_535u) "Topic Alias Maximum"
                Expect.equal (range PropertyId.ServerKeepAlive) (0u, 65_535u) "Server Keep Alive"
                Expect.equal (range PropertyId.MaximumPacketSize) (1u, 0xFFFF_FFFFu) "Maximum Packet Size"

                Expect.equal
                    (range PropertyId.SubscriptionIdentifier)
                    (1u, 268_435_455u)
                    "Subscription Identifier"

                for id in
                    [
                        PropertyId.MessageExpiryInterval
                        PropertyId.SessionExpiryInterval
                        PropertyId.WillDelayInterval
                    ] do
                    Expect.equal (range id) (0u, 0xFFFF_FFFFu) $"{id}"

                for rule in Spec.properties do
                    let reason =
                        if rule.Id = PropertyId.TopicAlias then
                            ReasonCode.TopicAliasInvalid
                        else
                            ReasonCode.ProtocolError

                    Expect.equal rule.RangeReason reason rule.Name)

            testCase "are forbidden in one direction only where the table says so" (fun () ->
                let forbidden =
                    [
                        for direction in both do
                            for scope, _ in propertiesByPacket do
                                for id in Spec.propertiesOf scope do
                                    if (Spec.forbiddenFrom direction scope id).IsSome then
                                        direction, scope, id
                    ]

                Expect.equal
                    (Set.ofList forbidden)
                    (set
                        [
                            ClientToServer, Scope.Publish, PropertyId.SubscriptionIdentifier
                            ServerToClient, Scope.Disconnect, PropertyId.SessionExpiryInterval
                            ClientToServer, Scope.Disconnect, PropertyId.ServerReference
                        ])
                    "the three")
        ]

let private reasons =
    let codes direction packetType =
        [ 0..255 ]
        |> List.map byte
        |> List.filter (LanguagePrimitives.EnumOfValue >> Spec.reasonAllowed direction packetType)
        |> hex

    testList
        "reason codes"
        [
            testCase "stand in ascending order, each once" (fun () ->
                let codes = Spec.reasons |> Array.map (fun rule -> byte rule.Code)
                Expect.equal (hex (Array.sort (Array.distinct codes))) (hex codes) "codes"
                Expect.hasLength Spec.reasons 43 "codes of table 2-6 that have a name"
                Expect.hasLength (Spec.reasons |> Array.distinctBy _.Name) Spec.reasons.Length "names")

            testCase "are those of the packets' tables" (fun () ->
                let answered = "00 10 80 83 87 90 91 97 99"
                let row packetType = codes ClientToServer packetType, codes ServerToClient packetType

                for packetType, client, server in
                    [
                        PacketType.Connack,
                        "",
                        "00 80 81 82 83 84 85 86 87 88 89 8A 8C 90 95 97 99 9A 9B 9C 9D 9F"
                        PacketType.Puback, answered.Replace("10 ", ""), answered
                        PacketType.Pubrec, answered.Replace("10 ", ""), answered
                        PacketType.Pubrel, "00 92", "00 92"
                        PacketType.Pubcomp, "00 92", "00 92"
                        PacketType.Suback, "", "00 01 02 80 83 87 8F 91 97 9E A1 A2"
                        PacketType.Unsuback, "", "00 11 80 83 87 8F 91"
                        PacketType.Disconnect,
                        "00 04 80 81 82 83 90 93 94 95 96 97 98 99 9B",
                        "00 80 81 82 83 87 89 8B 8C 8D 8E 8F 90 93 94 95 96 97 98 99 9A 9B 9C 9D 9E 9F A0 A1 A2"
                        PacketType.Auth, "18 19", "00 18"
                    ] do
                    Expect.equal (row packetType) (client, server) $"{packetType}")

            testCase "are named as the packet names them" (fun () ->
                Expect.equal
                    (Spec.reasonTitle PacketType.Disconnect ReasonCode.Success)
                    "Normal disconnection"
                    "DISCONNECT"

                Expect.equal (Spec.reasonTitle PacketType.Suback ReasonCode.Success) "Granted QoS 0" "SUBACK"
                Expect.equal (Spec.reasonTitle PacketType.Puback ReasonCode.Success) "Success" "PUBACK")
        ]

let tests = testList "Spec" [ packets; properties; reasons ]
