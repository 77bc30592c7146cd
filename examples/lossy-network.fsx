// A network that loses whatever is under way, again and again, from a seed: the client's machine and the server's
// machine of one session exchange messages of QoS 2 in memory, and every one arrives exactly once at both ends.
//
//   dotnet fsi examples/lossy-network.fsx 7
//
// There is no socket, thread or clock in it, so the same seed gives the same run, packet by packet.

#r "../src/CSharp/Mqtt5.Cli/bin/Release/net10.0/Mqtt5.Core.dll"

open System
open System.Collections.Generic
open Mqtt5

let seed =
    match fsi.CommandLineArgs with
    | [| _; seed |] -> int seed
    | _ -> 7

let messages = 40
let random = Random seed
let mutable now: Instant = 0L<ms>

let settings =
    { ClientSettings.Default with
        ClientId = ValueSome(ClientId.Of "meter")
        CleanStart = false
        KeepAlive = 0us<s>
        RetryFirstConnection = true
        Properties =
            { ConnectProperties.Empty with
                SessionExpiryInterval = ValueSome 3_600u<s>
                ReceiveMaximum = ValueSome 4us
            }
    }

let mutable client = ClientState.create 1UL (HashSeed.Of(1UL, 2UL)) settings
let mutable server = ServerState.create (SessionId 1L) (ClientId.Of "meter") BrokerSettings.Default

// The network: packets under way in both directions, and which connection is open, if one is.
let toServer = Queue<Packet>()
let toClient = Queue<Packet>()
let mutable connection = ConnectionId.None
let mutable connections = 0L
let mutable wantsConnection = false
let mutable lost = 0
let mutable repeated = 0

// What came out at the two ends, and the tokens that are to be acknowledged.
let atServer = List<string>()
let atClient = List<string>()
let serverTokens = Queue<DeliveryToken>()
let clientTokens = Queue<DeliveryToken>()
let settled = HashSet<Ticket>()

let textOf (publish: Publish) = Text.Encoding.UTF8.GetString publish.Payload.Span

let acknowledgement (kind: PacketType) (id: uint16) (reason: ReasonCode) =
    let packet = { PacketId = PacketId.Of id; Outcome = Outcome.Code reason }

    match kind with
    | PacketType.Puback -> Packet.Puback packet
    | PacketType.Pubrec -> Packet.Pubrec packet
    | PacketType.Pubrel -> Packet.Pubrel packet
    | _ -> Packet.Pubcomp packet

let message (text: string) (ticket: int64) : Outgoing =
    {
        Topic = TopicName.Of "meter/value"
        Payload = Bytes.OfText text
        QoS = QoS.ExactlyOnce
        Retain = false
        Properties = PublishProperties.Empty
        ExpiresAt = ValueNone
        Ticket = Ticket ticket
    }

// What both machines ask for alike.
let transmit (link: Queue<Packet>) (deliver: string -> DeliveryToken -> unit) (effect: Effect) =
    match effect with
    | Send packet -> link.Enqueue packet
    | SendMessage(message, id, alias, isNamed) ->
        link.Enqueue(Packet.Publish(Outgoing.toPublish id alias isNamed message))
    | SendAck(kind, id, reason) -> link.Enqueue(acknowledgement kind id reason)
    | Deliver(Packet.Publish publish, token) -> deliver (textOf publish) token
    | Settle(ticket, _) -> settled.Add ticket |> ignore
    | _ -> ()

let sound (breach: string voption) =
    match breach with
    | ValueSome breach -> failwith $"seed {seed}: {breach}"
    | ValueNone -> ()

let stepClient (event: ClientEvent) =
    let struct (next, effects) = ClientSession.step now event client
    client <- next
    sound (ClientState.sound client)

    for effect in effects do
        match effect with
        | OpenTransport _ -> wantsConnection <- true
        | CloseTransport -> failwith $"seed {seed}: the client found something wrong"
        | _ ->
            effect
            |> transmit toServer (fun text token ->
                atClient.Add text
                clientTokens.Enqueue token)

let stepServer (event: ServerEvent) =
    let struct (next, effects) = ServerSession.step now event server
    server <- next
    sound (ServerState.sound server)

    for effect in effects do
        match effect with
        | CloseTransport -> failwith $"seed {seed}: the server found something wrong"
        | _ ->
            effect
            |> transmit toClient (fun text token ->
                atServer.Add text
                serverTokens.Enqueue token)

let countRepeated (packet: Packet) =
    match packet with
    | Packet.Publish { Delivery = Delivery.ExactlyOnce(_, true) } -> repeated <- repeated + 1
    | _ -> ()

// The node also admits: here to the one session that there is.
let arriveAtServer (packet: Packet) =
    countRepeated packet

    match packet with
    | Packet.Connect connect ->
        stepServer (
            ServerEvent.Attach
                {
                    Connection = connection
                    Protocol = Protocol.V5
                    Connect = connect
                    Assigned = false
                    SessionPresent = (connection <> ConnectionId 1L)
                    Authentication = ValueNone
                    UserName = ValueNone
                    AuthenticatedUntil = ValueNone
                }
        )
    | packet -> stepServer (ServerEvent.Received(connection, packet))

let arriveAtClient (packet: Packet) =
    countRepeated packet
    stepClient (Received packet)

let cut () =
    if not connection.IsNone then
        let ended = connection
        lost <- lost + toServer.Count + toClient.Count
        connection <- ConnectionId.None
        toServer.Clear()
        toClient.Clear()
        stepServer (ServerEvent.TransportClosed(ended, Cause.TransportFailed "cut"))
        stepClient (TransportClosed(Cause.TransportFailed "cut"))

let connect () =
    if wantsConnection then
        wantsConnection <- false
        connections <- connections + 1L
        connection <- ConnectionId connections
        stepClient (TransportOpened Credentials.None)

// The next thing that can happen, whichever it is; false when there is nothing.
let advance () =
    let possible =
        [|
            if toServer.Count > 0 then
                fun () -> arriveAtServer (toServer.Dequeue())
            if toClient.Count > 0 then
                fun () -> arriveAtClient (toClient.Dequeue())
            if serverTokens.Count > 0 then
                fun () -> stepServer (ServerEvent.Acknowledge(serverTokens.Dequeue(), ReasonCode.Success))
            if clientTokens.Count > 0 then
                fun () -> stepClient (Acknowledge(clientTokens.Dequeue(), ReasonCode.Success))
            if wantsConnection then
                connect
        |]

    if possible.Length > 0 then
        possible[random.Next possible.Length]()
        true
    else
        // Nothing is under way: time passes until a machine wants something.
        let traffic = Traffic.At now

        match ClientState.deadline traffic client with
        | ValueSome at ->
            now <- max now at
            stepClient (Tick traffic)
            true
        | ValueNone -> false

stepClient (Start(Ticket 1L))

// The session exists before the first cut.
while not client.IsConnected && advance () do
    ()

for number in 1..messages do
    stepClient (ClientEvent.Publish(message $"up {number}" (int64 number + 1_000L)))

    stepServer (
        ServerEvent.Forward(message $"down {number}" (int64 number + 2_000L), ValueNone, Int64.MaxValue)
    )

    for _ in 1 .. random.Next 12 do
        advance () |> ignore

    if random.Next 3 = 0 then
        cut ()

// From here on the network holds.
while advance () do
    ()

let check (direction: string) (arrived: List<string>) =
    let sent = [ for number in 1..messages -> $"{direction} {number}" ]

    if List.ofSeq arrived = sent then
        printfn "%-4s  %d sent, %d arrived, each once and in order" direction messages arrived.Count
        true
    else
        printfn "%-4s  %d sent, but these arrived: %s" direction messages (String.concat ", " arrived)
        false

printfn "seed  %d: %d connections, %d packets lost, %d messages sent again" seed connections lost repeated
let up = check "up" atServer
let down = check "down" atClient
let all = settled.Count >= 2 * messages
printfn "calls %s" (if all then "all settled" else "some did not settle")
exit (if up && down && all then 0 else 1)
