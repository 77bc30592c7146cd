namespace Mqtt5.Verification

open System
open Mqtt5

/// The gates of a simulated host. They hold the node to its promises: never two gates at a time, and nothing within the
/// lock of the registry. Before a gate is taken another turn may come in between, as another thread could.
[<Sealed; AllowNullLiteral(false)>]
type SimulatedGates() =
    let mutable gates = 0
    let mutable locks = 0
    let mutable isPreempted = false

    /// What another thread does meanwhile, to its end.
    member val Preempt: unit -> unit = ignore with get, set

    /// May keep the turn waiting while others go on, as a thread that gets no processor does.
    member val Yield: unit -> unit = ignore with get, set

    /// Told of promises that the node breaks.
    member val Broken: string -> unit = failwith with get, set

    // Where nothing is held, another thread may come in between.
    member private this.Interrupt() =
        if gates = 0 && locks = 0 && not isPreempted then
            this.Yield()
            isPreempted <- true

            try
                this.Preempt()
            finally
                isPreempted <- false

    /// Takes a gate.
    member this.Enter() =
        if gates > 0 then
            this.Broken "two gates are held at a time"

        if locks > 0 then
            this.Broken "a gate is taken within the lock of the registry"

        this.Interrupt()
        gates <- gates + 1

    /// Leaves it.
    member _.Exit() = gates <- gates - 1

    /// Takes the lock of the registry.
    member this.EnterRegistry() =
        if locks > 0 then
            this.Broken "the lock of the registry is taken twice"

        this.Interrupt()
        locks <- locks + 1

    /// Leaves it.
    member _.ExitRegistry() = locks <- locks - 1

/// The step of a session's machine.
type SessionStep = Instant -> ServerEvent -> ServerState -> struct (ServerState * Effects)

/// A session of a simulated host.
[<Sealed; AllowNullLiteral(false)>]
type SimulatedSession(state: ServerState, machine: SessionStep, gates: SimulatedGates) =
    inherit NodeSession()

    /// The step of its machine.
    member _.Machine = machine

    override _.Id = state.Session
    override val State = state with get, set
    override val Connection = null with get, set
    override val Leaving = null with get, set
    override val Ending = null with get, set
    override val Permissions = null with get, set
    override _.Enter() = gates.Enter()
    override _.Exit() = gates.Exit()

/// A connection of a simulated host: what is written goes to a function when it is flushed.
[<Sealed; AllowNullLiteral(false)>]
type SimulatedConnection(gates: SimulatedGates, written: byte[] -> unit, closed: unit -> unit) =
    inherit NodeConnection()

    let mutable buffer: byte[] = Array.zeroCreate 256
    let mutable used = 0
    let mutable isClosing = false

    /// Whether the transport has more than it takes, with this many bytes that were not flushed.
    member val IsFull: int -> bool = (fun _ -> false) with get, set

    override _.IsClosing = isClosing
    override val Id = ConnectionId.None with get, set
    override val Session = null with get, set
    override val Handshake = null with get, set
    override val Protocol = Protocol.V5 with get, set
    override val Offset = 0L with get, set
    override val Unparsed = 0L with get, set
    override _.Address = null
    override _.CertificateName = null
    override val LastReceived = 0L<ms> with get, set
    override val PublishRate = TokenBucket.full 0L<ms> 1 with get, set
    override val Cache = null with get, set
    override val IsDirty = false with get, set

    override _.Reserve size =
        if buffer.Length - used < size then
            Array.Resize(&buffer, 2 * buffer.Length + size)

        Span(buffer, used, size)

    override _.Advance size = used <- used + size

    override this.Write packets =
        packets.CopyTo(this.Reserve packets.Length)
        this.Advance packets.Length

    override this.IsOverBudget() = this.IsFull used

    override this.Flush() =
        this.IsDirty <- false

        if used > 0 then
            let bytes = buffer[.. used - 1]
            used <- 0
            written bytes

    override this.Close() =
        if not isClosing then
            isClosing <- true
            this.Flush()
            closed ()

    override _.Enter() = gates.Enter()
    override _.Exit() = gates.Exit()

/// Permissions of clients that may neither publish nor subscribe to some topics and filters.
[<Sealed; AllowNullLiteral(false)>]
type DeniedTopics(isDenied: string -> bool) =
    inherit ClientPermissions()

    override _.MayPublish topic = not (isDenied topic.Text)
    override _.MaySubscribe filter = not (isDenied filter.Text)
    override _.MayReceive _ = true

/// Results of an authenticator, for hosts whose authenticators speak in judgements.
[<RequireQualifiedAccess>]
module AuthenticationResults =

    /// The result that the node makes this judgement of.
    [<CompiledName("OfJudgement")>]
    let ofJudgement (judgement: Judgement) : AuthenticationResult =
        let result reason (authentication: Authentication voption) until =
            {
                Reason = reason
                Data =
                    match authentication with
                    | ValueSome { Data = ValueSome data } -> Nullable data.Reveal.Memory
                    | _ -> Nullable()
                UserName = null
                ExpiresAt = ValueOption.toNullable until
            }

        match judgement with
        | Judgement.Accepted(final, until) -> result ReasonCode.Success final until
        | Judgement.Continue challenge ->
            result ReasonCode.ContinueAuthentication (ValueSome challenge) ValueNone
        | Judgement.Refused reason -> result reason ValueNone ValueNone
