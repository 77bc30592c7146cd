// Drives the client's machine by hand. The machine decides everything about the protocol; this script is its shell:
// a socket, a clock, and a loop that turns bytes into events and effects into bytes.
//
//   dotnet fsi examples/drive-client.fsx localhost:1883
//
// It connects, subscribes, publishes a message of QoS 2 to itself and disconnects.

#r "../src/CSharp/Mqtt5.Cli/bin/Release/net10.0/Mqtt5.Core.dll"

open System
open System.Buffers
open System.Net.Sockets
open System.Text
open Mqtt5

let host, port =
    match fsi.CommandLineArgs with
    | [| _; address |] when address.Contains ':' ->
        let at = address.LastIndexOf ':'
        address[.. at - 1], int address[at + 1 ..]
    | _ ->
        eprintfn "usage: dotnet fsi drive-client.fsx HOST:PORT"
        exit 2

let now () : Instant = Environment.TickCount64 * 1L<ms>

// The shell's state: a socket and the bytes that came and are no whole packet yet. The protocol's is in the machine.
let socket = new Socket(SocketType.Stream, ProtocolType.Tcp, NoDelay = true, ReceiveTimeout = 10_000)
let mutable received: byte[] = [||]
let mutable offset = 0L
let mutable lastSent = now ()

let settings = { ClientSettings.Default with Reconnect = ValueNone }
let mutable state = ClientState.create 1UL (HashSeed.Of(1UL, 2UL)) settings

// Tickets are numbers of our choice, by which the machine tells what became of a request.
let starting, subscribing, publishing, disconnecting = Ticket 1L, Ticket 2L, Ticket 3L, Ticket 4L
let settled = Collections.Generic.HashSet<Ticket>()
let mutable arrived = false

let send (packet: Packet) =
    printfn "%s" (Notation.printTraced ClientToServer packet)

    match Encode.toBytes ClientToServer packet with
    | Ok bytes -> socket.Send bytes |> ignore
    | Error fault -> failwith $"{fault}"

    lastSent <- now ()

let acknowledgement (kind: PacketType) (id: uint16) (reason: ReasonCode) =
    let packet = { PacketId = PacketId.Of id; Outcome = Outcome.Code reason }

    match kind with
    | PacketType.Puback -> Packet.Puback packet
    | PacketType.Pubrec -> Packet.Pubrec packet
    | PacketType.Pubrel -> Packet.Pubrel packet
    | _ -> Packet.Pubcomp packet

// One step: the next state, and the effects in their order. What the effects lead to are events again.
let rec step (event: ClientEvent) =
    let struct (next, effects) = ClientSession.step (now ()) event state
    state <- next
    let events = Collections.Generic.Queue<ClientEvent>()

    for effect in effects do
        match effect with
        | OpenTransport _ ->
            socket.Connect(host, port)
            events.Enqueue(TransportOpened Credentials.None)
        | CloseTransport -> socket.Close()
        | Send packet -> send packet
        | SendMessage(message, id, alias, isNamed) ->
            send (Packet.Publish(Outgoing.toPublish id alias isNamed message))
        | SendAck(kind, id, reason) -> send (acknowledgement kind id reason)
        | Deliver(Packet.Publish publish, token) ->
            printfn "      the message is here: %s" (Encoding.UTF8.GetString publish.Payload.Span)
            arrived <- true

            if not token.IsNone then
                events.Enqueue(Acknowledge(token, ReasonCode.Success))
        | Settle(ticket, _) -> settled.Add ticket |> ignore
        | SettleWith(_, Settlement.Rejected fault) -> failwith $"{fault}"
        | SettleWith(_, Settlement.Ended _) -> failwith "the connection ended"
        | SettleWith(ticket, _) -> settled.Add ticket |> ignore
        | _ -> ()

    for event in events do
        step event

// Cuts the next packet out of what came, or reads more.
let rec receive () =
    match Framer.next ServerToClient 65_536 offset (ReadOnlySequence<byte> received) with
    | Frame length ->
        let frame = ReadOnlyMemory received[.. length - 1]
        let at = offset
        received <- received[length..]
        offset <- offset + int64 length

        match Grammar.parse ServerToClient 65_536 at frame with
        | Ok packet ->
            printfn "%s" (Notation.printTraced ServerToClient packet)
            step (Received packet)
        | Error fault -> step (ReceivedFault fault)
    | Broken fault -> step (ReceivedFault fault)
    | Incomplete ->
        let buffer: byte[] = Array.zeroCreate 4_096
        let count = socket.Receive buffer

        if count = 0 then
            step (TransportClosed(Cause.TransportFailed "the server closed the connection"))
        else
            received <- Array.append received buffer[.. count - 1]
            receive ()

let await (condition: unit -> bool) =
    while not (condition ()) do
        receive ()

step (Start starting)
await (fun () -> settled.Contains starting)

step (
    Subscribe(
        {
            Subscriptions =
                SubscriptionList.Of
                    [
                        {
                            Filter = TopicFilter.Of "examples/by-hand"
                            Options = SubscriptionOptions.Of QoS.ExactlyOnce
                        }
                    ]
            Identifier = ValueNone
            UserProperties = UserProperties.Empty
        },
        subscribing
    )
)

await (fun () -> settled.Contains subscribing)

step (
    Publish
        {
            Topic = TopicName.Of "examples/by-hand"
            Payload = Bytes.OfText "twice around, once here"
            QoS = QoS.ExactlyOnce
            Retain = false
            Properties = PublishProperties.Empty
            ExpiresAt = ValueNone
            Ticket = publishing
        }
)

// Done when PUBCOMP came for what was sent, and the server has our PUBCOMP for what arrived.
await (fun () -> settled.Contains publishing && arrived && state.Inbound.Open = 0)

step (Disconnect(Outcome.Omitted, disconnecting))
