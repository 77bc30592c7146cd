/// Authentications that expire, and what a re-authentication changes.
module Mqtt5.Tests.ExpiringAuthenticationTests

open Expecto
open Mqtt5
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

let private token = withMethod "TOKEN" "t"

let private withToken (connect: Connect) =
    { connect with Properties = { connect.Properties with Authentication = ValueSome token } }

let private reauthenticate (world: World) (link: Link) =
    let auth =
        {
            Reason = ReasonCode.ReAuthenticate
            Authentication = token
            ReasonString = ValueNone
            UserProperties = UserProperties.Empty
        }

    world.Send(link, Packet.Auth auth)

let private accepting (duration: int64<ms>) (world: World) =
    let until = world.Now + duration
    world.Judge <- fun _ -> Judgement.Accepted(ValueNone, ValueSome until)

let private forbidding (publish: bool) : ClientPermissions =
    { new ClientPermissions() with
        member _.MayPublish _ = publish
        member _.MaySubscribe _ = true
        member _.MayReceive _ = true
    }

let tests =
    testList
        "Expiring authentication"
        [
            testCase
                "the client is disconnected with 0x87 when it expires, and its Will is published"
                (fun () ->
                    let world = world ()
                    let watcher = connect world "watcher"
                    subscribe world watcher "gone" 0
                    accepting (60L * second) world

                    let link, _ =
                        connectWith
                            world
                            { withToken (connectPacket "a") with Will = ValueSome(will "gone" "a") }

                    world.Advance(59L * second)
                    Expect.isTrue link.IsOpen "not before"
                    world.Advance(2L * second)
                    Expect.equal (dismissed link) ReasonCode.NotAuthorized "0x87"
                    Expect.isFalse link.IsOpen "closed"
                    Expect.equal (payloads (arrived watcher)) [ "a" ] "the Will")

            testCase "before MQTT 5 the connection is closed without a packet" (fun () ->
                let world = world ()
                accepting (60L * second) world
                let link = world.Open()
                link.Version <- ProtocolVersion.V311
                world.Send(link, Packet.Connect(connectPacket "a"))
                readAll link |> ignore
                world.Advance(61L * second)
                Expect.isFalse link.IsOpen "closed"
                Expect.isEmpty (readAll link) "there is no DISCONNECT of a server")

            testCase "a re-authentication in time replaces the expiry" (fun () ->
                let world = world ()
                accepting (60L * second) world
                let link, _ = connectWith world (withToken (connectPacket "a"))
                world.Advance(50L * second)
                accepting (120L * second) world
                reauthenticate world link

                match readAll link with
                | [ Packet.Auth auth ] -> Expect.equal auth.Reason ReasonCode.Success "AUTH 0x00"
                | other -> failtest $"AUTH, not {other}"

                world.Advance(60L * second)
                Expect.isTrue link.IsOpen "the earlier expiry does not count"
                world.Advance(70L * second)
                Expect.equal (dismissed link) ReasonCode.NotAuthorized "the later one does")

            testCase "one that is refused does not prolong it" (fun () ->
                let world = world ()
                accepting (60L * second) world
                let link, _ = connectWith world (withToken (connectPacket "a"))
                world.Judge <- fun _ -> Judgement.Refused ReasonCode.NotAuthorized
                reauthenticate world link
                Expect.equal (dismissed link) ReasonCode.NotAuthorized "the client is disconnected at once")

            testCase "permissions are asked for again with each re-authentication" (fun () ->
                let world = world ()
                let mutable mayPublish = true
                world.Host.PermissionsOf <- fun _ _ -> forbidding mayPublish
                let link, _ = connectWith world (withToken (connectPacket "a"))
                world.Send(link, Packet.Publish(publishPacket (deliveryOf 1 1us) "t" "1"))
                mayPublish <- false
                world.Send(link, Packet.Publish(publishPacket (deliveryOf 1 2us) "t" "2"))
                reauthenticate world link
                world.Send(link, Packet.Publish(publishPacket (deliveryOf 1 3us) "t" "3"))

                let reasons =
                    [
                        for packet in readAll link do
                            match packet with
                            | Packet.Puback puback -> puback.Outcome.Reason
                            | _ -> ()
                    ]

                Expect.equal
                    reasons
                    [
                        ReasonCode.NoMatchingSubscribers
                        ReasonCode.NoMatchingSubscribers
                        ReasonCode.NotAuthorized
                    ]
                    "only what comes after the re-authentication is refused")

            testCase "waiting messages that a re-authentication forbids are dropped" (fun () ->
                let world = world ()
                let mutable mayReceive = true

                world.Host.PermissionsOf <-
                    fun client _ ->
                        let isAllowed = mayReceive || client.Text <> "a"

                        { new ClientPermissions() with
                            member _.MayPublish _ = true
                            member _.MaySubscribe _ = true
                            member _.MayReceive _ = isAllowed
                        }

                let limited =
                    withProperties
                        (fun properties -> { properties with ReceiveMaximum = ValueSome 1us })
                        (connectPacket "a")

                let link, _ = connectWith world (withToken limited)
                subscribe world link "t" 1
                let publisher = connect world "b"
                publish world publisher 1 "t" "1"
                publish world publisher 1 "t" "2"
                Expect.equal (payloads (arrived link)) [ "1" ] "the second one waits"
                mayReceive <- false
                reauthenticate world link
                readAll link |> ignore
                world.Send(link, Packet.Puback(ack 1us ReasonCode.Success))
                Expect.isEmpty (arrived link) "it is not sent any more")
        ]
