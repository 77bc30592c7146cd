/// What a session has from before is judged by the permissions of the connection that takes it.
module Mqtt5.Tests.InheritedSessionTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

// May get what begins with one of these levels, and, where it is said so, subscribe to anything.
[<Sealed; AllowNullLiteral(false)>]
type private Levels(levels: string list, subscribesToAll: bool) =
    inherit ClientPermissions()

    let allows (text: string) = List.contains (text.Split('/')[0]) levels

    override _.MayPublish _ = true
    override _.MaySubscribe filter = subscribesToAll || allows filter.Text
    override _.MayReceive topic = subscribesToAll || allows topic.Text

let private publish (world: World) topic text =
    let message =
        { SystemTopics.message { Topic = TopicName.Of topic; Value = text } with
            QoS = QoS.AtLeastOnce
            Retain = false
        }

    world.Route message |> ignore

let private topicsOf (link: Link) =
    [
        for packet in readAll link do
            match packet with
            | Packet.Publish { Topic = TopicReference.Name topic } -> topic.Text
            | _ -> ()
    ]

let private resume world = connectWith world { keeping 60u (connectPacket "a") with CleanStart = false }

let tests =
    testList
        "InheritedSession"
        [
            testCase "messages that waited and may not be got any more are dropped, and told" (fun () ->
                let why = ResizeArray<Fault>()

                let world =
                    World(
                        BrokerSettings.Default,
                        everything,
                        fun happening ->
                            match happening with
                            | MessageDropped(_, _, fault) -> why.Add fault
                            | _ -> ()
                    )

                world.Host.PermissionsOf <- fun _ _ -> Levels([ "open"; "secret" ], false)
                let link = connectKept world "a"
                subscribe world link "open/#" 1
                subscribe world link "secret/#" 1
                world.Drop link
                publish world "secret/1" "x"
                publish world "open/1" "x"
                publish world "secret/2" "x"
                world.Host.PermissionsOf <- fun _ _ -> Levels([ "open" ], false)
                let link, connack = resume world
                Expect.isTrue connack.SessionPresent "the session is there"
                Expect.equal (topicsOf link) [ "open/1" ] "only what it may get"

                Expect.equal
                    (why |> Seq.map _.Reason |> Seq.toList)
                    (List.replicate 2 ReasonCode.NotAuthorized)
                    "told"

                publish world "secret/3" "x"
                publish world "open/2" "x"
                Expect.equal (topicsOf link) [ "open/2" ] "nor what comes later")

            testCase
                "a subscription that would be refused now gives nothing, whatever else the permissions say"
                (fun () ->
                    let world = world ()
                    // As rules without denials are: what may be subscribed to may be got, and is not asked for again.
                    let lax =
                        { new ClientPermissions() with
                            member _.MayPublish _ = true
                            member _.MaySubscribe filter = filter.Text.StartsWith "open"
                            member _.MayReceive _ = true
                        }

                    let link = connectKept world "a"
                    subscribe world link "#" 1
                    world.Drop link
                    publish world "secret/1" "x"
                    world.Host.PermissionsOf <- fun _ _ -> lax
                    let link, _ = resume world
                    publish world "secret/2" "x"
                    publish world "open/1" "x"
                    Expect.equal (topicsOf link) [ "open/1" ] "what it could subscribe to")

            testCase "a message of a shared subscription goes to a member that may get it" (fun () ->
                let world = world ()
                world.Host.PermissionsOf <- fun _ _ -> Levels([], true)
                let link = connectKept world "a"
                subscribe world link "$share/g/t" 1
                world.Drop link
                publish world "t" "x"
                let other = connectKept world "b"
                subscribe world other "$share/g/t" 1
                Expect.isEmpty (topicsOf other) "it waits for the first"
                world.Host.PermissionsOf <- fun _ _ -> Levels([], false)
                let link, _ = resume world
                Expect.isEmpty (topicsOf link) "who may not get it"
                Expect.equal (topicsOf other) [ "t" ] "the other does")

            testCase "permissions that allow all change nothing" (fun () ->
                let world = world ()
                let link = connectKept world "a"
                subscribe world link "#" 1
                world.Drop link
                publish world "t" "x"
                let link, _ = resume world
                Expect.equal (topicsOf link) [ "t" ] "it comes")
        ]
