namespace Mqtt5.Verification

open System
open Mqtt5

// Short sequences of commands and faults that random commands seldom make: what is to happen at once happens at once.
[<Sealed; AllowNullLiteral(false)>]
type internal Stories
    (dice: Dice, names: string[], add: int -> SimulationAction -> unit, nextNumber: unit -> int) =

    let id = PacketId.Of 1us

    // With so many bytes more than it needs.
    let publishingMore (filler: int) retain (qos: QoS) (client: string) (topic: string) : SimulationAction =
        SimulationAction.Publish(
            client,
            {
                Delivery =
                    match qos with
                    | QoS.AtMostOnce -> Delivery.AtMostOnce
                    | QoS.AtLeastOnce -> Delivery.AtLeastOnce(id, false)
                    | _ -> Delivery.ExactlyOnce(id, false)
                Retain = retain
                Topic = TopicReference.Name(TopicName.Of topic)
                Properties = PublishProperties.Empty
                Payload = Bytes.OfText($"{client} {nextNumber ()}" + String('x', filler))
            }
        )

    let publishing = publishingMore 0

    let subscribing (client: string) (filter: string) (qos: QoS) : SimulationAction =
        let filter = TopicFilter.Of filter

        SimulationAction.Subscribe(
            client,
            {
                PacketId = id
                Properties = SubscribeProperties.Empty
                Subscriptions =
                    SubscriptionList.Of
                        [
                            {
                                Filter = filter
                                Options =
                                    { dice.SubscriptionOptions(filter, retainAsPublished = 8) with
                                        MaximumQoS = qos
                                    }
                            }
                        ]
            }
        )

    let unsubscribing (client: string) (filter: string) : SimulationAction =
        SimulationAction.Unsubscribe(
            client,
            {
                PacketId = id
                UserProperties = UserProperties.Empty
                Filters = TopicFilterList.Of [ TopicFilter.Of filter ]
            }
        )

    let topic () = dice.Of [| "a"; "a/b"; "b/c" |]
    let anyQoS () = dice.Of [| QoS.AtMostOnce; QoS.AtLeastOnce; QoS.ExactlyOnce |]

    let burst at (client: string) (topic: string) qos =
        for _ in 1 .. dice.Between(2, 4) do
            add at (publishing false qos client topic)

    // Mostly of one QoS: the order of others is free.
    let sending at client topic =
        let qos = anyQoS ()
        burst at client topic (if dice.Once 4 then anyQoS () else qos)
        qos

    // A client sends DISCONNECT, closes the connection, and connects again at once.
    let returns (client: string) (at: int) =
        let topic = topic ()

        for round in 0 .. dice.Between(1, 3) do
            let at = at + 400 * round
            let qos = sending at client topic
            add at (SimulationAction.Disconnect(client, ReasonCode.Success))
            add at (SimulationAction.Start client)
            burst (at + dice.Below 150) client topic qos

    // Connections that follow each other so fast that several are set up at the same time, some after DISCONNECT.
    let hurries (client: string) (at: int) =
        let topic = topic ()
        let mutable time = at

        for _ in 1 .. dice.Between(2, 5) do
            let qos = sending time client topic

            for _ in 1 .. dice.Between(1, 4) do
                add time (SimulationAction.Disconnect(client, ReasonCode.Success))
                add time (SimulationAction.Start client)
                time <- time + dice.Between(10, 70)
                burst time client topic qos

            time <- time + dice.Between(100, 500)

    // A connection fails and the next one is there at once, also while the one before is being set up; or none for a while.
    let reconnects (client: string) (at: int) =
        let topic = topic ()
        let mutable time = at

        for _ in 1 .. dice.Between(2, 5) do
            let qos = sending time client topic
            add time (SimulationAction.Close client)

            for _ in 0 .. dice.Below 3 do
                time <- time + dice.Between(10, 90)
                burst time client topic qos

            time <- time + dice.Between(1, 120)

        if dice.Once 4 then
            add time (SimulationAction.Disconnect(client, ReasonCode.Success))
            add (time + dice.Of [| 1; 7_000 |]) (SimulationAction.Start client)

    // Many retained messages for a subscription that ends at once, or while they change.
    let retained (client: string) (at: int) =
        let publisher = dice.Of names
        let count = dice.Between(20, 45)
        let qos = anyQoS ()

        for number in 1..count do
            add at (publishingMore 60 true qos publisher $"r/%02d{number}")

        let asks = at + 4_000
        let granted = dice.Of [| QoS.AtMostOnce; QoS.AtMostOnce; QoS.AtLeastOnce |]
        add asks (subscribing client "r/#" granted)

        match dice.Below 3 with
        | 0 -> add asks (unsubscribing client "r/#")
        | 1 -> add (asks + dice.Below 200) (unsubscribing client "r/#")
        | _ ->
            let slow = dice.Between(200, 800)
            add (asks + dice.Between(30, 100)) (SimulationAction.Stall(client, int64 slow * 1L<ms>))

            for _ in 1 .. dice.Between(3, 10) do
                let time = asks + dice.Below(dice.Of [| 60; slow |])
                add time (publishing true qos publisher $"r/%02d{dice.Between(1, count)}")

    // Few retained messages, each of which is replaced while a client subscribes to it.
    let replaced (client: string) (at: int) =
        let count = dice.Between(2, 6)

        for number in 1..count do
            add at (publishing true QoS.AtLeastOnce (dice.Of names) $"r/%02d{number}")

        for round in 1 .. dice.Between(1, 3) do
            let asks = at + 1_000 * round
            let others = names |> Array.filter (fun name -> name <> client)
            add (asks - 500) (unsubscribing client "r/#")
            add asks (subscribing client "r/#" QoS.AtLeastOnce)

            for _ in 1 .. dice.Between(2, 8) do
                let time = asks + dice.Below 150
                add time (publishing true QoS.AtLeastOnce (dice.Of others) $"r/%02d{dice.Between(1, count)}")

    // What a client publishes, and its own subscriptions to it, in one write.
    let ownMessages (client: string) (at: int) =
        for round in 0 .. dice.Between(1, 3) do
            let at = at + 300 * round
            let topic = topic ()
            let qos = anyQoS ()
            add at (unsubscribing client topic)
            burst at client topic qos
            add at (subscribing client topic (anyQoS ()))
            burst at client topic qos

    // Members of a shared subscription end, or are cut off, with messages that they have not acknowledged.
    let shared (client: string) (at: int) =
        let filter = dice.Of [| "$share/s/s/#"; "$share/t/s/1" |]

        for name in names do
            if name = client || dice.Once 2 then
                add at (subscribing name filter QoS.AtLeastOnce)

        for round in 1 .. dice.Between(1, 3) do
            let at = at + 1_500 * round
            let ending = dice.Of names
            add at (SimulationAction.Hold(ending, 1_000L<ms>))

            for _ in 1 .. dice.Between(3, 10) do
                add (at + dice.Below 100) (publishing false QoS.AtLeastOnce (dice.Of names) "s/1")

            let ends = at + dice.Between(50, 300)

            match dice.Below 4 with
            | 0 -> add ends (SimulationAction.Cut ending)
            | 1 -> add ends (SimulationAction.Crash ending)
            | 2 -> add ends (SimulationAction.Close ending)
            | _ ->
                add ends (SimulationAction.Disconnect(ending, ReasonCode.Success))
                add (ends + 500) (SimulationAction.Start ending)

    // One topic again and again while others subscribe to it and unsubscribe.
    let changes (client: string) (at: int) =
        let topic = dice.Of [| "a"; "denied/x" |]
        let qos = anyQoS ()

        for number in 1..15 do
            add (at + 25 * number) (publishing false qos client topic)

        for _ in 1 .. dice.Between(2, 6) do
            let other = dice.Of names
            let filter = dice.Of [| topic; "#"; "+" |]
            let time = at + dice.Below 400

            if dice.Once 2 then
                add time (subscribing other filter (dice.Of [| QoS.AtLeastOnce; QoS.ExactlyOnce |]))
            else
                add time (unsubscribing other filter)

    // A client that subscribes to the topic of its own Will is cut off and comes back before the server notices.
    let ownWill (client: string) (at: int) =
        add at (subscribing client "#" QoS.ExactlyOnce)

        for round in 1 .. dice.Between(1, 3) do
            add (at + 1_000 * round) (SimulationAction.Cut client)

    // One of them, at some time before this one.
    member _.Add(until: int) : unit =
        let client = dice.Of names

        let at = dice.Between(3_000, until)

        match dice.Below 7 with
        | 0 -> returns client at
        | 1 -> reconnects client at
        | 2 -> retained client at
        | 3 -> ownMessages client at
        | 4 -> shared client at
        | 5 -> changes client at
        | _ -> ownWill client at

    // One about what happens side by side: connections of a client that are set up, retained messages that are replaced.
    member _.AddRace(until: int) : unit =
        let race = if dice.Once 3 then replaced else hurries
        race (dice.Of names) (dice.Between(3_000, until))
