using System.Buffers;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using Mqtt5.Signing;
using Mqtt5.Transports;

namespace Mqtt5.Serving;

// One network connection: its state as the node uses it, and its read loop.
[SuppressMessage("Reliability", "CA1001", Justification = "The source is always canceled in the end, and has no timer.")]
internal sealed partial class Connection : NodeConnection
{
    // How much input of the previous connection may still be processed before a session takeover.
    private const long MostBytesBeforeTakeover = 256 * 1024;
    private static readonly TimeSpan MostTimeBeforeTakeover = TimeSpan.FromMilliseconds(250);

    private readonly BrokerEngine engine;
    private readonly PipeReader input;
    private readonly Lock ownGate = new();
    private MqttAuthenticationContext? authentication;
    private CancellationTokenSource? stop;
    private Completion ended;
    private Completion readingEnded;
    private TaskCompletionSource? inputTaken;
    private TaskCompletionSource? takesData;
    private HandshakeState? handshake;
    private NodeSession? session;
    private RouteCache? cache;
    private Activity? connecting;
    private Cause? goneBeforeAnnounced;
    private bool isAnnounced;
    private long lastReceived;
    private long offsetTaken;
    private long takenUntil;
    private long abortAt = long.MaxValue;
    private bool closing;

    public Connection(BrokerEngine engine, PipeReader input, PipeWriter output, Origin origin)
    {
        this.engine = engine;
        this.input = input;
        Origin = origin;
        Writer = new PacketWriter(output);
        var turn = engine.Rent();
        var trust = new Trust(
            engine.Authenticator is not null, engine.AllowAnonymous, origin.IsInProcess, origin.Listener?.Versions ?? engine.Versions);
        Node.Opened(turn, trust, this);
        engine.Return(turn);
    }

    public Origin Origin { get; }

    public PacketWriter Writer { get; }

    public override ConnectionId Id { get; set; }

    // What the authenticator keeps for the connection.
    public object? AuthenticationState => authentication?.State;

    public override NodeSession? Session
    {
        get => Volatile.Read(ref session);
        set => Volatile.Write(ref session, value);
    }

    public override HandshakeState? Handshake
    {
        get => Volatile.Read(ref handshake);
        set => Volatile.Write(ref handshake, value);
    }

    public override Protocol Protocol { get; set; }

    public override long Offset { get; set; }

    public override long Unparsed { get; set; }

    // Asked for once, at the claim.
    public override string? Address => Origin.IsInProcess ? null : HashQueue.AddressOf(Origin.EndPoint) is { Length: > 0 } address ? address : null;

    public override string? CertificateName =>
        Origin.Certificate?.GetNameInfo(System.Security.Cryptography.X509Certificates.X509NameType.SimpleName, forIssuer: false) is { Length: > 0 } name ? name : null;

    public override long LastReceived
    {
        get => Volatile.Read(ref lastReceived);
        set => Volatile.Write(ref lastReceived, value);
    }

    public override TokenBucket PublishRate { get; set; }

    public override RouteCache? Cache
    {
        get => cache;
        set => cache = value;
    }

    public override bool IsClosing => Volatile.Read(ref closing);

    public override bool IsDirty { get; set; }

    // The reason code of a refusal; null: accepted, or not yet decided.
    public ReasonCode? Rejection { get; set; }

    // Completes when no packet of the connection is processed any more.
    public Task ReadingEnded
    {
        get
        {
            lock (ownGate)
                return readingEnded.Task;
        }
    }

    // Completes when nothing of the connection runs any more.
    public Task Ended
    {
        get
        {
            lock (ownGate)
                return ended.Task;
        }
    }

    // Whether the state machine knows that the connection is congested.
    private bool IsCongested =>
        Session?.State.Connection is { IsSome: true, Value: { IsCongested: true } current } && current.Id.Equals(Id);

    private Lock Gate => ((Session?)Session)?.Gate ?? ownGate;

    public override void Enter() => ownGate.Enter();

    public override void Exit() => ownGate.Exit();

    // Called by the sweep. A thread that is using the route keeps its reference.
    public void ForgetRoute(Subscriptions<SessionId> current)
    {
        if (cache is { } known && !known.IsOf(current))
            cache = null;
    }

    // Tells the application that the client is here, and after that that it has gone if it has by then.
    public void TellConnected(bool sessionPresent)
    {
        engine.Hooks.Connected((Session)Session!, this, sessionPresent);
        Cause? gone;

        lock (ownGate)
        {
            isAnnounced = true;
            gone = goneBeforeAnnounced;
        }

        if (gone is not null)
            engine.Hooks.Disconnected((Session)Session!, gone);
    }

    // Reports the disconnect to the application. If the connect was not reported yet, TellConnected reports both.
    public void TellDisconnected(Cause cause)
    {
        lock (ownGate)
        {
            if (!isAnnounced)
            {
                goneBeforeAnnounced ??= cause;
                return;
            }
        }

        engine.Hooks.Disconnected((Session)Session!, cause);
    }

    // Called at shutdown. A client that is being admitted is disconnected once it has its session.
    public void Refuse()
    {
        lock (ownGate)
        {
            if (Session is null && Handshake is { Phase: var phase } && !phase.IsAdmitting)
                Close();
        }
    }

    // Completes when all input that had arrived has been processed, within limits of bytes and time: the DISCONNECT of a
    // client that reconnects at once must be processed, and a flooding client must not delay its own session takeover.
    public async Task WaitForInputAsync()
    {
        Task taken;

        lock (ownGate)
        {
            if (readingEnded.IsCompleted)
                return;

            if (inputTaken is null)
            {
                inputTaken = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                takenUntil = Volatile.Read(ref offsetTaken) + MostBytesBeforeTakeover;
            }

            taken = inputTaken.Task;
        }

        // The read may be pending although bytes have arrived; cancel it so that the loop checks.
        input.CancelPendingRead();

        try
        {
            await taken.WaitAsync(MostTimeBeforeTakeover, engine.Time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // The limit was reached; the takeover proceeds.
        }
    }

    // The end of waiting for a peer that does not take what it is sent.
    public void AbortIfDue(long now)
    {
        if (Volatile.Read(ref abortAt) <= now)
            Cut();
    }

    public void Abort()
    {
        lock (Gate)
            Close();

        Cut();
    }

    // Serves the connection until it is closed. Never throws.
    public async Task RunAsync()
    {
        var isPending = true;

        try
        {
            // Awaited inline, since idle connections wait here and each further async method would cost memory per
            // connection.
            while (!Volatile.Read(ref closing))
            {
                var reading = input.ReadAsync();

                if (!reading.IsCompleted)
                    InputIsTaken();

                var result = await reading.ConfigureAwait(false);
                var buffer = result.Buffer;
                var pause = Take(ref buffer);
                // Whole packets left because of a pause stay unexamined, so that the next read returns them.
                input.AdvanceTo(buffer.Start, pause.IsBytes ? buffer.End : buffer.Start);

                if (!pause.IsBytes)
                    await PassAsync(pause).ConfigureAwait(false);
                else if (result.IsCompleted)
                    break;

                if (isPending && Session is not null)
                {
                    isPending = false;
                    Accepted();
                }

                if (WhenTakesData() is { } wait)
                    await wait.ConfigureAwait(false);
            }
        }
        catch (Exception failure) when (failure is IOException or OperationCanceledException or InvalidOperationException
            or Microsoft.AspNetCore.Connections.ConnectionAbortedException)
        {
            Log.TransportFailed(engine.Logger, Id.Value, failure);
        }
        catch (Exception failure)
        {
            Log.Defect(engine.Logger, Id.Value, failure);
        }

        if (isPending)
        {
            engine.Greeted();
            EndActivity();
        }

        lock (ownGate)
        {
            readingEnded.Complete();
            inputTaken?.TrySetResult();
        }

        try
        {
            Lose();
            await FinishAsync().ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            Log.TransportFailed(engine.Logger, Id.Value, failure);
        }

        Seal();

        engine.Leave(this);
        Origin.Leave(engine);

        // Waiters see the connection as ended and do not abort it.
        lock (ownGate)
            ended.Complete();
    }

    // Processes whole packets up to the first that has to wait.
    private Pause Take(ref ReadOnlySequence<byte> buffer)
    {
        if (connecting is null && Session is null && Telemetry.Source.HasListeners())
        {
            connecting = Telemetry.Source.StartActivity("mqtt5.broker.connect", ActivityKind.Server);
            connecting?.SetTag("network.peer.address", Origin.EndPoint);
        }

        var turn = engine.Rent();
        var began = Telemetry.BeginRead();

        try
        {
            return Node.Received(turn, this, ref buffer);
        }
        finally
        {
            var isMeasured = began != 0 && turn.Counts.PublishReceived > 0;
            engine.Return(turn);

            if (isMeasured)
                Telemetry.Published(engine.Logger, began);

            CountTaken();
        }
    }

    // Handles pauses until the node needs more bytes.
    private async Task PassAsync(Pause pause)
    {
        while (!pause.IsBytes)
        {
            AuthenticationResult? decision = null;

            switch (pause)
            {
                case Pause.Authenticator authenticator:
                    decision = await AuthenticateAsync(authenticator.Packet).ConfigureAwait(false);
                    break;
                case Pause.EarlierInput earlier:
                    await ((Connection)earlier.Connection).WaitForInputAsync().ConfigureAwait(false);
                    break;
                case Pause.EarlierEnd earlier:
                    // Packets of the previous connection are processed first, to preserve message order.
                    await ((Connection)earlier.Connection).ReadingEnded.WaitAsync(StopToken())
                        .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    return;
                case { IsOthers: true }:
                    // Then the next read gives what is left, or nothing.
                    if (!Origin.TryDefer())
                    {
                        input.CancelPendingRead();
                        await Task.Yield();
                    }

                    return;
            }

            var turn = engine.Rent();

            try
            {
                pause = decision is not null
                    ? Node.Authenticated(turn, this, decision)
                    : pause.IsClaim ? Node.Claim(turn, this) : Node.Drained(turn, this);
            }
            finally
            {
                engine.Return(turn);
            }
        }
    }

    // The connection belongs to a session.
    private void Accepted()
    {
        engine.Accepted(this);
        connecting?.SetTag("mqtt.client.id", ((Session)Session!).State.ClientId.Text);
        EndActivity();

        if (authentication is { Method: null })
            authentication = null;
    }

    private void EndActivity()
    {
        if (Rejection is { } reason)
            connecting?.SetStatus(ActivityStatusCode.Error, reason.ToString());

        connecting?.Dispose();
        connecting = null;
    }

    private async Task<AuthenticationResult> AuthenticateAsync(Packet packet)
    {
        if (packet is Packet.Connect { Connect: var connect })
            authentication = new MqttAuthenticationContext(connect, Origin.EndPoint, Origin.Certificate, Origin.IsInProcess, Origin.Listener?.Name);
        else
            authentication!.Take(((Packet.Auth)packet).Auth.Authentication);

        authentication.IsReauthentication = Session is not null;
        var began = engine.Time.GetTimestamp();

        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(StopToken(), Origin.Closed);
            limit.CancelAfter(TimeSpan.FromMilliseconds(engine.Settings.Limits.ConnectTimeout));
            // An authenticator that ignores the token, or blocks, must not block the connection, which others wait for, nor
            // the thread of an event loop.
            var result = await Task.Run(() => engine.Authenticator!.AuthenticateAsync(authentication, limit.Token).AsTask(), limit.Token)
                .WaitAsync(limit.Token).ConfigureAwait(false);
            return new AuthenticationResult(result.Reason, result.Data, result.IsAnonymous ? null : result.UserName ?? authentication.UserName, InstantOf(result.ExpiresAt));
        }
        catch (OperationCanceledException)
        {
            return Authenticating.NoResult;
        }
        catch (Exception failure)
        {
            Log.AuthenticatorFailed(engine.Logger, failure);
            return Authenticating.NoResult;
        }
        finally
        {
            Telemetry.Authenticated(engine.Logger, engine.Time.GetElapsedTime(began));
        }
    }

    private long? InstantOf(DateTimeOffset? time) =>
        time is { } given ? engine.Now() + (long)(given - engine.Time.GetUtcNow()).TotalMilliseconds : null;

    // Backpressure: a client that does not read its acknowledgments is not read from.
    private Task? WhenTakesData()
    {
        lock (Gate)
        {
            if (!IsCongested || closing)
                return closing ? null : engine.Journal?.WhenRoom();

            takesData ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return takesData.Task;
        }
    }

    // No more input is in the pipe.
    private void InputIsTaken()
    {
        if (Volatile.Read(ref inputTaken) is null || Origin.HasUnreadBytes())
            return;

        lock (ownGate)
        {
            inputTaken?.TrySetResult();
            inputTaken = null;
        }
    }

    private void CountTaken()
    {
        Volatile.Write(ref offsetTaken, Offset);

        if (Volatile.Read(ref inputTaken) is null || Offset < Volatile.Read(ref takenUntil))
            return;

        lock (ownGate)
        {
            inputTaken?.TrySetResult();
            inputTaken = null;
        }
    }

    private void StopReading()
    {
        try
        {
            StopSource()?.Cancel();
            input.CancelPendingRead();
        }
        catch (Exception failure)
        {
            Log.TransportFailed(engine.Logger, Id.Value, failure);
        }
    }

    private CancellationTokenSource? StopSource()
    {
        lock (ownGate)
            return stop;
    }

    // Canceled once reading stops. Created lazily, since most connections never need it.
    private CancellationToken StopToken()
    {
        lock (ownGate)
        {
            stop ??= new CancellationTokenSource();

            if (Volatile.Read(ref closing))
                stop.Cancel();

            return stop.Token;
        }
    }

    private void Cut()
    {
        Seal();

        try
        {
            Origin.Abort();
        }
        catch (Exception failure)
        {
            // Already closed, or failing; the shutdown continues because others wait for it.
            Log.TransportFailed(engine.Logger, Id.Value, failure);
        }
    }

    // Tells the node that the transport is closed, unless the node closed it.
    private void Lose()
    {
        var turn = engine.Rent();
        Node.TransportClosed(turn, this, "the client closed the connection");

        lock (Gate)
            Close();

        engine.Return(turn);
    }
}
