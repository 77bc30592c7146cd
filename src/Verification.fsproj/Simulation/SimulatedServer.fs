namespace Mqtt5.Verification

open System.Buffers
open System.Collections.Generic
open Mqtt5

/// What is done on the wire between the clients and the broker of a simulated server. Connections are numbered from 1.
[<NoComparison>]
type WireAction =
    /// These bytes reach the broker.
    | ToServer of Connection: int * Bytes: byte[]
    /// These bytes reach the client.
    | ToClient of Connection: int * Bytes: byte[]
    /// The client sees its connection closed.
    | CloseClient of Connection: int
    /// The broker sees its connection closed.
    | CloseServer of Connection: int
    /// What is below MQTT is not as a statement says, and the client sees it.
    | Violate of Connection: int * Clause: string * Expected: string * Seen: string
    /// Some of this is done later, after a time in milliseconds.
    | Later of Delay: int64<ms> * Actions: WireAction list

/// Stands between the clients and the broker of a simulated server, and decides what arrives. A wire that changes
/// something makes a server with a mistake of a broker without one.
type IServerWire =
    /// A client sent a frame, or the rest of a stream that is none.
    abstract Sent: connection: int * frame: byte[] -> WireAction list
    /// A client sent a message of text, as a WebSocket can.
    abstract SentText: connection: int -> WireAction list
    /// The broker sent a frame.
    abstract Answered: connection: int * frame: byte[] -> WireAction list
    /// A client closed its connection.
    abstract Left: connection: int -> WireAction list
    /// The broker closed its connection.
    abstract Closed: connection: int -> WireAction list

/// A server made of the machines of the core, for a run in virtual time.
[<NoComparison; NoEquality>]
type SimulatedServer =
    {
        /// How its broker behaves.
        Settings: BrokerSettings
        /// The machines.
        Machines: Machines
        /// Whether clients may neither publish nor subscribe to this.
        IsDenied: string -> bool
        /// Judges who wants to sign in, by the number of the connection and its CONNECT or AUTH; it is made anew for each
        /// run.
        Judge: unit -> int -> Packet -> Judgement
        /// Makes the wire before it; it is made anew for each run.
        Wire: unit -> IServerWire
    }

/// Servers for runs in virtual time.
[<RequireQualifiedAccess>]
module SimulatedServer =

    /// A wire that changes nothing.
    [<CompiledName("Straight")>]
    let straight: IServerWire =
        { new IServerWire with
            member _.Sent(connection, frame) = [ ToServer(connection, frame) ]
            // [MQTT-6.0.0-1]
            member _.SentText connection = [ CloseServer connection; CloseClient connection ]
            member _.Answered(connection, frame) = [ ToClient(connection, frame) ]
            member _.Left connection = [ CloseServer connection ]
            member _.Closed connection = [ CloseClient connection ]
        }

    /// The User Name of the one user that it knows.
    [<Literal>]
    let UserName = "probe"

    /// That user's password.
    [<Literal>]
    let Password = "secret"

    /// A broker with the default settings that lets everyone do everything. It knows SCRAM-SHA-256, one user,
    /// and those without a name.
    [<CompiledName("Right")>]
    let right: SimulatedServer =
        {
            Settings = BrokerSettings.Default
            Machines = Machines.Real
            IsDenied = fun _ -> false
            Judge = fun () -> ScramServer.judge UserName Password
            Wire = fun () -> straight
        }

// Cuts a stream into frames. From where it cannot be cut on, it is handed over as it comes.
[<Sealed; AllowNullLiteral(false)>]
type private FrameCutter(direction: Direction, frame: byte[] -> unit) =
    let mutable rest: byte[] = [||]
    let mutable isBroken = false

    member _.Take(bytes: byte[]) : unit =
        rest <- Array.append rest bytes
        let mutable going = rest.Length > 0

        while going do
            let next =
                if isBroken then
                    ValueSome rest.Length
                else
                    match Framer.next direction Spec.MaximumPacketBytes 0L (ReadOnlySequence<byte> rest) with
                    | Framing.Frame length -> ValueSome length
                    | Framing.Incomplete -> ValueNone
                    | Framing.Broken _ ->
                        isBroken <- true
                        ValueSome rest.Length

            match next with
            | ValueSome length ->
                let first = rest[.. length - 1]
                rest <- rest[length..]
                going <- rest.Length > 0
                frame first
            | ValueNone -> going <- false

// A broker, a network, and a run that drives the clients.
[<Sealed; AllowNullLiteral(false)>]
type private PlayWorld(server: SimulatedServer, play: IPlay) =
    let agenda = Agenda()
    let wire = server.Wire()
    let links = List<Link>()
    // What the broker hears of each connection.
    let heard = List<(byte[] | null) -> unit>()
    let current = Dictionary<string, Link>()

    let broker =
        SimulatedBroker(
            agenda,
            server.Machines,
            server.Settings,
            DeniedTopics server.IsDenied,
            server.Judge(),
            SimulatedBrokerSettings.Usual,
            BrokerThreads.InOrder,
            ignore,
            (fun _ _ -> ()),
            ignore
        )

    // No run takes longer.
    let longest = 300_000L<ms>

    member private this.Feed(input: ProbeInput) : unit =
        if not play.IsOver then
            for demand in play.Step(agenda.Now, input) do
                this.Meet demand

            if not play.IsOver then
                agenda.At(
                    play.Deadline,
                    fun () ->
                        if not play.IsOver && play.Deadline <= agenda.Now then
                            this.Feed ProbeInput.Tick
                )

    member private this.Perform(actions: WireAction list) : unit =
        for action in actions do
            match action with
            | ToServer(connection, bytes) -> heard[connection - 1] bytes
            | CloseServer connection -> heard[connection - 1] null
            | ToClient(connection, bytes) ->
                this.OnClient(connection, fun client -> ProbeInput.Received(client, Bytes.OfArray bytes))
            | CloseClient connection -> this.OnClient(connection, ProbeInput.Closed)
            | Violate(connection, clause, expected, seen) ->
                this.OnClient(connection, fun client -> ProbeInput.Violated(client, clause, expected, seen))
            | Later(delay, actions) -> agenda.After(delay, (fun () -> this.Perform actions))

    // Something happens to a client, if it has not closed the connection.
    member private this.OnClient(connection: int, input: string -> ProbeInput) : unit =
        let link = links[connection - 1]

        if not link.ClientIsDone then
            this.Feed(input link.Client)

    member private this.Open(client: string) : unit =
        let connection = links.Count + 1
        // What one connection does changes no time of another, so that a smaller script still fails.
        let pipe (direction: uint64) = Pipe(agenda, Dice(uint64 connection * 2UL + direction))
        let link = Link(client, connection, connection, pipe 0UL, pipe 1UL)
        links.Add link
        current[client] <- link
        broker.Accept link
        heard.Add link.ToBroker.Arrived

        let sent = FrameCutter(ClientToServer, (fun frame -> this.Perform(wire.Sent(connection, frame))))

        let answered =
            FrameCutter(ServerToClient, (fun frame -> this.Perform(wire.Answered(connection, frame))))

        link.ToBroker.Arrived <-
            fun bytes ->
                match bytes with
                | null -> this.Perform(wire.Left connection)
                | bytes -> sent.Take bytes

        link.ToClient.Arrived <-
            fun bytes ->
                match bytes with
                | null -> this.Perform(wire.Closed connection)
                | bytes -> answered.Take bytes

        agenda.After(1L<ms>, (fun () -> this.Feed(ProbeInput.Opened client)))

    member private this.Meet(demand: ProbeDemand) : unit =
        match demand with
        | ProbeDemand.Open client -> this.Open client
        | ProbeDemand.Write(client, bytes) -> current[client].ToBroker.Send(bytes.ToArray())
        | ProbeDemand.WriteText(client, _) ->
            let connection = current[client].Ordinal
            agenda.After(1L<ms>, (fun () -> this.Perform(wire.SentText connection)))
        | ProbeDemand.Close client ->
            let link = current[client]
            current.Remove client |> ignore
            link.ClientIsDone <- true
            link.ToBroker.Close()

    member this.Run() : unit =
        this.Feed ProbeInput.Tick

        while not play.IsOver && agenda.Now < longest do
            agenda.Run(agenda.Now + 20L<ms>)

/// Runs probes in virtual time against servers made of the machines of the core: a second of waiting takes no time, and
/// the same run comes out the same way each time. Each run has a server of its own. Runs can go on at the same time.
[<RequireQualifiedAccess>]
module SimulatedProbes =

    /// What the topics and Client Identifiers of the probes begin with, the user, and four seconds of patience.
    [<CompiledName("Settings")>]
    let settings: ProbeSettings =
        {
            TopicPrefix = "mqtt5-verify/r/0/"
            ClientIdPrefix = "v0n0"
            UserName = ValueSome SimulatedServer.UserName
            Password = ValueSome(Bytes.OfText SimulatedServer.Password)
            Patience = 4_000L<ms>
        }

    /// Runs a probe, whatever it needs. The result has an outcome.
    [<CompiledName("Play")>]
    let play (server: SimulatedServer) (probe: Probe) : ProbeRun =
        let play = ProbePlay(settings, probe)
        PlayWorld(server, play).Run()
        play.Run

    /// What a server says of itself, without its wire. Its clients may send text, as if they came by WebSocket. Throws
    /// <see cref="T:System.InvalidOperationException"/> where it takes no usual CONNECT.
    [<CompiledName("Facts")>]
    let facts (server: SimulatedServer) : ServerFacts =
        let server = { server with Wire = fun () -> SimulatedServer.straight }
        let probe = ProbeSyntax.probe [] "3.1.4-5" "CONNECT is answered" "c joins"
        let run = play server probe

        let connack =
            run.Exchanges
            |> Array.tryPick (fun one ->
                match Notation.parse one.Text with
                | Ok(Packet.Connack connack) when one.Kind = ExchangeKind.Receiving -> Some connack
                | _ -> None)

        match connack with
        | Some connack ->
            let question = play server AuthenticationProbes.question

            {
                Connack = connack
                IsWebSocket = true
                LacksScram = AuthenticationProbes.lacksScram settings question.Exchanges
                LacksVersion5 = ValueNone
            }
        | None -> invalidOp $"the server takes no usual CONNECT: {run.Outcome.Value.Seen}"

    /// Runs a probe, unless the server lacks what it needs.
    [<CompiledName("Verify")>]
    let verify (server: SimulatedServer) (facts: ServerFacts) (probe: Probe) : ProbeOutcome =
        match
            probe.Needs
            |> List.tryPick (fun need -> ServerFacts.lacks facts need |> ValueOption.toOption)
        with
        | Some reason ->
            { Verdict = Verdict.NotApplicable; Clauses = []; Line = ""; Expected = reason; Seen = "" }
        | None -> (play server probe).Outcome.Value

/// Runs randomised sessions in virtual time against servers made of the machines of the core. Each run has a server of its
/// own. Runs can go on at the same time.
[<RequireQualifiedAccess>]
module SimulatedSessions =

    /// Runs a script. The result has an outcome.
    [<CompiledName("Play")>]
    let play (server: SimulatedServer) (script: RandomisedScript) : RandomisedRun =
        let run = RandomisedRun(SimulatedProbes.settings, script)
        PlayWorld(server, run).Run()
        run

    /// A script as small as it can be made in some hundred runs that fails with the same statement as this one; the script
    /// itself, if it does not fail.
    [<CompiledName("Minimise")>]
    let minimise (server: SimulatedServer) (script: RandomisedScript) : RandomisedScript =
        let failure one =
            match (play server one).Outcome with
            | ValueSome outcome when outcome.Verdict = Verdict.Fail -> outcome.Clauses
            | _ -> []

        let clauses = failure script
        let shrinking = Shrinking script
        let mutable going = not clauses.IsEmpty
        let mutable runs = 0

        while going do
            match shrinking.Candidates 1 with
            | [| one |] when runs < 1_000 ->
                runs <- runs + 1

                if failure one = clauses then
                    shrinking.Take 0
            | _ -> going <- false

        shrinking.Least
