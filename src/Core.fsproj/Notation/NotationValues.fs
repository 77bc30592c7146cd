namespace Mqtt5

open System
open System.Collections.Generic

// Gives the values of notation their meaning: numbers, texts, topics, reason codes, properties, durations. Names
// and ranges come from Spec.
module internal NotationValues =

    let faultAt at message expected = Error(NotationSyntax.faultAt at message expected)

    type ResultBuilder() =
        member _.Bind(result, next) = Result.bind next result
        member _.Return value = Ok value
        member _.ReturnFrom(result: Result<_, _>) = result

    let result = ResultBuilder()

    let private hidden = "*** stands for a secret that was left out when this was printed"

    // A value that is not of the kind that the field takes.
    let private notA (value: Located<NotationValue>) expected =
        match value.Item with
        | NotationValue.Hidden -> faultAt value hidden expected
        | _ -> faultAt value "the value is of another kind" expected

    let number (minimum: uint32) (maximum: uint32) (value: Located<NotationValue>) =
        let expected = $"a number from {minimum} to {maximum}"

        match value.Item with
        | NotationValue.Number number when number >= uint64 minimum && number <= uint64 maximum ->
            Ok(uint32 number)
        | NotationValue.Number _ -> faultAt value "the number is out of range" expected
        | _ -> notA value expected

    let private textOf (problem: Bytes -> TextProblem voption) make (at: Located<'T>) (utf8: Bytes) =
        match problem utf8 with
        | ValueNone -> Ok(make utf8)
        | ValueSome problem -> faultAt at $"{problem.Detail} [{problem.Clause}]" ""

    let private utf8String (at: Located<'T>) (utf8: Bytes) =
        textOf
            (fun utf8 -> TextRules.utf8Problem utf8.Span)
            (fun utf8 -> Utf8String.OfValid utf8.Span)
            at
            utf8

    let private fromText make (value: Located<NotationValue>) =
        match value.Item with
        | NotationValue.Text utf8 -> make value utf8
        | _ -> notA value "a text in quotes"

    let text value = fromText utf8String value

    let topicName value =
        fromText
            (textOf (fun utf8 -> TextRules.topicNameProblem "MQTT-4.7.0-1" utf8.Span) (fun utf8 ->
                TopicName.OfValid utf8.Span))
            value

    let topicFilter value =
        fromText
            (textOf (fun utf8 -> TextRules.topicFilterProblem utf8.Span) (fun utf8 ->
                TopicFilter.OfValid utf8.Span))
            value

    let payload (value: Located<NotationValue>) =
        match value.Item with
        | NotationValue.Text bytes
        | NotationValue.Binary bytes -> Ok bytes
        | _ -> notA value "bytes as x'...' or as a text in quotes"

    let binaryData (value: Located<NotationValue>) =
        match payload value with
        | Ok bytes when bytes.Length > Spec.MaximumStringBytes ->
            faultAt value "binary data takes more than 65,535 bytes" ""
        | result -> result

    let private reasonsByName =
        let names = Dictionary<string, ReasonCode>()

        for rule in Spec.reasons do
            names.Add(rule.Name, rule.Code)

        names

    let reasonExpected = "the name of a reason code, or a number from 0x00 to 0xFF"

    let reason (value: Located<NotationValue>) : Result<ReasonCode, NotationFault> =
        match value.Item with
        | NotationValue.Number number when number <= 255UL -> Ok(LanguagePrimitives.EnumOfValue(byte number))
        | NotationValue.Number _ -> faultAt value "the number is out of range" reasonExpected
        | NotationValue.Word name ->
            match reasonsByName.TryGetValue name with
            | true, code -> Ok code
            | _ -> faultAt value "there is no reason code of this name" reasonExpected
        | _ -> notA value reasonExpected

    // The properties of one scope, as they come.
    [<NoComparison; NoEquality>]
    type private Properties = { Single: PropertySet; Users: List<UserProperty>; Identifiers: List<uint32> }

    let private propertyValue (rule: PropertyRule) (value: Located<NotationValue>) =
        match rule.Shape with
        | Shape.Byte
        | Shape.Switch
        | Shape.TwoByteInteger
        | Shape.FourByteInteger
        | Shape.VariableByteInteger ->
            number rule.Minimum rule.Maximum value |> Result.map PropertyValue.Number
        | Shape.Utf8EncodedString -> text value |> Result.map PropertyValue.Text
        | Shape.TopicNameString -> topicName value |> Result.map PropertyValue.Topic
        | Shape.BinaryData when rule.Id = PropertyId.AuthenticationData ->
            binaryData value |> Result.map (Secret >> PropertyValue.Secret)
        | Shape.BinaryData -> binaryData value |> Result.map PropertyValue.Binary
        | Shape.Utf8StringPair ->
            match value.Item with
            | NotationValue.Pair(name, content) ->
                result {
                    let! propertyName = utf8String name name.Item
                    let! content = utf8String content content.Item
                    let property = { Name = propertyName; Value = content }
                    return PropertyValue.UserProperties(UserProperties.Of [ property ])
                }
            | _ -> notA value "a pair as (\"name\",\"value\")"

    let private addProperty (scope: Scope) (properties: Properties) (name: Located<string>) value =
        let ids = Spec.propertiesOf scope

        match ids |> Array.tryFind (fun id -> (Spec.property id).Name = name.Item) with
        | None ->
            let names = ids |> Array.map (fun id -> (Spec.property id).Name)
            faultAt name "this property cannot stand here" (NotationSyntax.oneOf names)
        | Some id ->
            let rule = Spec.property id
            let repeatable = rule.Repeatable &&& scope <> Scope.None

            if not repeatable && Map.containsKey id properties.Single then
                faultAt name "this property stands twice" ""
            else
                result {
                    let! value = propertyValue rule value

                    match value with
                    | PropertyValue.UserProperties list ->
                        properties.Users.AddRange list
                        return properties
                    | PropertyValue.Number identifier when repeatable ->
                        properties.Identifiers.Add identifier
                        return properties
                    | value -> return { properties with Single = Map.add id value properties.Single }
                }

    let private addRepeated (properties: Properties) : PropertySet =
        let set = properties.Single

        let set =
            if properties.Users.Count = 0 then
                set
            else
                let users = PropertyValue.UserProperties(UserProperties.Of properties.Users)
                Map.add PropertyId.UserProperty users set

        if properties.Identifiers.Count = 0 then
            set
        else
            let identifiers = SubscriptionIdentifiers.Of properties.Identifiers
            let value = PropertyValue.SubscriptionIdentifiers identifiers
            Map.add PropertyId.SubscriptionIdentifier value set

    let propertySet (scope: Scope) (at: Located<string>) entries : Result<PropertySet, NotationFault> =
        let rec add properties entries =
            match entries with
            | [] -> Ok properties
            | struct (name, value) :: rest ->
                match addProperty scope properties name value with
                | Ok properties -> add properties rest
                | Error fault -> Error fault

        let empty = { Single = Map.empty; Users = List(); Identifiers = List() }

        match add empty entries with
        | Error fault -> Error fault
        | Ok properties ->
            let set = addRepeated properties

            if
                Map.containsKey PropertyId.AuthenticationData set
                && not (Map.containsKey PropertyId.AuthenticationMethod set)
            then
                faultAt at "AuthenticationData stands without its method" "AuthenticationMethod"
            else
                Ok set

    // The sum of numbers with units, which come in the order of the table.
    let duration (units: struct (string * int64)[]) (parts: struct (Located<uint64> * Located<string>) list) =
        let rec add (total: bigint) (allowed: struct (string * int64) list) parts =
            match parts with
            | [] -> Ok(LanguagePrimitives.Int64WithMeasure<ms>(int64 total))
            | struct (number: Located<uint64>, unit: Located<string>) :: rest ->
                match allowed |> List.tryFindIndex (fun struct (name, _) -> name = unit.Item) with
                | None ->
                    let names = allowed |> List.map (fun struct (name, _) -> name)
                    faultAt unit "this unit cannot stand here" (NotationSyntax.oneOf names)
                | Some index ->
                    let struct (_, size) = allowed[index]
                    let total = total + bigint number.Item * bigint size

                    if total > bigint Int64.MaxValue then
                        faultAt number "the duration is longer than 2^63 - 1 milliseconds" ""
                    else
                        add total (List.skip (index + 1) allowed) rest

        add 0I (List.ofArray units) parts
