/// A naive model of what a client owes and may do: lists that are searched from end to end, nothing shared with the
/// machine under test. It is fed with what happens and with what the machine does, and fails at the first thing
/// that it did not expect.
module Mqtt5.Tests.ClientModel

open System
open System.Collections.Generic
open Expecto
open Mqtt5

/// A message that the application published; its payload is its number.
[<ReferenceEquality>]
type Message =
    {
        Number: int
        Topic: string
        QoS: QoS
        mutable Ticket: int64
        ExpiresAt: Instant voption
    }

type Stage =
    | Puback
    | Pubrec
    | Pubcomp

/// A message that was sent and not finished.
[<ReferenceEquality>]
type Sent =
    {
        Id: uint16
        Message: Message
        mutable Stage: Stage
        mutable OnThisConnection: bool
        mutable PubrecAt: int
    }

/// The bytes of a packet, which have to be those of a packet that the grammar accepts.
let encoded (packet: Packet) : byte[] =
    match Encode.toBytes ClientToServer packet with
    | Error fault -> failtest $"the client sent a packet that cannot be encoded: {fault}"
    | Ok bytes ->
        match Grammar.parse ClientToServer Int32.MaxValue 0L (ReadOnlyMemory bytes) with
        | Ok _ -> bytes
        | Error fault -> failtest $"the client sent a packet that its grammar refuses: {fault}"

let numberOf (payload: Bytes) = BitConverter.ToInt32 payload.Span

/// The sending side.
type SendingModel() =
    let waiting = List<Message>()
    let sent = List<Sent>()
    let requests = Dictionary<uint16, struct (PacketType * int)>()
    let resend = List<Sent>()
    let pubrelsDue = List<uint16>()
    let aliases = Dictionary<uint16, string>()
    let mutable window = 0
    let mutable lastId = 0us
    let mutable pubrecs = 0
    let mutable aliasMaximum = 0us

    let isFree id = not (requests.ContainsKey id) && sent.TrueForAll(fun one -> one.Id <> id)

    let nextId () =
        let mutable id = lastId
        let mutable tries = 0

        while tries = 0 || (tries < 65_536 && not (isFree id)) do
            id <- if id = 65_535us then 1us else id + 1us
            tries <- tries + 1

        if tries > 65_535 then ValueNone else ValueSome id

    let holding () = sent.FindAll(fun one -> one.OnThisConnection).Count

    member _.Waiting = waiting
    member _.Sent = sent
    member _.Requests = requests
    member _.IsOnline = window > 0

    member _.Find id = sent |> Seq.tryFind (fun one -> one.Id = id)

    /// The connection is open.
    member _.Opened(receiveMaximum: int, topicAliasMaximum: uint16, sessionPresent: bool, again: bool) =
        window <- receiveMaximum
        aliasMaximum <- topicAliasMaximum
        aliases.Clear()

        if sessionPresent then
            resend.AddRange(sent.FindAll(fun one -> one.Stage <> Pubcomp))

            pubrelsDue.AddRange(
                sent.FindAll(fun one -> one.Stage = Pubcomp)
                |> Seq.sortBy _.PubrecAt
                |> Seq.map _.Id
            )
        else
            if again then
                waiting.InsertRange(0, sent |> Seq.map _.Message)

            sent.Clear()

    member _.Lost() =
        window <- 0
        requests.Clear()
        resend.Clear()
        pubrelsDue.Clear()

        for one in sent do
            one.OnThisConnection <- false

    /// The application ended the client, or the client gave up.
    member _.Ended() =
        waiting.Clear()

        for one in sent do
            one.Message.Ticket <- 0L

    /// The resends and PUBRELs that a new connection begins with: gives the PUBRELs.
    member _.TakePubrelsDue() =
        let due = pubrelsDue.ToArray()
        pubrelsDue.Clear()
        due

    member _.Forget(message: Message) =
        waiting.Remove message |> ignore
        sent.RemoveAll(fun one -> obj.ReferenceEquals(one.Message, message)) |> ignore
        resend.RemoveAll(fun one -> obj.ReferenceEquals(one.Message, message)) |> ignore

    member _.Request(id: uint16, answer: PacketType, count: int) =
        Expect.equal (ValueSome id) (nextId ()) "a request has the next free Packet Identifier"
        requests.Add(id, struct (answer, count))
        lastId <- id

    member private _.Topic(topic: TopicReference) =
        match topic with
        | TopicReference.Name name -> name.Text
        | TopicReference.NameAndAlias(name, alias) ->
            Expect.isLessThanOrEqual
                alias.Value
                aliasMaximum
                "[MQTT-3.2.2-17] a Topic Alias within the maximum"

            aliases[alias.Value] <- name.Text
            name.Text
        | TopicReference.Alias alias ->
            match aliases.TryGetValue alias.Value with
            | true, name -> name
            | _ -> failtest "a Topic Alias that was not set on this connection"

    member this.Published(now: Instant, publish: Publish) =
        let number = numberOf publish.Payload
        let topic = this.Topic publish.Topic
        let isLive (one: Message) = one.ExpiresAt.IsNone || one.ExpiresAt.Value > now

        let message =
            match publish.Delivery with
            | Delivery.AtMostOnce ->
                let first = waiting |> Seq.find (fun one -> one.QoS = QoS.AtMostOnce && isLive one)
                waiting.Remove first |> ignore
                first
            | Delivery.AtLeastOnce(id, dup)
            | Delivery.ExactlyOnce(id, dup) ->
                Expect.isLessThan (holding ()) window "[MQTT-3.3.4-7] within the Receive Maximum"

                if dup then
                    Expect.isNonEmpty resend "[MQTT-3.3.1-1] DUP goes with what is sent again"
                    let first = resend[0]
                    resend.RemoveAt 0
                    Expect.equal id.Value first.Id "[MQTT-4.4.0-1] the original Packet Identifier, in order"
                    first.OnThisConnection <- true
                    first.Message
                else
                    Expect.isEmpty resend "[MQTT-4.6.0-1] what is sent again goes before what is new"
                    Expect.equal (ValueSome id.Value) (nextId ()) "the next free Packet Identifier"
                    let first = waiting |> Seq.find (fun one -> one.QoS <> QoS.AtMostOnce && isLive one)

                    waiting.Remove first |> ignore
                    lastId <- id.Value

                    sent.Add
                        {
                            Id = id.Value
                            Message = first
                            Stage = if first.QoS = QoS.AtLeastOnce then Puback else Pubrec
                            OnThisConnection = true
                            PubrecAt = 0
                        }

                    first

        Expect.equal number message.Number "the next message in order"
        Expect.equal publish.Delivery.QoS message.QoS "its QoS"
        Expect.equal topic message.Topic "its topic"

        match message.ExpiresAt with
        | ValueNone -> Expect.isTrue publish.Properties.MessageExpiryInterval.IsNone "it does not expire"
        | ValueSome at ->
            let left = max 0L (int64 (at - now))

            Expect.equal
                publish.Properties.MessageExpiryInterval
                (ValueSome(LanguagePrimitives.UInt32WithMeasure<s>(uint32 ((left + 999L) / 1000L))))
                "what is left of its life"

        message

    /// An acknowledgement arrives. Gives the PUBREL that is due, whether the connection has to end for it, and the
    /// message that is settled by it.
    member this.Acknowledged(kind: PacketType, id: uint16, reason: ReasonCode) =
        let failed = byte reason >= 0x80uy

        let over (one: Sent) =
            sent.Remove one |> ignore
            resend.Remove one |> ignore
            struct (ValueNone, false, ValueSome one.Message)

        match this.Find id, kind with
        | _ when requests.ContainsKey id -> struct (ValueNone, true, ValueNone)
        | None, PacketType.Pubrec when not failed ->
            struct (ValueSome ReasonCode.PacketIdentifierNotFound, false, ValueNone)
        | None, _ -> struct (ValueNone, false, ValueNone)
        | Some one, PacketType.Puback when one.Stage = Puback -> over one
        | Some one, PacketType.Pubcomp when one.Stage = Pubcomp -> over one
        | Some one, PacketType.Pubrec when one.Stage = Pubrec && failed -> over one
        | Some one, PacketType.Pubrec when one.Stage = Pubrec ->
            one.Stage <- Pubcomp
            pubrecs <- pubrecs + 1
            one.PubrecAt <- pubrecs
            resend.Remove one |> ignore
            struct (ValueSome ReasonCode.Success, false, ValueNone)
        | Some one, PacketType.Pubrec when one.Stage = Pubcomp ->
            struct ((if failed then ValueNone else ValueSome ReasonCode.Success), false, ValueNone)
        | Some _, _ -> struct (ValueNone, true, ValueNone)

    /// Nothing waits that could be sent.
    member _.IsIdle(now: Instant) =
        let isLive (one: Message) = one.ExpiresAt.IsNone || one.ExpiresAt.Value > now
        let waits = waiting.Exists(fun one -> one.QoS <> QoS.AtMostOnce && isLive one)

        window = 0
        || (not (waiting.Exists(fun one -> one.QoS = QoS.AtMostOnce && isLive one))
            && (holding () = window || (resend.Count = 0 && (not waits || (nextId ()).IsNone))))

/// A message that was received and is not finished.
[<ReferenceEquality>]
type Held =
    {
        Id: uint16
        QoS: QoS
        mutable Token: DeliveryToken
        /// What the application decided.
        mutable Decided: ReasonCode voption
        mutable AwaitsPubrel: bool
        mutable Counted: bool
        /// How many sessions there may have been when it came.
        mutable Sessions: int
    }

/// What a PUBLISH of the server leads to.
type Expected =
    | Delivery
    | NoDelivery
    | Fault

/// The receiving side.
type ReceivingModel() =
    let held = List<Held>()
    let mutable order = List<Held>()
    let acks = List<struct (PacketType * uint16 * ReasonCode)>()
    let mutable window = 0
    let mutable extra = 0
    let mutable sessions = 1

    let kind qos = if qos = QoS.AtLeastOnce then PacketType.Puback else PacketType.Pubrec
    let openCount () = held.FindAll(fun one -> one.Counted).Count

    // Acknowledgements of a QoS go out as long as the oldest is decided.
    let flush qos =
        let mutable going = true

        while going do
            match order |> Seq.tryFind (fun one -> one.QoS = qos) with
            | Some one when one.Decided.IsSome ->
                order.Remove one |> ignore
                acks.Add(struct (kind qos, one.Id, one.Decided.Value))

                if qos = QoS.AtLeastOnce || byte one.Decided.Value >= 0x80uy then
                    held.Remove one |> ignore
                else
                    one.AwaitsPubrel <- true
            | _ -> going <- false

    member _.Held = held

    /// The acknowledgements that are due, in order.
    member _.TakeAcks() =
        let due = acks.ToArray()
        acks.Clear()
        due

    /// In doubt: the session may be younger than what was received of it.
    member _.Opened(receiveMaximum: int, sessionPresent: bool, isInDoubt: bool) =
        window <- receiveMaximum

        if sessionPresent && isInDoubt then
            sessions <- sessions + 1

        if not sessionPresent then
            held.Clear()

    member _.Lost() =
        window <- 0
        extra <- 0
        order.Clear()

        for one in held do
            one.Counted <- false

    member _.Arrived(id: uint16, qos: QoS, dup: bool) : Expected =
        let full () = openCount () >= window + extra

        let accept () =
            if full () then
                Fault
            else
                let one =
                    {
                        Id = id
                        QoS = qos
                        Token = DeliveryToken.None
                        Decided = ValueNone
                        AwaitsPubrel = false
                        Counted = true
                        Sessions = sessions
                    }

                held.Add one
                order.Add one
                Delivery

        match held |> Seq.tryFind (fun one -> one.Id = id) with
        | None -> accept ()
        // [MQTT-3.3.1-1] What the server sent before comes with DUP and in its QoS, so this session is another one.
        | Some one when
            one.Sessions < sessions
            && (one.QoS <> qos || (qos = QoS.ExactlyOnce && not dup))
            ->
            held.RemoveAll(fun other -> other.Sessions <= one.Sessions) |> ignore
            accept ()
        | Some one when one.QoS <> qos ->
            acks.Add(struct (kind qos, id, ReasonCode.PacketIdentifierInUse))
            NoDelivery
        | Some one when not one.Counted && qos = QoS.AtLeastOnce && not dup ->
            held.Remove one |> ignore
            accept ()
        | Some one when not one.Counted ->
            if full () then
                Fault
            else
                one.Counted <- true
                one.Sessions <- sessions

                // Its PUBREC is due again, in the order of the new arrival.
                if one.AwaitsPubrel then
                    one.AwaitsPubrel <- false
                    one.Decided <- ValueSome ReasonCode.Success

                order.Add one
                flush qos
                NoDelivery
        | Some _ when qos = QoS.AtLeastOnce ->
            acks.Add(struct (PacketType.Puback, id, ReasonCode.PacketIdentifierInUse))
            NoDelivery
        | Some one ->
            if one.AwaitsPubrel then
                acks.Add(struct (PacketType.Pubrec, id, ReasonCode.Success))

            NoDelivery

    member _.Delivered(token: DeliveryToken) = held[held.Count - 1].Token <- token

    member _.Acknowledged(token: DeliveryToken, reason: ReasonCode) =
        match held |> Seq.tryFind (fun one -> not token.IsNone && one.Token = token) with
        | Some one when one.Decided.IsNone ->
            one.Decided <- ValueSome reason
            flush one.QoS
        | _ -> ()

    /// A PUBREL arrives; true when the connection has to end for it.
    member _.Released(id: uint16) =
        match held |> Seq.tryFind (fun one -> one.Id = id) with
        | None ->
            acks.Add(struct (PacketType.Pubcomp, id, ReasonCode.PacketIdentifierNotFound))
            false
        | Some one when one.AwaitsPubrel ->
            held.Remove one |> ignore

            if not one.Counted then
                extra <- extra + 1

            acks.Add(struct (PacketType.Pubcomp, id, ReasonCode.Success))
            false
        | Some _ -> true
