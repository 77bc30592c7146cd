/// A run that is cancelled leaves no session behind whose Client Identifier the server has assigned.
module Mqtt5.Tests.RemovalTests

open System
open System.Collections.Concurrent
open System.Threading
open System.Threading.Tasks
open Expecto
open Mqtt5
open Mqtt5.Verification

let private bytesOf (notation: string) : Bytes =
    match Notation.parse notation with
    | Error fault -> failwith $"{notation}: {fault}"
    | Ok packet ->
        let bytes = Array.zeroCreate (Encode.size packet)
        Encode.write packet (Span<byte> bytes) |> ignore
        Bytes.OfArray bytes

// A server that answers the first CONNECT with this, closes after DISCONNECT, and does nothing else.
type private Server(connack: Bytes voption) =
    let seen = ConcurrentQueue<string>()
    // CONNECT came.
    let asked = TaskCompletionSource()
    // The run has what it gets: something came after CONNACK, or there is none.
    let isReady = TaskCompletionSource()
    let mutable connections = 0

    member _.Seen: string[] = seen.ToArray()
    member _.Ready: Task = isReady.Task

    member _.Connect() : IProbeConnection =
        let closed = TaskCompletionSource()
        connections <- connections + 1
        let isAnswered = ref (connack.IsNone || connections > 1)

        let take (packet: Packet) =
            seen.Enqueue(Notation.print packet)

            match packet with
            | Packet.Disconnect _ -> closed.TrySetResult() |> ignore
            | Packet.Connect _ ->
                asked.TrySetResult() |> ignore

                if connack.IsNone then
                    isReady.TrySetResult() |> ignore
            | _ -> isReady.TrySetResult() |> ignore

        let rec takeAll (bytes: ReadOnlyMemory<byte>) =
            if not bytes.IsEmpty then
                match Framer.next ClientToServer 1_000 0L (Buffers.ReadOnlySequence bytes) with
                | Framing.Frame length ->
                    match Grammar.parse ClientToServer 1_000 0L (bytes.Slice(0, length)) with
                    | Ok packet -> take packet
                    | Error fault -> failwith $"{fault}"

                    takeAll (bytes.Slice length)
                | _ -> failwith "half a packet"

        { new IProbeConnection with
            member _.WriteAsync(bytes, _) =
                takeAll (ReadOnlyMemory(bytes.ToArray()))
                ValueTask()

            member _.WriteTextAsync(_, _) = ValueTask()

            member _.ReadAsync(client, cancellationToken) =
                ValueTask<ProbeInput>(
                    task {
                        if isAnswered.Value then
                            do! closed.Task.WaitAsync cancellationToken
                            return ProbeInput.Closed client
                        else
                            do! asked.Task.WaitAsync cancellationToken
                            isAnswered.Value <- true
                            return ProbeInput.Received(client, connack.Value)
                    }
                )

            member _.DisposeAsync() = ValueTask()
        }

let private settings: ProbeSettings =
    {
        TopicPrefix = "mqtt5-verify/r/0/"
        ClientIdPrefix = "v0n0"
        UserName = ValueNone
        Password = ValueNone
        Patience = 20_000L<ms>
    }

let private probe () : IPlay =
    ProbePlay(
        settings,
        ProbeSyntax.probe
            []
            "3.1.3-7"
            "A session without a name"
            """
            c > CONNECT clean=1 props{SessionExpiryInterval=20}
            c first CONNACK rc=Success
            c > PINGREQ
            c first PINGRESP
            """
    )

let private randomised () : IPlay =
    let script =
        """
        a > CONNECT clean=1 keepalive=120 props{SessionExpiryInterval=300}
        a > PUBLISH topic="~/a" payload="1"
        quiet
        """

    RandomisedRun(settings, RandomisedScript.parse script)

// What a server has seen when a run was cancelled.
let private cancelled (connack: Bytes voption) (play: IPlay) : string[] =
    let server = Server connack
    let connect (_: CancellationToken) = ValueTask<IProbeConnection>(server.Connect())
    let player = ProbePlayer(Func<_, _>(connect), false)
    use stop = new CancellationTokenSource()
    let run = player.PlayAsync(play, stop.Token)
    server.Ready.Wait(TimeSpan.FromSeconds 20.0) |> ignore
    stop.Cancel()

    let ending = run.ContinueWith((fun (task: Task) -> task.IsCanceled), TaskScheduler.Default)
    Expect.isTrue (ending.Wait(TimeSpan.FromSeconds 20.0)) "the run ends"
    Expect.isTrue ending.Result "the run is cancelled"
    server.Seen

let private tests' (name: string, play: unit -> IPlay) =
    [
        testCase $"{name}: before CONNACK, DISCONNECT ends the session on its own connection" (fun () ->
            let seen = cancelled ValueNone (play ())
            Expect.hasLength seen 2 "packets"
            Expect.stringStarts seen[0] "CONNECT clean=1" "the CONNECT without a Client Identifier"
            Expect.equal seen[1] "DISCONNECT rc=Success props{SessionExpiryInterval=0}" "what is said last")
        testCase $"{name}: after CONNACK, the session is ended by its Client Identifier" (fun () ->
            let connack = bytesOf "CONNACK rc=Success props{AssignedClientIdentifier=\"auto-7\"}"
            let seen = cancelled (ValueSome connack) (play ())
            Expect.contains seen "CONNECT clean=1 clientid=\"auto-7\"" "the CONNECT that removes it")
    ]

let tests =
    testList "Removal" [ yield! tests' ("a probe", probe); yield! tests' ("a random session", randomised) ]
