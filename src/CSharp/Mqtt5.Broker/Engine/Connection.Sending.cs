using System.IO.Pipelines;

namespace Mqtt5.Serving;

// The sending side of a connection: flushing, congestion and graceful close.
internal sealed partial class Connection
{
    private const int FlushesInTurn = 32;

    private TaskCompletionSource? flushed;
    private bool flushing;
    private bool isSealed;
    private long countedUnsent;

    public override Span<byte> Reserve(int size) => Writer.Reserve(size);

    public override void Advance(int size) => Writer.Advance(size);

    public override void Write(ReadOnlySpan<byte> packets) => Writer.Write(packets);

    public override void WriteShared(ReadOnlyMemory<byte> bytes) => Writer.WriteShared(bytes, engine.SharedPayloads);

    // Starts a flush; bytes written while one is under way are flushed by its continuation.
    public override void Flush()
    {
        lock (Gate)
        {
            IsDirty = false;
            FlushWithin();
        }
    }

    // A single turn can write without bound, for example when a subscription matches many retained messages. Bytes beyond
    // the budget are therefore flushed within the turn, and the connection counts as congested only if the transport does
    // not accept them. This bounds the buffer at twice the budget plus one packet.
    public override bool IsOverBudget()
    {
        var held = HeldBytes;
        var unsent = Writer.Unsent + held;

        if (unsent <= engine.LeastSendBufferBytes)
            return false;

        if (flushing || held > 0)
            CountUnsent(Writer.Copied + held);

        if (unsent <= engine.CurrentSendBufferBytes)
            return false;

        if (flushing || isSealed)
            return true;

        FlushWithin();
        return held > engine.CurrentSendBufferBytes;
    }

    // What waits for a connection that does not take it counts against what waits for all of them; payloads that it does not
    // hold alone are counted by themselves. Called under the gate.
    private void CountUnsent(long bytes)
    {
        if (bytes == countedUnsent)
            return;

        engine.Totals.Unsent(bytes - countedUnsent);
        countedUnsent = bytes;
    }

    // Called under the gate.
    public override void Close()
    {
        if (closing)
            return;

        Volatile.Write(ref closing, true);
        Volatile.Write(ref abortAt, engine.Now() + engine.CloseTimeout);
        engine.Watch(this);
        takesData?.TrySetResult();
        // On the thread pool: the continuation of the pending read could otherwise run under this gate.
        ThreadPool.UnsafeQueueUserWorkItem(static connection => connection.StopReading(), this, preferLocal: false);
    }

    // Must not throw, since it runs on threads that deliver to the session. Called under the gate.
    private void FlushWithin()
    {
        if (flushing)
            return;

        var flushes = 0;

        while (!isSealed && Writer.Unsent > 0)
        {
            ValueTask<FlushResult> flush;

            try
            {
                flush = Writer.FlushAsync();
            }
            catch (Exception failure)
            {
                // The reader completed the pipe with an exception. A logger may call back into the broker, so it must not run
                // under the gate.
                ThreadPool.UnsafeQueueUserWorkItem(
                    static it => Log.TransportFailed(it.Logger, it.Number, it.failure), (engine.Logger, Number: Id.Value, failure), preferLocal: false);
                Seal();
                flushed?.TrySetResult();
                Close();
                return;
            }

            // A large payload takes many flushes. Others get their turn in between.
            if (!flush.IsCompletedSuccessfully || ++flushes == FlushesInTurn && Writer.Unsent > 0)
            {
                flushing = true;
                _ = WaitForFlushAsync(flush);
                return;
            }

            _ = flush.Result;
        }

        TellFlushed();
    }

    // After the connection has ended, its pipe belongs to the transport again or to the next connection, and a thread that
    // marked this one dirty may still come to flush it.
    private void Seal()
    {
        lock (Gate)
        {
            isSealed = true;
            Writer.Discard();
            CountUnsent(0);
        }
    }

    private async Task WaitForFlushAsync(ValueTask<FlushResult> flush)
    {
        // The continuation steps other sessions, so it must not run under a gate, even if the flush completes
        // synchronously.
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
            Log.TransportFailed(engine.Logger, Id.Value, failure);
        }

        // The transport accepts no more data.
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
            CountUnsent(0);
            FlushWithin();
        }

        TakesDataIfCongested();
    }

    private void TakesDataIfCongested()
    {
        lock (Gate)
        {
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

    // Drains what the client sent in the meantime: closing a socket with unread bytes resets the connection, and the client
    // could lose the last packets sent to it.
    private async Task SettleAsync()
    {
        while (input.TryRead(out var result))
        {
            input.AdvanceTo(result.Buffer.End);

            if (result.IsCompleted)
                return;

            // The cancellation came from StopReading, not from the peer.
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
