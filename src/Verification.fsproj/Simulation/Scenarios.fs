namespace Mqtt5.Verification

open System
open FsCheck
open FsCheck.FSharp
open Mqtt5

/// Random scenarios: session commands of some clients, and a schedule of what the network and the processes suffer.
[<RequireQualifiedAccess>]
module Scenarios =

    let private topics = [| "a"; "a/b"; "a/c"; "b/c"; "a/b/c"; "denied/x" |]

    let private filters =
        [| "a"; "a/b"; "a/+"; "#"; "+/b"; "a/#"; "b/c"; "+"; "a/b/c"; "$share/g/a/#"; "denied/#" |]

    // MQTT 5 mostly, and MQTT 3.1 seldom.
    let private version (dice: Dice) : ProtocolVersion =
        match dice.Below 16 with
        | 0 -> ProtocolVersion.V31
        | number when number < 7 -> ProtocolVersion.V311
        | _ -> ProtocolVersion.V5

    let private client (dice: Dice) (versions: Dice) (index: int) : SimulatedClientSettings =
        let name = $"c{index}"
        let expiry = dice.Of [| 0u<s>; 5u<s>; 60u<s>; 3_600u<s>; 3_600u<s> |]

        let will =
            if dice.Once 2 then
                ValueNone
            else
                ValueSome
                    {
                        QoS = dice.Of [| QoS.AtMostOnce; QoS.AtLeastOnce; QoS.ExactlyOnce |]
                        Retain = false
                        Properties =
                            { WillProperties.Empty with
                                WillDelayInterval = dice.Of [| ValueNone; ValueSome 3u<s>; ValueSome 30u<s> |]
                            }
                        Topic = TopicName.Of(dice.Of [| "a"; "a/b"; "b/c" |])
                        Payload = Bytes.OfText $"will of {name}"
                    }

        {
            Connect =
                {
                    CleanStart = dice.Once 3
                    KeepAlive = dice.Of [| 2us<s>; 10us<s>; 30us<s> |]
                    Properties =
                        { ConnectProperties.Empty with
                            SessionExpiryInterval = if expiry = 0u<s> then ValueNone else ValueSome expiry
                            ReceiveMaximum =
                                dice.Of [| ValueNone; ValueSome 1us; ValueSome 2us; ValueSome 5us |]
                            MaximumPacketSize = dice.Of [| ValueNone; ValueNone; ValueSome 150u |]
                            TopicAliasMaximum = dice.Of [| ValueNone; ValueSome 1us; ValueSome 3us |]
                        }
                    ClientId = ValueSome(ClientId.Of name)
                    Will = will
                    UserName = ValueNone
                    Password = ValueNone
                }
            Version = version versions
            LastPacketId = dice.Of [| 0us; 65_530us; 65_534us |]
            TopicAliases = dice.Of [| 0us; 1us; 4us |]
            ReconnectDelay = dice.Of [| 5L<ms>; 100L<ms> |]
            WritesTogether = dice.Once 2
        }

    let private publish (dice: Dice) (client: string) (number: int) : Publish =
        let id = PacketId.Of 1us

        let delivery =
            match dice.Below 5 with
            | 0 -> Delivery.AtMostOnce
            | 1
            | 2 -> Delivery.AtLeastOnce(id, false)
            | _ -> Delivery.ExactlyOnce(id, false)

        {
            Delivery = delivery
            Retain = dice.Once 10
            Topic = TopicReference.Name(TopicName.Of(dice.Of topics))
            Properties =
                { PublishProperties.Empty with
                    MessageExpiryInterval =
                        if dice.Once 10 then
                            ValueSome(dice.Of [| 2u<s>; 20u<s> |])
                        else
                            ValueNone
                    ContentType = if dice.Once 12 then ValueSome(Utf8String.Of "t") else ValueNone
                    UserProperties =
                        if dice.Once 12 then
                            UserProperties.Of [ { Name = Utf8String.Of "k"; Value = Utf8String.Of "v" } ]
                        else
                            UserProperties.Empty
                }
            Payload =
                let filler = if dice.Once 8 then String('x', dice.Below 200) else ""
                Bytes.OfText $"{client} {number}{filler}"
        }

    let private subscribe (dice: Dice) : Subscribe =
        {
            PacketId = PacketId.Of 1us
            Properties =
                { SubscribeProperties.Empty with
                    SubscriptionIdentifier =
                        if dice.Once 2 then
                            ValueSome(uint32 (dice.Between(1, 5)))
                        else
                            ValueNone
                }
            Subscriptions =
                SubscriptionList.Of
                    [
                        for _ in 0 .. dice.Below 2 do
                            let filter = TopicFilter.Of(dice.Of filters)

                            {
                                Filter = filter
                                Options = dice.SubscriptionOptions(filter, retainAsPublished = 3)
                            }
                    ]
        }

    let private unsubscribe (dice: Dice) : Unsubscribe =
        {
            PacketId = PacketId.Of 1us
            UserProperties = UserProperties.Empty
            Filters = TopicFilterList.Of [ TopicFilter.Of(dice.Of filters) ]
        }

    let private fault (dice: Dice) (client: string) : SimulationAction =
        let duration least most = int64 (dice.Between(least, most)) * 1L<ms>

        match dice.Below 20 with
        | 0
        | 1
        | 2
        | 3
        | 4
        | 5 -> SimulationAction.Cut client
        | 6
        | 7
        | 8 -> SimulationAction.Stall(client, duration 100 8_000)
        | 9 -> SimulationAction.HalfClose(client, dice.Of [| ClientToServer; ServerToClient |])
        | 10
        | 11 -> SimulationAction.Crash client
        | 12 -> SimulationAction.JumpClient(client, duration 1_000 120_000)
        | 13 -> SimulationAction.JumpBroker(duration 1_000 120_000)
        | 14
        | 15 -> SimulationAction.RestartBroker true
        | 16 -> SimulationAction.RestartBroker false
        | 17 ->
            SimulationAction.Disconnect(
                client,
                dice.Of [| ReasonCode.Success; ReasonCode.DisconnectWithWillMessage |]
            )
        | _ -> SimulationAction.Hold(client, duration 100 5_000)

    /// The scenario of a seed: two to five clients, some dozens of commands and some faults, within a virtual minute.
    [<CompiledName("OfSeed")>]
    let ofSeed (seed: uint64) : Scenario =
        let dice = Dice(seed * 0x2545F4914F6CDD1DUL + 1UL)
        // Beside the rest, so that a scenario is otherwise what it was without them.
        let versions = Dice(seed ^^^ 0x31_1503_0501_0311UL)
        let clients = Array.init (dice.Between(2, 5)) (client dice versions)
        let names = clients |> Array.map (fun client -> client.Connect.ClientId.Value.Text)
        let steps = ResizeArray<SimulationStep>()
        let mutable number = 0

        let add (at: int) action = steps.Add { At = int64 at * 1L<ms>; Action = action }

        for name in names do
            add (dice.Below 2_000) (SimulationAction.Start name)
            add (dice.Below 3_000) (SimulationAction.Subscribe(name, subscribe dice))

        let until = dice.Between(20_000, 60_000)

        let nextNumber () =
            number <- number + 1
            number

        let stories = Stories(dice, names, add, nextNumber)

        for _ in 1 .. dice.Below 4 do
            stories.Add until

        // Beside the rest as well.
        let haste = Dice(seed ^^^ 0x4A57E_C0_11EC7UL)

        for _ in 1 .. haste.Below 4 do
            Stories(haste, names, add, nextNumber).AddRace until

        for _ in 1 .. dice.Between(10, 100) do
            let at = dice.Below until
            let name = dice.Of names

            match dice.Below 20 with
            | 0 -> add at (SimulationAction.Subscribe(name, subscribe dice))
            | 1 -> add at (SimulationAction.Unsubscribe(name, unsubscribe dice))
            | 2 -> add at (SimulationAction.Cancel name)
            | 3 ->
                // Ended or not, it goes on after a while.
                add at (SimulationAction.Start name)
            | _ ->
                // Mostly a burst, so that quotas matter.
                for _ in 1 .. dice.Of [| 1; 1; 4; 12 |] do
                    number <- number + 1
                    add at (SimulationAction.Publish(name, publish dice name number))

        for _ in 1 .. dice.Below 12 do
            add (dice.Below until) (fault dice (dice.Of names))

        // A client goes on with its session in the other version, and sometimes returns to the first one.
        for client in clients do
            if not client.Version.IsV31 && versions.Once 3 then
                let name = client.Connect.ClientId.Value.Text

                let other =
                    if client.Version.IsV5 then
                        ProtocolVersion.V311
                    else
                        ProtocolVersion.V5

                let mutable at = versions.Between(4_000, until)

                for next in (if versions.Once 2 then [ other; client.Version ] else [ other ]) do
                    add at (SimulationAction.Speak(name, next))
                    add at (SimulationAction.Disconnect(name, ReasonCode.Success))
                    at <- at + versions.Of [| 1; 500; 3_000 |]
                    add at (SimulationAction.Start name)
                    at <- at + versions.Between(500, 8_000)

        // Messages expire while a client before MQTT 5 is away.
        match clients |> Array.tryFind (fun client -> client.Version.IsV5) with
        | Some publisher ->
            for client in clients do
                if client.Version.IsV311 && versions.Once 2 then
                    let name = client.Connect.ClientId.Value.Text
                    let at = versions.Between(4_000, until - 10_000)
                    let filter = TopicFilter.Of "#"

                    let subscribe =
                        {
                            PacketId = PacketId.Of 1us
                            Properties = SubscribeProperties.Empty
                            Subscriptions =
                                SubscriptionList.Of
                                    [ { Filter = filter; Options = SubscriptionOptions.Of QoS.AtLeastOnce } ]
                        }

                    add at (SimulationAction.Subscribe(name, subscribe))
                    add (at + 1_000) (SimulationAction.Disconnect(name, ReasonCode.Success))

                    for _ in 1..3 do
                        number <- number + 1
                        let publisher = publisher.Connect.ClientId.Value.Text
                        let packet = publish versions publisher number

                        let packet =
                            { packet with
                                Delivery = Delivery.AtLeastOnce(PacketId.Of 1us, false)
                                Topic = TopicReference.Name(TopicName.Of(versions.Of [| "a"; "b/c" |]))
                                Retain = false
                                Properties.MessageExpiryInterval = ValueSome(versions.Of [| 1u<s>; 20u<s> |])
                            }

                        add (at + 1_500) (SimulationAction.Publish(publisher, packet))

                    add (at + 6_000) (SimulationAction.Start name)
        | None -> ()

        // What is under way is to be sent again in the other version, which has no properties.
        let mixed =
            steps
            |> Seq.choose (fun step ->
                match step.Action with
                | SimulationAction.Speak(name, _) -> Some name
                | _ -> None)
            |> Set.ofSeq

        for index in 0 .. steps.Count - 1 do
            match steps[index] with
            | { Action = SimulationAction.Publish(name, packet) } as step when mixed.Contains name ->
                let properties =
                    { PublishProperties.Empty with
                        MessageExpiryInterval = packet.Properties.MessageExpiryInterval
                    }

                let packet = { packet with Properties = properties }
                steps[index] <- { step with Action = SimulationAction.Publish(name, packet) }
            | _ -> ()

        // A client before MQTT 5 is not told what is too large, and would send it for ever.
        let isMixed =
            not mixed.IsEmpty
            || clients |> Array.exists (fun client -> not client.Version.IsV5)

        let receiveMaximum = dice.Of [| 1us; 3us; 20us; 100us |]
        let inFlight = dice.Of [| 2us; 10us; 100us |]
        let aliases = dice.Of [| 0us; 2us; 10us |]
        let most = dice.Of [| 180; 1_048_576 |]

        {
            Seed = seed
            Broker =
                {
                    ReceiveMaximum = receiveMaximum
                    InFlightMessages = inFlight
                    TopicAliases = aliases
                    MaximumPacketBytes = if isMixed then 1_048_576 else most
                    LastPacketId = dice.Of [| 0us; 65_530us; 65_534us |]
                    CongestionBytes = dice.Of [| 300; 2_000; SimulatedBrokerSettings.NoCongestion |]
                    SuspendsTurns = dice.Once 4
                    SharesBeforeV5 = not (versions.Once 4)
                    // Scripts are short; a turn that ships would never end before them.
                    TurnWork =
                        if versions.Once 3 then
                            versions.Between(1, 30)
                        else
                            SimulatedBrokerSettings.Usual.TurnWork
                }
            Clients = clients
            Steps = steps.ToArray() |> Array.sortBy (fun step -> step.At)
            HealedAt = int64 (until + 10_000) * 1L<ms>
        }

    /// The scenarios with some of the steps left out, from halves down to single steps.
    [<CompiledName("Shrink")>]
    let shrink (scenario: Scenario) : seq<Scenario> =
        let count = scenario.Steps.Length

        seq {
            let mutable size = count / 2

            while size > 0 do
                for start in 0..size .. count - 1 do
                    let steps =
                        Array.append scenario.Steps[.. start - 1] scenario.Steps[min count (start + size) ..]

                    { scenario with Steps = steps }

                size <- size / 2
        }

    /// Scenarios for FsCheck.
    let generator: Gen<Scenario> =
        Gen.choose64 (0L, Int64.MaxValue) |> Gen.map (fun seed -> ofSeed (uint64 seed))
