/// The bytes of the journal: what is written is read, and what was changed is found.
module Mqtt5.Tests.JournalCodecTests

open System
open System.Buffers
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Verification
open Mqtt5.Tests.Clauses

// Numbers of every length, negative ones among them.
let private number =
    Gen.oneof
        [
            Gen.map int64 (Gen.choose (0, 300))
            Gen.elements [ Int64.MaxValue; Int64.MinValue; -1L; 0L ]
            Gen.map2
                (fun (value: int) shift -> int64 value <<< shift)
                (Gen.choose (1, 1 <<< 30))
                (Gen.choose (0, 33))
        ]

let private session = Gen.map SessionId number

let private time: Gen<UnixTime> = Gen.map LanguagePrimitives.Int64WithMeasure number

let private maybe (value: Gen<'T>) : Gen<'T voption> =
    Gen.oneof [ Gen.constant ValueNone; Gen.map ValueSome value ]

let private packet packetType = (MqttArbitrary.PacketsOf(packetType, ServerToClient)).Generator

let private publish =
    packet PacketType.Publish
    |> Gen.map (fun packet ->
        match packet with
        | Packet.Publish publish -> publish
        | other -> failwith $"{other}")

let private connect =
    (MqttArbitrary.PacketsOf(PacketType.Connect, ClientToServer)).Generator
    |> Gen.map (fun packet ->
        match packet with
        | Packet.Connect connect -> connect
        | other -> failwith $"{other}")

let private subscription =
    ArbMap.defaults
    |> ArbMap.mergeWith<MqttArbitraries>
    |> ArbMap.generate<Subscription>

let private topic =
    Gen.map
        (fun (publish: Publish) ->
            match publish.Topic with
            | TopicReference.Name topic
            | TopicReference.NameAndAlias(topic, _) -> topic
            | TopicReference.Alias _ -> TopicName.Of "t")
        publish

let private client =
    connect
    |> Gen.map (fun connect -> ValueOption.defaultValue (ClientId.Of "c") connect.ClientId)

let private message =
    gen {
        let! publish = publish
        let! topic = topic
        let! expiresAt = maybe time

        return
            StoredMessage.Read(
                {
                    Topic = topic
                    Payload = publish.Payload
                    QoS = publish.Delivery.QoS
                    Retain = publish.Retain
                    Properties = publish.Properties
                    ExpiresAt = ValueNone
                    Ticket = Ticket.None
                },
                expiresAt
            )
    }

let private packetId = Gen.map uint16 (Gen.choose (1, 65_535))

let private place =
    Gen.oneof
        [
            Gen.constant StoredPlace.Waiting
            Gen.map StoredPlace.Sent packetId
            Gen.map2 (fun id number -> StoredPlace.Released(id, number)) packetId number
        ]

let private shared: Gen<SharedDelivery> =
    Gen.map2
        (fun (subscription: Subscription) (publish: Publish) ->
            { Filter = subscription.Filter; QoS = publish.Delivery.QoS; Retain = publish.Retain })
        subscription
        publish

let private sessionChange =
    Gen.oneof
        [
            gen {
                let! order = number
                let! place = place
                let! message = message
                let! shared = maybe shared
                return SessionChange.Kept(order, place, message, shared)
            }
            Gen.map2 (fun order place -> SessionChange.Moved(order, place)) number place
            Gen.map SessionChange.Gone number
            Gen.map SessionChange.Numbered number
            Gen.map SessionChange.Held packetId
            Gen.map SessionChange.Freed packetId
            Gen.constant SessionChange.Cleared
        ]

let private owner: Gen<StoredOwner> =
    gen {
        let! connect = connect
        let! session = session
        let! client = client
        let! epoch = number
        let! connection = Gen.map ConnectionId number
        let! willAt = maybe time
        let! endsAt = maybe time
        let! awaySince = maybe time

        return
            {
                Session = session
                ClientId = client
                Owner = connect.UserName |> ValueOption.map _.Text
                Address = connect.UserName |> ValueOption.map _.Text
                Epoch = epoch
                Connection = connection
                SessionExpiry = ValueOption.defaultValue 0u<s> connect.Properties.SessionExpiryInterval
                Will = connect.Will
                WillAt = willAt
                EndsAt = endsAt
                AwaySince = awaySince
            }
    }

let private retained: Gen<StoredRetained> =
    gen {
        let! publish = publish
        let! topic = topic
        let! expiresAt = maybe time
        let! publisher = session
        let! publisherId = maybe client

        return
            {
                Topic = topic
                Payload = publish.Payload
                QoS = publish.Delivery.QoS
                Properties =
                    { publish.Properties with SubscriptionIdentifiers = SubscriptionIdentifiers.Empty }
                ExpiresAt = expiresAt
                Publisher = publisher
                PublisherId = publisherId
            }
    }

let private brokerChange =
    Gen.oneof
        [
            Gen.map StoredChange.SessionSet owner
            Gen.map2 (fun session client -> StoredChange.SessionEnded(session, client)) session client
            gen {
                let! session = session
                let! subscription = subscription
                let! identifier = maybe (Gen.map uint32 (Gen.choose (1, 268_435_455)))
                return StoredChange.Subscribed(session, subscription.Filter, subscription.Options, identifier)
            }
            Gen.map2
                (fun session (subscription: Subscription) ->
                    StoredChange.Unsubscribed(session, subscription.Filter))
                session
                subscription
            Gen.map StoredChange.Retained retained
            Gen.map StoredChange.RetainedRemoved topic
        ]

let private record =
    Gen.frequency
        [
            3, Gen.map2 (fun session change -> JournalRecord.Session(session, change)) session sessionChange
            3, Gen.map JournalRecord.Broker brokerChange
            1,
            Gen.map3
                (fun session connection time -> JournalRecord.Counters(session, connection, time))
                session
                (Gen.map ConnectionId number)
                time
        ]

let private groupOf (records: JournalRecord list) : byte[] =
    let output = ArrayBufferWriter<byte>()
    JournalCodec.start output

    for record in records do
        JournalCodec.write record output

    let group = output.WrittenSpan.ToArray()
    JournalCodec.seal (Span group)
    group

/// The records of a group; the fault of the first that cannot be read.
let read (group: byte[]) : Result<JournalRecord list, JournalFault> =
    let rec next at records =
        let mutable offset = at

        match JournalCodec.tryRead (ReadOnlyMemory group) &offset with
        | Error fault -> Error fault
        | Ok record when offset = group.Length -> Ok(List.rev (record :: records))
        | Ok record -> next offset (record :: records)

    next 0 []

let private expectFault what (group: byte[]) =
    match read group with
    | Ok records -> failtest $"{what}: {records.Length} records were read"
    | Error fault ->
        Expect.isTrue (fault.Offset >= 0 && fault.Offset <= group.Length) $"{what}: the place is in the group"
        Expect.isNonEmpty fault.Field what

let private groups =
    Arb.fromGen (Gen.map2 (fun first rest -> first :: rest) record (Gen.resize 4 (Gen.listOf record)))

let private laws =
    [
        testPropertyWithConfig
            { config with maxTest = 10_000 }
            "what is written is read"
            (Prop.forAll (Arb.fromGen record) (fun record ->
                Expect.equal (read (groupOf [ record ])) (Ok [ record ]) "the record"))

        testPropertyWithConfig
            config
            "a group is read in the order in which it was written"
            (Prop.forAll groups (fun records ->
                Expect.equal (read (groupOf records)) (Ok records) "the records"))

        testPropertyWithConfig
            { config with maxTest = 200 }
            "a group that is cut off anywhere, or longer, is found"
            (Prop.forAll groups (fun records ->
                let group = groupOf records

                for length in 0 .. group.Length - 1 do
                    if length < 400 || length > group.Length - 20 || length % 61 = 0 then
                        expectFault $"{length} of {group.Length} bytes" (Array.truncate length group)

                expectFault "one byte more" (Array.append group [| 0uy |])))

        testPropertyWithConfig
            { config with maxTest = 200 }
            "a bit that is flipped anywhere is found"
            (Prop.forAll groups (fun records ->
                let group = groupOf records
                let step = max 1 (group.Length / 300)

                for at in 0..step .. group.Length - 1 do
                    let bit = at % 8
                    let flipped = Array.copy group
                    flipped[at] <- flipped[at] ^^^ (1uy <<< bit)
                    expectFault $"bit {bit} of byte {at}" flipped))

        testPropertyWithConfig
            { config with maxTest = 2_000 }
            "records that a sound checksum covers give a record or a fault, and never an exception"
            (Prop.forAll
                (Arb.fromGen (Gen.zip3 record (Gen.choose (0, 100_000)) (Gen.choose (0, 255))))
                (fun (record, at, value) ->
                    let group = groupOf [ record ]
                    let at = JournalCodec.HeaderBytes + at % (group.Length - JournalCodec.HeaderBytes)
                    group[at] <- byte value
                    JournalCodec.seal (Span group)
                    let mutable offset = 0

                    match JournalCodec.tryRead (ReadOnlyMemory group) &offset with
                    | Ok _ -> Expect.isLessThanOrEqual offset group.Length "the next record"
                    | Error fault -> Expect.isLessThanOrEqual fault.Offset group.Length "the place"))
    ]

let private messageOf (payload: string) : Outgoing =
    {
        Topic = TopicName.Of "t"
        Payload = Bytes.OfText payload
        QoS = QoS.AtLeastOnce
        Retain = false
        Properties = PublishProperties.Empty
        ExpiresAt = ValueSome 60_000L<ms>
        Ticket = Ticket.None
    }

let private examples =
    [
        testCase "a later format is told from damage, with both versions" (fun () ->
            let group = groupOf [ JournalRecord.Counters(SessionId 1L, ConnectionId 2L, 3L<unixMs>) ]
            group[0] <- byte (JournalCodec.Format + 1)

            match read group with
            | Error fault ->
                Expect.equal fault.Kind JournalFaultKind.Newer "the kind"
                Expect.stringContains (string fault) $"{JournalCodec.Format + 1}" "the version"
            | Ok _ -> failtest "it was read")

        testCase "a message that many sessions keep stands in the group once" (fun () ->
            let group = JournalGroup()
            let payload = String('x', 1_000)
            let message = StoredMessage.Of(DurabilityLaws.clock, messageOf payload)

            for session in 1L .. 50L do
                group.Add(
                    SessionId session,
                    ReadOnlySpan [| SessionChange.Kept(1L, StoredPlace.Waiting, message, ValueNone) |]
                )

            let bytes = group.Seal().ToArray()
            Expect.isLessThan bytes.Length 1_700 "the size"

            match read bytes with
            | Error fault -> failtest $"{fault}"
            | Ok records ->
                let expected =
                    [
                        for session in 1L .. 50L ->
                            JournalRecord.Session(
                                SessionId session,
                                SessionChange.Kept(1L, StoredPlace.Waiting, message, ValueNone)
                            )
                    ]

                Expect.equal records expected "each is read as if it stood there")

        testCase "bodies are those of one group" (fun () ->
            let group = JournalGroup()
            let message = StoredMessage.Of(DurabilityLaws.clock, messageOf "one")
            let change = [| SessionChange.Kept(1L, StoredPlace.Waiting, message, ValueNone) |]
            group.Add(SessionId 1L, ReadOnlySpan change)
            group.Seal() |> ignore
            group.Clear()
            Expect.equal (group.Count, group.Bytes) (0, 0) "cleared"
            group.Add(JournalRecord.Counters(SessionId 1L, ConnectionId 1L, 0L<unixMs>))
            group.Add(SessionId 2L, ReadOnlySpan change)
            let records = read (group.Seal().ToArray())

            Expect.equal
                records
                (Ok
                    [
                        JournalRecord.Counters(SessionId 1L, ConnectionId 1L, 0L<unixMs>)
                        JournalRecord.Session(SessionId 2L, change[0])
                    ])
                "the second group")

        testCase "the payload refers to the group" (fun () ->
            let message = StoredMessage.Of(DurabilityLaws.clock, messageOf "payload")

            let group =
                groupOf
                    [
                        JournalRecord.Session(
                            SessionId 1L,
                            SessionChange.Kept(1L, StoredPlace.Waiting, message, ValueNone)
                        )
                    ]

            match read group with
            | Ok [ JournalRecord.Session(_, SessionChange.Kept(_, _, read, _)) ] ->
                group[group.Length - 1] <- 'D'B
                Expect.equal read.Payload (Bytes.OfText "payloaD") "the same memory"
            | other -> failtest $"{other}")
    ]

let tests = testList "Journal" [ testList "Codec" (laws @ examples) ]
