namespace Mqtt5.Verification

open System
open Mqtt5
open Mqtt5.Verification

/// How a recording is played again.
[<NoComparison>]
type ReplaySettings =
    {
        /// How many times as fast as it was recorded; positive infinity: without waiting.
        Speed: float
        /// How long an answer may take that the recording has, in milliseconds.
        Patience: int64<ms>
        /// The User Name in the place of those of the recording; absent: they stay.
        UserName: string voption
        /// The password in the place of those of the recording; absent: they stay.
        Password: Bytes voption
    }

/// What happens to a replay.
[<RequireQualifiedAccess; NoComparison>]
type ReplayInput =
    /// It begins, or time has passed.
    | Tick
    /// A connection that was asked for is open.
    | Opened of Connection: int
    /// It could not be opened.
    | NotOpened of Connection: int * Why: string
    /// The server sent a packet.
    | Received of Connection: int * Packet: Packet
    /// The server sent bytes that are no packet.
    | Broken of Connection: int * Detail: string
    /// The server has closed the connection.
    | Closed of Connection: int

/// What a replay wants done.
[<RequireQualifiedAccess; NoComparison>]
type ReplayDemand =
    /// Open a connection.
    | Open of Connection: int
    /// Write bytes to it.
    | Write of Connection: int * Bytes: Bytes
    /// Close it.
    | Close of Connection: int

/// Something that did not go as in the recording.
[<NoComparison>]
type ReplayFailure =
    {
        /// When, in milliseconds from the beginning.
        At: int64<ms>
        /// The number of the connection.
        Connection: int
        /// What, as a sentence without a full stop. It holds no secret.
        Detail: string
    }

[<NoComparison>]
type private LiveConnection =
    {
        IsOpen: bool
        // Nothing more is sent: it was refused, lost or closed.
        IsOver: bool
        HasLeft: bool
        // What has come, and what is no longer waited for.
        Counts: Map<struct (PacketType * uint16), int>
        // The identifiers of the client's messages and requests under way.
        InUse: Set<uint16>
        // The messages under way that take a place of the Receive Maximum.
        UnderWay: Set<uint16>
        ReceiveMaximum: int
        AliasMaximum: uint16
        IsResumed: bool
        KeepAlive: int64<ms>
        IsAccepted: bool
        LastSent: int64<ms>
        Messages: int
    }

/// A replay: a state that changes with what a server does and says what goes out. Pure.
[<NoComparison>]
type ReplayRun =
    private
        {
            Settings: ReplaySettings
            Plan: ReplayPlan
            // The place of the next step.
            Next: int
            Live: Map<int, LiveConnection>
            Found: ReplayFailure list
            Base: Instant
            Now: int64<ms>
            // Since when the next step could go out but for what it waits for.
            Since: int64<ms>
            Due: int64<ms>
        }

    /// When the replay wants to be told that time has passed, on its clock.
    member this.Deadline = this.Due

    /// Whether all steps are done.
    member this.IsDone = this.Next >= this.Plan.Steps.Length

    /// What did not go as in the recording, in order.
    member this.Failures: ReplayFailure[] = this.Found |> List.rev |> Array.ofList

    /// The messages that came.
    member this.MessagesReceived = this.Live |> Map.fold (fun sum _ one -> sum + one.Messages) 0

    /// The messages that came when it was recorded.
    member this.MessagesRecorded = this.Plan.Connections |> Map.fold (fun sum _ one -> sum + one.Messages) 0

/// Starts and steps replays.
///
/// Packets go out in the order and at the times of the recording, each after the answers that the recorded client had got
/// before it. Acknowledgements go out as the live server's packets ask for them. A message waits while its Packet Identifier
/// is in use or the Receive Maximum of the live server is reached; it has its Topic Name where the live server takes fewer
/// Topic Aliases, and DUP 0 where the live session is new. PINGREQ goes out besides where the Keep Alive asks for it.
[<RequireQualifiedAccess>]
module ReplayRun =

    // How long messages are waited for that the recorded client had got when it left.
    let private MessagesTime = 1_000L<ms>

    let private newConnection =
        {
            IsOpen = false
            IsOver = false
            HasLeft = false
            Counts = Map.empty
            InUse = Set.empty
            UnderWay = Set.empty
            ReceiveMaximum = int UInt16.MaxValue
            AliasMaximum = 0us
            IsResumed = false
            KeepAlive = 0L<ms>
            IsAccepted = false
            LastSent = 0L<ms>
            Messages = 0
        }

    /// A replay that begins at 0 on its clock.
    [<CompiledName("Start")>]
    let start (settings: ReplaySettings) (plan: ReplayPlan) : ReplayRun =
        {
            Settings = settings
            Plan = plan
            Next = 0
            Live = Map.empty
            Found = []
            Base = if plan.Steps.Length = 0 then 0L<ms> else plan.Steps[0].At
            Now = 0L<ms>
            Since = 0L<ms>
            Due = 0L<ms>
        }

    let private liveOf number (run: ReplayRun) =
        match run.Live.TryGetValue number with
        | true, live -> live
        | _ -> newConnection

    let private withLive number live (run: ReplayRun) = { run with Live = run.Live.Add(number, live) }

    let private recordedOf number (run: ReplayRun) = run.Plan.Connections[number]

    let private fail number detail (run: ReplayRun) =
        { run with Found = { At = run.Now; Connection = number; Detail = detail } :: run.Found }

    let private over number (run: ReplayRun) = withLive number { liveOf number run with IsOver = true } run

    let private send number (packet: Packet) (run: ReplayRun) : struct (ReplayRun * ReplayDemand list) =
        let live = liveOf number run

        match Encode.toBytes ClientToServer packet with
        // [MQTT-3.14.4-1]
        | _ when live.HasLeft || live.IsOver -> struct (run, [])
        | Ok bytes ->
            struct (withLive number { live with LastSent = run.Now } run,
                    [ ReplayDemand.Write(number, Bytes.OfArray bytes) ])
        | Error fault ->
            struct (fail number $"{(Spec.packet packet.Type).Name} cannot be sent: {fault.Detail}" run, [])

    let private acknowledge number make (id: PacketId) run =
        send number (make { PacketId = id; Outcome = Outcome.Omitted }) run

    let private nameOf (packet: PacketType) (id: uint16) =
        if id = 0us then
            (Spec.packet packet).Name
        else
            $"{(Spec.packet packet).Name} for Packet Identifier {id}"

    // Counts an answer, and compares it with that of the recording.
    let private count number (packet: Packet) (run: ReplayRun) =
        match ReplayAnswers.ofPacket packet with
        | ValueNone -> run
        | ValueSome(struct (kind, id, isFailure)) ->
            let live = liveOf number run

            let place =
                match live.Counts.TryGetValue(struct (kind, id)) with
                | true, count -> count + 1
                | _ -> 1

            let counts = live.Counts.Add(struct (kind, id), place)

            // After a PUBREC of failure no PUBCOMP comes.
            let counts =
                if kind = PacketType.Pubrec && isFailure then
                    match counts.TryGetValue(struct (PacketType.Pubcomp, id)) with
                    | true, count -> counts.Add(struct (PacketType.Pubcomp, id), count + 1)
                    | _ -> counts.Add(struct (PacketType.Pubcomp, id), 1)
                else
                    counts

            let run = withLive number { live with Counts = counts } run

            if
                isFailure
                && (recordedOf number run).Successes.Contains(struct (kind, id, place))
            then
                fail
                    number
                    $"{Notation.printRedacted packet} refuses what the recorded server did not refuse"
                    run
            else
                run

    let private free (id: PacketId) (live: LiveConnection) =
        { live with InUse = live.InUse.Remove id.Value; UnderWay = live.UnderWay.Remove id.Value }

    let private received number (packet: Packet) (run: ReplayRun) =
        let run = count number packet run
        let live = liveOf number run
        let quiet live = struct (withLive number live run, [])

        match packet with
        | Packet.Connack connack when byte connack.Reason >= 0x80uy -> quiet { live with IsOver = true }
        | Packet.Connack connack ->
            let properties = connack.Properties

            quiet
                { live with
                    IsAccepted = true
                    IsResumed = connack.SessionPresent
                    ReceiveMaximum = int (ValueOption.defaultValue UInt16.MaxValue properties.ReceiveMaximum)
                    AliasMaximum = ValueOption.defaultValue 0us properties.TopicAliasMaximum
                    KeepAlive =
                        match properties.ServerKeepAlive with
                        | ValueSome seconds -> int64 seconds * 1_000L<ms>
                        | ValueNone -> live.KeepAlive
                }
        | Packet.Publish publish ->
            let next = withLive number { live with Messages = live.Messages + 1 } run

            match publish.Delivery with
            | Delivery.AtMostOnce -> struct (next, [])
            | Delivery.AtLeastOnce(id, _) -> acknowledge number Packet.Puback id next
            | Delivery.ExactlyOnce(id, _) -> acknowledge number Packet.Pubrec id next
        | Packet.Pubrel one -> acknowledge number Packet.Pubcomp one.PacketId run
        | Packet.Pubrec one when byte one.Outcome.Reason < 0x80uy ->
            acknowledge number Packet.Pubrel one.PacketId run
        | Packet.Pubrec one
        | Packet.Puback one
        | Packet.Pubcomp one -> quiet (free one.PacketId live)
        | Packet.Suback one
        | Packet.Unsuback one -> quiet (free one.PacketId live)
        | Packet.Disconnect _ when live.HasLeft || (recordedOf number run).IsEndedByServer ->
            quiet { live with IsOver = true }
        | Packet.Disconnect _ ->
            let run = fail number $"the server sent {Notation.printRedacted packet}" run
            struct (over number run, [])
        | _ -> struct (run, [])

    let private accept (input: ReplayInput) (run: ReplayRun) =
        match input with
        | ReplayInput.Tick -> struct (run, [])
        | ReplayInput.Opened number ->
            struct (withLive number { liveOf number run with IsOpen = true } run, [])
        | ReplayInput.NotOpened(number, why) ->
            struct (run |> fail number $"it cannot be opened: {why}" |> over number, [])
        | ReplayInput.Received(number, packet) -> received number packet run
        | ReplayInput.Broken(number, detail) ->
            struct (run
                    |> fail number $"the server sent bytes that are no packet: {detail}"
                    |> over number,
                    [])
        | ReplayInput.Closed number ->
            let live = liveOf number run

            if live.IsOver || live.HasLeft || (recordedOf number run).IsEndedByServer then
                struct (over number run, [])
            else
                struct (run |> fail number "the server closed the connection" |> over number, [])

    let private withCredentials (settings: ReplaySettings) (connect: Connect) =
        { connect with
            UserName =
                match settings.UserName with
                | ValueSome name -> ValueSome(Utf8String.Of name)
                | ValueNone -> connect.UserName
            Password =
                match settings.Password with
                | ValueSome password when connect.Password.IsSome || settings.UserName.IsSome ->
                    ValueSome(Secret password)
                | _ -> connect.Password
        }

    // A message as the live server takes it.
    let private adapted (live: LiveConnection) (publish: Publish) (topic: TopicName) =
        let isWithinAliases =
            match publish.Topic with
            | TopicReference.Name _ -> true
            | TopicReference.NameAndAlias(_, alias)
            | TopicReference.Alias alias -> alias.Value <= live.AliasMaximum

        { publish with
            Topic = if isWithinAliases then publish.Topic else TopicReference.Name topic
            Delivery =
                match publish.Delivery with
                | Delivery.AtLeastOnce(id, true) when not live.IsResumed -> Delivery.AtLeastOnce(id, false)
                | Delivery.ExactlyOnce(id, true) when not live.IsResumed -> Delivery.ExactlyOnce(id, false)
                | delivery -> delivery
        }

    let private perform (step: ReplayStep) (run: ReplayRun) : struct (ReplayRun * ReplayDemand list) =
        let number = step.Connection
        let live = liveOf number run

        let occupying (id: PacketId) isMessage =
            withLive
                number
                { live with
                    InUse = live.InUse.Add id.Value
                    UnderWay = if isMessage then live.UnderWay.Add id.Value else live.UnderWay
                }
                run

        match step.Action with
        | ReplayAction.Connect -> struct (withLive number newConnection run, [ ReplayDemand.Open number ])
        | ReplayAction.Send(Packet.Connect connect) ->
            let connect = withCredentials run.Settings connect
            let keepAlive = int64 connect.KeepAlive * 1_000L<ms>
            send number (Packet.Connect connect) (withLive number { live with KeepAlive = keepAlive } run)
        | ReplayAction.Send(Packet.Disconnect _ as packet) ->
            let struct (run, demands) = send number packet run
            struct (withLive number { liveOf number run with HasLeft = true } run, demands)
        | ReplayAction.Send(Packet.Subscribe one as packet) ->
            send number packet (occupying one.PacketId false)
        | ReplayAction.Send(Packet.Unsubscribe one as packet) ->
            send number packet (occupying one.PacketId false)
        // What a new session knows nothing of is not released.
        | ReplayAction.Send(Packet.Pubrel _) when not live.IsResumed -> struct (run, [])
        | ReplayAction.Send(Packet.Pubrel one as packet) -> send number packet (occupying one.PacketId true)
        | ReplayAction.Send packet -> send number packet run
        | ReplayAction.Publish(publish, topic) ->
            let run =
                match publish.Delivery.PacketId with
                | ValueSome id -> occupying id true
                | ValueNone -> run

            send number (Packet.Publish(adapted live publish topic)) run
        | ReplayAction.SendBytes bytes -> struct (run, [ ReplayDemand.Write(number, bytes) ])
        | ReplayAction.Missing wireBytes ->
            struct (fail number $"{wireBytes} bytes that are no packet are not in the recording" run, [])
        | ReplayAction.Close ->
            struct (withLive number { live with HasLeft = true; IsOver = true } run,
                    [ ReplayDemand.Close number ])

    let private dueOf (step: ReplayStep) (run: ReplayRun) =
        if Double.IsPositiveInfinity run.Settings.Speed then
            0L<ms>
        else
            int64 (Math.Round(float (step.At - run.Base) / run.Settings.Speed)) * 1L<ms>

    // What a step waits for; absent: nothing.
    let private obstacle (step: ReplayStep) (live: LiveConnection) : string voption =
        let isMissing (answer: ReplayAnswer) =
            match live.Counts.TryGetValue(struct (answer.Packet, answer.Id)) with
            | true, count -> count < answer.Number
            | _ -> true

        let isInUse (id: PacketId) = live.InUse.Contains id.Value

        match step.Action with
        | ReplayAction.Connect -> ValueNone
        | _ when not live.IsOpen -> ValueSome "the connection was not opened"
        | _ when Array.exists isMissing step.After ->
            let answer = Array.find isMissing step.After
            ValueSome $"the recording has {nameOf answer.Packet answer.Id}, and none came"
        | ReplayAction.Send(Packet.Subscribe { PacketId = id })
        | ReplayAction.Send(Packet.Unsubscribe { PacketId = id }) when isInUse id ->
            ValueSome $"Packet Identifier {id} is in use"
        | ReplayAction.Publish({ Delivery = delivery }, _) when delivery.PacketId.IsSome ->
            if isInUse delivery.PacketId.Value then
                ValueSome $"Packet Identifier {delivery.PacketId.Value} is in use"
            elif live.UnderWay.Count >= live.ReceiveMaximum then
                ValueSome $"the Receive Maximum, {live.ReceiveMaximum}, is reached"
            else
                ValueNone
        | _ -> ValueNone

    let private leaves (step: ReplayStep) =
        match step.Action with
        | ReplayAction.Close
        | ReplayAction.Send(Packet.Disconnect _) -> true
        | _ -> false

    // The demands are gathered in reverse.
    let rec private advance (demands: ReplayDemand list) (run: ReplayRun) =
        if run.IsDone then
            struct (run, demands)
        else
            let step = run.Plan.Steps[run.Next]
            let live = liveOf step.Connection run
            let due = dueOf step run

            let next (run: ReplayRun) = { run with Next = run.Next + 1; Since = run.Now }

            let waiting until = struct ({ run with Due = max until (run.Now + 1L<ms>) }, demands)

            let doIt run =
                let struct (run, more) = perform step run
                advance (List.rev more @ demands) (next run)

            if live.IsOver && not step.Action.IsConnect then
                // What is over is closed, and otherwise left out.
                if step.Action.IsClose then doIt run else advance demands (next run)
            elif run.Now < due then
                waiting due
            else
                let from = max due run.Since

                match obstacle step live with
                | ValueSome what when run.Now >= from + run.Settings.Patience ->
                    let run = fail step.Connection $"{what} within {run.Settings.Patience} ms" run

                    if live.IsOpen then
                        doIt run
                    else
                        advance demands (next (over step.Connection run))
                | ValueSome _ -> waiting (from + run.Settings.Patience)
                | ValueNone when
                    leaves step
                    && not live.HasLeft
                    && live.Messages < step.Messages
                    && run.Now < from + MessagesTime
                    ->
                    waiting (from + MessagesTime)
                | ValueNone -> doIt run

    // PINGREQ where nothing else is due in time.
    let private keepAlive (run: ReplayRun) =
        let isDue (live: LiveConnection) =
            live.IsAccepted
            && not live.IsOver
            && not live.HasLeft
            && live.KeepAlive > 0L<ms>
            && run.Now >= live.LastSent + live.KeepAlive * 3L / 4L

        run.Live
        |> Map.filter (fun _ live -> isDue live)
        |> Map.fold
            (fun (struct (run, demands)) number _ ->
                let struct (run, more) = send number Packet.Pingreq run
                struct (run, demands @ more))
            (struct (run, []))

    /// Takes in what happened at this time, and tells what is to be done. To be called at the deadline, and about once a
    /// second.
    [<CompiledName("Step")>]
    let step (run: ReplayRun) (now: int64<ms>) (input: ReplayInput) : struct (ReplayRun * ReplayDemand[]) =
        let struct (run, answers) = accept input { run with Now = now }
        let struct (run, steps) = advance [] run
        let struct (run, pings) = keepAlive run
        struct (run, Array.ofList (answers @ List.rev steps @ pings))
