namespace Mqtt5.Verification

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Net.Sockets
open System.Net.WebSockets
open System.Threading
open System.Threading.Channels
open System.Threading.Tasks
open Mqtt5

/// A connection of a raw client to a server. Each member has one caller at a time; <c>DisposeAsync</c> ends a read.
///
/// A connection that is lost shows as an <see cref="T:System.IO.IOException"/>, or one of the exceptions that sockets and
/// WebSockets throw.
type IProbeConnection =
    inherit IAsyncDisposable

    /// Sends bytes.
    abstract WriteAsync: bytes: ReadOnlyMemory<byte> * cancellationToken: CancellationToken -> ValueTask

    /// Sends a message of text, where the transport is a WebSocket; otherwise nothing.
    abstract WriteTextAsync: text: string * cancellationToken: CancellationToken -> ValueTask

    /// Waits for what comes next, for the run that names the connection so: <c>Received</c>, <c>Violated</c>, or
    /// <c>Closed</c> at the end.
    abstract ReadAsync: client: string * cancellationToken: CancellationToken -> ValueTask<ProbeInput>

/// A connection over a stream. It takes the stream over and disposes of it. What it reads is given on as it comes.
[<Sealed>]
type StreamProbeConnection(stream: Stream) =
    let buffer: byte[] = Array.zeroCreate (16 * 1024)

    let read (client: string) (cancellationToken: CancellationToken) =
        task {
            match! stream.ReadAsync(Memory buffer, cancellationToken) with
            | 0 -> return ProbeInput.Closed client
            | count -> return ProbeInput.Received(client, Bytes.OfArray(buffer.AsSpan(0, count).ToArray()))
        }

    interface IProbeConnection with
        member _.WriteAsync(bytes, cancellationToken) =
            ValueTask(
                task {
                    do! stream.WriteAsync(bytes, cancellationToken)
                    do! stream.FlushAsync cancellationToken
                }
            )

        member _.WriteTextAsync(_, _) = ValueTask()
        member _.ReadAsync(client, cancellationToken) = ValueTask<ProbeInput>(read client cancellationToken)
        member _.DisposeAsync() = stream.DisposeAsync()

/// Says which exceptions mean that a connection is lost.
[<AbstractClass; Sealed>]
type ProbeConnections =

    /// Whether an exception says that a connection is lost or cannot be made.
    static member IsLoss(failure: exn) : bool =
        match failure with
        | :? IOException
        | :? SocketException
        | :? WebSocketException
        | :? OperationCanceledException
        | :? InvalidOperationException -> true
        | _ -> false

// A connection of a run. What comes on it goes to the run until the connection is disposed of.
[<Sealed>]
type private PlayedConnection(inner: IProbeConnection, client: string, inputs: ChannelWriter<ProbeInput>) =
    let ending = new CancellationTokenSource()
    let mutable reading = Task.CompletedTask

    let read () =
        task {
            try
                let mutable isOpen = true

                while isOpen do
                    let! input = inner.ReadAsync(client, ending.Token)
                    isOpen <- not input.IsClosed

                    if isOpen then
                        inputs.TryWrite input |> ignore
            with failure when ProbeConnections.IsLoss failure ->
                ()

            if not ending.IsCancellationRequested then
                inputs.TryWrite(ProbeInput.Closed client) |> ignore
        }

    member _.Start() = reading <- read ()

    // Says what is said last, and waits until the server closes.
    member this.EndAsync(bytes: Bytes, cancellationToken: CancellationToken) : Task =
        task {
            try
                let write (inner: IProbeConnection) = inner.WriteAsync(bytes.Memory, cancellationToken)
                do! this.WriteAsync(write, cancellationToken)
                do! reading.WaitAsync cancellationToken
            with failure when ProbeConnections.IsLoss failure ->
                ()
        }

    // The reading side tells of a connection that has ended.
    member _.WriteAsync(write: IProbeConnection -> ValueTask, cancellationToken: CancellationToken) =
        task {
            try
                do! write inner
            with failure when ProbeConnections.IsLoss failure && not cancellationToken.IsCancellationRequested ->
                ()
        }

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    do! ending.CancelAsync()
                    do! inner.DisposeAsync()
                    do! reading
                    ending.Dispose()
                }
            )

// A run that is being played. To be disposed of also where it was cancelled: then what it left on the server is removed.
[<Sealed>]
type private Playing(openAsync: Func<CancellationToken, ValueTask<IProbeConnection>>, play: IPlay) =

    let inputs = Channel.CreateUnbounded<ProbeInput>()
    let connections = Dictionary<string, PlayedConnection>()
    let clock = Stopwatch.StartNew()

    let now () = clock.ElapsedMilliseconds * 1L<ms>

    let openFor client (cancellationToken: CancellationToken) =
        task {
            try
                let! inner = openAsync.Invoke cancellationToken
                let connection = PlayedConnection(inner, client, inputs.Writer)
                connections[client] <- connection
                inputs.Writer.TryWrite(ProbeInput.Opened client) |> ignore
                connection.Start()
            with failure when ProbeConnections.IsLoss failure && not cancellationToken.IsCancellationRequested ->
                inputs.Writer.TryWrite(ProbeInput.NotOpened(client, failure.Message)) |> ignore
        }

    let perform (demand: ProbeDemand) (cancellationToken: CancellationToken) : Task =
        match demand with
        | Open client -> openFor client cancellationToken
        | Write(client, bytes) ->
            let write (inner: IProbeConnection) = inner.WriteAsync(bytes.Memory, cancellationToken)
            connections[client].WriteAsync(write, cancellationToken)
        | WriteText(client, text) ->
            let write (inner: IProbeConnection) = inner.WriteTextAsync(text, cancellationToken)
            connections[client].WriteAsync(write, cancellationToken)
        | Close client ->
            match connections.TryGetValue client with
            | true, gone ->
                connections.Remove client |> ignore
                (gone :> IAsyncDisposable).DisposeAsync().AsTask()
            | _ -> Task.CompletedTask

    let next (cancellationToken: CancellationToken) =
        task {
            use time = CancellationTokenSource.CreateLinkedTokenSource cancellationToken
            time.CancelAfter(TimeSpan.FromMilliseconds(max 1.0 (float (play.Deadline - now ()))))

            try
                return! inputs.Reader.ReadAsync time.Token
            with :? OperationCanceledException when not cancellationToken.IsCancellationRequested ->
                return ProbeInput.Tick
        }

    // Opens a connection, sends bytes, and waits a moment for the server to close. A server that is gone or slow keeps
    // what it has; there is nothing more to remove it with.
    let sendAlone (bytes: Bytes) : Task =
        task {
            use time = new CancellationTokenSource(Playing.CleanUpTime)

            try
                use! connection = openAsync.Invoke time.Token
                do! connection.WriteAsync(bytes.Memory, time.Token)
                let mutable isOpen = true

                while isOpen do
                    let! input = connection.ReadAsync("", time.Token)
                    isOpen <- not input.IsClosed
            with failure when ProbeConnections.IsLoss failure ->
                ()
        }

    // Ends the sessions whose identifiers are not known afterwards.
    let sayFarewell () : Task =
        task {
            use time = new CancellationTokenSource(Playing.FarewellTime)

            for demand in play.Farewell() do
                match demand with
                | Write(client, bytes) ->
                    match connections.TryGetValue client with
                    | true, connection -> do! connection.EndAsync(bytes, time.Token)
                    | _ -> ()
                | _ -> do! perform demand time.Token
        }

    static member private CleanUpTime: TimeSpan = TimeSpan.FromSeconds 8.0
    static member private FarewellTime: TimeSpan = TimeSpan.FromSeconds 2.0

    member _.RunAsync(cancellationToken: CancellationToken) : Task<unit> =
        task {
            let mutable input = ProbeInput.Tick

            while not play.IsOver do
                for demand in play.Step(now (), input) do
                    do! perform demand cancellationToken

                if not play.IsOver then
                    let! arrived = next cancellationToken
                    input <- arrived
        }

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    do! sayFarewell ()

                    for connection in connections.Values do
                        do! (connection :> IAsyncDisposable).DisposeAsync()

                    do! Task.WhenAll(play.CleanUp() |> Array.map sendAlone)
                }
            )

/// Plays probes on connections to one address of a server: it does what a run demands, and tells the run what comes back.
/// It can play several probes at the same time.
/// <param name="openAsync">Opens a connection to the server. May be called for several at the same time.</param>
/// <param name="isWebSocket">Whether the connections are WebSockets, whose messages probes can choose and see.</param>
[<Sealed>]
type ProbePlayer(openAsync: Func<CancellationToken, ValueTask<IProbeConnection>>, isWebSocket: bool) =

    let playAsync (play: IPlay) (cancellationToken: CancellationToken) : Task<unit> =
        task {
            use playing = new Playing(openAsync, play)
            return! playing.RunAsync cancellationToken
        }

    /// Whether WebSocket messages can be seen and chosen.
    member _.IsWebSocket = isWebSocket

    /// Opens a connection to the server.
    member _.OpenAsync(cancellationToken: CancellationToken) : ValueTask<IProbeConnection> =
        openAsync.Invoke cancellationToken

    /// Plays a probe to its end, and removes what it left on the server, also when it is cancelled.
    member _.PlayAsync
        (probe: Probe, settings: ProbeSettings, cancellationToken: CancellationToken)
        : Task<ProbeResult> =
        task {
            let play = ProbePlay(settings, probe)
            do! playAsync play cancellationToken
            return { Probe = probe; Outcome = play.Run.Outcome.Value; Exchanges = play.Run.Exchanges }
        }

    /// Plays a run to its end, and removes what it left on the server, also when it is cancelled.
    member _.PlayAsync(play: IPlay, cancellationToken: CancellationToken) : Task =
        playAsync play cancellationToken

/// An address of the server that is verified, and what the server has there.
[<Sealed>]
type ProbeSite private (player: ProbePlayer, facts: ServerFacts) =

    static let question (version: ProtocolVersion) =
        let clause = if version.IsV5 then "3.1.4-5" else "3.1.4-4"
        ProbeSyntax.probeIn version [] clause "CONNECT is answered" "c joins\nc > DISCONNECT"

    static let connackOf (result: ProbeResult) : Connack voption =
        let answer =
            result.Exchanges
            |> Seq.tryFind (fun one -> one.Text.StartsWith("CONNACK", StringComparison.Ordinal))

        match answer |> Option.map (fun one -> Notation.parse one.Text) with
        | Some(Ok(Packet.Connack connack)) when result.Outcome.Verdict = Verdict.Pass -> ValueSome connack
        | _ -> ValueNone

    /// Plays probes there.
    member _.Player = player

    /// What the server said of itself.
    member _.Facts = facts

    static member private AskScramAsync
        (player: ProbePlayer, settings: ProbeSettings, cancellationToken: CancellationToken)
        : Task<string voption> =
        task {
            let! scram = player.PlayAsync(AuthenticationProbes.question, settings, cancellationToken)
            return AuthenticationProbes.lacksScram settings scram.Exchanges
        }

    static member private AskVersion5Async
        (player: ProbePlayer, settings: ProbeSettings, cancellationToken: CancellationToken)
        : Task<string voption> =
        task {
            let! asked = player.PlayAsync(question ProtocolVersion.V5, settings, cancellationToken)

            return
                match connackOf asked with
                | ValueSome _ -> ValueNone
                | ValueNone -> ValueSome "the server takes no client of MQTT 5"
        }

    /// Looks at an address, as a client of a version. Throws <see cref="T:System.IO.IOException"/> where the server does
    /// not take a usual CONNECT of that version.
    static member OpenAsync
        (
            player: ProbePlayer,
            version: ProtocolVersion,
            settings: ProbeSettings,
            cancellationToken: CancellationToken
        ) : Task<ProbeSite> =
        task {
            let! asked = player.PlayAsync(question version, settings, cancellationToken)

            match connackOf asked with
            | ValueNone ->
                let outcome = asked.Outcome
                let which = if version.IsV5 then "" else $" of {(Spec.version version).Name}"

                return
                    raise (
                        IOException
                            $"the server does not take a usual CONNECT{which}: {outcome.Expected} {outcome.Seen}"
                    )
            | ValueSome connack ->
                let! scram =
                    if version.IsV5 then
                        ProbeSite.AskScramAsync(player, settings, cancellationToken)
                    else
                        Task.FromResult(ValueSome "only MQTT 5 has enhanced authentication")

                let! version5 =
                    if version.IsV5 then
                        Task.FromResult ValueNone
                    else
                        ProbeSite.AskVersion5Async(player, settings, cancellationToken)

                return
                    ProbeSite(
                        player,
                        {
                            Connack = connack
                            IsWebSocket = player.IsWebSocket
                            LacksScram = scram
                            LacksVersion5 = version5
                        }
                    )
        }

    member private _.PlayAsync(probe: Probe, settings: ProbeSettings, cancellationToken: CancellationToken) =
        let lacking =
            probe.Needs
            |> List.tryPick (fun need ->
                match ServerFacts.lacks facts need with
                | ValueSome reason -> Some reason
                | ValueNone -> None)

        match lacking with
        | None -> player.PlayAsync(probe, settings, cancellationToken)
        | Some reason ->
            Task.FromResult
                {
                    Probe = probe
                    Outcome =
                        {
                            Verdict = Verdict.NotApplicable
                            Clauses = []
                            Line = ""
                            Expected = reason
                            Seen = ""
                        }
                    Exchanges = [||]
                }

    /// Plays a probe at the first address where it applies. There is at least one address.
    static member PlayAsync
        (
            sites: IReadOnlyList<ProbeSite>,
            probe: Probe,
            settings: ProbeSettings,
            cancellationToken: CancellationToken
        ) : Task<ProbeResult> =
        task {
            let! first = sites[0].PlayAsync(probe, settings, cancellationToken)
            let mutable result = first
            let mutable place = 1

            while result.Outcome.Verdict = Verdict.NotApplicable && place < sites.Count do
                let! other = sites[place].PlayAsync(probe, settings, cancellationToken)
                place <- place + 1

                if other.Outcome.Verdict <> Verdict.NotApplicable then
                    result <- other

            return result
        }
