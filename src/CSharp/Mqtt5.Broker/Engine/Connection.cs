using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;

namespace Mqtt5.Serving;

// One network connection: reads packets for the machine of its session, and holds the sending end that all who deliver
// to the session write to.
[SuppressMessage("Reliability", "CA1001", Justification = "The source is always cancelled in the end, and has no timer.")]
internal sealed partial class Connection
{
    private readonly BrokerEngine engine;
    private readonly PipeReader input;
    private readonly Lock ownGate = new();
    private CancellationTokenSource? stop;
    private Ending ended;
    private Ending readingEnded;
    private TaskCompletionSource? flushed;
    private TaskCompletionSource? takesData;
    private RouteCache? cache;
    private Session? session;
    private long lastReceived;
    private long abortAt = long.MaxValue;
    private bool flushing;
    private bool isSealed;
    private bool closing;
    // Null: the application was not told of the client; a cause: nor that it has gone since; itself: it was told.
    private object? presence;

    public Connection(BrokerEngine engine, PipeReader input, PipeWriter output, Origin origin)
    {
        this.engine = engine;
        this.input = input;
        Origin = origin;
        Outlet = new Outlet(output);
        handshake = Handshake.Start(engine.Now(), engine.Settings);
        lastReceived = engine.Now();
    }

    public Origin Origin { get; }

    public Outlet Outlet { get; }

    // The number that the registry gave it; 0 before.
    public long Number { get; private set; }

    // The session that it belongs to; null before.
    public Session? Session => Volatile.Read(ref session);

    // When the last packet arrived as a whole.
    public long LastReceived => Volatile.Read(ref lastReceived);

    // Whether somebody will flush it. Used under the gate.
    public bool IsDirty { get; set; }

    // Whether the machine knows that it takes no more data. Used under the gate.
    public bool IsCongested { get; set; }

    public RouteCache Cache => cache ??= new RouteCache();

    // Called by the sweep. Whoever has the route in hand goes on with it.
    public void ForgetRoute(Subscriptions<long> current)
    {
        if (cache is { } known && !known.IsOf(current))
            cache = null;
    }

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

    private Lock Gate => Session?.Gate ?? ownGate;

    // Called under the gate of the session.
    public void Join(Session owner, long number)
    {
        Number = number;
        Volatile.Write(ref session, owner);
    }

    // Tells the application that the client is here, and after that that it has gone if it has by then.
    public void TellConnected(bool sessionPresent)
    {
        engine.Hooks.Connected(Session!, this, sessionPresent);

        if (Interlocked.Exchange(ref presence, this) is Cause cause)
            engine.Hooks.Disconnected(Session!, cause);
    }

    // Tells the application that the client has gone. Where it was not told yet that it is here, whoever tells it does.
    public void TellDisconnected(Cause cause)
    {
        if (Interlocked.CompareExchange(ref presence, cause, null) is not null)
            engine.Hooks.Disconnected(Session!, cause);
    }

    // What was written goes to the transport; what is written while it takes it follows by itself.
    public void Flush()
    {
        lock (Gate)
        {
            IsDirty = false;
            FlushWithin();
        }
    }

    // Whether it takes no more data now, and the machine does not know. One turn can write without end, as where a
    // subscription brings many retained messages: what is beyond the budget is flushed before the turn is over, and only
    // if the transport does not take it is the connection found to be congested. So it costs twice the budget and a
    // packet at most. Called under the gate.
    public bool IsOverBudget()
    {
        if (IsCongested || Outlet.Unsent <= engine.SendBufferBytes)
            return false;

        if (flushing || isSealed)
            return true;

        FlushWithin();
        return false;
    }

    // Nothing is read or written any more; what was written is still sent. Called under the gate.
    public void Close()
    {
        if (closing)
            return;

        Volatile.Write(ref closing, true);
        Volatile.Write(ref abortAt, engine.Now() + engine.CloseTimeout);
        takesData?.TrySetResult();
        // Not from here: whoever waits for the input might go on under this gate.
        ThreadPool.UnsafeQueueUserWorkItem(static connection => connection.StopReading(), this, preferLocal: false);
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
        try
        {
            bool isWelcome;

            try
            {
                isWelcome = await GreetAsync().ConfigureAwait(false);
            }
            finally
            {
                engine.Greeted();
            }

            if (isWelcome)
                StartReading();

            // In place, since an idle connection waits here, and each method that waits costs it memory.
            while (isWelcome && !Volatile.Read(ref closing))
            {
                var result = await input.ReadAsync().ConfigureAwait(false);
                var buffer = result.Buffer;
                var judging = Take(ref buffer);
                // Whole packets that are left because one has to be judged are read again at once.
                input.AdvanceTo(buffer.Start, judging is null ? buffer.End : buffer.Start);

                if (judging is not null)
                    await RejudgeAsync(judging).ConfigureAwait(false);
                else if (result.IsCompleted)
                    break;

                if (WhenTakesData() is { } wait)
                    await wait.ConfigureAwait(false);
            }
        }
        catch (Exception failure) when (failure is IOException or OperationCanceledException or InvalidOperationException
            or Microsoft.AspNetCore.Connections.ConnectionAbortedException)
        {
            Log.TransportFailed(engine.Logger, Number, failure);
        }
        catch (Exception failure)
        {
            Log.Defect(engine.Logger, Number, failure);
        }

        lock (ownGate)
            readingEnded.Reach();

        try
        {
            Lose();
            await FinishAsync().ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            Log.TransportFailed(engine.Logger, Number, failure);
        }

        Seal();

        engine.Leave(this);
        Origin.Leave(engine);

        // Whoever waits for it finds it gone, and does not cut it.
        lock (ownGate)
            ended.Reach();
    }

    // Never throws, since whoever delivers to the session calls it. Called under the gate.
    private void FlushWithin()
    {
        if (flushing)
            return;

        if (isSealed || Outlet.Unsent == 0)
        {
            flushed?.TrySetResult();
            return;
        }

        ValueTask<FlushResult> flush;

        try
        {
            flush = Outlet.FlushAsync();
        }
        catch (Exception failure)
        {
            // The end of the pipe that is read from says by it why it takes nothing any more. Whoever is told may come back
            // to the broker, so not under the gate.
            ThreadPool.UnsafeQueueUserWorkItem(
                static it => Log.TransportFailed(it.Logger, it.Number, it.failure), (engine.Logger, Number, failure), preferLocal: false);
            isSealed = true;
            flushed?.TrySetResult();
            Close();
            return;
        }

        if (flush.IsCompletedSuccessfully)
        {
            _ = flush.Result;
            flushed?.TrySetResult();
            return;
        }

        flushing = true;
        _ = WaitForFlushAsync(flush);
    }

    // Whoever marked the connection as written to may come to flush it after it has ended or was cut, when its pipe
    // belongs to the transport again, or to the next connection.
    private void Seal()
    {
        lock (Gate)
            isSealed = true;
    }

    private async Task WaitForFlushAsync(ValueTask<FlushResult> flush)
    {
        // What follows steps other sessions, so it must not run where a gate is held, however soon the flush ends.
        await Task.Yield();

        try
        {
            var result = await flush.ConfigureAwait(false);

            if (!result.IsCompleted)
            {
                TakesDataAgain();
                return;
            }
        }
        catch (Exception failure)
        {
            Log.TransportFailed(engine.Logger, Number, failure);
        }

        // Nobody takes data any more.
        lock (Gate)
        {
            flushing = false;
            flushed?.TrySetResult();
            Close();
        }
    }

    private void TakesDataAgain()
    {
        var worker = engine.Rent();

        lock (Gate)
        {
            flushing = false;
            FlushWithin();

            if (!flushing && IsCongested)
            {
                IsCongested = false;
                takesData?.TrySetResult();
                takesData = null;

                if (Session is { } owner)
                    worker.StepWithin(owner, this, ServerEvent.NewCongested(Number, false));
            }
        }

        if (Session is { } walker)
            worker.Walk(walker);

        engine.Return(worker);
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
            Log.TransportFailed(engine.Logger, Number, failure);
        }
    }

    private CancellationTokenSource? StopSource()
    {
        lock (ownGate)
            return stop;
    }

    // Cancelled once nothing is read any more. Most connections never need it.
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
            // It is gone already, or fails; others wait for whoever cuts it.
            Log.TransportFailed(engine.Logger, Number, failure);
        }
    }

    // The machine learns that the transport is gone, unless it was the one that closed it.
    private void Lose()
    {
        var worker = engine.Rent();

        if (Session is { } owner)
            worker.Step(owner, ServerEvent.NewTransportClosed(Number, Cause.NewTransportFailed("the client closed the connection")));

        lock (Gate)
            Close();

        engine.Return(worker);
    }

    private async Task FinishAsync()
    {
        Task all;

        lock (Gate)
        {
            flushed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            all = flushed.Task;
            FlushWithin();
        }

        try
        {
            await all.WaitAsync(TimeSpan.FromMilliseconds(engine.CloseTimeout), engine.Time).ConfigureAwait(false);
            await SettleAsync().ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            Cut();
        }
    }

    // What the client sent meanwhile is read and thrown away: to close a socket that holds unread bytes would make the
    // client lose what it was sent last.
    private async Task SettleAsync()
    {
        while (input.TryRead(out var result))
        {
            input.AdvanceTo(result.Buffer.End);

            if (result.IsCompleted)
                return;

            // The cancellation that ended the reading is no sign of the peer.
            if (result.IsCanceled)
                continue;
        }

        if (!Origin.HasUnreadBytes())
            return;

        using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(500), engine.Time);

        while (Origin.HasUnreadBytes())
        {
            try
            {
                var result = await input.ReadAsync(patience.Token).ConfigureAwait(false);
                input.AdvanceTo(result.Buffer.End);

                if (result.IsCompleted)
                    return;
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }
}
