namespace Mqtt5.Verification

open System.Collections.Generic
open Mqtt5

// The messages that clients have published or left as a Will. Each is known by its payload, and one without a payload by
// its Correlation Data, if it has any.
[<Sealed; AllowNullLiteral(false)>]
type internal Publications() =
    let byPayload = Dictionary<Bytes, Publication>()
    let byCorrelation = Dictionary<Bytes, Publication>()

    let find (index: Dictionary<Bytes, Publication>) key =
        match index.TryGetValue key with
        | true, message -> message
        | _ -> null

    let add topic (publish: Publish) publisher order now =
        let message =
            Publication(
                byPayload.Count + byCorrelation.Count,
                topic,
                publish.Delivery.QoS,
                publish.Retain,
                publish.Properties,
                publisher,
                order
            )

        message.FirstSent <- now
        let named = { publish with Topic = TopicReference.Name(TopicName.Of topic) }
        message.Bytes <- Encode.size (Packet.Publish named)

        if publish.Payload.IsEmpty then
            byCorrelation[publish.Properties.CorrelationData.Value] <- message
        else
            byPayload[publish.Payload] <- message

        message

    // Every message.
    member _.All: seq<Publication> = Seq.append byPayload.Values byCorrelation.Values

    // Whether messages like this one are followed.
    member _.IsKnowable(publish: Publish) : bool =
        not publish.Payload.IsEmpty || publish.Properties.CorrelationData.IsSome

    // The message; null: no client has published it.
    member _.Find(publish: Publish) : Publication =
        if not publish.Payload.IsEmpty then
            find byPayload publish.Payload
        else
            match publish.Properties.CorrelationData with
            | ValueSome data -> find byCorrelation data
            | ValueNone -> null

    // Takes note of a message that is published for the first time.
    member _.Add(client: NaiveClient, topic: string, publish: Publish, now: Instant) : Publication =
        client.Published <- client.Published + 1
        add topic publish client.Name client.Published now

    // The Will of a CONNECT; null: it has none.
    member this.OfWill(connect: Connect) : Publication =
        match connect.Will with
        | ValueSome will -> this.Find(Publications.PublishOf will)
        | ValueNone -> null

    // Takes note of a Will that is left for the first time; null: it is known.
    member this.Announce(client: NaiveClient, will: Will, now: Instant) : Publication =
        let publish = Publications.PublishOf will

        if this.IsKnowable publish && isNull (this.Find publish) then
            let message = add will.Topic.Text publish client.Name 0 now
            message.IsWill <- true
            message
        else
            null

    // The PUBLISH that a Will becomes.
    static member private PublishOf(will: Will) : Publish =
        let properties = will.Properties
        let id = PacketId.Of 1us

        {
            Delivery =
                match will.QoS with
                | QoS.AtMostOnce -> Delivery.AtMostOnce
                | QoS.AtLeastOnce -> Delivery.AtLeastOnce(id, false)
                | _ -> Delivery.ExactlyOnce(id, false)
            Retain = will.Retain
            Topic = TopicReference.Name will.Topic
            Properties =
                { PublishProperties.Empty with
                    PayloadFormatIndicator = properties.PayloadFormatIndicator
                    MessageExpiryInterval = properties.MessageExpiryInterval
                    ContentType = properties.ContentType
                    ResponseTopic = properties.ResponseTopic
                    CorrelationData = properties.CorrelationData
                    UserProperties = properties.UserProperties
                }
            Payload = will.Payload
        }
