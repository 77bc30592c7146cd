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
    // What the server said of itself.
    member val Connack = ConnackProperties.Empty with get, set
    // The reason of the DISCONNECT that came.
    member val DisconnectReason: ReasonCode voption = ValueNone with get, set
    member val HasEnded = false with get, set
    // The Keep Alive that holds, in seconds; 0: none.
    member val KeepAlive = 0us<s> with get, set
    // When the client last sent a packet.
    member val LastSent = 0L<ms> with get, set
    // What the client's Topic Aliases stand for.
    member val Aliases = Dictionary<uint16, string>()
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
    // How many messages are to be refused.
    let mutable refusals = 0
    let mutable pings = 0
    let mutable quota = 0

    // More are not sent at a time, whatever the server takes.
    let mostUnderWay = 10

    // The least that is free: a server that takes what it has seen for what it sees has the most to confuse.
    let nextId () =
        let mutable id = 1us

        while requests.Contains id || outgoing.Exists(fun one -> one.Id = id) do
            id <- id + 1us

        id

    let withId isDup (id: uint16) (publish: Publish) =
        { publish with
            Delivery =
                match publish.Delivery with
                | Delivery.AtMostOnce -> Delivery.AtMostOnce
                | Delivery.AtLeastOnce _ -> Delivery.AtLeastOnce(PacketId.Of id, isDup)
                | Delivery.ExactlyOnce _ -> Delivery.ExactlyOnce(PacketId.Of id, isDup)
        }

    let acknowledgement (id: PacketId) : Acknowledgement = { PacketId = id; Outcome = Outcome.Omitted }

    // The answer to a PUBLISH of QoS 1 or 2.
    let answer (id: PacketId) isDup : Acknowledgement =
        if refusals > 0 && not isDup then
            refusals <- refusals - 1
            { PacketId = id; Outcome = Outcome.Code ReasonCode.ImplementationSpecificError }
        else
            acknowledgement id

    // With the Topic Name where its alias does not stand for it on this connection.
    let abbreviated (publish: Publish) =
        match publish.Topic with
        | TopicReference.NameAndAlias(name, alias) ->
            if alias.Value > ValueOption.defaultValue 0us connection.Connack.TopicAliasMaximum then
                { publish with Topic = TopicReference.Name name }
            else
                match connection.Aliases.TryGetValue alias.Value with
                | true, known when known = name.Text -> { publish with Topic = TopicReference.Alias alias }
                | _ ->
                    connection.Aliases[alias.Value] <- name.Text
                    publish
        | _ -> publish

    // What is sent again has its Topic Name: an alias is forgotten with the connection [MQTT-3.3.2-7].
    let named (publish: Publish) =
        match publish.Topic with
        | TopicReference.NameAndAlias(name, _) -> { publish with Topic = TopicReference.Name name }
        | _ -> publish

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
        && connection.DisconnectReason.IsNone

    member _.NewConnection() : RandomisedConnection =
        connections <- connections + 1
        connection <- RandomisedConnection(name, connections)
        isHolding <- false
        held.Clear()
        requests.Clear()
        refusals <- 0
        pings <- 0
        connection

    // The Client Identifier that the server assigned to it.
    member val AssignedId: ClientId voption = ValueNone with get, set

    // CONNACK of success came.
    member this.Accepted(connack: Connack) : unit =
        connection.HasConnack <- true
        connection.Connack <- connack.Properties

        connection.KeepAlive <-
            connack.Properties.ServerKeepAlive
            |> ValueOption.defaultValue connection.Connect.Value.KeepAlive

        connack.Properties.AssignedClientIdentifier
        |> ValueOption.iter (fun id ->
            if connection.Connect.Value.ClientId.IsNone then
                this.AssignedId <- ValueSome(ClientId.Of id.Text))

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
            send connection (Packet.Publish(abbreviated publish))
        else
            let id = nextId ()
            outgoing.Add { Id = id; Publish = named publish; IsReceived = false }
            send connection (Packet.Publish(withId false id (abbreviated publish)))

    // It takes a message for sent that never was.
    member _.Lose(publish: Publish) : unit =
        outgoing.Add { Id = nextId (); Publish = named publish; IsReceived = false }

    member _.Subscribe(packet: Subscribe) : unit =
        let id = nextId ()
        requests.Add id |> ignore
        send connection (Packet.Subscribe { packet with PacketId = PacketId.Of id })

    member _.Unsubscribe(packet: Unsubscribe) : unit =
        let id = nextId ()
        requests.Add id |> ignore
        send connection (Packet.Unsubscribe { packet with PacketId = PacketId.Of id })

    member _.Ping() : unit =
        pings <- pings + 1
        send connection Packet.Pingreq

    // PINGREQ packets that are not answered.
    member _.Pings = pings

    member _.Hold() : unit = isHolding <- true

    member _.Refuse() : unit = refusals <- refusals + 1

    member _.GoOn() : unit =
        isHolding <- false

        while held.Count > 0 do
            send connection (held.Dequeue())

    // Does what a packet of the server asks for. A client that has sent DISCONNECT answers nothing [MQTT-3.14.4-1].
    member _.Received(packet: Packet, mayAnswer: bool) : unit =
        match packet with
        | Packet.Publish publish when mayAnswer ->
            match publish.Delivery with
            | Delivery.AtMostOnce -> ()
            | Delivery.AtLeastOnce(id, isDup) -> acknowledge (Packet.Puback(answer id isDup))
            | Delivery.ExactlyOnce(id, isDup) -> acknowledge (Packet.Pubrec(answer id isDup))
        | Packet.Pubrel packet when mayAnswer -> acknowledge (Packet.Pubcomp(acknowledgement packet.PacketId))
        | Packet.Puback packet
        | Packet.Pubcomp packet -> finished packet.PacketId
        | Packet.Pubrec packet -> receivedPubrec packet mayAnswer
        | Packet.Pingresp -> pings <- pings - 1
        | Packet.Suback packet
        | Packet.Unsuback packet -> requests.Remove packet.PacketId.Value |> ignore
        | _ -> ()
