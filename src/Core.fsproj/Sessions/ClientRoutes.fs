namespace Mqtt5

open System
open System.Collections.Generic

/// Which subscribers of a client a message goes to.
[<RequireQualifiedAccess>]
module ClientRoutes =

    let private isNamed (identifiers: SubscriptionIdentifiers) (entry: SubscriptionEntry<Ticket>) =
        let mutable isNamed = false

        match entry.Identifier with
        | ValueSome own ->
            for identifier in identifiers do
                isNamed <- isNamed || identifier = own
        | ValueNone -> ()

        isNamed

    // Whether the server names the filter. It has one subscription for it, and the identifier of that may be the one of any
    // SUBSCRIBE for the filter until the last of them is answered.
    let private isFilterNamed
        identifiers
        (entry: SubscriptionEntry<Ticket>)
        (matches: SubscriptionMatches<Ticket>)
        =
        let mutable isFilterNamed = isNamed identifiers entry
        let mutable index = 0

        while not isFilterNamed && index < matches.Entries.Length do
            let other = matches.Entries[index]

            isFilterNamed <- String.Equals(other.Filter.Text, entry.Filter.Text) && isNamed identifiers other

            index <- index + 1

        isFilterNamed

    // A subscription without an identifier cannot be named by the one copy of a message that is for it as well
    // [MQTT-3.3.4-4].
    let private isTarget identifiers entry matches =
        (entry: SubscriptionEntry<Ticket>).Identifier.IsNone
        || isFilterNamed identifiers entry matches

    let private namesAny identifiers (matches: SubscriptionMatches<Ticket>) =
        let mutable namesAny = false

        for entry in matches.Entries do
            namesAny <- namesAny || isNamed identifiers entry

        for group in matches.Groups do
            for entry in group.Members do
                namesAny <- namesAny || isNamed identifiers entry

        namesAny

    /// Finds the subscribers that a message goes to, and puts each of them once into the list, which it empties first:
    /// those whose filter matches its topic. Where the server names the subscriptions that caused the message, they are
    /// those whose filter has one of these Subscription Identifiers or none at all, if there is any with one of these; a
    /// server may name a subscription that was given up since. <c>matches</c> and the list belong to the caller, who uses
    /// them again, from one thread at a time.
    [<CompiledName("Find")>]
    let find
        (topic: ReadOnlySpan<byte>)
        (identifiers: SubscriptionIdentifiers)
        (matches: SubscriptionMatches<Ticket>)
        (subscribers: List<Ticket>)
        (state: ClientState)
        : unit =
        matches.Clear()
        subscribers.Clear()
        Subscriptions.find topic matches state.Subscriptions.Routes
        let isForAll = identifiers.IsEmpty || not (namesAny identifiers matches)

        for entry in matches.Entries do
            if
                (isForAll || isTarget identifiers entry matches)
                && not (subscribers.Contains entry.Subscriber)
            then
                subscribers.Add entry.Subscriber

        // One member of a shared subscription is enough: the server sent the message to this client once for all.
        for group in matches.Groups do
            let mutable index = 0

            while index < group.Members.Length do
                let entry = group.Members[index]

                if isForAll || isTarget identifiers entry matches then
                    if not (subscribers.Contains entry.Subscriber) then
                        subscribers.Add entry.Subscriber

                    index <- group.Members.Length
                else
                    index <- index + 1
