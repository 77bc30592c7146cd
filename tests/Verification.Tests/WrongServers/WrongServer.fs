namespace Mqtt5.Tests.WrongServers

open System
open System.Collections.Generic
open Mqtt5
open Mqtt5.Verification

/// A server with one mistake, and the statements that the mistake is about.
type WrongServer = { Mistake: string; Breaks: Set<string>; Server: SimulatedServer }

/// What a mistake makes of the frames on the wire. A frame comes with its packet, if it is well-formed.
type Hand =
    {
        Sent: int -> byte[] -> Packet voption -> WireAction list
        SentText: int -> WireAction list
        Answered: int -> byte[] -> Packet voption -> WireAction list
        Left: int -> WireAction list
        Closed: int -> WireAction list
    }

/// How servers with a mistake are made.
[<AutoOpen>]
module Making =

    /// Statements as they are written in probes: without MQTT where they are of MQTT 5, separated by blanks.
    let clauses (text: string) : Set<string> =
        text.Split([| ' '; '\n' |], StringSplitOptions.RemoveEmptyEntries)
        |> Array.map (fun id -> if id.StartsWith "MQTT" then id else "MQTT-" + id)
        |> Set.ofArray

    /// The bytes of a packet in a version, whether or not it is allowed here; none where the version has no such packet.
    let bytesFor (version: ProtocolVersion) (packet: Packet) : byte[] =
        let bytes = Array.zeroCreate (Encode.sizeIn version packet)
        Encode.writeIn version packet (Span<byte> bytes) |> ignore
        bytes

    /// The bytes of a packet, whether or not it is allowed here.
    let bytesOf (packet: Packet) : byte[] = bytesFor ProtocolVersion.V5 packet

    /// The bytes of a packet in notation.
    let bytesIn (notation: string) : byte[] =
        match Notation.parse notation with
        | Ok packet -> bytesOf packet
        | Error fault -> failwith $"{notation}: {fault}"

    let private parsed version direction (frame: byte[]) =
        match Grammar.parseIn version direction Spec.MaximumPacketBytes 0L (ReadOnlyMemory frame) with
        | Ok packet -> ValueSome packet
        | Error _ -> ValueNone

    let straight: Hand =
        {
            Sent = fun connection frame _ -> [ ToServer(connection, frame) ]
            SentText = SimulatedServer.straight.SentText
            Answered = fun connection frame _ -> [ ToClient(connection, frame) ]
            Left = fun connection -> [ CloseServer connection ]
            Closed = fun connection -> [ CloseClient connection ]
        }

    /// A server with what one hand on its wire does. The hand is made anew for each run, so that it can keep something, and
    /// is told how to find the version of a connection.
    let wrongBy (mistake: string) (breaks: string) (make: (int -> ProtocolVersion) -> Hand) : WrongServer =
        let wire () =
            let versions = Dictionary<int, ProtocolVersion>()

            let versionOf connection =
                match versions.TryGetValue connection with
                | true, version -> version
                | _ -> ProtocolVersion.V5

            let hand = make versionOf

            { new IServerWire with
                member _.Sent(connection, frame) =
                    match Greeting.find (ReadOnlySpan frame) with
                    | ValueSome protocol -> versions.TryAdd(connection, protocol.Version) |> ignore
                    | ValueNone -> ()

                    hand.Sent connection frame (parsed (versionOf connection) ClientToServer frame)

                member _.SentText connection = hand.SentText connection

                member _.Answered(connection, frame) =
                    hand.Answered connection frame (parsed (versionOf connection) ServerToClient frame)

                member _.Left connection = hand.Left connection
                member _.Closed connection = hand.Closed connection
            }

        {
            Mistake = mistake
            Breaks = clauses breaks
            Server = { SimulatedServer.right with Wire = wire }
        }

    /// A server with what one hand on its wire does.
    let wrong (mistake: string) (breaks: string) (make: unit -> Hand) : WrongServer =
        wrongBy mistake breaks (fun _ -> make ())

    let private changed
        versionOf
        direction
        wrap
        (change: Packet -> Packet list)
        connection
        frame
        (packet: Packet voption)
        =
        match packet with
        | ValueNone -> [ wrap (connection, frame) ]
        | ValueSome packet ->
            change packet
            |> List.choose (fun other ->
                if obj.ReferenceEquals(other, packet) then
                    Some(wrap (connection, frame))
                else
                    let version = versionOf connection

                    match Lowering.lower version direction other with
                    | ValueSome lowered -> Some(wrap (connection, bytesFor version lowered))
                    | ValueNone -> None)

    /// A server whose packets are changed.
    let answers mistake breaks (change: Packet -> Packet list) : WrongServer =
        wrongBy mistake breaks (fun versionOf ->
            { straight with Answered = changed versionOf ServerToClient ToClient change })

    /// A server that takes the packets of its clients for other ones.
    let requests mistake breaks (change: Packet -> Packet list) : WrongServer =
        wrongBy mistake breaks (fun versionOf ->
            { straight with Sent = changed versionOf ClientToServer ToServer change })

    /// A server that takes the bytes of its clients for other ones; nothing: it does not see them.
    let requestBytes mistake breaks (change: byte[] -> byte[] option) : WrongServer =
        wrong mistake breaks (fun () ->
            { straight with
                Sent =
                    fun connection frame _ ->
                        match change frame with
                        | Some frame -> [ ToServer(connection, frame) ]
                        | None -> []
            })

    /// A server that does not know some packets of its clients.
    let deaf mistake breaks (isLost: Packet -> bool) : WrongServer =
        requests mistake breaks (fun packet -> if isLost packet then [] else [ packet ])

    /// A server that does not send some of its packets.
    let dumb mistake breaks (isLost: Packet -> bool) : WrongServer =
        answers mistake breaks (fun packet -> if isLost packet then [] else [ packet ])

    /// A server that reads its clients' CONNECT wrong.
    let connects mistake breaks (change: Connect -> Connect) : WrongServer =
        requests mistake breaks (fun packet ->
            match packet with
            | Packet.Connect connect -> [ Packet.Connect(change connect) ]
            | other -> [ other ])

    /// A server that reads its clients' PUBLISH wrong.
    let publishes mistake breaks (change: Publish -> Publish) : WrongServer =
        requests mistake breaks (fun packet ->
            match packet with
            | Packet.Publish publish -> [ Packet.Publish(change publish) ]
            | other -> [ other ])

    /// A server that makes mistakes in each PUBLISH of its own.
    let delivers mistake breaks (change: Publish -> Publish) : WrongServer =
        answers mistake breaks (fun packet ->
            match packet with
            | Packet.Publish publish -> [ Packet.Publish(change publish) ]
            | other -> [ other ])

    /// A server that reads its clients' SUBSCRIBE wrong.
    let subscribes mistake breaks (change: Subscription -> Subscription) : WrongServer =
        requests mistake breaks (fun packet ->
            match packet with
            | Packet.Subscribe subscribe ->
                [
                    Packet.Subscribe
                        { subscribe with
                            Subscriptions = SubscriptionList.Of(Seq.map change subscribe.Subscriptions)
                        }
                ]
            | other -> [ other ])

    /// A server with other machines.
    let machines mistake breaks (machines: Machines) : WrongServer =
        let one = wrong mistake breaks (fun () -> straight)
        { one with Server = { one.Server with Machines = machines } }

    /// The same mistake in a server with other settings.
    let set (change: BrokerSettings -> BrokerSettings) (one: WrongServer) : WrongServer =
        { one with Server = { one.Server with Settings = change one.Server.Settings } }

    let isFailure (reason: ReasonCode) : bool = byte reason >= 0x80uy

    let topicOf (publish: Publish) : string =
        match publish.Topic with
        | TopicReference.Name name
        | TopicReference.NameAndAlias(name, _) -> name.Text
        | TopicReference.Alias _ -> ""

    let textOf (payload: Bytes) : string = Text.Encoding.UTF8.GetString payload.Span

    let withDup (isDup: bool) (publish: Publish) : Publish =
        { publish with
            Delivery =
                match publish.Delivery with
                | Delivery.AtMostOnce -> Delivery.AtMostOnce
                | Delivery.AtLeastOnce(id, _) -> Delivery.AtLeastOnce(id, isDup)
                | Delivery.ExactlyOnce(id, _) -> Delivery.ExactlyOnce(id, isDup)
        }

    let withId (id: uint16) (publish: Publish) : Publish =
        { publish with
            Delivery =
                match publish.Delivery with
                | Delivery.AtMostOnce -> Delivery.AtMostOnce
                | Delivery.AtLeastOnce(_, isDup) -> Delivery.AtLeastOnce(PacketId.Of id, isDup)
                | Delivery.ExactlyOnce(_, isDup) -> Delivery.ExactlyOnce(PacketId.Of id, isDup)
        }
