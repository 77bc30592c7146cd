namespace Mqtt5.Verification

open System
open System.Collections.Generic
open Mqtt5

// Makes the steps of one script. Which clients are connected is remembered so that most steps do something.
[<Sealed; AllowNullLiteral(false)>]
type private ScriptWriter(server: ConnackProperties, dice: Dice) =
    let steps = List<RandomisedStep>()
    let connected = HashSet<string>()
    let mutable messages = 0

    let isThere (value: bool voption) = ValueOption.defaultValue true value
    let maximumQoS = server.MaximumQoS |> ValueOption.defaultValue QoS.ExactlyOnce
    let topics = [| "~/a"; "~/a/b"; "~/a/c"; "~/b"; "~/b/c"; "~/a/b/c" |]

    let filters =
        [|
            yield! topics
            if isThere server.WildcardSubscriptionAvailable then
                "~/#"
                "~/a/+"
                "~/a/#"
                "~/+"
                "~/+/b"
                "~/+/+"
            if isThere server.SharedSubscriptionAvailable then
                "$share/~g/~/a/b"

                if isThere server.WildcardSubscriptionAvailable then
                    "$share/~g/~/a/#"
        |]

    let add client action = steps.Add { Client = client; Action = action }

    let qos () =
        min maximumQoS (dice.Of [| QoS.AtMostOnce; QoS.AtLeastOnce; QoS.ExactlyOnce; QoS.ExactlyOnce |])

    let payload () =
        messages <- messages + 1
        Bytes.OfText $"{messages}"

    let will () =
        ValueSome
            {
                QoS = qos ()
                Retain = false
                Properties =
                    { WillProperties.Empty with
                        // The long one never passes in a run.
                        WillDelayInterval = dice.Of [| ValueNone; ValueSome 600u<s> |]
                    }
                Topic = TopicName.Of(dice.Of topics)
                Payload = payload ()
            }

    let connect client =
        connected.Add client |> ignore

        add
            client
            (RandomisedAction.Connect
                {
                    CleanStart = dice.Once 4
                    KeepAlive = 120us<s>
                    Properties =
                        { ConnectProperties.Empty with
                            SessionExpiryInterval =
                                dice.Of [| ValueNone; ValueSome 300u<s>; ValueSome 300u<s> |]
                            ReceiveMaximum =
                                dice.Of [| ValueNone; ValueSome 1us; ValueSome 2us; ValueSome 5us |]
                            TopicAliasMaximum = dice.Of [| ValueNone; ValueNone; ValueSome 2us |]
                        }
                    ClientId = ValueSome(ClientId.Of $"~{client}")
                    Will = if dice.Once 4 then will () else ValueNone
                    UserName = ValueNone
                    Password = ValueNone
                })

    let properties () =
        { PublishProperties.Empty with
            MessageExpiryInterval =
                if dice.Once 10 then
                    ValueSome(dice.Of [| 1u<s>; 600u<s> |])
                else
                    ValueNone
            PayloadFormatIndicator = if dice.Once 12 then ValueSome true else ValueNone
            ContentType = if dice.Once 12 then ValueSome(Utf8String.Of "text") else ValueNone
            ResponseTopic =
                if dice.Once 12 then
                    ValueSome(TopicName.Of "~/answers")
                else
                    ValueNone
            CorrelationData =
                if dice.Once 12 then
                    ValueSome(Bytes.OfText $"{dice.Below 100}")
                else
                    ValueNone
            UserProperties =
                if dice.Once 12 then
                    UserProperties.Of [ UserProperty.Of("k", "2"); UserProperty.Of("k", "1") ]
                else
                    UserProperties.Empty
        }

    let publish client =
        let id = PacketId.Of 1us
        let retain = dice.Once 4 && isThere server.RetainAvailable

        add
            client
            (RandomisedAction.Publish
                {
                    Delivery =
                        match qos () with
                        | QoS.AtMostOnce -> Delivery.AtMostOnce
                        | QoS.AtLeastOnce -> Delivery.AtLeastOnce(id, false)
                        | _ -> Delivery.ExactlyOnce(id, false)
                    Retain = retain
                    Topic = TopicReference.Name(TopicName.Of(dice.Of topics))
                    Properties = properties ()
                    Payload = if retain && dice.Once 4 then Bytes.Empty else payload ()
                })

    let subscribe client =
        let some =
            [| for _ in 0 .. dice.Below 2 -> dice.Of filters |]
            |> Array.distinct
            |> Array.map TopicFilter.Of

        add
            client
            (RandomisedAction.Subscribe
                {
                    PacketId = PacketId.Of 1us
                    Properties =
                        { SubscribeProperties.Empty with
                            SubscriptionIdentifier =
                                if isThere server.SubscriptionIdentifierAvailable && dice.Once 3 then
                                    ValueSome(uint32 (dice.Between(1, 300)))
                                else
                                    ValueNone
                        }
                    Subscriptions =
                        SubscriptionList.Of
                            [
                                for filter in some do
                                    {
                                        Filter = filter
                                        Options = dice.SubscriptionOptions(filter, retainAsPublished = 4)
                                    }
                            ]
                })

    let unsubscribe client =
        let known =
            [|
                for step in steps do
                    match step.Action with
                    | RandomisedAction.Subscribe packet when step.Client = client ->
                        for one in packet.Subscriptions do
                            one.Filter
                    | _ -> ()
            |]

        if known.Length > 0 then
            add
                client
                (RandomisedAction.Unsubscribe
                    {
                        PacketId = PacketId.Of 1us
                        UserProperties = UserProperties.Empty
                        Filters = TopicFilterList.Of [ dice.Of known ]
                    })

    let online client =
        match dice.Below 24 with
        | 0
        | 1
        | 2 -> subscribe client
        | 3
        | 4 -> unsubscribe client
        | 5
        | 6 ->
            connected.Remove client |> ignore
            add client RandomisedAction.Leave
        | 7 ->
            connected.Remove client |> ignore

            add
                client
                (RandomisedAction.Disconnect(
                    dice.Of [| ReasonCode.Success; ReasonCode.DisconnectWithWillMessage |]
                ))
        | 8 -> connect client
        | 9
        | 10
        | 11 -> add client RandomisedAction.Hold
        | 12 -> add client RandomisedAction.GoOn
        | _ ->
            for _ in 1 .. dice.Of [| 1; 1; 2; 4 |] do
                publish client

    member _.Write() : RandomisedScript =
        let clients = [| "a"; "b"; "c"; "d" |][.. dice.Between(1, 3)]

        for client in clients do
            connect client
            subscribe client

        let waitsAt = if dice.Once 25 then dice.Below 12 else -1

        for number in 0 .. dice.Between(8, 18) do
            let client = dice.Of clients

            if number = waitsAt then
                add "" (RandomisedAction.Wait 2_500L<ms>)
            elif dice.Once 6 then
                add "" RandomisedAction.Quiet
            elif dice.Once 5 then
                // Time for what was sent to arrive, while some hold back their acknowledgements.
                add "" (RandomisedAction.Wait 30L<ms>)
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
