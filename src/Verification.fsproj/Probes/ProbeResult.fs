namespace Mqtt5.Verification

open System
open System.Collections.Generic
open System.Linq

/// What a probe found.
[<NoComparison>]
type ProbeResult =
    {
        /// The probe.
        Probe: Probe
        /// How it ended.
        Outcome: ProbeOutcome
        /// What was sent and received, in order.
        Exchanges: IReadOnlyList<ProbeExchange>
    }

    /// The title and the verdict; of a failure also what was sent and seen, and what was expected. It holds no secret.
    override this.ToString() =
        let outcome = this.Outcome

        if outcome.Verdict = Verdict.Fail then
            let clauses = String.Join(", ", outcome.Clauses)

            String.Join(
                "\n",
                [
                    $"{this.Probe.Title}  [{clauses}]"
                    for exchange in this.Exchanges do
                        $"  {exchange}"
                    $"  in the step: {outcome.Line}"
                    $"  expected: {outcome.Expected}"
                    $"  seen: {outcome.Seen}"
                ]
            )
        else
            let verdict =
                match outcome.Verdict with
                | Verdict.Pass -> "pass"
                | Verdict.NotApplicable -> $"not applicable, {outcome.Expected}"
                | _ -> $"not run, {outcome.Expected}"

            $"{this.Probe.Title}: {verdict}"

/// What all probes together found about a statement of the standard.
[<NoComparison>]
type ClauseResult =
    {
        /// The statement.
        Statement: Statement
        /// Fail where any probe failed; else pass where any passed.
        Verdict: Verdict
        /// Why it is not applicable, was not run, or failed; empty: it passed.
        Reason: string
        /// Its probes; those that failed it are the first.
        Probes: IReadOnlyList<ProbeResult>
    }

    static member private Judge(statement: Statement, results: ProbeResult[]) : ClauseResult =
        let isFailed (one: ProbeResult) = List.contains statement.Id one.Outcome.Clauses

        let failed, others =
            results
            |> Array.filter (fun one -> isFailed one || List.contains statement.Id one.Probe.Clauses)
            |> Array.partition isFailed

        let probes = Array.append failed others

        let result verdict reason =
            { Statement = statement; Verdict = verdict; Reason = reason; Probes = probes }

        let first verdict = probes |> Array.tryFind (fun one -> one.Outcome.Verdict = verdict)

        if failed.Length > 0 then
            let outcome = failed[0].Outcome
            result Verdict.Fail $"expected {outcome.Expected}; seen: {outcome.Seen}"
        elif (first Verdict.Pass).IsSome then
            result Verdict.Pass ""
        else
            match first Verdict.NotApplicable, Array.tryHead probes with
            | Some absent, _ -> result Verdict.NotApplicable absent.Outcome.Expected
            | None, None -> result Verdict.NotRun "no probe was asked for"
            | None, Some other when other.Outcome.Verdict = Verdict.Fail ->
                result Verdict.NotRun $"a probe failed before: {other.Outcome.Line}"
            | None, Some other -> result Verdict.NotRun other.Outcome.Expected

    /// The number of the statement, what became of it, and why.
    override this.ToString() =
        let verdict =
            match this.Verdict with
            | Verdict.Pass -> "pass"
            | Verdict.Fail -> "fail: "
            | Verdict.NotApplicable -> "not applicable: "
            | _ -> "not run: "

        $"{this.Statement.Id} {verdict}{this.Reason}"

    /// Judges some statements by what probes found.
    static member Of(statements: seq<Statement>, results: seq<ProbeResult>) : IReadOnlyList<ClauseResult> =
        let results = results.ToArray()
        [| for statement in statements -> ClauseResult.Judge(statement, results) |]
