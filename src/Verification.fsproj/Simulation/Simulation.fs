namespace Mqtt5.Verification

open System
open System.Collections.Generic
open System.Text
open Mqtt5

/// What came of a simulated run.
[<NoComparison>]
type SimulationResult =
    {
        /// The scenario that was run.
        Scenario: Scenario
        /// The rules that were broken, at the broker and at the clients; none if all went well.
        Violations: IReadOnlyList<Violation>
        /// Packets that were sent by clients or received by them.
        Packets: int64
        /// How much virtual time passed, in milliseconds.
        Duration: int64<ms>
    }

    /// True when no rule was broken.
    member this.IsClean = this.Violations.Count = 0

    /// The rules that were broken, the seed, and the script that replays the run with <c>Simulation.replay</c>.
    override this.ToString() =
        let text = StringBuilder()

        for violation in Seq.truncate 20 this.Violations do
            text.Append("# ").Append(violation).Append('\n') |> ignore

        text.Append(ScenarioNotation.print this.Scenario).ToString()

// One world: a broker, clients, a network, and those who watch.
[<Sealed; AllowNullLiteral(false)>]
type private World(machines: Machines, scenario: Scenario, tap: ISimulationTap | null) =
    let agenda = Agenda()
    let dice = Dice scenario.Seed

    let brokerModel =
        BrokerModel
            {
                CopyForEachSubscription = false
                MayDrop = false
                Lateness = (if scenario.Broker.SuspendsTurns then 600L<ms> else 100L<ms>)
                // A turn that waited has the time of its beginning.
                Earliness = (if scenario.Broker.SuspendsTurns then 500L<ms> else 0L<ms>)
                MayDropAtUnsubscribe = false
                MayDropWillAtReturn = false
                MayWaitForPubrel = false
                MayLoseSharedMessages = false
                MaySendRetainedAfterUnsuback = false
                MayOvertakePublish = false
                MayDuplicateRetained = false
            }

    let inner = List<Violation>()
    let clients = Dictionary<string, SimulatedClient>()
    let models = Dictionary<string, ClientModel>()
    let links = List<Link>()
    let limits = BrokerLimits.Default

    let settings =
        { BrokerSettings.Default with
            SharedSubscriptionsBeforeV5 = scenario.Broker.SharesBeforeV5
            Limits =
                { limits with
                    ReceiveMaximum = scenario.Broker.ReceiveMaximum
                    InFlightMessages = scenario.Broker.InFlightMessages
                    TopicAliasMaximum = scenario.Broker.TopicAliases
                    OutboundTopicAliases = scenario.Broker.TopicAliases
                    MaximumPacketBytes = scenario.Broker.MaximumPacketBytes
                    QueuedMessages = 100_000
                }
        }

    let unsound (who: string) (breach: string) =
        inner.Add
            {
                At = agenda.Now
                Client = who
                Clause = "sound"
                Expected = "a state that the machine can be in"
                Seen = breach
            }

    let mutable brokerNow: unit -> Instant = fun () -> agenda.Now

    let seen name what number =
        brokerModel.Observe(brokerNow (), name, number, what)

        if brokerModel.Violations.Count >= World.MostViolations then
            agenda.Stop()

    let isDenied (topic: string) = topic.StartsWith "denied/"

    let written direction (link: Link) (bytes: byte[]) =
        match tap with
        | null -> ()
        | tap -> tap.Sent(agenda.Now, link.Ordinal, direction, bytes)

    let broker =
        SimulatedBroker(
            agenda,
            machines,
            settings,
            DeniedTopics isDenied,
            (fun _ _ -> Judgement.Accepted(ValueNone, ValueNone)),
            scenario.Broker,
            BrokerThreads.Of scenario.Seed,
            (fun link ->
                match tap with
                | null -> ()
                | tap -> tap.Closed(agenda.Now, link.Ordinal, ServerToClient)

                brokerModel.Observe(
                    brokerNow (),
                    link.Client,
                    link.Number,
                    Observed.LostByBroker link.IsComplete
                )),
            written ServerToClient,
            unsound "broker"
        )

    let connect (client: SimulatedClient) =
        let toBroker = Pipe(agenda, dice)
        let toClient = Pipe(agenda, dice)
        let link = Link(client.Name, client.NextConnection(), links.Count + 1, toBroker, toClient)
        links.Add link

        match tap with
        | null -> ()
        | tap -> tap.Opened(agenda.Now, link.Ordinal)

        broker.Accept link
        client.Opened link

    // Both ends notice, each in its time.
    let cut (link: Link) =
        link.ToBroker.Cut()
        link.ToClient.Cut()
        let when' () = if dice.Once 2 then 1L<ms> else int64 (dice.Below 8_000) * 1L<ms>
        agenda.After(when' (), (fun () -> broker.Lost link))
        agenda.After(when' (), (fun () -> clients[link.Client].Lost link))

    let onLink name action =
        match clients[name].Link with
        | null -> ()
        | link -> action link

    let perform (action: SimulationAction) =
        match action with
        | SimulationAction.Start name -> clients[name].Start()
        | SimulationAction.Publish(name, packet) -> clients[name].Publish packet
        | SimulationAction.Subscribe(name, packet) -> clients[name].Subscribe packet
        | SimulationAction.Unsubscribe(name, packet) -> clients[name].Unsubscribe packet
        | SimulationAction.Cancel name -> clients[name].Cancel()
        | SimulationAction.Disconnect(name, reason) -> clients[name].Disconnect reason
        | SimulationAction.Speak(name, version) -> clients[name].Speak version
        | SimulationAction.Hold(name, duration) -> clients[name].Hold(agenda.Now + duration)
        | SimulationAction.Crash name -> clients[name].Crash()
        | SimulationAction.Cut name -> onLink name cut
        | SimulationAction.Close name -> clients[name].Close()
        | SimulationAction.HalfClose(name, direction) ->
            onLink name (fun link ->
                link.IsSilent <- true

                if direction = ClientToServer then
                    link.ToBroker.Cut()
                else
                    link.ToClient.Cut())
        | SimulationAction.Stall(name, duration) ->
            onLink name (fun link ->
                link.ToBroker.Block(agenda.Now + duration)
                link.ToClient.Block(agenda.Now + duration)
                agenda.After(duration + 100L<ms>, (fun () -> broker.Drained link)))
        | SimulationAction.JumpClient(name, duration) -> clients[name].Jump duration
        | SimulationAction.JumpBroker duration -> broker.Jump duration
        | SimulationAction.RestartBroker durable ->
            let open' = links.FindAll(fun link -> not link.ClientIsDone)

            broker.Restart durable
            brokerModel.Observe(brokerNow (), "", 0, Observed.BrokerRestarted durable)

            for link in open' do
                link.ToBroker.Cut()
                link.ToClient.Cut()
                agenda.After(int64 (dice.Below 2_000) * 1L<ms>, (fun () -> clients[link.Client].Lost link))

    // No more faults: what is broken breaks for good, and all clients go on.
    let heal () =
        for client in clients.Values do
            client.Release()

        for link in links do
            if not (link.ClientIsDone && link.BrokerIsDone) then
                if link.IsSilent || link.ToBroker.IsCut || link.ToClient.IsCut then
                    cut link
                else
                    broker.Drained link

    do
        brokerModel.MayPublish <- isDenied >> not
        broker.Paused <- fun client -> brokerModel.Observe(brokerNow (), client, 0, Observed.RetainedPaused)
        brokerModel.SharesBeforeV5 <- scenario.Broker.SharesBeforeV5
        brokerNow <- fun () -> broker.Now

        for index, one in Array.indexed scenario.Clients do
            let name = one.Connect.ClientId.Value.Text
            let model = ClientModel name
            models[name] <- model

            clients[name] <-
                SimulatedClient(
                    agenda,
                    dice,
                    machines,
                    one,
                    scenario.Seed + uint64 index,
                    model,
                    (fun what number -> seen name what number),
                    connect,
                    written ClientToServer,
                    unsound name
                )

    // Time enough for every delay and for every message that waits.
    static member QuietTime = 120_000L<ms>

    // A run ends after so many: a client that is sent what it refuses connects again some milliseconds later, for ever, and
    // the models remember every one of these connections.
    static member MostViolations = 100

    member _.Run() : SimulationResult =
        for step in scenario.Steps do
            agenda.At(step.At, (fun () -> perform step.Action))

        agenda.At(scenario.HealedAt, heal)
        let until = scenario.HealedAt + World.QuietTime
        agenda.Run until
        let found = List<Violation>(brokerModel.Finish(brokerNow ()))

        for KeyValue(name, model) in models do
            found.AddRange(model.Finish(clients[name].Now))

        found.AddRange inner

        {
            Scenario = scenario
            Violations = found
            Packets = brokerModel.Packets
            Duration = until
        }

/// Runs simulated worlds: clients and a broker made of machines, a network between them that carries real bytes, and
/// the naive models that watch. One run uses one thread; runs can go on at the same time.
[<RequireQualifiedAccess>]
module Simulation =

    /// Runs a scenario with these machines. The tap sees the bytes, if there is one.
    [<CompiledName("RunWith")>]
    let runWith (machines: Machines) (tap: ISimulationTap | null) (scenario: Scenario) : SimulationResult =
        World(machines, scenario, tap).Run()

    /// Runs a scenario with the machines of the core.
    [<CompiledName("Run")>]
    let run (scenario: Scenario) : SimulationResult = runWith Machines.Real null scenario

    /// Runs the scenario of a seed with the machines of the core.
    [<CompiledName("RunSeed")>]
    let runSeed (seed: uint64) : SimulationResult = run (Scenarios.ofSeed seed)

    /// Runs a script, as a failure prints it. Throws <see cref="T:System.FormatException"/> for a text that is none.
    [<CompiledName("Replay")>]
    let replay (script: string) : SimulationResult = run (ScenarioNotation.parse script)

    /// A scenario with fewer steps that still breaks the rule that a result broke first. Runs it some hundred times.
    [<CompiledName("Minimise")>]
    let minimise (machines: Machines) (result: SimulationResult) : SimulationResult =
        let clause = result.Violations[0].Clause
        let mutable least = result
        let mutable going = true
        let mutable runs = 0

        while going do
            let smaller =
                Scenarios.shrink least.Scenario
                |> Seq.map (fun scenario ->
                    runs <- runs + 1
                    runWith machines null scenario)
                |> Seq.takeWhile (fun _ -> runs < 2_000)
                |> Seq.tryFind (fun result ->
                    result.Violations |> Seq.exists (fun violation -> violation.Clause = clause))

            match smaller with
            | Some found -> least <- found
            | None -> going <- false

        least
