module Mqtt5.Tests.GeneratorsTests

open System
open System.Collections.Generic
open System.Text
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Verification
open Mqtt5.Verification.PacketGenerators

[<Literal>]
let private Samples = 10_000

// The same samples in every run, so that a distribution that is good stays good.
let private sample (generator: Gen<'T>) : 'T[] = Gen.sampleWithSeed (Rnd 5UL) 100 Samples generator

let private packets = lazy sample anyPacket

/// The properties of a packet by the place where they stand.
let internal scopesOf (packet: Packet) : (Scope * PropertySet) list =
    let scope = Spec.scopeOf packet.Type

    match packet with
    | Packet.Connect connect ->
        [
            scope, PropertySet.ofConnect connect.Properties
            match connect.Will with
            | ValueSome will -> Scope.Will, PropertySet.ofWill will.Properties
            | ValueNone -> ()
        ]
    | Packet.Connack connack -> [ scope, PropertySet.ofConnack connack.Properties ]
    | Packet.Publish publish -> [ scope, PropertySet.ofPublish publish.Topic publish.Properties ]
    | Packet.Puback { Outcome = Outcome.Full(_, properties) }
    | Packet.Pubrec { Outcome = Outcome.Full(_, properties) }
    | Packet.Pubrel { Outcome = Outcome.Full(_, properties) }
    | Packet.Pubcomp { Outcome = Outcome.Full(_, properties) } ->
        [ scope, PropertySet.ofAcknowledgement properties ]
    | Packet.Suback packet
    | Packet.Unsuback packet -> [ scope, PropertySet.ofAcknowledgement packet.Properties ]
    | Packet.Subscribe packet -> [ scope, PropertySet.ofSubscribe packet.Properties ]
    | Packet.Unsubscribe packet -> [ scope, PropertySet.ofUnsubscribe packet.UserProperties ]
    | Packet.Disconnect(Outcome.Full(_, properties)) -> [ scope, PropertySet.ofDisconnect properties ]
    | Packet.Auth auth -> [ scope, PropertySet.ofAuth auth ]
    | _ -> [ scope, Map.empty ]

let private reasonsIn (packet: Packet) : seq<ReasonCode> =
    match packet with
    | Packet.Connack connack -> [ connack.Reason ]
    | Packet.Puback packet
    | Packet.Pubrec packet
    | Packet.Pubrel packet
    | Packet.Pubcomp packet -> [ packet.Outcome.Reason ]
    | Packet.Suback packet
    | Packet.Unsuback packet -> packet.Reasons
    | Packet.Disconnect outcome -> [ outcome.Reason ]
    | Packet.Auth auth -> [ auth.Reason ]
    | _ -> []

let private timesOf (counts: Dictionary<'Key, int>) key =
    match counts.TryGetValue key with
    | true, times -> times
    | _ -> 0

let private count (keys: seq<'Key>) : Dictionary<'Key, int> =
    let counts = Dictionary<'Key, int>()

    for key in keys do
        counts[key] <- 1 + timesOf counts key

    counts

let private atLeast floor what (counts: Dictionary<'Key, int>) key =
    let found = timesOf counts key
    Expect.isGreaterThanOrEqual found floor $"{what} {key} comes {found} times in {Samples} packets"

let private sharedOf (floor: int) (what: string) (items: 'T[]) (predicate: 'T -> bool) =
    let whole = items.Length
    let found = items |> Array.filter predicate |> Array.length
    Expect.isGreaterThanOrEqual found (whole * floor / 1000) $"{what} comes {found} times among {whole}"

let private direction (struct (direction, _): struct (Direction * Packet)) = direction
let private packetOfSample (struct (_, packet): struct (Direction * Packet)) = packet

// Follows the first smaller packet again and again.
let rec private shrunk steps packet =
    match Seq.tryHead (PacketShrinking.shrinkPacket packet) with
    | Some smaller when steps < 1000 -> shrunk (steps + 1) smaller
    | _ -> steps

let tests =
    testList
        "Generators"
        [
            testCase "no packet type is rare" (fun () ->
                let counts = count (packets.Value |> Seq.map (fun sample -> (packetOfSample sample).Type))

                for rule in Spec.packets do
                    if rule.Type <> PacketType.Reserved then
                        atLeast (Samples / 100) "the packet" counts rule.Type)

            testCase "no property is rare in its scope" (fun () ->
                let all = packets.Value |> Array.collect (packetOfSample >> scopesOf >> Array.ofList)
                let scopes = count (all |> Seq.map fst)

                let properties =
                    all
                    |> Seq.collect (fun (scope, set) ->
                        set |> Map.keys |> Seq.map (fun id -> struct (scope, id)))
                    |> count

                for scope in Enum.GetValues<Scope>() do
                    for id in Spec.propertiesOf scope do
                        let share = timesOf scopes scope / 20
                        atLeast (max share 20) "the property" properties (struct (scope, id)))

            testCase "every reason code comes in every packet that may carry it" (fun () ->
                let codes =
                    packets.Value
                    |> Seq.collect (fun struct (direction, packet) ->
                        reasonsIn packet |> Seq.map (fun code -> struct (direction, packet.Type, code)))
                    |> count

                for direction in [ ClientToServer; ServerToClient ] do
                    for rule in Spec.packets do
                        for code in reasonsOf direction rule.Type do
                            atLeast 2 "the reason code" codes (struct (direction, rule.Type, code)))

            testCase "both directions, every delivery, topic and outcome come" (fun () ->
                let all = packets.Value
                sharedOf 400 "from a client" all (fun sample -> direction sample = ClientToServer)
                sharedOf 400 "from a server" all (fun sample -> direction sample = ServerToClient)

                let published =
                    all
                    |> Array.choose (fun sample ->
                        match packetOfSample sample with
                        | Packet.Publish publish -> Some publish
                        | _ -> None)

                let share floor what predicate = sharedOf floor what published predicate

                share 150 "QoS 0" (fun publish -> publish.Delivery.QoS = QoS.AtMostOnce)
                share 150 "QoS 1" (fun publish -> publish.Delivery.QoS = QoS.AtLeastOnce)
                share 150 "QoS 2" (fun publish -> publish.Delivery.QoS = QoS.ExactlyOnce)
                share 150 "DUP" _.Delivery.IsDup
                share 50 "an alias alone" _.Topic.IsAlias
                share 50 "a name with an alias" _.Topic.IsNameAndAlias
                share 20 "no payload" _.Payload.IsEmpty

                let outcomes =
                    all
                    |> Array.choose (fun sample ->
                        match packetOfSample sample with
                        | Packet.Puback packet -> Some packet.Outcome
                        | _ -> None)

                sharedOf 50 "nothing" outcomes _.IsOmitted
                sharedOf 100 "a code alone" outcomes _.IsCode
                sharedOf 300 "a property section" outcomes _.IsFull)

            testCase "texts are empty, long and of all characters" (fun () ->
                let texts = sample TextGenerators.text

                let share floor what predicate = sharedOf floor what texts predicate

                let has (predicate: Rune -> bool) (text: string) =
                    text.EnumerateRunes() |> Seq.exists predicate

                share 50 "an empty text" (fun text -> text = "")
                share 20 "four bytes in UTF-8" (has (fun rune -> rune.Utf8SequenceLength = 4))
                share 20 "three bytes in UTF-8" (has (fun rune -> rune.Utf8SequenceLength = 3))
                share 20 "a control character" (has Rune.IsControl)
                share 10 "U+FEFF" (fun text -> text.Contains '\uFEFF')
                share 1 "a length of 16,383 and above" (fun text -> Encoding.UTF8.GetByteCount text > 16_382)
                share 1 "a length around 127" (fun text -> abs (Encoding.UTF8.GetByteCount text - 128) <= 2))

            testCase "filters overlap and are shared" (fun () ->
                let filters = sample TextGenerators.overlappingFilter
                let topics = sample TextGenerators.overlappingTopic
                sharedOf 100 "a shared filter" filters _.IsShared
                sharedOf 300 "a wildcard" filters _.HasWildcard

                sharedOf 20 "a match" (Array.zip filters topics) (fun (filter, topic) ->
                    Topic.matches filter topic))

            testPropertyWithConfig samples "what is generated may be sent" (fun (sample: PacketSample) ->
                Encode.check sample.Direction sample.Packet = ValueNone)

            testPropertyWithConfig
                samples
                "what is shrunk may be sent and is another packet"
                (fun (sample: PacketSample) ->
                    PacketShrinking.shrinkPacket sample.Packet
                    |> Seq.truncate 30
                    |> Seq.forall (fun smaller ->
                        smaller <> sample.Packet && (Encode.check sample.Direction smaller).IsNone))

            testCase "shrinking ends" (fun () ->
                for struct (_, packet) in Array.truncate 500 packets.Value do
                    Expect.isLessThan (shrunk 0 packet) 1000 "steps")

            testCase "a counterexample shows as notation" (fun () ->
                let sample = { Direction = ClientToServer; Packet = Packet.Pingreq }
                Expect.equal $"%A{sample}" "PINGREQ" "as FsCheck prints it")

            testCase "a property runs at least ten thousand cases" (fun () ->
                Expect.isGreaterThanOrEqual config.maxTest CasesPerProperty "cases")
        ]
