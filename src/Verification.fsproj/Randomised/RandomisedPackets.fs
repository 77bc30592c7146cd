namespace Mqtt5.Verification

open System.Collections.Generic
open Mqtt5

// What the scripts publish to and subscribe to.
module internal RandomisedNames =

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

// Makes the packets of one script.
[<Sealed; AllowNullLiteral(false)>]
type internal RandomisedPackets(server: ConnackProperties, dice: Dice) =
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

    // A filter that takes in most of what is published.
    let widest = if Array.contains "~/#" filters then "~/#" else topics[0]

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

    member _.Topics = topics
    member _.Filters = filters
    member _.Widest = widest
    // Whether the server retains messages.
    member _.Retains = retains
    // One that is not at QoS 0 unless the server has no other.
    member _.LeastAcknowledged(qos: QoS) : QoS = max (min maximumQoS QoS.AtLeastOnce) qos
    member _.Payload() : Bytes = payload ()
    member _.Message() : Publish = message ()
    member _.Will(delay, retain) : Will = will delay retain
    // Mostly none.
    member _.UsualWill() : Will voption = usualWill ()

    // Has to be called for each client before it connects.
    member _.Introduce(client: string) : unit =
        if dice.Once 12 then
            isAnonymous.Add client |> ignore

        mostBytes[client] <-
            if hasSizes then
                dice.Of [| ValueNone; ValueSome 100u; ValueSome 160u |]
            else
                ValueNone

    member _.Connect(client: string, cleanStart, keepAlive: uint16<s>, expiry, will) : Connect =
        {
            CleanStart = cleanStart
            KeepAlive = keepAlive
            Properties =
                { ConnectProperties.Empty with
                    SessionExpiryInterval = expiry
                    ReceiveMaximum = dice.Of [| ValueNone; ValueSome 1us; ValueSome 2us; ValueSome 5us |]
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
        }

    member _.Subscribe(filters: string[]) : Subscribe =
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
        }
