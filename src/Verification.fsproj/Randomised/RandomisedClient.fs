namespace Mqtt5.Verification

open System
open System.Buffers
open System.Collections.Generic
open Mqtt5

// A message of QoS 1 or 2 that a client has under way.
[<NoComparison>]
type private Outgoing =
    {
        Id: uint16
        Publish: Publish
        // PUBREC came.
        mutable IsReceived: bool
    }

// A connection of a client in a randomised session.
[<Sealed; AllowNullLiteral(true)>]
type internal RandomisedConnection(client: string, number: int) =
    // The names of connections are not used again: what still comes for one that was left is known by them.
    member _.Name = if number = 1 then client else $"{client}{number}"
    member _.Client = client
    member _.Number = number
    member val Connect: Connect voption = ValueNone with get, set
    member val IsOpen = false with get, set
    member val HasConnack = false with get, set
    // The reason of the DISCONNECT that came.
    member val Goodbye: ReasonCode voption = ValueNone with get, set
    member val HasEnded = false with get, set
    member val Offset = 0L with get, set
    member val Buffer: byte[] = [||] with get, set

// The client's half of the protocol: identifiers, quota, acknowledgements, and what is sent again after a reconnect. It
// shares no code with the machines of the core. Packets go out through the function.
[<Sealed; AllowNullLiteral(false)>]
type internal RandomisedClient(name: string, send: RandomisedConnection -> Packet -> unit) =
    let outgoing = List<Outgoing>()
    let requests = HashSet<uint16>()
    // Acknowledgements that are held back.
    let held = Queue<Packet>()
    let mutable connection: RandomisedConnection = null
    let mutable connections = 0
    let mutable isHolding = false
    let mutable lastId = 0us
    let mutable quota = 0

    // More are not sent at a time, whatever the server takes.
    let mostUnderWay = 10

    let nextId () =
        lastId <- lastId + 1us

        while lastId = 0us
              || requests.Contains lastId
              || outgoing.Exists(fun one -> one.Id = lastId) do
            lastId <- lastId + 1us

        lastId

    let withId isDup (id: uint16) (publish: Publish) =
        { publish with
            Delivery =
                match publish.Delivery with
                | Delivery.AtMostOnce -> Delivery.AtMostOnce
                | Delivery.AtLeastOnce _ -> Delivery.AtLeastOnce(PacketId.Of id, isDup)
                | Delivery.ExactlyOnce _ -> Delivery.ExactlyOnce(PacketId.Of id, isDup)
        }

    let acknowledgement (id: PacketId) : Acknowledgement = { PacketId = id; Outcome = Outcome.Omitted }

    let acknowledge packet = if isHolding then held.Enqueue packet else send connection packet

    // [MQTT-4.4.0-1]
    let sendAgain () =
        for one in outgoing do
            if one.IsReceived then
                send connection (Packet.Pubrel(acknowledgement (PacketId.Of one.Id)))
            else
                send connection (Packet.Publish(withId true one.Id one.Publish))

    let finished (id: PacketId) = outgoing.RemoveAll(fun one -> one.Id = id.Value) |> ignore

    let receivedPubrec (packet: Acknowledgement) mayAnswer =
        if byte packet.Outcome.Reason >= 0x80uy then
            finished packet.PacketId
        else
            for one in outgoing do
                if one.Id = packet.PacketId.Value then
                    one.IsReceived <- true

            if mayAnswer then
                send connection (Packet.Pubrel(acknowledgement packet.PacketId))

    member _.Name = name

    // The latest connection; null: there was none.
    member _.Connection = connection

    member _.IsConnected =
        not (isNull connection)
        && connection.HasConnack
        && not connection.HasEnded
        && connection.Goodbye.IsNone

    member _.NewConnection() : RandomisedConnection =
        connections <- connections + 1
        connection <- RandomisedConnection(name, connections)
        isHolding <- false
        held.Clear()
        requests.Clear()
        connection

    // CONNACK of success came.
    member _.Accepted(connack: Connack) : unit =
        connection.HasConnack <- true

        quota <-
            connack.Properties.ReceiveMaximum
            |> ValueOption.map int
            |> ValueOption.defaultValue mostUnderWay
            |> min mostUnderWay

        if connack.SessionPresent then sendAgain () else outgoing.Clear()

    // Whether the quota lets this message go out.
    member _.MayPublish(publish: Publish) : bool =
        publish.Delivery.QoS = QoS.AtMostOnce || outgoing.Count < quota

    member _.Publish(publish: Publish) : unit =
        if publish.Delivery.QoS = QoS.AtMostOnce then
            send connection (Packet.Publish publish)
        else
            let id = nextId ()
            outgoing.Add { Id = id; Publish = publish; IsReceived = false }
            send connection (Packet.Publish(withId false id publish))

    member _.Subscribe(packet: Subscribe) : unit =
        let id = nextId ()
        requests.Add id |> ignore
        send connection (Packet.Subscribe { packet with PacketId = PacketId.Of id })

    member _.Unsubscribe(packet: Unsubscribe) : unit =
        let id = nextId ()
        requests.Add id |> ignore
        send connection (Packet.Unsubscribe { packet with PacketId = PacketId.Of id })

    member _.Hold() : unit = isHolding <- true

    member _.GoOn() : unit =
        isHolding <- false

        while held.Count > 0 do
            send connection (held.Dequeue())

    // Does what a packet of the server asks for. A client that has said goodbye answers nothing [MQTT-3.14.4-1].
    member _.Received(packet: Packet, mayAnswer: bool) : unit =
        match packet with
        | Packet.Publish publish when mayAnswer ->
            match publish.Delivery with
            | Delivery.AtMostOnce -> ()
            | Delivery.AtLeastOnce(id, _) -> acknowledge (Packet.Puback(acknowledgement id))
            | Delivery.ExactlyOnce(id, _) -> acknowledge (Packet.Pubrec(acknowledgement id))
        | Packet.Pubrel packet when mayAnswer -> acknowledge (Packet.Pubcomp(acknowledgement packet.PacketId))
        | Packet.Puback packet
        | Packet.Pubcomp packet -> finished packet.PacketId
        | Packet.Pubrec packet -> receivedPubrec packet mayAnswer
        | Packet.Suback packet
        | Packet.Unsuback packet -> requests.Remove packet.PacketId.Value |> ignore
        | _ -> ()
