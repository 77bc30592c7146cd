/// What the standard of MQTT 3.1.1 says of servers, and what MQTT 3.1 has instead, on the node.
module Mqtt5.Tests.ServerVersionClausesTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

let private V311 = ProtocolVersion.V311
let private V31 = ProtocolVersion.V31
let private before5 = [ V311; V31 ]

let private openedIn (version: ProtocolVersion) (world: World) : Link =
    let link = world.Open()
    link.Version <- version
    link

let private offer (world: World) version (connect: Connect) : Link =
    let link = openedIn version world
    world.Send(link, Packet.Connect connect)
    link

let private joinWith (world: World) version (connect: Connect) : Link * Connack =
    let link = offer world version connect

    match link.Inbox.TryDequeue() with
    | true, Packet.Connack connack -> link, connack
    | _, other -> failtest $"CONNACK is due, not {other}"

/// CleanSession 1.
let private join (world: World) version clientId : Link =
    let link, connack = joinWith world version (connectPacket clientId)
    Expect.equal connack.Reason ReasonCode.Success "accepted"
    link

/// CleanSession 0.
let private kept (clientId: string) : Connect = { connectPacket clientId with CleanStart = false }

let private stay (world: World) version clientId : Link = fst (joinWith world version (kept clientId))

let private refusedWith (world: World) version connect (reason: ReasonCode) =
    let link, connack = joinWith world version connect
    Expect.equal connack.Reason reason "its code"
    Expect.isFalse connack.SessionPresent "no session"
    Expect.isFalse link.IsOpen "closed"
    Expect.isEmpty (readAll link) "nothing more"

let private closesSilently (link: Link) =
    Expect.isFalse link.IsOpen "closed"
    Expect.isEmpty (readAll link) "nothing is sent before"

let private sendHex (world: World) (link: Link) (hex: string) =
    world.SendBytes(link, System.Convert.FromHexString(hex.Replace(" ", "")))

let private acks (link: Link) = readAll link |> List.map (fun packet -> packet.Type)

let private reasonsOf (packets: Packet list) =
    match packets with
    | [ Packet.Suback answer ] -> Seq.toList answer.Reasons
    | other -> failtest $"SUBACK is due, not {other}"

let private request (world: World) (link: Link) (filters: (string * int) list) : ReasonCode list =
    let filters =
        filters
        |> List.map (fun (filter, level) -> filter, SubscriptionOptions.Of(qos level))

    world.Send(link, Packet.Subscribe(subscribePacket 9us filters))
    let packets = readAll link

    for packet in packets do
        if packet.Type <> PacketType.Suback then
            link.Inbox.Enqueue packet

    packets
    |> List.filter (fun packet -> packet.Type = PacketType.Suback)
    |> reasonsOf

// SUBSCRIBE to $share//x, which MQTT 5 cannot say.
let private withoutShareName (world: World) (link: Link) : ReasonCode list =
    sendHex world link "82 0E 0009 0009 24 73 68 61 72 65 2F 2F 78 01"
    reasonsOf (readAll link)

let private withWill will connect : Connect = { connect with Will = ValueSome will }

let private plain qualities id topic text : Packet =
    Packet.Publish(publishPacket (deliveryOf qualities id) topic text)

let private again (packet: Packet) : Packet =
    match packet with
    | Packet.Publish publish ->
        let delivery =
            match publish.Delivery with
            | Delivery.AtLeastOnce(id, _) -> Delivery.AtLeastOnce(id, true)
            | Delivery.ExactlyOnce(id, _) -> Delivery.ExactlyOnce(id, true)
            | other -> other

        Packet.Publish { publish with Delivery = delivery }
    | other -> other

let private denied (settings: BrokerSettings) (happened: Happening -> unit) =
    let allowed =
        everything
        |> Array.append
            [|
                {
                    Subject = AccessSubject.Everyone
                    Allows = false
                    Scope = AccessScope.Publish
                    Pattern = "secret/#"
                }
            |]

    World(settings, allowed, happened)

let private connecting =
    [
        clause
            [ "MQTT3-3.1.4-4"; "MQTT3-3.2.0-1"; "MQTT3-3.1.2-2"; "MQTT3-3.12.4-1" ]
            "CONNECT of each version is answered in it, first"
            (fun () ->
                for version in before5 do
                    let world = world ()
                    let link = offer world version (connectPacket "a")
                    world.Send(link, Packet.Pingreq)

                    match readAll link with
                    | [ Packet.Connack connack; Packet.Pingresp ] ->
                        Expect.equal connack.Reason ReasonCode.Success "accepted"
                    | other -> failtest $"CONNACK, then PINGRESP, not {other}"

                    Expect.equal world.Machines[link.Session].Connection.Value.Version version "it is kept")

        clause
            [ "MQTT3-3.1.2-4"; "MQTT3-3.1.3-2"; "MQTT3-3.2.2-1"; "MQTT3-3.2.2-2"; "MQTT3-3.2.2-3" ]
            "CleanSession 0 goes on with the session, and CleanSession 1 begins another"
            (fun () ->
                let world = world ()
                let present (link: Link, connack: Connack) = link, connack.SessionPresent
                let first, isPresent = present (joinWith world V311 (kept "a"))
                Expect.isFalse isPresent "there was none"
                let session = first.Session
                world.Send(first, Packet.Disconnect Outcome.Omitted)
                let second, isPresent = present (joinWith world V311 (kept "a"))
                Expect.isTrue isPresent "it was kept"
                Expect.equal second.Session session "the same"
                let third, isPresent = present (joinWith world V311 (connectPacket "a"))
                Expect.isFalse isPresent "a clean one"
                Expect.notEqual third.Session session "another"
                world.Drop third
                Expect.isEmpty world.Broker.Sessions "it ends with its connection"
                stay world V31 "b" |> world.Drop
                let _, isPresent = present (joinWith world V31 (kept "b"))
                Expect.isFalse isPresent "MQTT 3.1 has no such flag"
                Expect.equal world.Broker.SessionCount 1 "although it is there")

        clause [ "MQTT3-3.1.2-6"; "MQTT3-3.1.4-3" ] "CleanSession 1 drops what there was" (fun () ->
            let world = world ()
            let old = stay world V311 "a"
            request world old [ "t", 1 ] |> ignore
            world.Drop old
            publish world (join world V311 "p") 1 "t" "missed"
            let clean = join world V311 "a"
            Expect.isEmpty (readAll clean) "nothing waits"
            publish world (join world V311 "q") 1 "t" "more"
            Expect.isEmpty (readAll clean) "nothing is subscribed to")

        clause
            [ "MQTT3-3.1.2-5"; "MQTT3-4.1.0-1"; "MQTT3-4.1.0-2"; "MQTT3-4.5.0-1" ]
            "messages are kept for a session of CleanSession 0, for as long as the limit says"
            (fun () ->
                for version in before5 do
                    let world =
                        worldWith (withLimits (fun limits -> { limits with SessionExpirySeconds = 60u<s> }))

                    let link = stay world version "a"
                    request world link [ "t/#", 2 ] |> ignore
                    world.Advance(600L * second)
                    Expect.isTrue link.IsOpen "it lasts as long as its connection"
                    world.Drop link
                    let publisher = join world V311 "p"
                    publish world publisher 1 "t/1" "one"
                    publish world publisher 2 "t/2" "two"
                    world.Advance(50L * second)
                    let back = stay world version "a"
                    Expect.equal (payloads (arrived back)) [ "one"; "two" ] "they waited"
                    world.Drop back
                    world.Advance(61L * second)
                    Expect.isFalse (Map.containsKey "a" world.Broker.Sessions) "its time is over")

        clause [ "MQTT3-3.1.3-6" ] "a client without an identifier gets one that is its own" (fun () ->
            let world = world ()
            let one = join world V311 ""
            let two = join world V311 ""
            Expect.notEqual one.Session two.Session "two sessions"
            Expect.isTrue (one.IsOpen && two.IsOpen) "both are served")

        clause
            [ "MQTT3-3.1.3-8"; "MQTT3-3.1.3-9"; "MQTT3-3.2.2-4"; "MQTT3-3.2.2-5" ]
            "an identifier that is not accepted is refused with 0x02"
            (fun () ->
                let rejected = ReasonCode.ClientIdentifierNotValid
                let world = worldWith { BrokerSettings.Default with AssignsClientIds = false }
                refusedWith world V311 (connectPacket "") rejected

                for version, hex in
                    [
                        V311, "10 0C 0004 4D515454 04 00 0000 0000"
                        V31, "10 0E 0006 4D5149736470 03 02 0000 0000"
                        V31, "10 0E 0006 4D5149736470 03 00 0000 0000"
                    ] do
                    let world = ServerScenes.world ()
                    let link = openedIn version world
                    sendHex world link hex

                    match readAll link with
                    | [ Packet.Connack connack ] -> Expect.equal connack.Reason rejected "0x02"
                    | other -> failtest $"CONNACK is due, not {other}"

                    Expect.isFalse link.IsOpen "closed"
                    Expect.isEmpty world.Broker.Sessions "no session")

        clause
            [ "MQTT3-3.1.4-1"; "MQTT3-3.1.2-3"; "MQTT3-3.1.2-22" ]
            "a CONNECT that breaks the rules is not answered"
            (fun () ->
                for hex in
                    [
                        // A reserved flag; a password without a name; a Will of QoS 3; bytes too many; bad text.
                        "10 0D 0004 4D515454 04 03 0000 0001 61"
                        "10 10 0004 4D515454 04 42 0000 0001 61 0001 70"
                        "10 13 0004 4D515454 04 1E 0000 0001 61 0001 77 0001 78"
                        "10 0E 0004 4D515454 04 02 0000 0001 61 00"
                        "10 0D 0004 4D515454 04 02 0000 0001 FF"
                        "10 0F 0006 4D5149736470 03 42 0000 0001 61"
                    ] do
                    let world = world ()
                    let link = openedIn V311 world
                    sendHex world link hex
                    closesSilently link
                    Expect.isEmpty world.Broker.Sessions "no session")

        clause
            [ "MQTT3-3.1.2-1"; "MQTT3-3.1.2-2"; "MQTT3-3.2.2-5" ]
            "a version that is not taken gets 0x01 in the form that its client reads"
            (fun () ->
                let unsupported = ReasonCode.UnsupportedProtocolVersion

                for version, taken in
                    [
                        V311, ProtocolVersions.V5 ||| ProtocolVersions.V31
                        V31, ProtocolVersions.V5 ||| ProtocolVersions.V311
                        ProtocolVersion.V5, ProtocolVersions.V311 ||| ProtocolVersions.V31
                    ] do
                    let world = world ()
                    world.Versions <- taken
                    refusedWith world version (connectPacket "a") unsupported
                    world.Versions <- ProtocolVersions.All
                    join world version "a" |> ignore

                let world = ServerScenes.world ()
                let link = openedIn V311 world
                sendHex world link "10 0D 0004 4D515454 02 02 0000 0001 61"

                match readAll link with
                | [ Packet.Connack connack ] -> Expect.equal connack.Reason unsupported "an unknown level"
                | other -> failtest $"CONNACK is due, not {other}")

        clause [ "MQTT3-3.2.2-6"; "MQTT3-3.1.4-5" ] "a refusal has one of five codes, or closes" (fun () ->
            for version in before5 do
                for reason, told in
                    [
                        ReasonCode.ServerUnavailable, ValueSome ReasonCode.ServerUnavailable
                        ReasonCode.ServerBusy, ValueSome ReasonCode.ServerUnavailable
                        ReasonCode.QuotaExceeded, ValueSome ReasonCode.ServerUnavailable
                        ReasonCode.BadUserNameOrPassword, ValueSome ReasonCode.BadUserNameOrPassword
                        ReasonCode.NotAuthorized, ValueSome ReasonCode.NotAuthorized
                        ReasonCode.Banned, ValueSome ReasonCode.NotAuthorized
                        ReasonCode.UnspecifiedError, ValueNone
                        ReasonCode.ImplementationSpecificError, ValueNone
                    ] do
                    let world = world ()
                    world.Judge <- fun _ -> Judgement.Refused reason

                    match told with
                    | ValueSome told -> refusedWith world version (connectPacket "a") told
                    | ValueNone -> closesSilently (offer world version (connectPacket "a"))

                    Expect.isEmpty world.Broker.Sessions "nothing is entered"

            let world = worldWith { BrokerSettings.Default with MaximumQoS = QoS.AtMostOnce }
            let link = offer world V311 (connectPacket "a" |> withWill (will "w" "x"))
            closesSilently link
            world.Send(link, plain 0 0us "t" "x")
            Expect.isEmpty world.Broker.Sessions "no code says that the QoS of a Will is too high")

        clause [ "MQTT3-3.1.0-2"; "MQTT3-4.8.0-1" ] "a second CONNECT closes the connection" (fun () ->
            let world = world ()
            let link = join world V311 "a"
            world.Send(link, Packet.Connect(connectPacket "a"))
            closesSilently link)

        clause
            [ "MQTT3-3.1.4-2" ]
            "a takeover closes an earlier connection of each version in its form"
            (fun () ->
                for earlier in [ V311; V31; ProtocolVersion.V5 ] do
                    for later in [ V311; V31; ProtocolVersion.V5 ] do
                        let world = world ()
                        let old = join world earlier "a"
                        let fresh = join world later "a"
                        Expect.isTrue fresh.IsOpen "the later one stays"

                        if earlier.IsV5 then
                            Expect.equal (dismissed old) ReasonCode.SessionTakenOver "MQTT 5 is told"
                        else
                            closesSilently old)

        clause
            [ "MQTT3-3.1.2-24"; "MQTT3-3.1.2-8" ]
            "after one and a half times its own Keep Alive a client is cut, and its Will published"
            (fun () ->
                for version in before5 do
                    let settings = withLimits (fun limits -> { limits with KeepAliveSeconds = 5us<s> })
                    let world = worldWith settings
                    let watcher = join world V311 "w"
                    world.Send(watcher, Packet.Pingreq)
                    request world watcher [ "will", 1 ] |> ignore

                    let connect =
                        { connectPacket "a" with KeepAlive = 10us<s> } |> withWill (will "will" "gone")

                    let link, _ = joinWith world version connect
                    // The broker's limit, which the client cannot be told, is not applied.
                    world.Advance(14L * second)
                    Expect.isTrue link.IsOpen "its own holds"
                    world.Advance(2L * second)
                    closesSilently link
                    Expect.equal (payloads (arrived watcher)) [ "gone" ] "as if the network had failed")
    ]

let private wills =
    [
        clause
            [ "MQTT3-3.1.2-8"; "MQTT3-3.1.2-16"; "MQTT3-3.1.2-17" ]
            "a Will is published at once when the connection ends"
            (fun () ->
                for version in before5 do
                    for retain in [ false; true ] do
                        let world = world ()
                        let watcher = join world V311 "w"
                        request world watcher [ "will", 1 ] |> ignore

                        for again in [ "lost"; "taken over"; "broken" ] do
                            let will = { will "will" again with Retain = retain }
                            let link, _ = joinWith world version (kept "a" |> withWill will)

                            match again with
                            | "lost" -> world.Drop link
                            | "broken" -> sendHex world link "F0 00"
                            | _ -> join world version "a" |> ignore

                            Expect.equal (payloads (arrived watcher)) [ again ] again

                        let late = join world V311 "late"
                        request world late [ "will", 1 ] |> ignore
                        let seen = arrived late |> List.map _.Retain
                        Expect.equal seen (if retain then [ true ] else []) "retained if it says so")

        clause
            [ "MQTT3-3.1.2-10"; "MQTT3-3.1.2-12"; "MQTT3-3.14.4-3" ]
            "no Will is published after DISCONNECT, and none twice"
            (fun () ->
                for version in before5 do
                    let world = world ()
                    let watcher = join world V311 "w"
                    request world watcher [ "#", 1 ] |> ignore
                    let ending, _ = joinWith world version (kept "a" |> withWill (will "will" "x"))
                    world.Send(ending, Packet.Disconnect Outcome.Omitted)
                    closesSilently ending
                    world.Drop(join world version "none")
                    Expect.isEmpty (arrived watcher) "discarded, or there was none"
                    let dying, _ = joinWith world version (kept "a" |> withWill (will "will" "y"))
                    world.Drop dying
                    world.Drop(stay world version "a")
                    Expect.equal (payloads (arrived watcher)) [ "y" ] "once")
    ]

let private publishing =
    [
        clause
            [ "MQTT3-3.3.4-1"; "MQTT3-4.3.2-2"; "MQTT3-4.3.3-2"; "MQTT3-2.3.1-6" ]
            "QoS 1 gets PUBACK, QoS 2 PUBREC and PUBCOMP, without codes"
            (fun () ->
                for version in before5 do
                    let world = world ()
                    let link = join world version "a"

                    let expect id sent (answer: PacketType) =
                        world.Send(link, sent)

                        match readAll link with
                        | [ packet ] ->
                            Expect.equal packet.Type answer "the answer"

                            match packet with
                            | Packet.Puback ack
                            | Packet.Pubrec ack
                            | Packet.Pubcomp ack ->
                                Expect.equal ack.PacketId.Value id "its identifier"
                                Expect.equal ack.Outcome.Reason ReasonCode.Success "without a code"
                            | _ -> ()
                        | other -> failtest $"one answer, not {other}"

                    // There is no subscriber, which MQTT 5 would tell.
                    for _ in 1..3 do
                        expect 7us (plain 1 7us "t" "x") PacketType.Puback

                    expect 8us (plain 2 8us "t" "x") PacketType.Pubrec
                    expect 8us (Packet.Pubrel(ack 8us ReasonCode.Success)) PacketType.Pubcomp
                    // Of an identifier that is not known.
                    expect 9us (Packet.Pubrel(ack 9us ReasonCode.Success)) PacketType.Pubcomp)

        clause
            [ "MQTT3-4.3.3-2"; "MQTT3-2.3.1-3"; "MQTT3-3.3.1-3" ]
            "a client may send again on an open connection, and a message of QoS 2 arrives once"
            (fun () ->
                for version in before5 do
                    let world = world ()
                    let watcher = join world V311 "w"
                    request world watcher [ "t", 2 ] |> ignore
                    let link = join world version "a"
                    let message = plain 2 5us "t" "x"
                    world.Send(link, message)
                    world.Send(link, again message)
                    world.Send(link, Packet.Pubrel(ack 5us ReasonCode.Success))
                    world.Send(link, Packet.Pubrel(ack 5us ReasonCode.Success))

                    Expect.equal
                        (acks link)
                        [ PacketType.Pubrec; PacketType.Pubrec; PacketType.Pubcomp; PacketType.Pubcomp ]
                        "each is answered"

                    match arrived watcher with
                    | [ copy ] -> Expect.isFalse copy.Delivery.IsDup "DUP is not passed on"
                    | other -> failtest $"one copy, not {other.Length}"

                    // At QoS 1 the identifier is free after PUBACK, so it is a message of its own.
                    world.Send(link, plain 1 6us "t" "y")
                    world.Send(link, again (plain 1 6us "t" "y"))
                    Expect.equal (acks link) [ PacketType.Puback; PacketType.Puback ] "two"
                    Expect.equal (payloads (arrived watcher)) [ "y"; "y" ] "both")

        clause
            [ "MQTT3-2.3.1-3"; "MQTT3-4.6.0-2" ]
            "a message of QoS 1 that is sent again before its PUBACK is not delivered twice"
            (fun () ->
                let inbound = Inbound.connectionOpenedIn V311 System.UInt16.MaxValue Inbound.empty
                let first = Delivery.AtLeastOnce(PacketId.Of 3us, false)
                let struct (inbound, arrival, _) = Inbound.arrived first inbound

                let token =
                    match arrival with
                    | Arrival.Accept token -> token
                    | _ -> failtest "a new one"

                let struct (inbound, arrival, effects) =
                    Inbound.arrived (Delivery.AtLeastOnce(PacketId.Of 3us, true)) inbound

                Expect.equal effects.Count 0 "its PUBACK comes later"

                match arrival with
                | Arrival.Repeated -> ()
                | _ -> failtest "the same message"

                // Another one under its identifier would be acknowledged with it.
                let struct (_, arrival, _) = Inbound.arrived first inbound

                match arrival with
                | Arrival.Breach _ -> ()
                | _ -> failtest "a breach"

                let struct (_, effects) = Inbound.acknowledge token ReasonCode.Success inbound
                Expect.equal effects.Count 1 "one PUBACK")

        clause
            [ "MQTT3-3.3.5-2" ]
            "a PUBLISH that is refused is acknowledged as usual, dropped and counted"
            (fun () ->
                for version in before5 do
                    for topic in [ "secret/1"; "$SYS/x" ] do
                        let world = denied BrokerSettings.Default ignore
                        let watcher = connect world "w"
                        subscribe world watcher "#" 2
                        let link = join world version "a"

                        for _ in 1..2 do
                            world.Send(link, plain 0 0us topic "x")
                            world.Send(link, plain 1 1us topic "x")
                            world.Send(link, plain 2 2us topic "x")
                            // It stays until PUBREL, so a repetition is none of another message.
                            let held = world.Machines[link.Session].Inbound.Held
                            Expect.isTrue (PacketIdMap.contains 2us held) "the identifier stays"
                            world.Send(link, again (plain 2 2us topic "x"))
                            world.Send(link, Packet.Pubrel(ack 2us ReasonCode.Success))

                            Expect.equal
                                (acks link)
                                [
                                    PacketType.Puback
                                    PacketType.Pubrec
                                    PacketType.Pubrec
                                    PacketType.Pubcomp
                                ]
                                "as usual"

                        Expect.isEmpty (arrived watcher) "dropped"
                        Expect.isTrue link.IsOpen "it may go on")

        clause [ "MQTT3-3.3.5-2" ] "or it closes the connection, where the settings say so" (fun () ->
            let settings = { BrokerSettings.Default with WhenRefused = WhenRefused.Close }

            for version in before5 do
                for topic in [ "secret/1"; "$SYS/x" ] do
                    for level in 0..2 do
                        for showsMessages in [ true; false ] do
                            let world = denied settings ignore
                            let link = join world version "a"
                            world.Host.ShowsMessages <- showsMessages
                            world.Send(link, plain level 1us topic "x")
                            closesSilently link
                            let other = join world version "b"
                            world.Send(other, plain level 1us "t" "x")
                            Expect.isTrue other.IsOpen "an allowed one does not"

            let world = denied settings ignore
            let link = connect world "five"
            world.Send(link, plain 1 1us "secret/1" "x")
            Expect.isTrue link.IsOpen "MQTT 5 is told instead")

        clause [ "MQTT3-4.8.0-2" ] "a message that cannot be retained may close the connection" (fun () ->
            let limits = withLimits (fun limits -> { limits with RetainedMessages = 0 })
            let world = worldWith { limits with WhenRefused = WhenRefused.Close }
            let link = join world V311 "a"
            let publish = publishPacket (deliveryOf 1 1us) "t" "x"
            world.Send(link, Packet.Publish { publish with Retain = true })
            closesSilently link)

        clause [ "MQTT3-3.3.5-2" ] "what CONNACK could not tell is refused message by message" (fun () ->
            let settings =
                { BrokerSettings.Default with MaximumQoS = QoS.AtLeastOnce; RetainAvailable = false }

            let world = worldWith settings
            let link = join world V311 "a"
            world.Send(link, plain 2 1us "t" "x")
            world.Send(link, Packet.Publish { publishPacket (deliveryOf 1 2us) "t" "x" with Retain = true })
            Expect.equal (acks link) [ PacketType.Pubrec; PacketType.Puback ] "acknowledged"
            Expect.isTrue link.IsOpen "and goes on"
            Expect.equal world.Broker.Retained.Count 0 "not retained")

        testCase "a client before MQTT 5 is not held to a Receive Maximum" (fun () ->
            let world = worldWith (withLimits (fun limits -> { limits with ReceiveMaximum = 2us }))
            let link = join world V311 "a"

            for id in 1us .. 300us do
                world.Send(link, plain 2 id "t" "x")

            Expect.isTrue link.IsOpen "it was told of none"
            Expect.equal (readAll link).Length 300 "each is answered"
            Expect.equal world.Machines[link.Session].Inbound.Open 300 "and held")

        clause
            [ "MQTT3-4.6.0-2"; "MQTT3-4.6.0-3"; "MQTT3-4.6.0-5"; "MQTT3-4.6.0-6" ]
            "acknowledgments and messages keep their order"
            (fun () ->
                let world = world ()
                let watcher = join world V311 "w"
                request world watcher [ "t", 2 ] |> ignore
                let link = join world V311 "a"

                for level, kind in [ 1, PacketType.Puback; 2, PacketType.Pubrec ] do
                    for id in 1us .. 20us do
                        world.Send(link, plain level id "t" $"{id}")

                    let ids =
                        readAll link
                        |> List.map (fun packet ->
                            match packet with
                            | Packet.Puback ack
                            | Packet.Pubrec ack when packet.Type = kind -> ack.PacketId.Value
                            | other -> failtest $"{other}")

                    Expect.equal ids [ 1us .. 20us ] "acknowledged in order"

                    Expect.equal
                        (payloads (arrived watcher))
                        [ for id in 1..20 -> $"{id}" ]
                        "and delivered in order")

        clause
            [ "MQTT3-2.2.2-2"; "MQTT3-4.8.0-1"; "MQTT3-3.3.1-4"; "MQTT3-4.7.3-1"; "MQTT3-3.3.2-2" ]
            "what is no packet of the version closes the connection without DISCONNECT"
            (fun () ->
                for hex in
                    [
                        // AUTH, an empty topic, QoS 3, a wildcard, DISCONNECT with a code, no filter, wrong flags.
                        "F0 00"
                        "30 02 0000"
                        "36 05 0001 74 0001"
                        "30 04 0001 23 78"
                        "E0 01 00"
                        "82 02 0001"
                        "80 06 0001 0001 74 00"
                    ] do
                    let world = world ()
                    let link = join world V311 "a"
                    sendHex world link hex
                    closesSilently link)
    ]

let private delivering =
    [
        clause
            [ "MQTT3-2.3.1-4"; "MQTT3-3.3.1-1"; "MQTT3-4.3.2-1"; "MQTT3-4.4.0-1"; "MQTT3-4.6.0-1" ]
            "what is not acknowledged is sent again after a reconnect, with DUP and its identifier"
            (fun () ->
                for version in before5 do
                    let world = world ()
                    let link = stay world version "a"
                    request world link [ "t", 2 ] |> ignore
                    let publisher = join world V311 "p"

                    for text, level in [ "one", 1; "two", 2; "three", 1 ] do
                        publish world publisher level "t" text

                    let first = arrived link
                    Expect.equal (payloads first) [ "one"; "two"; "three" ] "in order"
                    Expect.isFalse (first |> List.exists _.Delivery.IsDup) "for the first time"
                    Expect.hasLength (first |> List.distinctBy idOf) 3 "identifiers of their own"
                    world.Drop link
                    let back = stay world version "a"
                    let second = arrived back
                    Expect.equal (payloads second) [ "one"; "two"; "three" ] "again in order"
                    Expect.equal (second |> List.map idOf) (first |> List.map idOf) "under their identifiers"
                    Expect.isTrue (second |> List.forall _.Delivery.IsDup) "with DUP")

        clause
            [ "MQTT3-4.3.3-1"; "MQTT3-4.6.0-4"; "MQTT3-4.4.0-1" ]
            "after PUBREC comes PUBREL, and after a reconnect PUBREL again"
            (fun () ->
                let world = world ()
                let link = stay world V311 "a"
                request world link [ "t", 2 ] |> ignore
                let publisher = join world V311 "p"
                publish world publisher 2 "t" "one"
                publish world publisher 2 "t" "two"
                let ids = arrived link |> List.map idOf

                for id in ids do
                    world.Send(link, Packet.Pubrec(ack id ReasonCode.Success))

                let released packets =
                    packets
                    |> List.map (fun packet ->
                        match packet with
                        | Packet.Pubrel ack -> ack.PacketId.Value
                        | other -> failtest $"PUBREL is due, not {other}")

                Expect.equal (released (readAll link)) ids "in the order of PUBREC"
                world.Drop link
                let back = stay world V311 "a"
                Expect.equal (released (readAll back)) ids "PUBREL, and no PUBLISH"

                for id in ids do
                    world.Send(back, Packet.Pubcomp(ack id ReasonCode.Success))

                Expect.isTrue world.Machines[back.Session].Outbound.InFlight.IsEmpty "done")

        clause
            [ "MQTT3-3.3.5-1"; "MQTT3-3.3.2-3"; "MQTT3-3.8.4-6" ]
            "overlapping subscriptions bring one copy at the highest QoS"
            (fun () ->
                for version in before5 do
                    let world = world ()
                    let link = join world version "a"
                    request world link [ "t/#", 0; "t/+", 2; "t/1", 1 ] |> ignore
                    let publisher = join world V311 "p"
                    publish world publisher 2 "t/1" "x"

                    match arrived link with
                    | [ copy ] -> Expect.equal copy.Delivery.QoS QoS.ExactlyOnce "the highest"
                    | other -> failtest $"one copy, not {other.Length}"

                    publish world publisher 1 "t/2/3" "y"

                    match arrived link with
                    | [ copy ] ->
                        Expect.equal copy.Delivery.QoS QoS.AtMostOnce "the lower of both"
                        Expect.equal (topicOf copy) "t/2/3" "its topic"
                    | other -> failtest $"one copy, not {other.Length}")

        clause
            [
                "MQTT3-3.3.1-5"
                "MQTT3-3.3.1-6"
                "MQTT3-3.3.1-8"
                "MQTT3-3.3.1-9"
                "MQTT3-3.8.4-3"
                "MQTT3-3.1.2-7"
            ]
            "a subscription brings retained messages with RETAIN each time, and others without"
            (fun () ->
                for version in before5 do
                    let world = world ()
                    let publisher = join world version "p"
                    retain world publisher "t/1" "old"
                    retain world publisher "t/1" "new"
                    world.Drop publisher
                    let link = join world version "a"

                    for _ in 1..2 do
                        Expect.equal (request world link [ "t/#", 1 ]) [ ReasonCode.GrantedQoS1 ] "granted"

                        match arrived link with
                        | [ copy ] ->
                            Expect.isTrue copy.Retain "RETAIN"
                            Expect.equal (payloads [ copy ]) [ "new" ] "the last one"
                            Expect.equal copy.Delivery.QoS QoS.AtLeastOnce "with its QoS"
                        | other -> failtest $"one message, not {other.Length}"

                    retain world (join world version "q") "t/1" "live"

                    match arrived link with
                    | [ copy ] -> Expect.isFalse copy.Retain "an established subscription"
                    | other -> failtest $"one message, not {other.Length}")

        clause
            [ "MQTT3-3.3.1-7"; "MQTT3-3.3.1-10"; "MQTT3-3.3.1-11"; "MQTT3-3.3.1-12" ]
            "RETAIN replaces at each QoS, an empty message removes, and without RETAIN nothing changes"
            (fun () ->
                let world = world ()
                let link = join world V311 "a"
                request world link [ "t", 1 ] |> ignore
                let publisher = join world V311 "p"

                let retained () =
                    match RetainedMessages.tryFind (TopicName.Of "t") world.Broker.Retained with
                    | ValueSome message -> textOf message.Payload
                    | ValueNone -> ""

                retain world publisher "t" "one"
                let atQoS0 = publishPacket Delivery.AtMostOnce "t" "two"
                publishThis world publisher { atQoS0 with Retain = true }
                Expect.equal (retained ()) "two" "QoS 0 replaces it"
                publish world publisher 1 "t" "three"
                Expect.equal (retained ()) "two" "without RETAIN it stays"
                retain world publisher "t" ""
                Expect.equal world.Broker.Retained.Count 0 "removed, and not stored"
                Expect.equal (payloads (arrived link)) [ "one"; "two"; "three"; "" ] "all were forwarded")
    ]

let private subscribing =
    [
        clause
            [
                "MQTT3-3.8.4-1"
                "MQTT3-3.8.4-2"
                "MQTT3-3.8.4-4"
                "MQTT3-3.8.4-5"
                "MQTT3-3.9.3-1"
                "MQTT3-3.9.3-2"
                "MQTT3-2.3.1-7"
            ]
            "SUBACK has a code for each filter in order, and 0x80 for each failure"
            (fun () ->
                let limits = withLimits (fun limits -> { limits with TopicBytes = 20 })
                let world = worldWith limits
                let link = join world V311 "a"
                let tooLong = String.replicate 30 "x"

                let codes = request world link [ "a", 0; tooLong, 2; "b", 1; tooLong, 1; "c", 2 ]

                let failure = ReasonCode.UnspecifiedError

                Expect.equal
                    codes
                    [ ReasonCode.Success; failure; ReasonCode.GrantedQoS1; failure; ReasonCode.GrantedQoS2 ]
                    "in their order"

                Expect.equal (withoutShareName world link) [ failure ] "a share without a name"
                Expect.equal (Registry.filtersOf link.Session world.Broker.Registry).Count 3 "as told")

        testCase "MQTT 3.1 has no code of failure, so the QoS that was asked for is answered" (fun () ->
            let world = worldWith (withLimits (fun limits -> { limits with TopicBytes = 20 }))
            let link = join world V31 "a"

            Expect.equal
                (request world link [ String.replicate 30 "x", 1; "t", 2; String.replicate 30 "y", 0 ])
                [ ReasonCode.GrantedQoS1; ReasonCode.GrantedQoS2; ReasonCode.Success ]
                "as if granted"

            Expect.equal (withoutShareName world link) [ ReasonCode.GrantedQoS1 ] "a share without a name"

            Expect.equal (Registry.filtersOf link.Session world.Broker.Registry).Count 1 "but only one is")

        clause [ "MQTT3-3.8.3-2" ] "what is not available is refused filter by filter" (fun () ->
            let settings =
                { BrokerSettings.Default with WildcardSubscriptions = false; SharedSubscriptions = false }

            let world = worldWith settings
            let link = join world V311 "a"
            let failure = ReasonCode.UnspecifiedError

            Expect.equal
                (request world link [ "a/+", 1; "#", 1; "$share/g/a", 1; "a", 1 ])
                [ failure; failure; failure; ReasonCode.GrantedQoS1 ]
                "0x80"

            Expect.isTrue link.IsOpen "and goes on")

        testCase "shared subscriptions before MQTT 5 are an option" (fun () ->
            for isOn in [ true; false ] do
                let world = worldWith { BrokerSettings.Default with SharedSubscriptionsBeforeV5 = isOn }

                let one = join world V311 "a"
                let two = connect world "b"
                let code = if isOn then ReasonCode.GrantedQoS1 else ReasonCode.UnspecifiedError
                Expect.equal (request world one [ "$share/g/t", 1 ]) [ code ] "taken or refused"
                subscribe world two "$share/g/t" 1
                let publisher = join world V31 "p"

                for _ in 1..10 do
                    publish world publisher 1 "t" "x"

                let shares = [ (arrived one).Length; (arrived two).Length ]
                Expect.equal shares (if isOn then [ 5; 5 ] else [ 0; 10 ]) "each in turn")

        clause
            [ "MQTT3-3.10.4-1"; "MQTT3-3.10.4-2"; "MQTT3-3.10.4-4"; "MQTT3-3.10.4-5"; "MQTT3-3.10.4-6" ]
            "UNSUBSCRIBE removes filters that are equal, and is answered once without codes"
            (fun () ->
                for version in before5 do
                    let world = world ()
                    let link = join world version "a"
                    request world link [ "t/+", 1; "T/1", 1; "t/1", 1 ] |> ignore
                    world.Send(link, Packet.Unsubscribe(unsubscribePacket 7us [ "t/+"; "t/1"; "none" ]))

                    match readAll link with
                    | [ Packet.Unsuback answer ] ->
                        Expect.equal answer.PacketId.Value 7us "its identifier"
                        Expect.equal answer.Reasons.Count 0 "no codes"
                    | other -> failtest $"UNSUBACK is due, not {other}"

                    let publisher = join world V311 "p"
                    publish world publisher 1 "t/1" "x"
                    Expect.isEmpty (arrived link) "nothing new"
                    publish world publisher 1 "T/1" "x"
                    Expect.hasLength (arrived link) 1 "another filter stays")

        clause [ "MQTT3-3.10.4-3" ] "a delivery that was begun is completed after UNSUBSCRIBE" (fun () ->
            let world = world ()
            let link = stay world V311 "a"
            request world link [ "t", 2 ] |> ignore
            publish world (join world V311 "p") 2 "t" "x"
            let id = idOf (List.head (arrived link))
            world.Send(link, Packet.Unsubscribe(unsubscribePacket 7us [ "t" ]))
            world.Drop link
            let back = stay world V311 "a"
            Expect.equal (payloads (arrived back)) [ "x" ] "sent again"
            world.Send(back, Packet.Pubrec(ack id ReasonCode.Success))
            Expect.equal (acks back) [ PacketType.Pubrel ] "and completed")

        clause [ "MQTT3-4.7.2-1"; "MQTT3-4.7.3-4" ] "filters match topics as they stand" (fun () ->
            let settings = { BrokerSettings.Default with ClientsPublishToDollar = true }
            let world = worldWith settings
            let link = join world V311 "a"
            request world link [ "#", 0; "+/x", 0; "a/b", 0 ] |> ignore
            let publisher = join world V311 "p"
            publish world publisher 0 "$other/x" "1"
            publish world publisher 0 "A/B" "2"
            publish world publisher 0 "a//b" "3"
            Expect.equal (payloads (arrived link)) [ "2"; "3" ] "a topic with $ is left out")

        testCase "a bridge gets no message of its own, and RETAIN as it was published" (fun () ->
            for level, name in [ "84", "0004 4D515454"; "83", "0006 4D5149736470" ] do
                let world = world ()
                let version = if level = "84" then V311 else V31
                let bridge = openedIn version world
                let length = if version.IsV311 then "0D" else "0F"
                sendHex world bridge $"10 {length} {name} {level} 02 0000 0001 62"
                Expect.equal (acks bridge) [ PacketType.Connack ] "accepted"
                request world bridge [ "#", 1 ] |> ignore
                publish world bridge 1 "t" "own"
                Expect.isEmpty (arrived bridge) "No Local"
                retain world (join world V311 "p") "t" "x"

                match arrived bridge with
                | [ copy ] -> Expect.isTrue copy.Retain "Retain As Published"
                | other -> failtest $"one copy, not {other.Length}"

                let plain = join world version "plain"
                request world plain [ "u", 1 ] |> ignore
                publish world plain 1 "u" "own"
                Expect.equal (payloads (arrived plain)) [ "own" ] "other clients get their own")
    ]

let private rich: PublishProperties =
    { PublishProperties.Empty with
        ContentType = ValueSome(Utf8String.Of "text")
        ResponseTopic = ValueSome(TopicName.Of "r")
        UserProperties = UserProperties.Of [ UserProperty.Of("k", "v") ]
        MessageExpiryInterval = ValueSome 100u<s>
    }

let private mixing =
    [
        testCase "a message goes to clients of each version, with properties where they have them" (fun () ->
            for level in 0..2 do
                for publisher in [ ProtocolVersion.V5; V311; V31 ] do
                    let world = world ()

                    let links =
                        [ ProtocolVersion.V5; V311; V31; V311 ]
                        |> List.mapi (fun index version ->
                            let link = join world version $"c{index}"
                            subscribe world link "t" 2
                            link)

                    let from = join world publisher "p"
                    let properties = if publisher.IsV5 then rich else PublishProperties.Empty

                    publishThis
                        world
                        from
                        { publishPacket (deliveryOf level 3us) "t" "x" with Properties = properties }

                    for link in links do
                        match arrived link with
                        | [ copy ] ->
                            Expect.equal (payloads [ copy ]) [ "x" ] "the payload"
                            Expect.equal (int copy.Delivery.QoS) level "the QoS"

                            Expect.equal
                                copy.Properties
                                (if link.Version.IsV5 then properties else PublishProperties.Empty)
                                "what its version has"
                        | other -> failtest $"one copy, not {other.Length}")

        testCase "a session made by one version is resumed by another" (fun () ->
            let world = world ()

            let five, _ =
                connectWith
                    world
                    (keeping 600u (connectPacket "a")
                     |> withProperties (fun properties ->
                         { properties with TopicAliasMaximum = ValueSome 10us }))

            let subscribePacket = subscribePacket 1us [ "t", SubscriptionOptions.Of QoS.ExactlyOnce ]

            world.Send(
                five,
                Packet.Subscribe
                    { subscribePacket with
                        Properties = { SubscribeProperties.Empty with SubscriptionIdentifier = ValueSome 5u }
                    }
            )

            readAll five |> ignore
            let publisher = connect world "p"

            let send text =
                publishThis
                    world
                    publisher
                    { publishPacket (deliveryOf 1 3us) "t" text with Properties = rich }

            send "sent"
            send "sent with an alias"
            Expect.hasLength (arrived five) 2 "as MQTT 5"
            world.Drop five
            send "waits"
            let old, connack = joinWith world V311 (kept "a")
            Expect.isTrue connack.SessionPresent "the same session"
            let seen = arrived old
            Expect.equal (payloads seen) [ "sent"; "sent with an alias"; "waits" ] "all of it"
            Expect.isTrue (seen |> List.forall (fun copy -> topicOf copy = "t")) "with the topic in full"
            send "live"
            Expect.equal (payloads (arrived old)) [ "live" ] "it goes on"
            Expect.isTrue old.IsOpen "nothing of MQTT 5 came"
            world.Drop old
            send "for five"

            let back, connack = connectWith world { connectPacket "a" with CleanStart = false }

            Expect.isTrue connack.SessionPresent "back to MQTT 5"
            let last = arrived back |> List.last
            Expect.equal (payloads [ last ]) [ "for five" ] "what waited"
            Expect.equal (Seq.toList last.Properties.SubscriptionIdentifiers) [ 5u ] "with the identifier"

            Expect.equal
                last.Properties.ContentType
                (ValueSome(Utf8String.Of "text"))
                "messages are kept with their properties")

        testCase "a message that expires is not given to a client before MQTT 5" (fun () ->
            let world = world ()
            let link = stay world V311 "a"
            request world link [ "t", 1 ] |> ignore
            world.Drop link
            let publisher = connect world "p"
            let message = publishPacket (deliveryOf 1 3us) "t" "short"
            publishThis world publisher { message with Properties = rich }

            publishThis
                world
                publisher
                { message with
                    Properties = rich
                    Retain = true
                    Topic = TopicReference.Name(TopicName.Of "u")
                }

            publish world publisher 1 "t" "long"
            world.Advance(101L * second)
            Expect.equal (payloads (arrived (stay world V311 "a"))) [ "long" ] "it is over"
            let late = join world V311 "late"
            request world late [ "u", 1 ] |> ignore
            Expect.isEmpty (arrived late) "the retained one, too")

        testCase "a limit that the client of CleanSession 0 is not told is counted" (fun () ->
            let exceeded = ResizeArray<ServerTask>()
            let world = world ()

            let watch = world.Host.Watch

            world.Host.Watch <-
                fun session event effects ->
                    watch session event effects

                    for effect in effects do
                        match effect with
                        | Serve(ServerTask.Reduced _ as work) -> exceeded.Add work
                        | _ -> ()

            stay world V311 "a" |> ignore
            join world V311 "b" |> ignore

            match Seq.toList exceeded with
            | [ ServerTask.Reduced LimitName.SessionExpiry ] -> ()
            | other -> failtest $"one limit, not {other}")
    ]

let tests =
    testList "ServerVersionClauses" (connecting @ wills @ publishing @ delivering @ subscribing @ mixing)
