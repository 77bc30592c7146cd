module Mqtt5.Tests.ClientQoS0Tests

open System
open Expecto
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.ClientModelScript

// Whether a PUBLISH of the server goes past the machine; absent where the fast path declines it.
let private goesPast (packet: Packet) (state: ClientState) : bool voption =
    let frame =
        match Encode.toBytes ServerToClient packet with
        | Ok bytes -> bytes
        | Error fault -> failtest fault.Detail

    let mutable view = PublishView()

    if FastPath.tryPublish ServerToClient (ReadOnlySpan frame) &view then
        ValueSome(ClientQoS0.mayDeliver &view state)
    else
        ValueNone

let private published = Mqtt5.Verification.PacketGenerators.publish ServerToClient |> Arb.fromGen

let tests =
    testList
        "ClientQoS0"
        [
            testPropertyWithConfig
                Clauses.config
                "what goes past the machine would change no state and only be delivered"
            <| Prop.forAll published (fun publish ->
                let packet = Packet.Publish publish
                let one = connected ()
                let before = one.State

                if goesPast packet before = ValueSome true then
                    one.Receive packet
                    Expect.isTrue (obj.ReferenceEquals(one.State, before)) "the same state"

                    match one.Effects with
                    | [| Effect.Deliver(Packet.Publish delivered, token) |] ->
                        Expect.equal token DeliveryToken.None "nothing to acknowledge"
                        Expect.equal delivered publish "the message as it came"
                    | _ -> failtest "one delivery"
                else
                    let plain = publish.Delivery = Delivery.AtMostOnce && publish.Topic.IsName

                    Expect.isFalse
                        (plain && goesPast packet before = ValueSome false)
                        "a plain message goes past")

            testCase "nothing goes past without a connection"
            <| fun () ->
                let packet = arriving Delivery.AtMostOnce
                let one = script settings
                Expect.equal (goesPast packet one.State) (ValueSome false) "idle"
                one.Open Credentials.None
                Expect.equal (goesPast packet one.State) (ValueSome false) "before CONNACK"
                one.Receive(Packet.Connack accepted)
                Expect.equal (goesPast packet one.State) (ValueSome true) "connected"
                one.Lose()
                Expect.equal (goesPast packet one.State) (ValueSome false) "lost"
        ]
