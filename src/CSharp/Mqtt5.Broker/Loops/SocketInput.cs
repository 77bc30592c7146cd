using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Threading.Tasks.Sources;

namespace Mqtt5.Loops;

// The receiving side of a socket that an event loop serves, and its registration there. A pending read has no buffer: when
// the socket is readable, the loop receives once and completes the read, so the reader continues on the thread of the
// loop; with a blocking application, on the thread pool. What is unread stays in the socket, so nothing that was not asked
// for is in memory.
[SuppressMessage("Reliability", "CA1001", Justification = "The source is always canceled in the end, and has no timer.")]
internal sealed class SocketInput : PipeReader, EventLoop.ISlot, IValueTaskSource<ReadResult>, IThreadPoolWorkItem
{
    // What one turn receives at most. On the thread pool many buffers can be in use at a time.
    private const int ReadBytes = 64 * 1024;
    private const int PooledReadBytes = 8 * 1024;

    // A connection that sends this much in a turn is served after the others.
    private const int BusyBytes = 8 * 1024;

    private const int Reading = 0;
    private const int Waiting = 1;
    private const int Completing = 2;

    private readonly EventLoop loop;
    private readonly Lock interestLock = new();
    private readonly bool usesPool;
    private ManualResetValueTaskSourceCore<bool> source;
    private CancellationTokenSource? closed;
    private SocketOutput? output;
    private Exception? failure;
    private byte[]? buffer;
    private ulong key;
    private uint interest;
    private int start;
    private int end;
    private int phase;
    private bool isExamined = true;
    private bool isCanceled;
    private bool isCompleted;
    private bool isAborted;
    private bool isLeft;
    private bool isBusy;
    private bool isQueued;
    private bool wasRead;
    private bool isDeferred;
    private bool isResuming;

    public SocketInput(EventLoop loop, Socket socket, bool usesPool)
    {
        this.loop = loop;
        this.usesPool = usesPool;
        Socket = socket;
    }

    public Socket Socket { get; }

    // Canceled when the peer has closed its end, or the socket is closed. The loop watches for it while nothing is read.
    public CancellationToken Closed
    {
        get
        {
            lock (interestLock)
            {
                if (closed is null)
                {
                    closed = new CancellationTokenSource();

                    if (isAborted || isLeft)
                        closed.Cancel();
                    else if ((interest & Poller.Readable) == 0)
                        SetInterest(interest | Poller.PeerClosed);
                }

                return closed.Token;
            }
        }
    }

    public void Begin(SocketOutput sending)
    {
        output = sending;
        key = loop.Enter(this);
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (isDeferred)
        {
            isDeferred = false;

            if (loop.IsCurrent)
                return ReadDeferred();

            // Another thread reads now.
            isCanceled = true;
        }

        if (TryRead(out var result))
            return new ValueTask<ReadResult>(result);

        source.Reset();
        wasRead = true;
        // A full fence: who wants to complete a read sees that it waits, or this method sees what was set before.
        Interlocked.Exchange(ref phase, Waiting);

        if (Volatile.Read(ref isCanceled) || Volatile.Read(ref isAborted))
            CompleteOnPool();
        else if ((Volatile.Read(ref interest) & Poller.Readable) == 0)
            Arm();

        return cancellationToken.CanBeCanceled
            ? ReadAsync(new ValueTask<ReadResult>(this, source.Version), cancellationToken)
            : new ValueTask<ReadResult>(this, source.Version);
    }

    public override bool TryRead(out ReadResult result)
    {
        result = default;

        if (isExamined && !isCompleted && failure is null && !Volatile.Read(ref isCanceled) && !Volatile.Read(ref isAborted))
            return false;

        result = Result();
        return true;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        if (buffer is null)
            return;

        start = consumed.GetInteger();
        isExamined = examined.GetInteger() == end;
        var left = end - start;

        if (left == 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
            buffer = null;
            start = end = 0;
            isExamined = true;
        }
        else if (isExamined && left <= buffer.Length / 4)
        {
            // The beginning of a packet may lie here for long, so it keeps no more memory than it needs.
            Move(ArrayPool<byte>.Shared.Rent(left));
        }
    }

    // Has the next read wait until the other connections of the loop have had their turns, and then give what is there
    // without receiving. False: the caller is not on the thread of the loop.
    public bool TryDefer() => isDeferred = !usesPool && loop.IsCurrent;

    // Completes the read that is pending, or the next one.
    public override void CancelPendingRead()
    {
        Volatile.Write(ref isCanceled, true);
        Interlocked.MemoryBarrier();

        if (Volatile.Read(ref phase) == Waiting)
            CompleteOnPool();
    }

    public override void Complete(Exception? exception = null)
    {
        // The socket is closed when the connection is left.
    }

    // Closes the socket at once. Pending reads and flushes end.
    public void Abort()
    {
        lock (interestLock)
        {
            if (isAborted || isLeft)
                return;

            isAborted = true;
        }

        // A connection that is refused at once is closed in order: a reset could reach the peer before it knows that it is
        // connected.
        if (wasRead)
            Socket.Close(0);
        else
            Socket.Dispose();

        CancelClosed();

        if (Volatile.Read(ref phase) == Waiting)
            CompleteOnPool();

        output!.Abort();
    }

    // Closes the socket after what was sent; nothing uses it any more.
    public void End()
    {
        lock (interestLock)
        {
            if (isLeft)
                return;

            isLeft = true;
        }

        loop.Leave(key);
        CancelClosed();

        // What is closed is no longer registered with the loop.
        Socket.Dispose();
        output!.Release();

        if (buffer is { } rest)
        {
            buffer = null;
            ArrayPool<byte>.Shared.Return(rest);
        }
    }

    public bool HasUnreadBytes()
    {
        try
        {
            return !Volatile.Read(ref isAborted) && (Volatile.Read(ref isResuming) || Socket.Available > 0);
        }
        catch (Exception failed) when (failed is ObjectDisposedException or SocketException)
        {
            return false;
        }
    }

    // Has the loop say when the socket takes data again, or no longer.
    public void WatchWritable(bool isWatched)
    {
        lock (interestLock)
        {
            if (!isAborted && !isLeft)
                SetInterest(isWatched || output!.IsWaiting ? interest | Poller.Writable : interest & ~Poller.Writable);
        }
    }

    public void Ready(uint events)
    {
        if ((events & (Poller.Writable | Poller.Failed | Poller.HungUp)) != 0 && !output!.Ready())
            WatchWritable(isWatched: false);

        if ((events & ~Poller.Writable) == 0)
            return;

        if (!isBusy || Volatile.Read(ref phase) != Waiting)
        {
            Receive(events);
        }
        else if (!isQueued)
        {
            isQueued = true;
            loop.Queue(this);
        }
    }

    // The turn of a connection that was queued for it.
    public void ReadQueued()
    {
        isQueued = false;

        if (isResuming)
        {
            Volatile.Write(ref isResuming, false);

            if (Interlocked.CompareExchange(ref phase, Reading, Waiting) == Waiting)
                source.SetResult(true);
        }
        else
        {
            Receive(Poller.Readable);
        }
    }

    void IThreadPoolWorkItem.Execute() => source.SetResult(true);

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token)
    {
        source.GetResult(token);
        return Result();
    }

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => source.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        source.OnCompleted(continuation, state, token, flags);

    private ValueTask<ReadResult> ReadDeferred()
    {
        Volatile.Write(ref isResuming, true);
        // The socket may be ready meanwhile; it is not served before the others.
        isBusy = true;
        source.Reset();
        Interlocked.Exchange(ref phase, Waiting);

        if (!isQueued)
        {
            isQueued = true;
            loop.Queue(this);
        }

        if (Volatile.Read(ref isCanceled) || Volatile.Read(ref isAborted))
            CompleteOnPool();

        return new ValueTask<ReadResult>(this, source.Version);
    }

    private async ValueTask<ReadResult> ReadAsync(ValueTask<ReadResult> pending, CancellationToken cancellationToken)
    {
        using (cancellationToken.UnsafeRegister(static it => ((SocketInput)it!).CancelPendingRead(), this))
        {
            var result = await pending.ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            return result;
        }
    }

    private ReadResult Result()
    {
        if (failure is not null)
            throw new IOException("the connection failed", failure);

        if (Volatile.Read(ref isAborted))
            throw new Microsoft.AspNetCore.Connections.ConnectionAbortedException();

        var canceled = isCanceled;
        isCanceled = false;
        var data = buffer is null ? ReadOnlySequence<byte>.Empty : new ReadOnlySequence<byte>(buffer, start, end - start);
        return new ReadResult(data, canceled, isCompleted);
    }

    private void Receive(uint events)
    {
        if (Interlocked.CompareExchange(ref phase, Completing, Waiting) != Waiting)
        {
            Disarm(events);
            return;
        }

        if (!ReceiveInto())
        {
            Interlocked.Exchange(ref phase, Waiting);

            if (Volatile.Read(ref isCanceled) || Volatile.Read(ref isAborted))
                CompleteOnPool();

            return;
        }

        Volatile.Write(ref phase, Reading);

        // More than one receive gives is a large packet. To process it can take as long as many turns, as an UNSUBSCRIBE of
        // 100,000 filters does, and the loop has others to serve.
        if (usesPool || end - start > ReadBytes)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        else
            source.SetResult(true);
    }

    // False: there was nothing to receive.
    private bool ReceiveInto()
    {
        var left = end - start;
        var wanted = usesPool && !isBusy ? PooledReadBytes : ReadBytes;

        // What is left over grows by doubling, so a large packet is copied a constant number of times.
        if (buffer is null || buffer.Length - end < Math.Min(wanted, Math.Max(left, 1)))
            Move(ArrayPool<byte>.Shared.Rent(Math.Max(wanted, 2 * left)));

        var room = Math.Min(buffer!.Length - end, Math.Max(wanted, left));

        SocketError error;
        int received;

        try
        {
            received = Socket.Receive(buffer.AsSpan(end, room), SocketFlags.None, out error);
        }
        catch (ObjectDisposedException closedMeanwhile)
        {
            failure = closedMeanwhile;
            return true;
        }

        if (error == SocketError.Success)
            loop.CountReceived(received);

        if (error == SocketError.WouldBlock)
        {
            if (left == 0)
                GiveBack();

            return false;
        }

        if (error != SocketError.Success)
            failure = new SocketException((int)error);
        else if (received == 0)
            isCompleted = true;

        end += received;
        isBusy = received >= BusyBytes;

        if (start == end)
            GiveBack();

        return true;
    }

    private void GiveBack()
    {
        ArrayPool<byte>.Shared.Return(buffer!);
        buffer = null;
        start = end = 0;
    }

    private void Move(byte[] target)
    {
        if (buffer is not null)
        {
            buffer.AsSpan(start, end - start).CopyTo(target);
            ArrayPool<byte>.Shared.Return(buffer);
        }

        buffer = target;
        end -= start;
        start = 0;
    }

    private void CompleteOnPool()
    {
        if (Interlocked.CompareExchange(ref phase, Reading, Waiting) == Waiting)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private void CancelClosed()
    {
        if (closed is { } known)
            ThreadPool.UnsafeQueueUserWorkItem(static it => it.Cancel(), known, preferLocal: false);
    }

    // Nothing reads, although the socket is ready; the loop would return to it all the time.
    private void Disarm(uint events)
    {
        lock (interestLock)
        {
            if (isAborted || isLeft)
                return;

            if (closed is not null && (events & (Poller.PeerClosed | Poller.HungUp | Poller.Failed)) != 0)
            {
                CancelClosed();
                closed = null;
            }

            SetInterest((interest & Poller.Writable) | (closed is null ? 0 : Poller.PeerClosed));
            Interlocked.MemoryBarrier();

            if (Volatile.Read(ref phase) == Waiting)
                SetInterest(interest | Poller.Readable);
        }
    }

    private void Arm()
    {
        lock (interestLock)
        {
            if (!isAborted && !isLeft)
                SetInterest((interest & Poller.Writable) | Poller.Readable);
        }
    }

    // Called within the lock, while the socket is open.
    private void SetInterest(uint next)
    {
        if (next == interest)
            return;

        var descriptor = Socket.Handle;

        // Errors are reported for whatever is registered, so what is of no interest must not be.
        if (next == 0)
            loop.Poller.Unregister(descriptor);
        else if (interest == 0)
            loop.Poller.Register(descriptor, key, next);
        else
            loop.Poller.Modify(descriptor, key, next);

        Volatile.Write(ref interest, next);
    }
}
