/// What the standard of MQTT 3.1.1 says of servers about connections and messages of clients, and what MQTT 3.1 has instead.
module Mqtt5.Tests.ServerVersionClausesTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes
open Mqtt5.Tests.VersionScenes

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

                        for again in [ "lost"; "taken over"; "resumed"; "broken" ] do
                            let will = { will "will" again with Retain = retain }
                            let link, _ = joinWith world version (kept "a" |> withWill will)

                            match again with
                            | "lost" -> world.Drop link
                            | "broken" -> sendHex world link "F0 00"
                            // The session goes on; what ends is its connection.
                            | "resumed" -> stay world version "a" |> ignore
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

let tests = testList "ServerVersionClauses" (connecting @ wills @ publishing)
