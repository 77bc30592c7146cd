namespace Mqtt5.Verification

open System
open Mqtt5

// What a step can be replaced by.
module private Simpler =

    // Time for what was sent to arrive.
    let shortWait = 30L<ms>
    let private usualKeepAlive = 120us<s>

    let private will (will: Will) : Will list =
        let delay = will.Properties.WillDelayInterval

        [
            if { will.Properties with WillDelayInterval = ValueNone } <> WillProperties.Empty then
                { will with Properties = { WillProperties.Empty with WillDelayInterval = delay } }
            if will.Retain then
                { will with Retain = false }
            if will.QoS > QoS.AtLeastOnce then
                { will with QoS = QoS.AtLeastOnce }
            if delay.IsSome then
                { will with Properties = { will.Properties with WillDelayInterval = ValueNone } }
        ]

    let private connect (packet: Connect) : Connect list =
        let properties = packet.Properties

        // All at once, which often does, before one after another.
        let least = { ConnectProperties.Empty with SessionExpiryInterval = properties.SessionExpiryInterval }

        [
            if packet.Will.IsSome then
                { packet with Will = ValueNone }
            if properties <> least then
                { packet with Properties = least }
            if properties.ReceiveMaximum.IsSome then
                { packet with Properties = { properties with ReceiveMaximum = ValueNone } }
            if properties.TopicAliasMaximum.IsSome then
                { packet with Properties = { properties with TopicAliasMaximum = ValueNone } }
            if properties.MaximumPacketSize.IsSome then
                { packet with Properties = { properties with MaximumPacketSize = ValueNone } }
            if properties.RequestProblemInformation.IsSome then
                { packet with Properties = { properties with RequestProblemInformation = ValueNone } }
            if properties.RequestResponseInformation.IsSome then
                { packet with Properties = { properties with RequestResponseInformation = ValueNone } }
            if properties.SessionExpiryInterval.IsSome then
                { packet with Properties = { properties with SessionExpiryInterval = ValueNone } }
            if packet.KeepAlive <> usualKeepAlive then
                { packet with KeepAlive = usualKeepAlive }
            if not packet.CleanStart then
                { packet with CleanStart = true }
            match packet.Will with
            | ValueSome one ->
                for simpler in will one do
                    { packet with Will = ValueSome simpler }
            | ValueNone -> ()
        ]

    let private subscribe (packet: Subscribe) : Subscribe list =
        let all = Seq.toList packet.Subscriptions

        let withOptions change =
            { packet with
                Subscriptions =
                    SubscriptionList.Of(
                        all |> List.map (fun one -> { one with Options = change one.Options })
                    )
            }

        let plain = withOptions (fun options -> SubscriptionOptions.Of options.MaximumQoS)

        [
            if all.Length > 1 then
                for one in all do
                    { packet with Subscriptions = SubscriptionList.Of [ one ] }
            if packet.Subscriptions <> plain.Subscriptions then
                plain
            if packet.Properties.SubscriptionIdentifier.IsSome then
                { packet with Properties = { packet.Properties with SubscriptionIdentifier = ValueNone } }
            if all |> List.exists _.Options.NoLocal then
                withOptions (fun options -> { options with NoLocal = false })
            if all |> List.exists _.Options.RetainAsPublished then
                withOptions (fun options -> { options with RetainAsPublished = false })
            if
                all
                |> List.exists (fun one -> one.Options.RetainHandling <> RetainHandling.SendAtSubscribe)
            then
                withOptions (fun options -> { options with RetainHandling = RetainHandling.SendAtSubscribe })
        ]

    let private unsubscribe (packet: Unsubscribe) : Unsubscribe list =
        [
            if packet.Filters.Count > 1 then
                for one in packet.Filters do
                    { packet with Filters = TopicFilterList.Of [ one ] }
        ]

    let private publish (packet: Publish) : Publish list =
        let properties = packet.Properties

        // A message without content is known by its Correlation Data.
        let least =
            { PublishProperties.Empty with
                CorrelationData =
                    if packet.Payload.IsEmpty then
                        properties.CorrelationData
                    else
                        ValueNone
            }

        let text = System.Text.Encoding.UTF8.GetString packet.Payload.Span

        [
            if properties <> least then
                { packet with Properties = least }

                { packet with
                    Properties = { least with MessageExpiryInterval = properties.MessageExpiryInterval }
                }
            if text.EndsWith '.' then
                { packet with Payload = Bytes.OfText(text.TrimEnd '.') }
            match packet.Topic with
            | TopicReference.NameAndAlias(name, _) -> { packet with Topic = TopicReference.Name name }
            | _ -> ()
            if packet.Retain then
                { packet with Retain = false }
            match packet.Delivery with
            | Delivery.ExactlyOnce(id, _) ->
                { packet with Delivery = Delivery.AtMostOnce }
                { packet with Delivery = Delivery.AtLeastOnce(id, false) }
            | Delivery.AtLeastOnce _ -> { packet with Delivery = Delivery.AtMostOnce }
            | Delivery.AtMostOnce -> ()
        ]

    let actions (action: RandomisedAction) : RandomisedAction list =
        match action with
        | RandomisedAction.Connect packet -> connect packet |> List.map RandomisedAction.Connect
        | RandomisedAction.Subscribe packet -> subscribe packet |> List.map RandomisedAction.Subscribe
        | RandomisedAction.Publish packet ->
            publish packet
            |> List.filter (fun one -> one <> packet)
            |> List.map RandomisedAction.Publish
        | RandomisedAction.Unsubscribe packet -> unsubscribe packet |> List.map RandomisedAction.Unsubscribe
        | RandomisedAction.Lose packet -> [ RandomisedAction.Leave; RandomisedAction.Publish packet ]
        | RandomisedAction.Disconnect outcome ->
            [
                RandomisedAction.Leave
                if outcome.Properties.IsSome then
                    RandomisedAction.Disconnect(Outcome.Code outcome.Reason)
            ]
        | RandomisedAction.Wait duration when duration > shortWait -> [ RandomisedAction.Wait shortWait ]
        | _ -> []

// What is tried next.
[<NoComparison>]
type private Attempt =
    // All long waits left out: then the others are tried in less time.
    | WithoutWaits
    // All steps of a client left out.
    | WithoutClient of Index: int
    // All steps of a client done by another.
    | ByOther of Index: int * Other: int
    // Some steps left out, from one on.
    | Without of Size: int * At: int
    // Two steps left out that are not next to each other: one is there for the other.
    | WithoutTwo of First: int * Second: int
    // A step made simpler, in one of the possible ways.
    | WithSimpler of At: int * Variant: int
    | Nothing

/// Makes a failing script smaller: leaves steps out and makes them simpler as long as it still fails. It runs nothing
/// itself: the caller takes some candidates, runs them in any order or at the same time, and tells which is the first
/// of them that fails in the same way. Not thread-safe.
[<Sealed; AllowNullLiteral(false)>]
type Shrinking(script: RandomisedScript) =
    let mutable least = script
    let mutable attempt = WithoutWaits
    // Whether anything was taken since the attempts began anew.
    let mutable hasTaken = false
    // There are too many pairs in longer scripts.
    let mostForPairs = 9
    let mutable offered: struct (RandomisedScript * Attempt)[] = [||]

    let clients () =
        least.Steps
        |> Array.map _.Client
        |> Array.distinct
        |> Array.filter (fun one -> one <> "")

    // The Client Identifier that a client connects with.
    let identifierOf client =
        least.Steps
        |> Array.tryPick (fun step ->
            match step.Action with
            | RandomisedAction.Connect packet when step.Client = client -> Some packet.ClientId
            | _ -> None)
        |> Option.defaultValue ValueNone

    let doneBy (other: string) (client: string) (step: RandomisedStep) =
        if step.Client <> client then
            step
        else
            match step.Action with
            | RandomisedAction.Connect packet ->
                {
                    Client = other
                    Action = RandomisedAction.Connect { packet with ClientId = identifierOf other }
                }
            | _ -> { step with Client = other }

    let replaced at action =
        { least with
            Steps =
                least.Steps
                |> Array.mapi (fun index step -> if index = at then { step with Action = action } else step)
        }

    // The script of an attempt, what to try if it still fails, and what if it does not.
    let rec candidate (attempt: Attempt) : struct (RandomisedScript * Attempt * Attempt) voption =
        let count = least.Steps.Length

        match attempt with
        | WithoutWaits ->
            let isShort (step: RandomisedStep) =
                match step.Action with
                | RandomisedAction.Wait duration -> duration <= Simpler.shortWait
                | _ -> true

            let short = least.Steps |> Array.filter isShort

            if short.Length = count then
                candidate (WithoutClient 0)
            else
                ValueSome(struct ({ Steps = short }, WithoutClient 0, WithoutClient 0))
        | WithoutClient index ->
            let all = clients ()

            if index >= all.Length then
                candidate (Without(max 1 (count / 2), 0))
            else
                let without = least.Steps |> Array.filter (fun step -> step.Client <> all[index])
                ValueSome(struct ({ Steps = without }, WithoutClient index, WithoutClient(index + 1)))
        | ByOther(index, other) ->
            let all = clients ()

            if index >= all.Length then
                candidate Nothing
            elif other >= all.Length then
                candidate (ByOther(index + 1, 0))
            elif index = other then
                candidate (ByOther(index, other + 1))
            else
                let steps = least.Steps |> Array.map (doneBy all[other] all[index])
                ValueSome(struct ({ Steps = steps }, Without(1, 0), ByOther(index, other + 1)))
        | Without(size, at) when at >= count ->
            if size > 1 then
                candidate (Without(size / 2, 0))
            else
                candidate (WithSimpler(0, 0))
        | Without(size, at) ->
            let steps = Array.append least.Steps[.. at - 1] least.Steps[min count (at + size) ..]
            ValueSome(struct ({ Steps = steps }, Without(size, at), Without(size, at + size)))
        | WithSimpler(at, _) when at >= count ->
            candidate (if count > mostForPairs then ByOther(0, 0) else WithoutTwo(0, 1))
        | WithoutTwo(first, _) when first >= count -> candidate (ByOther(0, 0))
        | WithoutTwo(first, second) when second >= count -> candidate (WithoutTwo(first + 1, first + 2))
        | WithoutTwo(first, second) ->
            let steps = least.Steps |> Array.removeAt second |> Array.removeAt first
            ValueSome(struct ({ Steps = steps }, WithoutTwo(0, 1), WithoutTwo(first, second + 1)))
        | WithSimpler(at, variant) ->
            match List.tryItem variant (Simpler.actions least.Steps[at].Action) with
            | Some action ->
                ValueSome(struct (replaced at action, WithSimpler(at, 0), WithSimpler(at, variant + 1)))
            | None -> candidate (WithSimpler(at + 1, 0))
        | Nothing when hasTaken ->
            hasTaken <- false
            candidate (Without(1, 0))
        | Nothing -> ValueNone

    /// The smallest script so far.
    member _.Least = least

    /// Scripts to run, at most this many; none: there is no smaller one.
    member _.Candidates(most: int) : RandomisedScript[] =
        let all = Collections.Generic.List<struct (RandomisedScript * Attempt)>()
        let mutable going = true

        while going && all.Count < most do
            match candidate attempt with
            | ValueSome(struct (script, taken, refused)) ->
                all.Add(struct (script, taken))
                attempt <- refused
            | ValueNone -> going <- false

        offered <- all.ToArray()
        offered |> Array.map (fun (struct (script, _)) -> script)

    /// The one with this index fails in the same way, and those before it do not.
    member _.Take(index: int) : unit =
        let struct (script, next) = offered[index]
        least <- script
        attempt <- next
        hasTaken <- true
        offered <- [||]
