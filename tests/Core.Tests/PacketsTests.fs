module Mqtt5.Tests.PacketsTests

open System
open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses

let private options =
    [
        for qos in [ QoS.AtMostOnce; QoS.AtLeastOnce; QoS.ExactlyOnce ] do
            for noLocal in [ false; true ] do
                for retainAsPublished in [ false; true ] do
                    for handling in
                        [ RetainHandling.SendAtSubscribe; RetainHandling.SendIfNew; RetainHandling.DoNotSend ] do
                        {
                            MaximumQoS = qos
                            NoLocal = noLocal
                            RetainAsPublished = retainAsPublished
                            RetainHandling = handling
                        }
    ]

let private faultOf result =
    match result with
    | Ok _ -> failtest "no fault"
    | Error(fault: Fault) -> fault

let private pairs (list: UserProperties) = [ for property in list -> property.Name.Text, property.Value.Text ]

let private userPropertiesProperty (names: int list) =
    let expected = [ for name in names -> $"name-{name % 3}", String('é', abs (name % 50)) ]
    let list = UserProperties.Of [ for name, value in expected -> UserProperty.Of(name, value) ]
    Expect.equal (pairs list) expected "order, duplicates and empty values"
    Expect.equal list.Count expected.Length "count"
    Expect.equal list (UserProperties.OfValid(Bytes.Copy list.Wire.Span, list.Count)) "equal by content"

let private identifiersProperty (numbers: uint32 list) =
    let expected = [ for number in numbers -> 1u + number % 268_435_455u ]
    let list = SubscriptionIdentifiers.Of expected
    Expect.equal (List.ofSeq list) expected "order and duplicates"
    Expect.equal list.Count expected.Length "count"

let tests =
    testList
        "Packets"
        [
            clause [ "MQTT-3.8.3-2" ] "a list of subscriptions has at least one" (fun () ->
                let fault = faultOf (SubscriptionList.Create [])
                Expect.equal fault.Reason ReasonCode.ProtocolError "reason code"
                Expect.equal fault.Clause "MQTT-3.8.3-2" "clause"
                Expect.throwsT<ArgumentException> (fun () -> SubscriptionList.Of [] |> ignore) "Of")

            clause [ "MQTT-3.8.3-4" ] "a shared subscription is not No Local" (fun () ->
                let shared = TopicFilter.Of "$share/g/a"
                let noLocal = { SubscriptionOptions.Of QoS.AtLeastOnce with NoLocal = true }
                let fault = faultOf (SubscriptionList.Create [ { Filter = shared; Options = noLocal } ])
                Expect.equal fault.Reason ReasonCode.ProtocolError "reason code"
                Expect.equal fault.Clause "MQTT-3.8.3-4" "clause"

                for subscription in
                    [
                        { Filter = TopicFilter.Of "a"; Options = noLocal }
                        { Filter = shared; Options = SubscriptionOptions.Of QoS.AtLeastOnce }
                    ] do
                    Expect.equal (SubscriptionList.Of [ subscription ]).Count 1 "either alone is allowed")

            clause [ "MQTT-3.10.3-2" ] "a list of filters has at least one" (fun () ->
                let fault = faultOf (TopicFilterList.Create [])
                Expect.equal fault.Reason ReasonCode.ProtocolError "reason code"
                Expect.equal fault.Clause "MQTT-3.10.3-2" "clause"
                Expect.throwsT<ArgumentException> (fun () -> TopicFilterList.Of [] |> ignore) "Of")

            clause [ "MQTT-3.3.2-8" ] "neither alias nor Packet Identifier can be made of 0" (fun () ->
                Expect.throwsT<ArgumentOutOfRangeException> (fun () -> TopicAlias.Of 0us |> ignore) "alias"

                Expect.throwsT<ArgumentOutOfRangeException>
                    (fun () -> PacketId.Of 0us |> ignore)
                    "identifier"

                for number in [ 1us; 65_535us ] do
                    Expect.equal (TopicAlias.Of number).Value number "alias"
                    Expect.equal (PacketId.Of number).Value number "identifier")

            testCase "a Subscription Identifier is from 1 to 268,435,455" (fun () ->
                for number in [ 0u; 268_435_456u; UInt32.MaxValue ] do
                    Expect.throwsT<ArgumentOutOfRangeException>
                        (fun () -> SubscriptionIdentifiers.Of [ 1u; number ] |> ignore)
                        "out of range")

            testCase "Subscription Options keep every combination" (fun () ->
                Expect.hasLength options 36 "combinations"
                Expect.hasLength (options |> List.map _.Byte |> List.distinct) 36 "bytes"

                let filters = options |> List.mapi (fun number _ -> TopicFilter.Of $"a/{number}/+")

                let expected =
                    [
                        for filter, options in List.zip filters options ->
                            { Filter = filter; Options = options }
                    ]

                Expect.equal (List.ofSeq (SubscriptionList.Of expected)) expected "read again"
                Expect.equal (List.ofSeq (TopicFilterList.Of filters)) filters "filters read again")

            testCase "reason codes keep their order" (fun () ->
                let codes =
                    [ for number in 0..255 -> LanguagePrimitives.EnumOfValue<byte, ReasonCode>(byte number) ]

                let list = ReasonCodeList.Of codes
                Expect.equal (List.ofSeq list) codes "read again"
                Expect.isTrue (ReasonCodeList.Of []).IsEmpty "none")

            testPropertyWithConfig config "User Properties are kept in order" userPropertiesProperty
            testPropertyWithConfig config "Subscription Identifiers are kept in order" identifiersProperty

            testCase "lists of different kinds with the same bytes differ" (fun () ->
                let codes = ReasonCodeList.Of []
                Expect.isFalse (codes.Equals(box UserProperties.Empty)) "by type"
                Expect.isTrue (codes.Equals(ReasonCodeList.Of [])) "same type")

            testCase "what is left out means success" (fun () ->
                let omitted: Outcome<AcknowledgementProperties> = Outcome.Omitted
                Expect.equal omitted.Reason ReasonCode.Success "omitted"
                Expect.isTrue omitted.Properties.IsNone "no properties"
                let code: Outcome<AcknowledgementProperties> = Outcome.Code ReasonCode.QuotaExceeded
                Expect.equal code.Reason ReasonCode.QuotaExceeded "code"

                Expect.notEqual
                    (Outcome.Code ReasonCode.Success)
                    (Outcome.Full(ReasonCode.Success, AcknowledgementProperties.Empty))
                    "the forms are distinct")

            testCase "a delivery holds what belongs to its QoS" (fun () ->
                let id = PacketId.Of 7us
                Expect.equal Delivery.AtMostOnce.QoS QoS.AtMostOnce "QoS 0"
                Expect.isTrue Delivery.AtMostOnce.PacketId.IsNone "no identifier"
                Expect.isFalse Delivery.AtMostOnce.IsDup "no DUP"

                for dup in [ false; true ] do
                    let once = Delivery.AtLeastOnce(id, dup)
                    let exactly = Delivery.ExactlyOnce(id, dup)
                    Expect.equal (once.QoS, exactly.QoS) (QoS.AtLeastOnce, QoS.ExactlyOnce) "QoS"
                    Expect.equal (once.PacketId, exactly.PacketId) (ValueSome id, ValueSome id) "identifier"
                    Expect.equal (once.IsDup, exactly.IsDup) (dup, dup) "DUP")

            testCase "a password never shows" (fun () ->
                let connect =
                    {
                        CleanStart = true
                        KeepAlive = 0us<s>
                        Properties =
                            { ConnectProperties.Empty with
                                Authentication =
                                    ValueSome
                                        {
                                            Method = Utf8String.Of "M"
                                            Data = ValueSome(Secret(Bytes.OfText "hidden-data"))
                                        }
                            }
                        ClientId = ValueSome(ClientId.Of "c")
                        Will = ValueNone
                        UserName = ValueSome(Utf8String.Of "u")
                        Password = ValueSome(Secret(Bytes.OfText "hidden-password"))
                    }

                let packet = Packet.Connect connect

                for text in [ packet.ToString(); sprintf "%A" packet; sprintf "%+A" packet; $"{connect}" ] do
                    Expect.isFalse (text.Contains "hidden") "as text"
                    Expect.isFalse (text.Contains(Convert.ToHexString "hidden"B)) "as hexadecimal")
        ]
