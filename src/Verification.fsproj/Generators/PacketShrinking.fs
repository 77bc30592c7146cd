/// Makes a packet smaller step by step, so that a counterexample shows only what matters. Every step keeps the
/// packet valid for the direction it had.
module Mqtt5.Verification.PacketShrinking

open System
open System.Collections.Generic
open System.Text
open Microsoft.FSharp.Reflection
open Mqtt5

/// The shorter forms of a text: nothing, its halves, and it without one of its first characters.
let shrinkText (text: string) : seq<string> =
    let runes = Seq.toArray (text.EnumerateRunes())

    let join (runes: Rune[]) = runes |> Array.map string |> String.Concat

    seq {
        if runes.Length > 0 then
            ""

        if runes.Length > 2 then
            join runes[.. runes.Length / 2 - 1]
            join runes[runes.Length / 2 ..]

        if runes.Length > 1 && runes.Length <= 16 then
            for index in 0 .. runes.Length - 1 do
                join (Array.removeAt index runes)
    }

let private valid (create: string -> Result<'T, Fault>) (texts: seq<string>) : seq<'T> =
    texts
    |> Seq.choose (fun text ->
        match create text with
        | Ok value -> Some value
        | Error _ -> None)

/// The shorter forms of bytes. Text stays text, because the Payload Format Indicator may promise it.
let shrinkBytes (bytes: Bytes) : seq<Bytes> =
    if Unicode.Utf8.IsValid bytes.Span then
        shrinkText (Encoding.UTF8.GetString bytes.Span) |> Seq.map Bytes.OfText
    else
        let all = bytes.ToArray()

        seq {
            Bytes.Empty

            if all.Length > 1 then
                Bytes.OfArray all[.. all.Length / 2 - 1]
                Bytes.OfArray all[all.Length / 2 ..]
        }

// A list without one of its items, then with one of its items smaller.
let private shrinkItems (shrink: 'T -> seq<'T>) (items: IReadOnlyCollection<'T>) : seq<'T[]> =
    let items = Seq.toArray items

    seq {
        if items.Length > 2 then
            items[.. items.Length / 2 - 1]
            items[items.Length / 2 ..]

        for index in 0 .. min 20 (items.Length - 1) do
            Array.removeAt index items

        for index in 0 .. min 20 (items.Length - 1) do
            for smaller in shrink items[index] do
                Array.updateAt index smaller items
    }

let private boxed (values: seq<'T>) : seq<objnull> = Seq.map box values

let private shrinkUserProperty (property: UserProperty) =
    seq {
        for name in valid Utf8String.Create (shrinkText property.Name.Text) do
            { property with Name = name }

        for value in valid Utf8String.Create (shrinkText property.Value.Text) do
            { property with UserProperty.Value = value }
    }

/// The shorter Topic Filters.
let shrinkFilter (filter: TopicFilter) : seq<TopicFilter> =
    valid TopicFilter.Create (Seq.append [ "a" ] (shrinkText filter.Text))
    |> Seq.filter (fun smaller -> smaller.Utf8.Length < filter.Utf8.Length)

/// The shorter Topic Names.
let shrinkTopic (topic: TopicName) : seq<TopicName> =
    valid TopicName.Create (Seq.append [ "a" ] (shrinkText topic.Text))
    |> Seq.filter (fun smaller -> smaller.Utf8.Length < topic.Utf8.Length)

/// The subscriptions with a shorter filter, and the one with plain options.
let shrinkSubscription (subscription: Subscription) : seq<Subscription> =
    seq {
        for filter in shrinkFilter subscription.Filter do
            { subscription with Filter = filter }

        let plain = SubscriptionOptions.Of QoS.AtMostOnce

        if subscription.Options.Byte <> plain.Byte then
            { subscription with Options = plain }
    }

let private nonEmpty (items: 'T[]) = items.Length > 0

let private shrinkNumber (value: uint32) : seq<uint32> =
    Seq.filter (fun smaller -> smaller > 0u && smaller < value) [ 1u; value / 2u ]

// Numbers, enumerations and reason codes stay: their range depends on where they stand.
let rec private shrinkValue (value: objnull) : seq<objnull> =
    match value with
    | null -> Seq.empty
    | :? bool as flag -> boxed (if flag then [ false ] else [])
    | :? Utf8String as text -> boxed (valid Utf8String.Create (shrinkText text.Text))
    | :? ClientId as id -> boxed (valid ClientId.Create (shrinkText id.Text))
    | :? TopicName as topic -> boxed (shrinkTopic topic)
    | :? Bytes as bytes -> boxed (shrinkBytes bytes)
    | :? Secret as secret -> boxed (shrinkBytes secret.Reveal |> Seq.map Secret)
    | :? UserProperties as list -> boxed (shrinkItems shrinkUserProperty list |> Seq.map UserProperties.Of)
    | :? SubscriptionIdentifiers as list ->
        boxed (shrinkItems shrinkNumber list |> Seq.map SubscriptionIdentifiers.Of)
    | :? SubscriptionList as list ->
        shrinkItems shrinkSubscription list
        |> Seq.filter nonEmpty
        |> Seq.map SubscriptionList.Of
        |> boxed
    | :? TopicFilterList as list ->
        shrinkItems shrinkFilter list
        |> Seq.filter nonEmpty
        |> Seq.map TopicFilterList.Of
        |> boxed
    | :? ReasonCodeList as list ->
        shrinkItems (fun _ -> Seq.empty) list
        |> Seq.filter nonEmpty
        |> Seq.map ReasonCodeList.Of
        |> boxed
    | :? Delivery as delivery ->
        match delivery with
        | Delivery.AtMostOnce -> Seq.empty
        | Delivery.AtLeastOnce(id, dup)
        | Delivery.ExactlyOnce(id, dup) ->
            boxed
                [
                    Delivery.AtMostOnce
                    if dup then
                        Delivery.AtLeastOnce(id, false)
                ]
    | :? TopicReference as reference ->
        match reference with
        | TopicReference.NameAndAlias(name, _) -> boxed [ TopicReference.Name name ]
        | TopicReference.Name name -> boxed (shrinkTopic name |> Seq.map TopicReference.Name)
        | TopicReference.Alias _ -> Seq.empty
    | :? Outcome<AcknowledgementProperties> as outcome -> shrinkOutcome outcome
    | :? Outcome<DisconnectProperties> as outcome -> shrinkOutcome outcome
    | :? PacketId
    | :? TopicAlias -> Seq.empty
    | record when FSharpType.IsRecord(record.GetType()) ->
        let kind = record.GetType()

        shrinkFields [| for field in FSharpValue.GetRecordFields record -> field |] (fun fields ->
            FSharpValue.MakeRecord(kind, fields))
    | union when FSharpType.IsUnion(union.GetType()) ->
        let kind = union.GetType()
        let case, fields = FSharpValue.GetUnionFields(union, kind)

        let dropped =
            if case.Name = "ValueSome" then
                let none =
                    FSharpType.GetUnionCases kind
                    |> Array.find (fun case -> case.Name = "ValueNone")

                [ FSharpValue.MakeUnion(none, [||]) ]
            else
                []

        Seq.append dropped (shrinkFields fields (fun fields -> FSharpValue.MakeUnion(case, fields)))
    | _ -> Seq.empty

and private shrinkFields (fields: objnull[]) (make: objnull[] -> objnull) : seq<objnull> =
    seq {
        for index in 0 .. fields.Length - 1 do
            for smaller in shrinkValue fields[index] do
                make (Array.updateAt index smaller fields)
    }

and private shrinkOutcome<'Properties> (outcome: Outcome<'Properties>) : seq<objnull> =
    match outcome with
    | Outcome.Omitted -> Seq.empty
    | Outcome.Code _ -> boxed [ (Outcome.Omitted: Outcome<'Properties>) ]
    | Outcome.Full(reason, properties) ->
        seq {
            box (Outcome.Code reason: Outcome<'Properties>)

            for smaller in shrinkValue (box properties) do
                box (Outcome.Full(reason, unbox<'Properties> smaller))
        }

/// The packets that are one step smaller.
let shrinkPacket (packet: Packet) : seq<Packet> = shrinkValue packet |> Seq.map unbox<Packet>

/// Packets that are smaller and valid in this direction and version.
let shrinkPacketIn (version: ProtocolVersion) (direction: Direction) (packet: Packet) : seq<Packet> =
    shrinkPacket packet
    |> Seq.filter (fun smaller -> (Encode.checkIn version direction smaller).IsNone)
