/// The budgets of the broker: bytes of subscriptions, Wills and unfinished packets, and sessions of a user or an address.
module Mqtt5.Tests.BudgetLimitTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

let private filters prefix count =
    [ for number in 1..count -> $"{prefix}/{number}", SubscriptionOptions.Of QoS.AtMostOnce ]

let private cost = Registry.costOfFilter (TopicFilter.Of "f/1")

let private granted (codes: ReasonCode list) = codes |> List.filter ((=) ReasonCode.Success) |> List.length

let private willOf (payload: int) (connect: Connect) : Connect =
    let will: Will =
        {
            Topic = TopicName.Of "w"
            Payload = Bytes.OfArray(Array.zeroCreate payload)
            QoS = QoS.AtMostOnce
            Retain = false
            Properties = WillProperties.Empty
        }

    { connect with Will = ValueSome will }

let private reasonOf world connect = (snd (connectWith world connect)).Reason

// A claim of a client of this user, at this address.
let private request client owner address : ClaimRequest =
    {
        ClientId = ClientId.Of client
        Owner = owner
        Address = address
        Assigned = false
        IsTrusted = false
        IsCharged = false
        Connect = keeping 600u (connectPacket client)
    }

let private claim now request broker =
    match Broker.admit now request broker with
    | struct (next, result) ->
        Expect.equal (Broker.sound next) ValueNone "sound"
        struct (next, result)

let private claimed now request broker =
    match claim now request broker with
    | struct (next, Ok claim) -> struct (next, claim)
    | struct (_, Error why) -> failtest why.Detail

let private left now (claim: Claim) broker =
    let ending =
        {
            Connection = claim.Connection
            SessionExpiry = 600u<s>
            KeepsWill = false
            Cause = Cause.ByApplication
        }

    let struct (next, _) = Broker.detach now claim.Session ending broker
    Expect.equal (Broker.sound next) ValueNone "sound"
    next

let private empty settings = Broker.create 0L<ms> (HashSeed.Of(1UL, 2UL)) settings

let tests =
    testList
        "BudgetLimit"
        [
            testCase "the subscriptions of a client have a budget in bytes" (fun () ->
                let world =
                    worldWith (withLimits (fun limits -> { limits with SubscriptionBytes = 10L * cost }))

                let link = connect world "a"
                let codes = subscribeWith world link (filters "f" 12)
                Expect.isTrue (granted codes >= 9 && granted codes <= 10) "as many as fit"
                Expect.equal (List.last codes) ReasonCode.QuotaExceeded "and no more"
                let others = subscribeWith world (connect world "b") (filters "f" 5)
                Expect.equal (granted others) 5 "another client has a budget of its own"
                let again = subscribeWith world link [ List.head (filters "f" 1) ]
                Expect.equal (granted again) 1 "one that is there may be changed")

            testCase "all subscriptions together have a budget, which those that end give back" (fun () ->
                let world =
                    worldWith (
                        withLimits (fun limits -> { limits with TotalSubscriptionBytes = 10L * cost })
                    )

                let first = connect world "a"
                subscribeWith world first (filters "f" 9) |> ignore
                let second = connect world "b"
                Expect.isLessThan (granted (subscribeWith world second (filters "f" 5))) 2 "no room"
                world.Drop first
                Expect.equal (granted (subscribeWith world second (filters "f" 5))) 5 "there is room"
                world.Drop second
                Expect.equal world.Broker.Registry.SubscriptionBytes 0L "all is given back")

            testCase "Wills have a budget in bytes" (fun () ->
                let world = worldWith (withLimits (fun limits -> { limits with TotalWillBytes = 3_000L }))
                let first = fst (connectWith world (willOf 2_000 (connectPacket "a")))

                Expect.equal
                    (reasonOf world (willOf 2_000 (connectPacket "b")))
                    ReasonCode.QuotaExceeded
                    "too much"

                Expect.equal (reasonOf world (connectPacket "c")) ReasonCode.Success "without a Will"
                world.Drop first

                Expect.equal
                    (reasonOf world (willOf 2_000 (connectPacket "b")))
                    ReasonCode.Success
                    "room again"

                Expect.equal
                    (reasonOf world (willOf 2_100 (connectPacket "b")))
                    ReasonCode.Success
                    "in place of its own")

            testCase "packets that are not whole have a budget over all connections" (fun () ->
                let limits = withLimits (fun limits -> { limits with TotalUnparsedBytes = 20_000L })
                let refused = ResizeArray<RefusalKind>()
                let world = worldWith limits
                world.Host.NotAccepted <- fun kind _ _ -> refused.Add kind

                let part bytes =
                    // The header of a CONNECT of 60,000 bytes, and a part of it.
                    let start =
                        [| 0x10uy; 0xE0uy; 0xD4uy; 0x03uy; 0uy; 4uy; 77uy; 81uy; 84uy; 84uy; 5uy; 2uy |]

                    Array.append start (Array.zeroCreate (bytes - start.Length))

                let first = world.Open()
                world.SendBytes(first, part 15_000)
                Expect.isTrue first.IsOpen "within the budget"
                let second = world.Open()
                world.SendBytes(second, part 10_000)
                Expect.isFalse second.IsOpen "closed"
                Expect.isEmpty second.Inbox "without a packet"
                Expect.equal (List.ofSeq refused) [ RefusalKind.Limit ] "counted"
                let small = world.Open()
                world.SendBytes(small, part 4_000)
                Expect.isTrue small.IsOpen "a small one is not held against the others"
                Expect.equal (reasonOf world (connectPacket "a")) ReasonCode.Success "clients still connect"
                world.Drop first
                world.Drop small
                Expect.equal (world.Host.Unparsed 0L) 0L "given back"
                let again = world.Open()
                world.SendBytes(again, part 15_000)
                Expect.isTrue again.IsOpen "within the budget again")

            testCase "a client that sends too much of an unfinished packet is told so" (fun () ->
                let world =
                    worldWith (withLimits (fun limits -> { limits with TotalUnparsedBytes = 10_000L }))

                let link = connect world "a"
                // A PUBLISH of 100,000 bytes.
                world.SendBytes(
                    link,
                    Array.append [| 0x30uy; 0xA0uy; 0x8Duy; 0x06uy |] (Array.zeroCreate 20_000)
                )

                match readAll link with
                | [ Packet.Disconnect packet ] ->
                    Expect.equal packet.Reason ReasonCode.QuotaExceeded "the reason"
                | other -> failtest $"DISCONNECT is due, not {other}"

                Expect.equal (world.Host.Unparsed 0L) 0L "given back")

            testCase "a user and an address have so many sessions" (fun () ->
                let settings =
                    withLimits (fun limits -> { limits with SessionsPerUser = 1; SessionsPerAddress = 2 })

                let anna, bob = ValueSome "anna", ValueSome "bob"
                let here = ValueSome "192.0.2.1"
                let struct (broker, first) = claimed 0L<ms> (request "a" anna here) (empty settings)

                match claim 0L<ms> (request "b" anna ValueNone) broker with
                | struct (_, Error why) ->
                    Expect.equal why.Reason ReasonCode.QuotaExceeded "the reason"
                    Expect.equal why.Limit (ValueSome LimitName.SessionsPerUser) "the limit"
                | _ -> failtest "a second session of a user"

                let struct (broker, _) = claimed 0L<ms> (request "b" bob here) broker

                match claim 0L<ms> (request "c" ValueNone here) broker with
                | struct (_, Error why) ->
                    Expect.equal why.Limit (ValueSome LimitName.SessionsPerAddress) "the limit"
                | _ -> failtest "a third session of an address"

                let struct (broker, _) = claimed 0L<ms> (request "d" ValueNone ValueNone) broker
                let broker = left 0L<ms> first broker
                let struct (broker, back) = claimed 0L<ms> (request "a" anna here) broker
                Expect.isTrue back.SessionPresent "its own session it may have"
                let struct (broker, _) = Broker.remove 0L<ms> back.Session ReasonCode.Success broker
                claimed 0L<ms> (request "c" anna here) broker |> ignore)

            testCase
                "when sessions are full, the one that has been away longest ends, if the option says so"
                (fun () ->
                    let settings = withLimits (fun limits -> { limits with MaximumSessions = 2 })

                    let fullOf settings =
                        let struct (broker, a) =
                            claimed 0L<ms> (request "a" ValueNone ValueNone) (empty settings)

                        let struct (broker, b) = claimed 0L<ms> (request "b" ValueNone ValueNone) broker
                        let broker = left 1_000L<ms> b broker
                        struct (left 2_000L<ms> a broker, b)

                    let newcomer = request "c" ValueNone ValueNone

                    match fullOf settings with
                    | struct (broker, _) ->
                        match claim 3_000L<ms> newcomer broker with
                        | struct (_, Error why) ->
                            Expect.equal why.Limit (ValueSome LimitName.Sessions) "by default"
                        | _ -> failtest "more sessions than may be"

                    let struct (broker, oldest) =
                        fullOf { settings with WhenSessionsFull = WhenFull.DropOldest }

                    let struct (broker, made) = claimed 3_000L<ms> newcomer broker
                    Expect.isTrue made.MadeRoom "counted"

                    Expect.equal
                        [ for ended in made.Outcome.Ended -> ended.Session, ended.Reason ]
                        [ oldest.Session, ReasonCode.QuotaExceeded ]
                        "the one that has been away longest"

                    let struct (broker, _) = claimed 3_000L<ms> (request "d" ValueNone ValueNone) broker

                    match claim 3_000L<ms> (request "e" ValueNone ValueNone) broker with
                    | struct (_, Error why) ->
                        Expect.equal why.Limit (ValueSome LimitName.Sessions) "none that is connected ends"
                    | _ -> failtest "more sessions than may be")

            testCase "a CONNECT is charged before its password is looked at" (fun () ->
                let world = worldWith (withLimits (fun limits -> { limits with ConnectionsPerSecond = 2 }))
                let mutable judged = 0
                let refused = ResizeArray<struct (RefusalKind * string | null)>()
                world.Host.NotAccepted <- fun kind name _ -> refused.Add(struct (kind, name))

                world.Judge <-
                    fun _ ->
                        judged <- judged + 1
                        Judgement.Refused ReasonCode.BadUserNameOrPassword

                let guess =
                    { connectPacket "a" with
                        UserName = ValueSome(Utf8String.Of "anna")
                        Password = ValueSome(Secret(Bytes.OfText "x"))
                    }

                let reasons = [ for _ in 1..5 -> reasonOf world guess ]
                Expect.equal judged 2 "so many passwords are looked at"

                Expect.equal
                    reasons
                    [
                        ReasonCode.BadUserNameOrPassword
                        ReasonCode.BadUserNameOrPassword
                        ReasonCode.ConnectionRateExceeded
                        ReasonCode.ConnectionRateExceeded
                        ReasonCode.ConnectionRateExceeded
                    ]
                    "the answers"

                Expect.equal
                    (List.ofSeq refused)
                    [
                        struct (RefusalKind.WrongPassword, "anna")
                        struct (RefusalKind.WrongPassword, "anna")
                        struct (RefusalKind.Limit, "anna")
                        struct (RefusalKind.Limit, "anna")
                        struct (RefusalKind.Limit, "anna")
                    ]
                    "each is told once")

            testCase "refusals are told by their kind" (fun () ->
                let world =
                    worldWith (withLimits (fun limits -> { limits with PacketBytesBeforeConnect = 500 }))

                let refused = ResizeArray<RefusalKind>()
                world.Host.NotAccepted <- fun kind _ _ -> refused.Add kind

                let told action =
                    refused.Clear()
                    action ()
                    List.ofSeq refused

                let bytes content () = world.SendBytes(world.Open(), content)

                let connect =
                    [| 0x10uy; 13uy; 0uy; 4uy; 77uy; 81uy; 84uy; 84uy; 9uy; 2uy; 0uy; 0uy; 0uy; 0uy; 0uy |]

                Expect.equal (told (bytes connect)) [ RefusalKind.OtherVersion ] "version 9"

                Expect.equal
                    (told (bytes [| 0x10uy; 3uy; 0uy; 9uy; 1uy |]))
                    [ RefusalKind.Malformed ]
                    "broken"

                Expect.equal (told (bytes [| 0xC0uy; 0uy |])) [ RefusalKind.Malformed ] "PINGREQ"
                Expect.equal (told (bytes [| 0x10uy; 0xFFuy; 0x7Fuy |])) [ RefusalKind.Limit ] "too large"

                Expect.equal
                    (told (fun () ->
                        world.Open() |> ignore
                        world.Advance 11_000L<ms>))
                    [ RefusalKind.NoConnectInTime ]
                    "silent"

                Expect.equal (told (fun () -> ServerScenes.connect world "z" |> ignore)) [] "an accepted one"
                Expect.equal (told (fun () -> world.Drop(world.Open()))) [] "one that leaves")
        ]
