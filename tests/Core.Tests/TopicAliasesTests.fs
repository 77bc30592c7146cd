module Mqtt5.Tests.TopicAliasesTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses

let private topics = [| for number in 0..7 -> TopicName.Of $"topic/{number}" |]

let private topicOf (number: int) = topics[abs (number % topics.Length)]

let private resolved (result: Result<struct (TopicName * InboundTopicAliases), Fault>) =
    match result with
    | Ok struct (topic, aliases) -> topic, aliases
    | Error fault -> failtest (fault.ToString())

let private refused (result: Result<struct (TopicName * InboundTopicAliases), Fault>) =
    match result with
    | Ok struct (topic, _) -> failtest $"resolved to {topic}"
    | Error fault -> fault

// The naive models: what a reader of section 3.3.2.3.4 would write down.

let private inboundModel maximum (known: Map<uint16, TopicName>) reference =
    match reference with
    | TopicReference.Name name -> Ok name, known
    | TopicReference.NameAndAlias(name, alias) ->
        if alias.Value > maximum then
            Error ReasonCode.TopicAliasInvalid, known
        else
            Ok name, Map.add alias.Value name known
    | TopicReference.Alias alias ->
        if alias.Value > maximum then
            Error ReasonCode.TopicAliasInvalid, known
        else
            match Map.tryFind alias.Value known with
            | Some name -> Ok name, known
            | None -> Error ReasonCode.ProtocolError, known

// Topics with their aliases, the one used last in front.
let private outboundModel maximum (inUse: (TopicName * int) list) (topic: TopicName) =
    match List.tryFind (fun (name, _) -> name = topic) inUse with
    | Some(_, alias) -> $"alias {alias}", (topic, alias) :: List.filter (fun (name, _) -> name <> topic) inUse
    | None when maximum = 0 -> "name", inUse
    | None when inUse.Length < maximum ->
        let alias = inUse.Length + 1
        $"name and alias {alias}", (topic, alias) :: inUse
    | None ->
        let alias = snd (List.last inUse)
        $"name and alias {alias}", (topic, alias) :: List.take (inUse.Length - 1) inUse

let private shown (topic: TopicName) reference =
    match reference with
    | TopicReference.Name name when name = topic -> "name"
    | TopicReference.NameAndAlias(name, alias) when name = topic -> $"name and alias {alias}"
    | TopicReference.Alias alias -> $"alias {alias}"
    | other -> $"another topic: {other}"

let private alias (number: int) = TopicAlias.Of(uint16 number)

let private inboundProperty (maximum: uint16) (steps: (int * int * int) list) =
    let maximum = maximum % 6us

    let folder (aliases: InboundTopicAliases, known) (kind, topic, number) =
        let topic = topicOf topic
        let alias = alias (1 + abs (number % 7))

        let reference =
            match abs (kind % 3) with
            | 0 -> TopicReference.Name topic
            | 1 -> TopicReference.NameAndAlias(topic, alias)
            | _ -> TopicReference.Alias alias

        match aliases.Resolve reference, inboundModel maximum known reference with
        | Ok struct (name, aliases), (Ok expected, known) ->
            Expect.equal name expected "topic"
            aliases, known
        | Error fault, (Error reason, known) ->
            Expect.equal fault.Reason reason "reason code"
            Expect.equal fault.Blame Peer "blame"
            aliases, known
        | _, (expected, _) -> failtest $"{reference} should give {expected}"

    steps
    |> List.fold folder (InboundTopicAliases.Empty(ClientToServer, maximum), Map.empty)
    |> ignore

let private outboundProperty (maximum: uint16) (steps: int list) =
    let maximum = maximum % 6us

    let folder (aliases: OutboundTopicAliases, inUse, receiver: InboundTopicAliases) step =
        let topic = topicOf step
        let struct (reference, aliases) = aliases.Assign topic
        let expected, inUse = outboundModel (int maximum) inUse topic
        Expect.equal (shown topic reference) expected "assignment"
        let read, receiver = resolved (receiver.Resolve reference)
        Expect.equal read topic "what the receiver reads"
        aliases, inUse, receiver

    steps
    |> List.fold
        folder
        (OutboundTopicAliases.Empty maximum, [], InboundTopicAliases.Empty(ServerToClient, maximum))
    |> ignore

let tests =
    testList
        "TopicAliases"
        [
            testPropertyWithConfig config "inbound aliases are those of the naive model" inboundProperty

            testPropertyWithConfig
                config
                "outbound aliases are those of the naive model, and a receiver reads the same topics"
                outboundProperty

            clause [ "MQTT-3.3.2-7" ] "a new connection knows no alias" (fun () ->
                let first = InboundTopicAliases.Empty(ClientToServer, 5us)
                let _, used = resolved (first.Resolve(TopicReference.NameAndAlias(topics[0], alias 1)))
                let name, _ = resolved (used.Resolve(TopicReference.Alias(alias 1)))
                Expect.equal name topics[0] "on the same connection"

                let second = InboundTopicAliases.Empty(ClientToServer, 5us)
                let fault = refused (second.Resolve(TopicReference.Alias(alias 1)))
                Expect.equal fault.Reason ReasonCode.ProtocolError "on another connection"

                let struct (_, assigned) = OutboundTopicAliases.Empty(5us).Assign topics[0]
                let struct (again, _) = assigned.Assign topics[0]
                Expect.equal (shown topics[0] again) "alias 1" "sent on the same connection"
                let struct (fresh, _) = OutboundTopicAliases.Empty(5us).Assign topics[0]
                Expect.equal (shown topics[0] fresh) "name and alias 1" "sent on another connection")

            clause [ "MQTT-3.3.2-9" ] "a client's alias above the maximum is invalid" (fun () ->
                for maximum in [ 0us; 1us; 10us; 65_534us ] do
                    let aliases = InboundTopicAliases.Empty(ClientToServer, maximum)
                    let above = TopicAlias.Of(maximum + 1us)

                    for reference in
                        [ TopicReference.Alias above; TopicReference.NameAndAlias(topics[0], above) ] do
                        let fault = refused (aliases.Resolve reference)
                        Expect.equal fault.Reason ReasonCode.TopicAliasInvalid "reason code"
                        Expect.equal fault.Clause "MQTT-3.3.2-9" "clause")

            clause [ "MQTT-3.3.2-11" ] "a server's alias above the maximum is invalid" (fun () ->
                let aliases = InboundTopicAliases.Empty(ServerToClient, 3us)
                let fault = refused (aliases.Resolve(TopicReference.NameAndAlias(topics[0], alias 4)))
                Expect.equal fault.Reason ReasonCode.TopicAliasInvalid "reason code"
                Expect.equal fault.Clause "MQTT-3.3.2-11" "clause")

            clause
                [ "MQTT-3.3.2-10"; "MQTT-3.3.2-12" ]
                "every alias from 1 to the maximum is taken, by either end"
                (fun () ->
                    for direction in [ ClientToServer; ServerToClient ] do
                        let mutable aliases = InboundTopicAliases.Empty(direction, 65_535us)

                        for number in 1..65_535 do
                            let reference = TopicReference.NameAndAlias(topicOf number, alias number)
                            aliases <- snd (resolved (aliases.Resolve reference))

                        for number in 1..65_535 do
                            let name, _ = resolved (aliases.Resolve(TopicReference.Alias(alias number)))
                            Expect.equal name (topicOf number) "topic of the alias")

            clause
                [ "MQTT-3.3.2-9"; "MQTT-3.3.2-11" ]
                "no alias above the peer's maximum is assigned"
                (fun () ->
                    for maximum in [ 0us; 1us; 2us; 5us ] do
                        let mutable aliases = OutboundTopicAliases.Empty maximum

                        for number in 0..99 do
                            let topic = topicOf (number * number)
                            let struct (reference, next) = aliases.Assign topic
                            aliases <- next

                            match reference with
                            | TopicReference.Name _ -> Expect.equal maximum 0us "a name without an alias"
                            | TopicReference.NameAndAlias(_, alias)
                            | TopicReference.Alias alias ->
                                Expect.isTrue (alias.Value >= 1us && alias.Value <= maximum) "alias in range")

            testCase "the same topic in a row changes nothing" (fun () ->
                let struct (_, once) = OutboundTopicAliases.Empty(2us).Assign topics[0]
                let struct (_, twice) = once.Assign topics[0]
                Expect.isTrue (obj.ReferenceEquals(once, twice)) "outbound"
                let known = TopicReference.NameAndAlias(topics[0], alias 1)
                let _, once = resolved (InboundTopicAliases.Empty(ClientToServer, 2us).Resolve known)
                let _, twice = resolved (once.Resolve known)
                Expect.isTrue (obj.ReferenceEquals(once, twice)) "inbound")
        ]
