namespace Mqtt5.Verification

open System
open System.Collections.Generic
open Mqtt5

// What the scripts publish to and subscribe to.
module private RandomisedNames =

    let usual = [| "~/a"; "~/a/b"; "~/a/c"; "~/b"; "~/b/c"; "~/a/b/c" |]

    // So that much of what comes is about the same.
    let few = [| "~/a"; "~/a/b"; "~/b" |]

    // Names that are not the same [MQTT-4.7.3-4].
    let alike =
        [|
            [| "~/a/b"; "~/A/b"; "~/a"; "~/A" |]
            [| "~/b"; "~/B"; "~/a/b"; "~/A/b" |]
            [| "~/a/b"; "~/a//b"; "~//b"; "~/b" |]
            [| "~/é"; "~/E\u0301"; "~/e"; "~/É" |]
            [| "~/a%20b"; "~/a b"; "~/a-b"; "~/ab" |]
            [| "~/a"; "~/\uFEFFa"; "~/a/b"; "~/\uFEFFa/b" |]
            [| "~/a"; "~/a/"; "~/a/b"; "~/a/b/" |]
        |]

    let wide = [| "~/#"; "~/a/+"; "~/a/#"; "~/+"; "~/+/b"; "~/+/+" |]

// Makes the steps of one script. Which clients are connected is remembered so that most steps do something.
[<Sealed; AllowNullLiteral(false)>]
type private ScriptWriter(server: ConnackProperties, dice: Dice) =
    let steps = List<RandomisedStep>()
    let connected = HashSet<string>()
    let mutable messages = 0

    let isThere (value: bool voption) = ValueOption.defaultValue true value
    let maximumQoS = server.MaximumQoS |> ValueOption.defaultValue QoS.ExactlyOnce
    let retains = isThere server.RetainAvailable

    // What some scripts are about besides: names that differ by little, packets of some size.
    let hasOddNames = dice.Once 3
    let hasSizes = dice.Once 3

    let topics =
        if hasOddNames then
            dice.Of RandomisedNames.alike
        else
            dice.Of [| RandomisedNames.usual; RandomisedNames.few |]

    // What is the same in all connections of a client.
    let isAnonymous = HashSet<string>()
    let mostBytes = Dictionary<string, uint32 voption>()

    let filters =
        [|
            yield! topics
            if isThere server.WildcardSubscriptionAvailable then
                yield!
                    (if hasOddNames then
                         RandomisedNames.wide[..2]
                     else
                         RandomisedNames.wide)
            if isThere server.SharedSubscriptionAvailable then
                "$share/~g/~/a/b"

                if isThere server.WildcardSubscriptionAvailable then
                    "$share/~g/~/a/#"
        |]

    let add client action = steps.Add { Client = client; Action = action }

    let qos () =
        min maximumQoS (dice.Of [| QoS.AtMostOnce; QoS.AtLeastOnce; QoS.ExactlyOnce; QoS.ExactlyOnce |])

    let number () =
        messages <- messages + 1
        messages

    let payload () =
        let text = $"{number ()}"

        Bytes.OfText(
            if hasSizes && dice.Once 3 then
                text.PadRight(dice.Of [| 20; 90; 140 |], '.')
            else
                text
        )

    let some (times: int) (make: unit -> 'T) : 'T voption =
        if dice.Once times then ValueSome(make ()) else ValueNone

    // In an order, and with one that comes twice.
    let userProperties () =
        if dice.Once 6 then
            UserProperties.Of
                [ UserProperty.Of("z", "1"); UserProperty.Of("a", "2"); UserProperty.Of("z", "1") ]
        else
            UserProperties.Empty

    let responseTopic () = TopicName.Of "~/answers"
    let contentType () = Utf8String.Of "text/é"
    let correlation () = Bytes.OfText $"{dice.Below 100}"

    let will delay retain =
        {
            QoS = qos ()
            Retain = retain
            Properties =
                { WillProperties.Empty with
                    WillDelayInterval = delay
                    PayloadFormatIndicator = some 8 (fun () -> true)
                    ContentType = some 4 contentType
                    ResponseTopic = some 8 responseTopic
                    CorrelationData = some 8 correlation
                    UserProperties = userProperties ()
                }
            Topic = TopicName.Of(dice.Of topics)
            Payload = payload ()
        }

    let usualWill () =
        if dice.Once 4 then
            // The long delay never passes in a run.
            ValueSome(will (dice.Of [| ValueNone; ValueSome 600u<s> |]) (retains && dice.Once 4))
        else
            ValueNone

    let connectWith client cleanStart (keepAlive: uint16<s>) expiry will =
        connected.Add client |> ignore

        add
            client
            (RandomisedAction.Connect
                {
                    CleanStart = cleanStart
                    KeepAlive = keepAlive
                    Properties =
                        { ConnectProperties.Empty with
                            SessionExpiryInterval = expiry
                            ReceiveMaximum =
                                dice.Of [| ValueNone; ValueSome 1us; ValueSome 2us; ValueSome 5us |]
                            MaximumPacketSize = mostBytes[client]
                            TopicAliasMaximum = dice.Of [| ValueNone; ValueNone; ValueSome 2us |]
                            RequestProblemInformation = some 4 (fun () -> dice.Once 4)
                            RequestResponseInformation = some 4 (fun () -> dice.Once 2)
                        }
                    ClientId =
                        if isAnonymous.Contains client then
                            ValueNone
                        else
                            ValueSome(ClientId.Of $"~{client}")
                    Will = will
                    UserName = ValueNone
                    Password = ValueNone
                })

    let connect client =
        let expiry = dice.Of [| ValueNone; ValueSome 300u<s>; ValueSome 300u<s> |]
        connectWith client (dice.Once 4) 120us<s> expiry (usualWill ())

    let properties () =
        { PublishProperties.Empty with
            MessageExpiryInterval = some 10 (fun () -> dice.Of [| 1u<s>; 600u<s> |])
            PayloadFormatIndicator = some 8 (fun () -> true)
            ContentType = some 12 contentType
            ResponseTopic = some 12 responseTopic
            CorrelationData = some 12 correlation
            UserProperties = userProperties ()
        }

    let message () =
        let id = PacketId.Of 1us
        let retain = retains && dice.Once 4
        // Also one that removes nothing.
        let isEmpty = dice.Once(if retain then 4 else 25)
        let topic = TopicName.Of(dice.Of topics)
        let properties = properties ()

        {
            Delivery =
                match qos () with
                | QoS.AtMostOnce -> Delivery.AtMostOnce
                | QoS.AtLeastOnce -> Delivery.AtLeastOnce(id, false)
                | _ -> Delivery.ExactlyOnce(id, false)
            Retain = retain
            Topic =
                match server.TopicAliasMaximum with
                | ValueSome most when most > 0us && dice.Once 4 ->
                    let alias = TopicAlias.Of(uint16 (dice.Between(1, int (min 2us most))))
                    TopicReference.NameAndAlias(topic, alias)
                | _ -> TopicReference.Name topic
            Properties =
                if isEmpty then
                    { properties with
                        PayloadFormatIndicator = ValueNone
                        CorrelationData = ValueSome(Bytes.OfText $"{number ()}")
                    }
                else
                    properties
            Payload = if isEmpty then Bytes.Empty else payload ()
        }

    let publish client = add client (RandomisedAction.Publish(message ()))

    let lose client =
        let message = message ()

        if message.Delivery.QoS > QoS.AtMostOnce then
            connected.Remove client |> ignore
            add client (RandomisedAction.Lose message)

    let subscribeTo client (filters: string[]) =
        add
            client
            (RandomisedAction.Subscribe
                {
                    PacketId = PacketId.Of 1us
                    Properties =
                        { SubscribeProperties.Empty with
                            SubscriptionIdentifier =
                                if isThere server.SubscriptionIdentifierAvailable && dice.Once 2 then
                                    ValueSome(uint32 (dice.Between(1, 300)))
                                else
                                    ValueNone
                        }
                    Subscriptions =
                        SubscriptionList.Of
                            [
                                for filter in filters do
                                    let filter = TopicFilter.Of filter

                                    {
                                        Filter = filter
                                        Options = dice.SubscriptionOptions(filter, retainAsPublished = 4)
                                    }
                            ]
                })

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

    // A filter that takes in most of what is published.
    let widest = if Array.contains "~/#" filters then "~/#" else topics[0]

    // What is retained is changed, or is not, between two who ask for it.
    let retainedChanges client others =
        let topic = dice.Of topics
        let first = message ()
        let retained = { first with Retain = true; Topic = TopicReference.Name(TopicName.Of topic) }
        let text = if retained.Payload.IsEmpty then payload () else retained.Payload
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
            let expiry = some 3 (fun () -> 600u<s>)
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
        | 1 when retains -> retainedChanges client others
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

        let will = will (ValueSome delay) (retains && dice.Once 3)
        let will = { will with QoS = max (min maximumQoS QoS.AtLeastOnce) will.QoS }
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
            if dice.Once 12 then
                isAnonymous.Add client |> ignore

            mostBytes[client] <-
                if hasSizes then
                    dice.Of [| ValueNone; ValueSome 100u; ValueSome 160u |]
                else
                    ValueNone

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
