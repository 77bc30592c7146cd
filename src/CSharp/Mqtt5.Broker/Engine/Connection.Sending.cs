using System.IO.Pipelines;

namespace Mqtt5.Serving;

// The sending end of a connection: flushing, congestion, and the last that is sent.
internal sealed partial class Connection
{
    private TaskCompletionSource? flushed;
    private bool flushing;
    private bool isSealed;

    public override Span<byte> Reserve(int size) => Writer.Reserve(size);

    public override void Advance(int size) => Writer.Advance(size);

    public override void Write(ReadOnlySpan<byte> packets) => Writer.Write(packets);

    // What was written goes to the transport; what is written while it takes it follows by itself.
    public override void Flush()
    {
        lock (Gate)
        {
            IsDirty = false;
            FlushWithin();
        }
    }

    // One turn can write without end, as where a subscription brings many retained messages: what is beyond the budget is
    // flushed before the turn is over, and only if the transport does not take it is the connection found to be congested.
    // So it costs twice the budget and a packet at most.
    public override bool IsOverBudget()
    {
        if (Writer.Unsent <= engine.SendBufferBytes)
            return false;

        if (flushing || isSealed)
            return true;

        FlushWithin();
        return false;
    }

    // Called within the gate.
    public override void Close()
    {
        if (closing)
            return;

        Volatile.Write(ref closing, true);
        Volatile.Write(ref abortAt, engine.Now() + engine.CloseTimeout);
        takesData?.TrySetResult();
        // Not from here: the one that waits for the input might go on under this gate.
        ThreadPool.UnsafeQueueUserWorkItem(static connection => connection.StopReading(), this, preferLocal: false);
    }

    // Never throws, since the threads that deliver to the session call it. Called within the gate.
    private void FlushWithin()
    {
        if (flushing)
            return;

        if (isSealed || Writer.Unsent == 0)
        {
            flushed?.TrySetResult();
            return;
        }

        ValueTask<FlushResult> flush;

        try
        {
            flush = Writer.FlushAsync();
        }
        catch (Exception failure)
        {
            // The end of the pipe that is read from says by it why it takes nothing any more. A logger may come back to
            // the broker, so not within the gate.
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

    // A thread that marked the connection as written to may come to flush it after it has ended or was cut, when its pipe
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

        // The transport takes no data any more.
        lock (Gate)
        {
            flushing = false;
            flushed?.TrySetResult();
            Close();
        }
    }

    private void TakesDataAgain()
    {
        lock (Gate)
        {
            flushing = false;
            FlushWithin();

            if (flushing || !IsCongested)
                return;
        }

        var turn = engine.Rent();
        Node.TakesData(turn, this);

        lock (Gate)
        {
            takesData?.TrySetResult();
            takesData = null;
        }

        engine.Return(turn);
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
