/// Mistakes that clients and brokers are known to make, put around the real machines.
module Mqtt5.Tests.Mutants

open System
open System.Collections.Generic
open Mqtt5.Verification
open Mqtt5

type Mutant = { Name: string; Machines: Machines }

let private changed (change: Effect -> Effect list) (effects: Effects) : Effects =
    let mutable result = Effects.none

    for effect in effects do
        for other in change effect do
            result <- result.Add other

    result

// The client's effects changed. The change is made anew for each client.
let private client name (change: unit -> ClientEvent -> ClientState -> Effect -> Effect list) : Mutant =
    {
        Name = name
        Machines =
            { Machines.Real with
                Client =
                    fun () ->
                        let change = change ()

                        fun now event state ->
                            let struct (next, effects) = ClientSession.step now event state
                            struct (next, changed (change event state) effects)
            }
    }

let private clientState name (change: ClientEvent -> ClientState -> ClientState -> ClientState) : Mutant =
    {
        Name = name
        Machines =
            { Machines.Real with
                Client =
                    fun () now event state ->
                        let struct (next, effects) = ClientSession.step now event state
                        struct (change event state next, effects)
            }
    }

let private broker name (change: ServerEvent -> ServerState -> Effect -> Effect list) : Mutant =
    {
        Name = name
        Machines =
            { Machines.Real with
                Session =
                    fun () now event state ->
                        let struct (next, effects) = ServerSession.step now event state
                        struct (next, changed (change event state) effects)
            }
    }

let private brokerBefore
    name
    (change: ServerEvent -> ServerState -> struct (ServerEvent * ServerState))
    : Mutant =
    {
        Name = name
        Machines =
            { Machines.Real with
                Session =
                    fun () now event state ->
                        let struct (event, state) = change event state
                        ServerSession.step now event state
            }
    }

let private detach name (change: ConnectionEnd -> ConnectionEnd) : Mutant =
    broker name (fun _ _ effect ->
        match effect with
        | Serve(ServerTask.Detached ending) -> [ Serve(ServerTask.Detached(change ending)) ]
        | other -> [ other ])

let private withoutDup (delivery: Delivery) =
    match delivery with
    | Delivery.AtLeastOnce(id, _) -> Delivery.AtLeastOnce(id, false)
    | Delivery.ExactlyOnce(id, _) -> Delivery.ExactlyOnce(id, false)
    | other -> other

let private reversed (effects: Effects) =
    let all = [ for index in 0 .. effects.Count - 1 -> effects[index] ]

    let isPublish effect =
        match effect with
        | Send(Packet.Publish { Delivery = delivery }) -> delivery.IsDup
        | _ -> false

    let publishes = all |> List.filter isPublish |> List.rev
    let mutable rest = publishes
    let mutable result = Effects.none

    for effect in all do
        if isPublish effect then
            result <- result.Add rest.Head
            rest <- rest.Tail
        else
            result <- result.Add effect

    result

let private clientMutants =
    [
        clientState "the client's send quota leaks at a resume" (fun event before next ->
            if not before.IsConnected && next.IsConnected && next.Outbound.Quota > 0 then
                { next with Outbound = { next.Outbound with Quota = next.Outbound.Quota - 1 } }
            else
                ignore event
                next)
        clientState "the client frees an identifier at PUBREC" (fun event _ next ->
            match event with
            | ReceivedAck(PacketType.Pubrec, id, _) ->
                { next with
                    Outbound =
                        { next.Outbound with
                            InFlight = PacketIdMap.remove id next.Outbound.InFlight
                            LastId = id - 1us
                        }
                }
            | _ -> next)
        client "the client sends again by Topic Alias alone" (fun () _ _ effect ->
            match effect with
            | Send(Packet.Publish publish) when publish.Delivery.IsDup ->
                [ Send(Packet.Publish { publish with Topic = TopicReference.Alias(TopicAlias.Of 1us) }) ]
            | other -> [ other ])
        client "the client tells success where the server refused" (fun () _ _ effect ->
            match effect with
            | SettleWith(ticket, Settlement.Published(reason, _)) when byte reason >= 0x80uy ->
                [ Settle(ticket, ReasonCode.Success) ]
            | other -> [ other ])
        client "the client does not tell what the server refused" (fun () _ _ effect ->
            match effect with
            | SettleWith(_, Settlement.Published(reason, _)) when byte reason >= 0x80uy -> []
            | other -> [ other ])
        client "the client answers a PUBREC of failure with PUBREL" (fun () event _ effect ->
            match event, effect with
            | Received(Packet.Pubrec packet), SettleWith _ when byte packet.Outcome.Reason >= 0x80uy ->
                [ SendAck(PacketType.Pubrel, packet.PacketId.Value, ReasonCode.Success); effect ]
            | _ -> [ effect ])
        client "the client sends again without DUP" (fun () _ _ effect ->
            match effect with
            | Send(Packet.Publish publish) ->
                [ Send(Packet.Publish { publish with Delivery = withoutDup publish.Delivery }) ]
            | other -> [ other ])
        {
            Name = "the client sends again in another order"
            Machines =
                { Machines.Real with
                    Client =
                        fun () now event state ->
                            let struct (next, effects) = ClientSession.step now event state
                            struct (next, reversed effects)
                }
        }
        {
            Name = "the client's Keep Alive runs from what it received"
            Machines =
                { Machines.Real with
                    Client =
                        fun () ->
                            let mutable received = 0L<ms>

                            fun now event state ->
                                match event with
                                | Received _
                                | ReceivedAck _ ->
                                    received <- now
                                    ClientSession.step now event state
                                | Tick traffic ->
                                    let wrong = { traffic with LastSent = max traffic.LastSent received }
                                    ClientSession.step now (Tick wrong) state
                                | other -> ClientSession.step now other state
                }
        }
        client "the client hands a repeated message of QoS 2 over again" (fun () event _ effect ->
            match event, effect with
            | Received(Packet.Publish publish), SendAck(PacketType.Pubrec, _, _) when publish.Delivery.IsDup ->
                [ Deliver(Packet.Publish publish, DeliveryToken.None); effect ]
            | _ -> [ effect ])
        client "the client forgets a cancelled call" (fun () _ _ effect ->
            match effect with
            | SettleWith(_, Settlement.Cancelled) -> []
            | other -> [ other ])
        client "the client settles a call twice" (fun () _ _ effect ->
            match effect with
            | Settle(_, ReasonCode.Success) -> [ effect; effect ]
            | other -> [ other ])
        client "the client does not repeat PUBREL after a reconnect" (fun () event _ effect ->
            match event, effect with
            | Received(Packet.Connack _), SendAck(PacketType.Pubrel, _, _) -> []
            | _ -> [ effect ])
    ]

let private brokerMutants =
    [
        broker "the broker does not send again after a reconnect" (fun event _ effect ->
            match event, effect with
            | ServerEvent.Attach _, Send(Packet.Publish publish) when publish.Delivery.IsDup -> []
            | _ -> [ effect ])
        brokerBefore "the broker ignores the client's Receive Maximum" (fun event state ->
            match event with
            | ServerEvent.Attach attachment ->
                let connect = attachment.Connect
                let properties = { connect.Properties with ReceiveMaximum = ValueNone }

                struct (ServerEvent.Attach
                            { attachment with Connect = { connect with Properties = properties } },
                        state)
            | other -> struct (other, state))
        brokerBefore "the broker ignores the client's Maximum Packet Size" (fun event state ->
            match event with
            | ServerEvent.Attach attachment ->
                let connect = attachment.Connect
                let properties = { connect.Properties with MaximumPacketSize = ValueNone }

                struct (ServerEvent.Attach
                            { attachment with Connect = { connect with Properties = properties } },
                        state)
            | other -> struct (other, state))
        brokerBefore "the broker takes a repeated PUBLISH of QoS 2 for a new one" (fun event state ->
            match event with
            | ServerEvent.Received(_, Packet.Publish publish) when
                publish.Delivery.IsDup && publish.Delivery.QoS = QoS.ExactlyOnce
                ->
                struct (event,
                        { state with Inbound = { state.Inbound with Held = PacketIdMap.empty; Open = 0 } })
            | _ -> struct (event, state))
        broker "the broker loses a PUBACK" (fun _ _ effect ->
            match effect with
            | SendAck(PacketType.Puback, id, _) when id % 16us = 1us -> []
            | other -> [ other ])
        broker "the broker sends a PUBACK twice" (fun _ _ effect ->
            match effect with
            | SendAck(PacketType.Puback, _, _) -> [ effect; effect ]
            | other -> [ other ])
        broker "the broker keeps RETAIN for everybody" (fun _ _ effect ->
            match effect with
            | Send(Packet.Publish publish) -> [ Send(Packet.Publish { publish with Retain = true }) ]
            | other -> [ other ])
        broker "the broker leaves Subscription Identifiers out" (fun _ _ effect ->
            match effect with
            | Send(Packet.Publish publish) ->
                [
                    Send(
                        Packet.Publish
                            { publish with
                                Properties =
                                    { publish.Properties with
                                        SubscriptionIdentifiers = SubscriptionIdentifiers.Empty
                                    }
                            }
                    )
                ]
            | other -> [ other ])
        broker "the broker sends by an alias that it never set" (fun event _ effect ->
            match event, effect with
            | ServerEvent.Attach _,
              Send(Packet.Publish({ Topic = TopicReference.NameAndAlias(_, alias) } as publish)) ->
                [ Send(Packet.Publish { publish with Topic = TopicReference.Alias alias }) ]
            | _ -> [ effect ])
        brokerBefore "the broker sets more aliases than the client takes" (fun event state ->
            match event with
            | ServerEvent.Attach attachment ->
                let connect = attachment.Connect
                let properties = { connect.Properties with TopicAliasMaximum = ValueSome 100us }

                struct (ServerEvent.Attach
                            { attachment with Connect = { connect with Properties = properties } },
                        state)
            | other -> struct (other, state))
        brokerBefore "the broker frees an identifier before its PUBACK" (fun event state ->
            match event with
            | ServerEvent.Forward _ when state.IsConnected && not state.Outbound.InFlight.IsEmpty ->
                struct (event,
                        { state with
                            Outbound = { state.Outbound with InFlight = PacketIdMap.empty; LastId = 0us }
                        })
            | _ -> struct (event, state))
        detach "the broker sends no Will" (fun ending -> { ending with KeepsWill = false })
        detach "the broker sends a Will after DISCONNECT" (fun ending -> { ending with KeepsWill = true })
        detach "the broker's sessions never expire" (fun ending ->
            if ending.SessionExpiry > 0u<s> then
                { ending with SessionExpiry = UInt32.MaxValue * 1u<s> }
            else
                ending)
        detach "the broker ends every session with its connection" (fun ending ->
            { ending with SessionExpiry = 0u<s> })
    ]

// The effects for connections before MQTT 5 changed.
let private brokerBeforeV5 name (change: ServerEvent -> Effect -> Effect list) : Mutant =
    broker name (fun event state effect ->
        let version =
            match event, state.Connection with
            | ServerEvent.Attach attachment, _ -> attachment.Protocol.Version
            | _, ValueSome connection -> connection.Version
            | _ -> ProtocolVersion.V5

        if version.IsV5 then [ effect ] else change event effect)

let private detachBeforeV5 name (change: ConnectionEnd -> ConnectionEnd) : Mutant =
    brokerBeforeV5 name (fun _ effect ->
        match effect with
        | Serve(ServerTask.Detached ending) -> [ Serve(ServerTask.Detached(change ending)) ]
        | other -> [ other ])

// Mistakes where versions meet.
let private mixedMutants =
    [
        brokerBeforeV5 "the broker writes a Property Length before MQTT 5" (fun _ effect ->
            match effect with
            | SendMessage(message, id, alias, isNamed) ->
                let payload = Array.append [| 0uy |] (message.Payload.Span.ToArray())
                [ SendMessage({ message with Payload = Bytes.OfArray payload }, id, alias, isNamed) ]
            | other -> [ other ])
        {
            Name = "the broker forgets the expiry for a client before MQTT 5"
            Machines =
                { Machines.Real with
                    Session =
                        fun () ->
                            let mutable version = ProtocolVersion.V5

                            fun now event state ->
                                match event with
                                | ServerEvent.Attach attachment -> version <- attachment.Protocol.Version
                                | _ -> ()

                                match event with
                                | ServerEvent.Forward(message, shared, spare) when not version.IsV5 ->
                                    let message = { message with ExpiresAt = ValueNone }
                                    let event = ServerEvent.Forward(message, shared, spare)
                                    ServerSession.step now event state
                                | _ -> ServerSession.step now event state
                }
        }
        brokerBeforeV5 "the broker sends by Topic Alias before MQTT 5" (fun _ effect ->
            match effect with
            | SendMessage(message, id, _, _) ->
                let publish = Outgoing.toPublish id 0us true message
                [ Send(Packet.Publish { publish with Topic = TopicReference.Alias(TopicAlias.Of 1us) }) ]
            | other -> [ other ])
        brokerBeforeV5 "the broker sends DISCONNECT before MQTT 5" (fun _ effect ->
            match effect with
            | CloseTransport -> [ Send(Packet.Disconnect Outcome.Omitted); effect ]
            | other -> [ other ])
        brokerBeforeV5 "the broker sets RETAIN on every message before MQTT 5" (fun _ effect ->
            match effect with
            | SendMessage(message, id, alias, isNamed) ->
                [ SendMessage({ message with Retain = true }, id, alias, isNamed) ]
            | other -> [ other ])
        brokerBeforeV5 "the broker refuses a filter with a code of MQTT 5" (fun _ effect ->
            match effect with
            | Send(Packet.Suback answer) ->
                let told (reason: ReasonCode) =
                    if byte reason >= 0x80uy then ReasonCode.NotAuthorized else reason

                let reasons = ReasonCodeList.Of(Seq.map told answer.Reasons)
                [ Send(Packet.Suback { answer with Reasons = reasons }) ]
            | other -> [ other ])
        brokerBeforeV5 "the broker does not acknowledge what it refuses before MQTT 5" (fun event effect ->
            match event, effect with
            | ServerEvent.Received(_, Packet.Publish { Topic = TopicReference.Name topic }), SendAck _ when
                topic.Text.StartsWith "denied/"
                ->
                []
            | _ -> [ effect ])
        brokerBeforeV5 "the broker does not answer PUBREL before MQTT 5" (fun _ effect ->
            match effect with
            | SendAck(PacketType.Pubcomp, _, _) -> []
            | other -> [ other ])
        detachBeforeV5 "the broker sends no Will of a client before MQTT 5" (fun ending ->
            { ending with KeepsWill = false })
        detachBeforeV5 "the broker sends a Will after DISCONNECT before MQTT 5" (fun ending ->
            { ending with KeepsWill = true })
        detachBeforeV5 "the broker ends a session of CleanSession 0 with its connection" (fun ending ->
            { ending with SessionExpiry = 0u<s> })
    ]

let all: Mutant list = clientMutants @ brokerMutants @ mixedMutants

[<Literal>]
let MaximumSeeds = 150

/// The first seed, counted from 1, with which the models find the mutant, and what it breaks; none: it is not found.
/// That a machine calls its own state unsound does not count.
let find (mutant: Mutant) : (int * Violation) option =
    seq { 1..MaximumSeeds }
    |> Seq.tryPick (fun seed ->
        let result = Simulation.runWith mutant.Machines null (Scenarios.ofSeed (uint64 seed))

        result.Violations
        |> Seq.tryFind (fun violation -> violation.Clause <> "sound")
        |> Option.map (fun violation -> seed, violation))
