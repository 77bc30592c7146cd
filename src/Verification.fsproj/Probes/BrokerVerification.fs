namespace Mqtt5.Verification

open System
open System.Collections.Generic
open System.IO
open System.Runtime.InteropServices
open System.Threading
open System.Threading.Tasks
open Mqtt5

/// What is verified of a broker, and how.
[<Sealed>]
type VerificationOptions() =

    /// What the names of topics and clients, and all else that is random, come from, 0 to 16,777,215. Default: another each
    /// time. Two runs against one broker at the same time need two seeds.
    member val Seed = Random.Shared.Next 0x1000000 with get, set

    /// How many probes run at the same time. Default: 8.
    member val Parallel = 8 with get, set

    /// How long an answer of the broker may take. Default: 4 seconds.
    member val Patience = TimeSpan.FromSeconds 4.0 with get, set

    /// The User Name for all connections; null: none.
    member val UserName: string | null = null with get, set

    /// The password for all connections; null: none. It is in no report.
    member val Password: string | null = null with get, set

    /// The version of the protocol: MQTT 5, which is the default, or MQTT 3.1.1. MQTT 3.1 has no statements.
    member val Version = ProtocolVersion.V5 with get, set

    /// The statements whose probes run, such as <c>MQTT-3.3.1-5</c> or, of MQTT 3.1.1, <c>MQTT3-3.3.1-5</c>; none: all.
    member val Clauses: IReadOnlyCollection<string> = [||] with get, set

    /// A text that the titles of the probes contain; null: any. Upper and lower case are the same.
    member val Title: string | null = null with get, set

    /// The probes that are asked for.
    member this.Probes: IReadOnlyList<Probe> =
        let isNamed (probe: Probe) =
            this.Clauses.Count = 0
            || probe.Clauses |> List.exists (fun id -> Seq.contains id this.Clauses)

        let isTitled (probe: Probe) =
            match this.Title with
            | null -> true
            | title -> probe.Title.Contains(title, StringComparison.OrdinalIgnoreCase)

        Catalogue.probesIn this.Version
        |> Seq.filter (fun probe -> isNamed probe && isTitled probe)
        |> Array.ofSeq
        :> IReadOnlyList<Probe>

    /// What the run of this number needs to know; each has names of its own.
    member this.SettingsOf(number: int) : ProbeSettings =
        let given (text: string | null) =
            match text with
            | null -> ValueNone
            | text -> ValueSome text

        {
            TopicPrefix = $"mqtt5-verify/r{this.Seed:x}/{number}/"
            ClientIdPrefix = $"v{this.Seed:x}n{number}"
            UserName = given this.UserName
            Password = given this.Password |> ValueOption.map Bytes.OfText
            Patience = int64 this.Patience.TotalMilliseconds * 1L<ms>
        }

/// What the probes found at a broker.
[<Sealed>]
type VerificationReport internal (version: ProtocolVersion, seed: int, probes: ProbeResult[]) =
    let clauses = lazy ClauseResult.Of(Catalogue.statementsIn version, probes)

    /// The seed of the run.
    member _.Seed = seed

    /// The probes that ran, in the order of the catalogue.
    member _.Probes: IReadOnlyList<ProbeResult> = probes

    /// The statements that can be seen from outside, in the order of the standard; those that no probe was asked for were
    /// not run.
    member _.Clauses = clauses.Value

    /// The statements that failed.
    member this.Failures: IReadOnlyList<ClauseResult> =
        [| yield! Seq.filter (fun (one: ClauseResult) -> one.Verdict = Verdict.Fail) this.Clauses |]

    /// Whether a probe failed.
    member _.HasFailures = probes |> Array.exists (fun one -> one.Outcome.Verdict = Verdict.Fail)

    /// The number of statements with this verdict.
    member this.Count(verdict: Verdict) =
        this.Clauses |> Seq.filter (fun one -> one.Verdict = verdict) |> Seq.length

    /// How many statements have which verdict, and all that failed with what was sent and seen. It holds no secret.
    override this.ToString() =
        let summary =
            $"{this.Count Verdict.Pass} of {this.Clauses.Count} statements pass, {this.Count Verdict.Fail} fail, "
            + $"{this.Count Verdict.NotApplicable} do not apply, {this.Count Verdict.NotRun} were not run; seed {seed}."

        let failed =
            probes
            |> Seq.filter (fun one -> one.Outcome.Verdict = Verdict.Fail)
            |> Seq.map string

        String.Join("\n\n", Seq.append [ summary ] failed)

/// Verifies a broker, statement by statement of the standard, by raw packets. It must not harm the broker: sizes and rates
/// are small, topics stand under <c>mqtt5-verify/</c>, and each probe removes its sessions and retained messages.
[<AbstractClass; Sealed>]
type BrokerVerification =

    /// Verifies a broker that is reached at some addresses, which are set up in different ways; each probe runs at the first
    /// where it applies. Progress tells how many probes are done; null: it is not reported. Throws
    /// <see cref="T:System.IO.IOException"/> where the broker does not take a usual CONNECT,
    /// <see cref="T:System.ArgumentException"/> where there is no address or no such probe, and
    /// <see cref="T:System.OperationCanceledException"/> when it is cancelled; then too the probes are cleaned up after.
    static member RunAsync
        (
            players: IReadOnlyList<ProbePlayer>,
            options: VerificationOptions,
            progress: IProgress<int> | null,
            cancellationToken: CancellationToken
        ) : Task<VerificationReport> =
        task {
            let probes = options.Probes

            if players.Count = 0 then
                invalidArg (nameof players) "there is no address"

            if probes.Count = 0 then
                invalidArg (nameof options) "there is no such probe"

            let sites = List<ProbeSite>()

            for player in players do
                // Numbers that no probe has.
                let settings =
                    options.SettingsOf(Catalogue.probesIn(options.Version).Length + 1 + sites.Count)

                let! site = ProbeSite.OpenAsync(player, options.Version, settings, cancellationToken)
                sites.Add site

            let results: ProbeResult[] = Array.zeroCreate probes.Count
            let played = ref 0

            let playOne (index: int) (cancellationToken: CancellationToken) =
                ValueTask(
                    task {
                        let settings = options.SettingsOf index
                        let! result = ProbeSite.PlayAsync(sites, probes[index], settings, cancellationToken)
                        results[index] <- result
                        let count = Interlocked.Increment(&played.contents)

                        match progress with
                        | null -> ()
                        | progress -> progress.Report count
                    }
                )

            do!
                Parallel.ForAsync(
                    0,
                    probes.Count,
                    ParallelOptions(
                        MaxDegreeOfParallelism = options.Parallel,
                        CancellationToken = cancellationToken
                    ),
                    Func<int, CancellationToken, ValueTask>(playOne)
                )

            return VerificationReport(options.Version, options.Seed, results)
        }

    /// Verifies a broker over streams, as of a <c>TcpClient</c> or in memory. <paramref name="openAsync"/> opens a connection
    /// and gives its stream, which is disposed of; it is called for several at the same time, and throws an
    /// <see cref="T:System.IO.IOException"/> or a <c>SocketException</c> where there is no connection. Throws as the other
    /// overload does.
    static member RunAsync
        (
            openAsync: Func<CancellationToken, Task<Stream>>,
            options: VerificationOptions,
            [<Optional>] cancellationToken: CancellationToken
        ) : Task<VerificationReport> =
        let connect (cancellationToken: CancellationToken) =
            ValueTask<IProbeConnection>(
                task {
                    let! stream = openAsync.Invoke cancellationToken
                    return StreamProbeConnection stream :> IProbeConnection
                }
            )

        BrokerVerification.RunAsync(
            [| ProbePlayer(Func<_, _>(connect), false) |],
            options,
            null,
            cancellationToken
        )
