/// What holds between two states that follow each other, and what is stored of them.
module Mqtt5.Tests.DurabilityLaws

open Expecto
open Mqtt5

/// A clock whose origin is not that of the wall clock.
let clock = WallClock.Of(5_000L<ms>, 1_800_000_000_000L<unixMs>)

let changesBetween (before: DurableState) (after: DurableState) : SessionChange[] =
    let list = SessionChanges()
    Durability.changes clock &before &after list
    list.Changes.ToArray()

let fold (changes: SessionChange[]) (stored: StoredSession) =
    (stored, changes)
    ||> Array.fold (fun stored change -> Durability.apply change stored)

/// What a change is, by its name.
let kindOf (change: SessionChange) =
    match change with
    | SessionChange.Kept _ -> "Kept"
    | SessionChange.Moved _ -> "Moved"
    | SessionChange.Gone _ -> "Gone"
    | SessionChange.Numbered _ -> "Numbered"
    | SessionChange.Held _ -> "Held"
    | SessionChange.Freed _ -> "Freed"
    | SessionChange.Cleared -> "Cleared"

let private orderOf (change: SessionChange) =
    match change with
    | SessionChange.Kept(order, _, _, _)
    | SessionChange.Moved(order, _)
    | SessionChange.Gone order -> Some order
    | _ -> None

// What of a sending half without a connection outlives the process.
let private sending (state: Outbound) =
    let exchange list (id: uint16) exchange =
        match exchange with
        | Exchange.Message(message, stage, order, released, holds) ->
            struct (id, StoredMessage.Of(clock, message), stage, order, struct (released, holds))
            :: list
        | Exchange.Request _ -> failtest "a request outlives the connection"

    let kept =
        [
            for entry in state.Waiting.Entries do
                if entry.Message.QoS <> QoS.AtMostOnce then
                    struct (entry.Order, StoredMessage.Of(clock, entry.Message))
        ]

    struct (PacketIdMap.fold exchange [] state.InFlight,
            kept,
            state.InFlightBytes,
            state.NextOrder,
            state.Quota)

let private receiving (state: Inbound) =
    PacketIdMap.fold
        (fun ids id (held: Held) ->
            if held.QoS = QoS.ExactlyOnce && held.Receipt = Receipt.AwaitPubrel then
                struct (id, held.Counted) :: ids
            else
                ids)
        []
        state.Held

// Restored, a session is what it would be without its connection.
let private restoring (state: DurableState) (stored: StoredSession) =
    let firstTicket = Ticket 1_000_000L
    let restored = Durability.restore clock firstTicket stored
    Expect.equal (Durability.project clock restored) stored "what is restored keeps the same"
    Expect.equal (Outbound.sound restored.Outbound) ValueNone "the sending half that is restored is sound"
    Expect.equal (Inbound.sound restored.Inbound) ValueNone "the receiving half that is restored is sound"
    let struct (lost, _) = Outbound.connectionLost state.Outbound
    Expect.equal (sending restored.Outbound) (sending lost) "the sending half without its connection"

    Expect.equal
        (receiving restored.Inbound)
        (receiving (Inbound.connectionLost state.Inbound))
        "the receiving half"

    let soonest =
        lost.Waiting.Entries
        |> Seq.filter (fun entry -> entry.Order > 0L)
        |> Seq.choose (fun entry -> ValueOption.toOption entry.Message.ExpiresAt)
        |> Seq.sort
        |> Seq.tryHead

    Expect.equal
        (ValueOption.toOption restored.Outbound.SoonestExpiry)
        soonest
        "when to look for expired messages"

/// The laws of the changes of a session.
let session (before: DurableState) (after: DurableState) : unit =
    let changes = changesBetween before after

    if
        obj.ReferenceEquals(before.Outbound, after.Outbound)
        && obj.ReferenceEquals(before.Inbound, after.Inbound)
        && before.IsKept = after.IsKept
    then
        Expect.isEmpty changes "nothing that is kept has changed"
    else
        let start = Durability.project clock before
        let stored = Durability.project clock after
        Expect.equal (fold changes start) stored "the changes make what is kept after from what was before"
        Expect.equal (fold changes stored) stored "changes that were applied change nothing"
        Expect.isEmpty (changesBetween after after) "nothing changes between a state and itself"
        let orders = changes |> Array.choose orderOf
        Expect.equal (Array.distinct orders).Length orders.Length "a message changes once in a step"

        if after.IsKept then
            restoring after stored
        else
            Expect.equal stored StoredSession.Empty "a session that ends with its connection keeps nothing"

/// The laws of the changes of a session of a server.
let server (before: ServerState) (after: ServerState) : unit =
    session (DurableState.Of before) (DurableState.Of after)

// All that a broker has beside the messages of its sessions.
let private facts (broker: Broker) =
    let ledger = broker.Ledger
    let registry = broker.Registry

    let entries =
        [
            for KeyValue(key, entry: SessionEntry) in ledger.Sessions do
                struct (struct (key,
                                entry.Session,
                                entry.ClientId.Text,
                                entry.Owner,
                                entry.Address,
                                entry.Epoch),
                        struct (entry.Connection,
                                entry.SessionExpiry,
                                entry.Will,
                                entry.WillAt,
                                entry.AwaySince,
                                entry.EndsAt))
        ]

    let subscriptions =
        [
            for KeyValue(session, filters) in registry.Filters do
                for KeyValue(_, filter) in filters.Filters do
                    match Subscriptions.tryFind (SessionId session) filter registry.Subscriptions with
                    | ValueSome entry ->
                        struct (session, entry.Filter.Text, entry.Options.Byte, entry.Identifier)
                    | ValueNone -> failtest "a filter without its subscription"
        ]

    let retained =
        [
            for filter in [ "#"; "$SYS/#" ] do
                for one in RetainedMessages.matching (TopicFilter.Of filter) registry.Retained do
                    let message: ServerMessage = one.Message

                    struct (struct (message.Topic.Text, message.Payload, message.QoS, message.Retain),
                            struct (message.Properties,
                                    message.ExpiresAt,
                                    message.Publisher,
                                    message.PublisherId))
        ]

    struct (struct (entries, Map.toList ledger.Clients, Set.toList ledger.Due),
            struct (ledger.SessionCount, ledger.Connections, ledger.NextSession, ledger.NextConnection),
            struct (subscriptions, registry.Subscriptions.Count),
            struct (retained, registry.Retained.Count, registry.RetainedBytes, Set.toList registry.RetainedDue))

/// The laws of the changes of ledger and registry.
let broker (before: Broker) (after: Broker) (changes: BrokerChange[]) : unit =
    let fold (changes: BrokerChange[]) (start: Broker) =
        (start, changes)
        ||> Array.fold (fun broker change -> Broker.apply change broker)

    let expected = facts after

    Expect.equal
        (facts (fold changes before))
        expected
        "the changes make the broker after from the one before"

    Expect.equal (facts (fold changes after)) expected "changes that were applied change nothing"

    let read =
        changes
        |> Array.map (StoredChange.ofChange clock)
        |> Array.map (StoredChange.toChange clock)

    Expect.equal (facts (fold read before)) expected "as they are stored they make the same"
