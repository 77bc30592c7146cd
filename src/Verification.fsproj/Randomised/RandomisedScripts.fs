namespace Mqtt5.Verification

open System
open System.Collections.Generic
open Mqtt5

// Makes the steps of one script. Which clients are connected is remembered so that most steps do something.
[<Sealed; AllowNullLiteral(false)>]
type private ScriptWriter(server: ConnackProperties, dice: Dice) =
    let steps = List<RandomisedStep>()
    let connected = HashSet<string>()
    let packets = RandomisedPackets(server, dice)
    let topics = packets.Topics
    let filters = packets.Filters
    let widest = packets.Widest
    let message () = packets.Message()
    let usualWill () = packets.UsualWill()

    let add client action = steps.Add { Client = client; Action = action }

    let connectWith client cleanStart keepAlive expiry will =
        connected.Add client |> ignore
        let packet = packets.Connect(client, cleanStart, keepAlive, expiry, will)
        add client (RandomisedAction.Connect packet)

    let connect client =
        let expiry = dice.Of [| ValueNone; ValueSome 300u<s>; ValueSome 300u<s> |]
        connectWith client (dice.Once 4) 120us<s> expiry (usualWill ())

    let publish client = add client (RandomisedAction.Publish(message ()))

    let lose client =
        let message = message ()

        if message.Delivery.QoS > QoS.AtMostOnce then
            connected.Remove client |> ignore
            add client (RandomisedAction.Lose message)

    let subscribeTo client (filters: string[]) =
        add client (RandomisedAction.Subscribe(packets.Subscribe filters))

    // What a client has ever subscribed to.
    let filtersOf client =
        [|
            for step in steps do
                match step.Action with
                | RandomisedAction.Subscribe packet when step.Client = client ->
                    for one in packet.Subscriptions do
                        one.Filter.Text
                | _ -> ()
        |]

    let subscribe client =
        let known = filtersOf client

        if known.Length > 0 && dice.Once 3 then
            subscribeTo client [| dice.Of known |]
        else
            subscribeTo
                client
                ([| for _ in 0 .. dice.Of [| 0; 1; 1; 2 |] -> dice.Of filters |]
                 |> Array.distinct)

    // Mostly what it has subscribed to, sometimes what it has not.
    let unsubscribe client =
        let known = filtersOf client

        if known.Length > 0 then
            add
                client
                (RandomisedAction.Unsubscribe
                    {
                        PacketId = PacketId.Of 1us
                        UserProperties = UserProperties.Empty
                        Filters =
                            TopicFilterList.Of(
                                [|
                                    dice.Of known

                                    for _ in 1 .. dice.Of [| 0; 0; 1; 2 |] do
                                        dice.Of(if dice.Once 2 then known else filters)
                                |]
                                |> Array.distinct
                                |> Array.map TopicFilter.Of
                            )
                    })

    let disconnectWith client reason expiry =
        connected.Remove client |> ignore

        add
            client
            (RandomisedAction.Disconnect(
                match expiry with
                | ValueNone -> Outcome.Code reason
                | expiry ->
                    Outcome.Full(reason, { DisconnectProperties.Empty with SessionExpiryInterval = expiry })
            ))

    let disconnect client =
        disconnectWith
            client
            (dice.Of [| ReasonCode.Success; ReasonCode.DisconnectWithWillMessage |])
            ValueNone

    let leave client =
        connected.Remove client |> ignore
        add client RandomisedAction.Leave

    let wait (duration: int64<ms>) = add "" (RandomisedAction.Wait duration)
    let quiet () = add "" RandomisedAction.Quiet

    let online client =
        match dice.Below 28 with
        | 0
        | 1
        | 2 -> subscribe client
        | 3
        | 4 -> unsubscribe client
        | 5
        | 6 -> leave client
        | 7 -> disconnect client
        | 8 -> connect client
        | 9
        | 10
        | 11 -> add client RandomisedAction.Hold
        | 12 -> add client RandomisedAction.GoOn
        | 13 -> add client RandomisedAction.Refuse
        | 14 -> lose client
        | _ ->
            for _ in 1 .. dice.Of [| 1; 1; 2; 4 |] do
                publish client

    // What is retained is changed, or is not, between two who ask for it.
    let retainedChanges client others =
        let topic = dice.Of topics
        let first = message ()
        let retained = { first with Retain = true; Topic = TopicReference.Name(TopicName.Of topic) }

        let text =
            if retained.Payload.IsEmpty then
                packets.Payload()
            else
                retained.Payload

        add client (RandomisedAction.Publish { retained with Payload = text })
        quiet ()
        let second = message ()

        add
            (dice.Of others)
            (RandomisedAction.Publish { second with Topic = retained.Topic; Retain = dice.Once 2 })

        quiet ()
        subscribeTo (dice.Of others) [| topic |]

    // A client that takes few messages at a time refuses one, and perhaps goes on with its session.
    let messageIsRefused client others =
        subscribeTo client [| widest |]
        quiet ()
        add client RandomisedAction.Refuse
        publish (dice.Of others)
        publish (dice.Of others)
        quiet ()

        if dice.Once 2 then
            leave client
            connectWith client false 120us<s> (ValueSome 300u<s>) ValueNone

    // A connection ends somewhere between PUBLISH and PUBCOMP, and the next one goes on.
    let deliveryIsInterrupted client others =
        connectWith client (dice.Once 2) 120us<s> (ValueSome 300u<s>) ValueNone
        subscribeTo client [| widest |]
        quiet ()
        add client RandomisedAction.Hold

        for _ in 1..3 do
            let message = message ()
            let expiry = if dice.Once 3 then ValueSome 600u<s> else ValueNone
            let properties = { message.Properties with MessageExpiryInterval = expiry }
            add (dice.Of others) (RandomisedAction.Publish { message with Properties = properties })

        wait 30L<ms>

        if dice.Once 2 then
            add client RandomisedAction.GoOn

        if dice.Once 3 then lose client else leave client
        connectWith client false 120us<s> (ValueSome 300u<s>) ValueNone

    let publishTo client topic =
        let message = message ()
        let topic = TopicReference.Name(TopicName.Of topic)
        add client (RandomisedAction.Publish { message with Topic = topic })

    // A subscription is replaced by another one to the same filter.
    let subscriptionIsReplaced client others =
        let topic = dice.Of topics
        subscribeTo client [| topic |]
        publishTo (dice.Of others) topic
        subscribeTo client [| topic |]
        quiet ()
        publishTo (dice.Of others) topic

    // One of two subscriptions is given up.
    let subscriptionEnds client others =
        let first = dice.Below topics.Length
        let both = [| topics[first]; topics[(first + 1) % topics.Length] |]
        subscribeTo client both
        quiet ()

        add
            client
            (RandomisedAction.Unsubscribe
                {
                    PacketId = PacketId.Of 1us
                    UserProperties = UserProperties.Empty
                    Filters = TopicFilterList.Of [ TopicFilter.Of(dice.Of both) ]
                })

        quiet ()

        for topic in both do
            publishTo (dice.Of others) topic

    let shortStory client others =
        match dice.Below 9 with
        | 0
        | 1 when packets.Retains -> retainedChanges client others
        | 2 -> messageIsRefused client others
        | 3
        | 4 -> deliveryIsInterrupted client others
        | 5
        | 6 -> subscriptionIsReplaced client others
        | _ -> subscriptionEnds client others

    // Some time passes in few scripts, and then all of it has a reason. Each story begins with a connection of its client,
    // and ends with one.

    // A session ends, or does not, because the client comes back in time or has changed its mind.
    let sessionEnds client others =
        let expiry = dice.Of [| 1u<s>; 2u<s> |]

        match dice.Below 4 with
        | 0 ->
            connectWith client true 120us<s> (ValueSome 300u<s>) ValueNone
            subscribe client
            disconnectWith client ReasonCode.Success (ValueSome(dice.Of [| 0u<s>; expiry |]))
        | 1 ->
            connectWith client true 120us<s> (ValueSome expiry) ValueNone
            subscribe client
            disconnectWith client ReasonCode.Success (ValueSome 300u<s>)
        | _ ->
            connectWith client (dice.Once 2) 120us<s> (ValueSome expiry) (usualWill ())
            subscribe client
            if dice.Once 2 then leave client else disconnect client

        publish (dice.Of others)

        wait (
            if dice.Once 5 then
                100L<ms>
            else
                int64 expiry * 1_000L<ms> + 2_500L<ms>
        )

        publish (dice.Of others)
        connectWith client false 120us<s> (ValueSome 300u<s>) ValueNone

    // A Will waits for its delay or for the end of the session, or is cancelled.
    let willWaits client =
        let delay, expiry =
            dice.Of [| 1u<s>, 300u<s>; 2u<s>, 300u<s>; 2u<s>, 300u<s>; 600u<s>, 1u<s>; 600u<s>, 1u<s> |]

        let will = packets.Will(ValueSome delay, packets.Retains && dice.Once 3)
        let will = { will with QoS = packets.LeastAcknowledged will.QoS }
        connectWith client (dice.Once 2) 120us<s> (ValueSome expiry) (ValueSome will)

        if dice.Once 4 then
            disconnectWith client ReasonCode.DisconnectWithWillMessage ValueNone
        else
            leave client

        if delay = 2u<s> && dice.Once 2 then
            wait 100L<ms>
            connectWith client false 120us<s> (ValueSome expiry) ValueNone
            wait 3_200L<ms>
        else
            wait (int64 (min delay expiry) * 1_000L<ms> + 100L<ms>)
            quiet ()
            connectWith client false 120us<s> (ValueSome 300u<s>) ValueNone

    // Messages that wait for a client expire, and so do retained ones.
    let messagesExpire client others =
        connectWith client true 120us<s> (ValueSome 300u<s>) ValueNone
        subscribe client

        if dice.Once 2 then
            add client RandomisedAction.Hold
            publish (dice.Of others)
            wait 30L<ms>

        leave client

        for _ in 1..3 do
            let message = message ()

            let properties =
                { message.Properties with
                    MessageExpiryInterval = dice.Of [| ValueNone; ValueSome 1u<s>; ValueSome 60u<s> |]
                }

            add (dice.Of others) (RandomisedAction.Publish { message with Properties = properties })

        quiet ()
        wait 3_200L<ms>
        subscribe (dice.Of others)
        connectWith client false 120us<s> (ValueSome 300u<s>) ValueNone

    // A client says nothing for longer than its Keep Alive, or needs to say nothing.
    let clientIsSilent client =
        let keepAlive = dice.Of [| 0us<s>; 1us<s>; 3us<s>; 3us<s> |]
        connectWith client true keepAlive (ValueSome 300u<s>) (usualWill ())
        subscribe client
        quiet ()

        match keepAlive with
        | 0us<s> -> wait 5_200L<ms>
        | 1us<s> -> wait 3_800L<ms>
        | _ ->
            // In a quiet moment it sends PINGREQ, and nothing else.
            for _ in 1..3 do
                wait 1_800L<ms>
                quiet ()

        connectWith client false 120us<s> (ValueSome 300u<s>) ValueNone

    // A client acknowledges nothing for a time.
    let clientIsSlow client others =
        connectWith client (dice.Once 2) 120us<s> (ValueSome 300u<s>) ValueNone
        subscribeTo client [| widest |]
        add client RandomisedAction.Hold

        for _ in 1..3 do
            publish (dice.Of others)

        wait 1_800L<ms>
        add client RandomisedAction.GoOn

    // A story is told of a client, with all others there.
    let told (clients: string[]) (story: string -> string[] -> unit) =
        let client = dice.Of clients
        let others = clients |> Array.filter (fun other -> other <> client)

        for other in clients do
            if not (connected.Contains other) then
                connect other

        story client others

    let longStory client others =
        match dice.Below 15 with
        | 0
        | 1
        | 2
        | 3 -> sessionEnds client others
        | 4
        | 5
        | 6
        | 7
        | 8 ->
            subscribeTo (dice.Of others) [| widest |]
            willWaits client
        | 9
        | 10 -> messagesExpire client others
        | 11
        | 12
        | 13 -> clientIsSilent client
        | _ -> clientIsSlow client others

    member _.Write() : RandomisedScript =
        let clients = [| "a"; "b"; "c"; "d" |][.. dice.Between(1, 3)]

        for client in clients do
            packets.Introduce client

        for client in clients do
            connect client
            subscribe client

        let shortAt = dice.Below 10
        let longAt = if dice.Once 3 then dice.Below 10 else -1

        for number in 0 .. dice.Between(8, 18) do
            let client = dice.Of clients

            if number = shortAt then
                told clients shortStory
            elif number = longAt then
                told clients longStory
            elif dice.Once 6 then
                quiet ()
            elif dice.Once 5 then
                // Time for what was sent to arrive, while some hold back their acknowledgements.
                wait 30L<ms>
            elif connected.Contains client then
                online client
            elif dice.Once 2 then
                connect client

        // What waits in sessions is fetched at last.
        for client in clients do
            if not (connected.Contains client) then
                connect client

        { Steps = steps.ToArray() }

/// Random scripts of sessions.
[<RequireQualifiedAccess>]
module RandomisedScripts =

    /// The script of a seed and a number, for a server that says this of itself in CONNACK: two to four clients and some
    /// dozens of steps. The same arguments give the same script.
    [<CompiledName("OfSeed")>]
    let ofSeed (server: Connack) (seed: int) (number: int) : RandomisedScript =
        let dice = Dice(uint64 seed * 0x2545F4914F6CDD1DUL + uint64 number * 0x9E3779B97F4A7C15UL + 1UL)
        // Seeds that are close to each other begin alike.
        ScriptWriter(server.Properties, Dice(dice.Next())).Write()
