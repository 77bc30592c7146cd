/// Turns bytes into a run of a client: three bytes a command, so that any bytes are a run and shrinking them gives a
/// shorter one.
module Mqtt5.Tests.ClientModelCommands

open System
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.ClientModel
open Mqtt5.Tests.ClientModelRun

let private pick (choices: 'T[]) (by: byte) = choices[int by % choices.Length]

let private reconnect: Backoff = { InitialDelay = 100L<ms>; MaximumDelay = 1_000L<ms>; Jitter = 0.5 }

/// Settings by three bytes.
let settingsOf (a: byte) (b: byte) (c: byte) : ClientSettings =
    { ClientSettings.Default with
        CleanStart = a &&& 1uy = 0uy
        ClientId = ValueSome(ClientId.Of "c")
        KeepAlive = pick [| 0us<s>; 1us<s>; 60us<s> |] (a >>> 1)
        Properties =
            { ConnectProperties.Empty with
                ReceiveMaximum = pick [| ValueNone; ValueSome 1us; ValueSome 3us |] (a >>> 3)
                TopicAliasMaximum = ValueSome 3us
                RequestProblemInformation = pick [| ValueNone; ValueSome true |] (a >>> 5)
            }
        ServerCount = 1 + int (b &&& 1uy)
        Reconnect = if b &&& 14uy = 0uy then ValueNone else ValueSome reconnect
        RetryFirstConnection = b &&& 16uy <> 0uy
        FollowServerReference = b &&& 32uy <> 0uy
        Queue =
            {
                MaximumMessages = pick [| 3; 5; 1_000 |] c
                MaximumBytes = pick [| 30L; 1_000_000L |] (c >>> 2)
                WhenFull = if c &&& 64uy = 0uy then WhenFull.Refuse else WhenFull.DropOldest
                KeepQoS0 = c &&& 128uy = 0uy
            }
        TopicAliasLimit = 2us
        TransportBufferBytes = pick [| 1L; 20L; 1_000_000L |] (c >>> 4)
    }

let private reasons =
    [|
        ReasonCode.Success
        ReasonCode.Success
        ReasonCode.NoMatchingSubscribers
        ReasonCode.QuotaExceeded
        ReasonCode.NotAuthorized
    |]

let private reasonFor kind by =
    if kind = PacketType.Pubcomp then
        pick [| ReasonCode.Success; ReasonCode.PacketIdentifierNotFound |] by
    else
        pick reasons by

let private connack (b: byte) (c: byte) : Connack =
    let properties =
        { ConnackProperties.Empty with
            ReceiveMaximum = pick [| ValueSome 1us; ValueSome 2us; ValueSome 3us; ValueNone |] (b >>> 1)
            TopicAliasMaximum = pick [| ValueNone; ValueSome 1us; ValueSome 9us |] (b >>> 3)
            MaximumQoS = if c &&& 7uy = 0uy then ValueSome QoS.AtLeastOnce else ValueNone
            RetainAvailable = if c &&& 24uy = 0uy then ValueSome false else ValueNone
            MaximumPacketSize = if c &&& 96uy = 0uy then ValueSome 20u else ValueNone
            WildcardSubscriptionAvailable = if c &&& 0x88uy = 0uy then ValueSome false else ValueNone
        }

    if b >= 250uy then
        { SessionPresent = false; Reason = ReasonCode.ServerBusy; Properties = properties }
    else
        {
            SessionPresent = b &&& 1uy <> 0uy
            Reason = ReasonCode.Success
            Properties = properties
        }

let private filters = [| "f/0"; "f/1"; "f/+"; "$share/g/f/#" |] |> Array.map TopicFilter.Of

let private subscribe (b: byte) (c: byte) : SubscribeRequest =
    let chosen =
        [
            pick filters b
            if c &&& 1uy <> 0uy then
                pick filters (b >>> 2)
        ]

    {
        Subscriptions =
            SubscriptionList.Of(
                chosen
                |> List.map (fun filter ->
                    { Filter = filter; Options = SubscriptionOptions.Of QoS.ExactlyOnce })
            )
        Identifier = if c &&& 2uy <> 0uy then ValueSome 7u else ValueNone
        UserProperties = UserProperties.Empty
    }

let private packetOf (kind: byte) : Packet =
    match kind % 5uy with
    | 0uy ->
        Packet.Connack
            {
                SessionPresent = false
                Reason = ReasonCode.Success
                Properties = ConnackProperties.Empty
            }
    | 1uy -> Packet.Pingreq
    | 2uy ->
        Packet.Auth
            {
                Reason = ReasonCode.ContinueAuthentication
                Authentication = { Method = Utf8String.Of "other"; Data = ValueNone }
                ReasonString = ValueNone
                UserProperties = UserProperties.Empty
            }
    | 3uy -> Packet.Disconnect(Outcome.Code ReasonCode.ServerBusy)
    | _ ->
        Packet.Disconnect(
            Outcome.Full(
                ReasonCode.UseAnotherServer,
                { DisconnectProperties.Empty with ServerReference = ValueSome(Utf8String.Of "elsewhere") }
            )
        )

let private auth (reason: ReasonCode) : Packet =
    Packet.Auth
        {
            Reason = reason
            Authentication = { Method = Utf8String.Of "m"; Data = ValueNone }
            ReasonString = ValueNone
            UserProperties = UserProperties.Empty
        }

// The right acknowledgement of a message under way.
let private acknowledgeOne (run: Run) (b: byte) (c: byte) =
    if run.Sending.Sent.Count > 0 then
        let one = run.Sending.Sent[int b % run.Sending.Sent.Count]

        let kind =
            match one.Stage with
            | Puback -> PacketType.Puback
            | Pubrec -> PacketType.Pubrec
            | Pubcomp -> PacketType.Pubcomp

        run.Acknowledged(kind, one.Id, reasonFor kind (c >>> 1), c &&& 1uy = 0uy)

let private answerOne (run: Run) (b: byte) (c: byte) (wrong: bool) =
    if run.State.IsConnected && run.Sending.Requests.Count > 0 then
        let entry = Seq.item (int b % run.Sending.Requests.Count) run.Sending.Requests
        let struct (kind, count) = entry.Value
        let count = if wrong then count + 1 else count

        let reason index =
            let failed = (int c >>> index) &&& 3 = 3

            if kind = PacketType.Suback then
                if failed then ReasonCode.NotAuthorized else ReasonCode.GrantedQoS1
            else if failed then
                ReasonCode.NoSubscriptionExisted
            else
                ReasonCode.Success

        run.Answer(entry.Key, kind, Array.init count reason, wrong)

let private progress (run: Run) (b: byte) (c: byte) =
    match run.State.Phase with
    | ClientPhase.Idle -> run.Start()
    | ClientPhase.Ended ->
        if c < 128uy then
            run.Start()
    | ClientPhase.Opening _ -> if b < 240uy then run.OpenTransport() else run.CloseTransport()
    | ClientPhase.Connecting _ ->
        if run.IsChallenged then
            run.AnswerChallenge()
        else
            run.Connack(connack b c)
    | ClientPhase.Waiting until ->
        run.Advance(max 0L<ms> (until - run.Now))
        run.Do(ClientEvent.Tick(Traffic.At run.Now))
    | ClientPhase.Connected ->
        match b % 4uy with
        | 0uy -> answerOne run b c false
        | 1uy when run.Receiving.Held.Count > 0 ->
            let one = run.Receiving.Held[int c % run.Receiving.Held.Count]

            if one.AwaitsPubrel then
                run.Released one.Id
            else
                run.Acknowledge(one.Token, reasonFor PacketType.Puback (c >>> 2))
        | _ -> acknowledgeOne run b 0uy

/// Does one command.
let command (run: Run) (a: byte) (b: byte) (c: byte) : unit =
    let qos: QoS = LanguagePrimitives.EnumOfValue(b % 3uy)

    match a % 32uy with
    | 0uy
    | 1uy
    | 2uy
    | 3uy ->
        let lifetime = pick [| ValueNone; ValueNone; ValueSome 1u; ValueSome 3u |] c
        let isSilent = run.State.Settings.Queue.WhenFull = WhenFull.Refuse && c >= 224uy
        run.Publish(pick [| "t/0"; "t/1"; "t/2" |] (b >>> 2), qos, b >= 200uy, lifetime, isSilent)
    | 4uy -> run.Do(ClientEvent.Subscribe(subscribe b c, Ticket(run.NewTicket())))
    | 5uy ->
        run.Do(
            ClientEvent.Unsubscribe(
                {
                    Filters = TopicFilterList.Of [ pick filters b; pick filters (b >>> 2) ]
                    Subscriber = Ticket(int64 c % (run.LastTicket + 1L))
                    UserProperties = UserProperties.Empty
                },
                Ticket(run.NewTicket())
            )
        )
    | 6uy -> run.Do(ClientEvent.Cancel(Ticket(int64 b % (run.LastTicket + 2L) - 1L)))
    | 7uy
    | 8uy ->
        let token = run.Tokens[int b % run.Tokens.Count]
        run.Acknowledge(token, reasonFor PacketType.Puback c)
    | 9uy
    | 10uy
    | 11uy -> acknowledgeOne run b c
    | 12uy ->
        let kind = pick [| PacketType.Puback; PacketType.Pubrec; PacketType.Pubcomp |] b
        run.Acknowledged(kind, 1us + uint16 (b >>> 2) % 6us, reasonFor kind (c >>> 1), c &&& 1uy = 0uy)
    | 13uy
    | 14uy
    | 15uy -> run.Arrives(1us + uint16 (c >>> 1) % 5us, qos, c &&& 1uy <> 0uy)
    | 16uy -> run.Released(1us + uint16 b % 5us)
    | 17uy -> answerOne run b c (c >= 230uy)
    | 18uy ->
        run.Advance(pick [| 1L<ms>; 300L<ms>; 1_100L<ms>; 20_000L<ms> |] b)

        run.Do(
            ClientEvent.Tick
                {
                    LastSent = run.Now - pick [| 0L<ms>; 500L<ms>; 30_000L<ms> |] c
                    LastReceived = run.Now - pick [| 0L<ms>; 2_500L<ms>; 70_000L<ms> |] (c >>> 2)
                    LastPing = run.Now - pick [| 0L<ms>; 20_000L<ms> |] (c >>> 4)
                }
        )
    | 19uy ->
        match run.State.Phase with
        | ClientPhase.Opening _
        | ClientPhase.Connecting _
        | ClientPhase.Connected -> run.CloseTransport()
        | _ -> ()
    | 20uy ->
        if run.State.IsConnected then
            run.Breach(ClientEvent.Received(packetOf b))
    | 21uy ->
        if run.State.IsConnected && c < 128uy then
            let fault =
                Fault.malformed PacketType.Publish 0L "Topic Name" "MQTT-1.5.4-1" "the text is not UTF-8"

            run.Breach(ClientEvent.ReceivedFault fault)
        else
            run.Do(ClientEvent.Received Packet.Pingresp)
    | 22uy ->
        if c < 60uy then
            run.Disconnect()
        elif c < 120uy then
            run.Start()
    | 23uy ->
        match b % 4uy with
        | 0uy -> run.Reauthenticate()
        | 1uy -> run.AnswerChallenge()
        | 2uy when c < 100uy -> run.GiveUp()
        | _ ->
            if run.State.Phase.IsConnecting || not run.State.Connection.Reauthentication.IsNone then
                run.Do(
                    ClientEvent.Received(
                        auth (pick [| ReasonCode.ContinueAuthentication; ReasonCode.Success |] c)
                    )
                )
    | 24uy -> run.Do(ClientEvent.TransportRoom(if c < 128uy then 0L else pick [| 1L; 20L; 1_000_000L |] c))
    | _ -> progress run b c

/// Does all commands, then ends the client.
let runAll (bytes: byte[]) : Run =
    let at index = if index < bytes.Length then bytes[index] else 0uy
    let run = Run(settingsOf (at 0) (at 1) (at 2), at 3 &&& 7uy = 0uy)
    let mutable index = 4

    while index + 2 < bytes.Length do
        command run bytes[index] bytes[index + 1] bytes[index + 2]
        index <- index + 3

    run.Disconnect()
    run

/// Runs of up to 100 commands.
let runs: Arbitrary<byte[]> =
    let generate =
        gen {
            let! length = Gen.choose (10, 100)
            return! Gen.arrayOfLength (4 + 3 * length) (Gen.choose (0, 255) |> Gen.map byte)
        }

    // Whole commands are left out; the rest stays as it is.
    let shrink (bytes: byte[]) =
        seq {
            let commands = (bytes.Length - 4) / 3

            for size in [ commands / 2; commands / 4; commands / 8; 1 ] do
                if size > 0 then
                    for start in 0..size .. commands - size do
                        Array.append bytes[.. 3 + 3 * start] bytes[4 + 3 * (start + size) ..]
        }

    Arb.fromGenShrink (generate, shrink)
