using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Threading.Tasks.Sources;

namespace Mqtt5.Loops;

// The sending side of a socket that an event loop serves. A flush sends on the thread that calls it; if the socket does not
// take everything, the loop sends the rest when it does. What is written meanwhile goes with the next flush. Writing and
// flushing are for one thread at a time, the gate of the connection sees to that; the loop has only what a flush left.
internal sealed class SocketOutput(SocketInput input) : PipeWriter
{
    // The first piece is as large as what was sent last, so that mostly one send does.
    private const int SmallestPiece = 512;
    private const int LargestPiece = 64 * 1024;

    private readonly Socket socket = input.Socket;
    private List<Piece>? full;
    private PendingFlush? pending;
    private byte[]? current;
    private int used;
    private int nextPiece = SmallestPiece;
    private long unflushed;
    private bool isBroken;

    private readonly record struct Piece(byte[] Array, int Length);

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => unflushed + (pending?.Bytes ?? 0);

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        if (current is not null && current.Length - used < Math.Max(sizeHint, 1))
            Keep();

        current ??= ArrayPool<byte>.Shared.Rent(Math.Max(sizeHint, nextPiece));
        return current.AsMemory(used);
    }

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public override void Advance(int bytes)
    {
        used += bytes;
        unflushed += bytes;
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (isBroken)
        {
            Discard();
            return new ValueTask<FlushResult>(new FlushResult(isCanceled: false, isCompleted: true));
        }

        var total = unflushed;
        var sent = 0;

        if (full is not null)
        {
            foreach (var piece in full)
            {
                sent += Send(piece.Array.AsSpan(0, piece.Length), out var isAll);

                if (!isAll)
                    return Rest(sent);
            }
        }

        if (current is not null)
        {
            sent += Send(current.AsSpan(0, used), out var isAll);

            if (!isAll)
                return Rest(sent);
        }

        Discard();
        // Halved at most, so that one small flush among large ones changes little.
        nextPiece = (int)Math.Clamp(Math.Max(total, nextPiece / 2), SmallestPiece, LargestPiece);
        return new ValueTask<FlushResult>(new FlushResult(isCanceled: false, isCompleted: isBroken));
    }

    public override void CancelPendingFlush() => pending?.Complete(isBroken);

    public override void Complete(Exception? exception = null)
    {
        // The socket is closed when the connection is left.
    }

    // Whether a flush waits for the socket.
    public bool IsWaiting => Volatile.Read(ref pending) is { IsWaiting: true };

    // The socket may take data again. Called by the loop. False: nothing waits for it.
    public bool Ready()
    {
        if (Volatile.Read(ref pending) is not { IsWaiting: true } waiting)
            return false;

        waiting.Go();
        return true;
    }

    // The socket was closed; a pending flush ends.
    public void Abort()
    {
        isBroken = true;
        Volatile.Read(ref pending)?.Complete(isBroken: true);
    }

    // Nothing uses the connection any more.
    public void Release() => Discard();

    private void Unwatch() => input.WatchWritable(isWatched: false);

    private void Keep()
    {
        if (used > 0)
        {
            (full ??= []).Add(new Piece(current!, used));
            nextPiece = Math.Min(LargestPiece, Math.Max(nextPiece, 2 * used));
        }
        else
        {
            ArrayPool<byte>.Shared.Return(current!);
        }

        current = null;
        used = 0;
    }

    private void Discard()
    {
        if (full is not null)
        {
            foreach (var piece in full)
                ArrayPool<byte>.Shared.Return(piece.Array);

            full.Clear();
        }

        if (current is not null)
            ArrayPool<byte>.Shared.Return(current);

        current = null;
        used = 0;
        unflushed = 0;
    }

    // A broken socket discards all unsent bytes: the peer cannot receive them.
    private int Send(ReadOnlySpan<byte> bytes, out bool isAll)
    {
        var sent = 0;

        try
        {
            while (sent < bytes.Length)
            {
                sent += socket.Send(bytes[sent..], SocketFlags.None, out var error);

                if (error == SocketError.WouldBlock)
                {
                    isAll = sent == bytes.Length;
                    return sent;
                }

                if (error != SocketError.Success)
                {
                    isBroken = true;
                    break;
                }
            }
        }
        catch (ObjectDisposedException)
        {
            isBroken = true;
        }

        isAll = true;
        return bytes.Length;
    }

    private ValueTask<FlushResult> Rest(int sent)
    {
        if (current is not null)
            Keep();

        var rest = pending ?? new PendingFlush(this);
        rest.Begin(full!, sent, unflushed - sent);
        full = null;
        unflushed = 0;
        Volatile.Write(ref pending, rest);
        var flush = rest.Task;
        input.WatchWritable(isWatched: true);

        // The socket may have been closed before the flush could be seen.
        if (Volatile.Read(ref isBroken))
            rest.Complete(isBroken: true);

        return flush;
    }

    // What a flush could not send, which belongs to the loop until it is sent.
    private sealed class PendingFlush(SocketOutput owner) : IValueTaskSource<FlushResult>, IThreadPoolWorkItem
    {
        private const int Idle = 0;
        private const int Waiting = 1;
        private const int Sending = 2;

        private ManualResetValueTaskSourceCore<FlushResult> source;
        private List<Piece> pieces = [];
        private int phase;
        private int at;
        private int offset;
        private long bytes;
        private bool isBroken;

        public bool IsWaiting => Volatile.Read(ref phase) == Waiting;

        public long Bytes => Volatile.Read(ref bytes);

        public ValueTask<FlushResult> Task => new(this, source.Version);

        public void Begin(List<Piece> rest, int sent, long left)
        {
            source.Reset();
            pieces = rest;
            at = 0;
            offset = sent;
            isBroken = false;

            while (offset >= pieces[at].Length)
                offset -= pieces[at++].Length;

            Volatile.Write(ref bytes, left);
            Volatile.Write(ref phase, Waiting);
        }

        // Sends what the socket takes.
        public void Go()
        {
            if (Interlocked.CompareExchange(ref phase, Sending, Waiting) != Waiting)
                return;

            while (at < pieces.Count)
            {
                var left = pieces[at].Array.AsSpan(offset, pieces[at].Length - offset);
                var sent = owner.Send(left, out var isAll);
                offset += sent;
                Volatile.Write(ref bytes, bytes - sent);

                if (!isAll)
                {
                    Interlocked.Exchange(ref phase, Waiting);

                    if (Volatile.Read(ref owner.isBroken))
                        Complete(isBroken: true);

                    return;
                }

                at++;
                offset = 0;
            }

            End(owner.isBroken);
            owner.Unwatch();
            Volatile.Write(ref phase, Idle);
            source.SetResult(new FlushResult(isCanceled: false, isCompleted: isBroken));
        }

        // From any thread, so the waiter continues on the thread pool.
        public void Complete(bool isBroken)
        {
            if (Interlocked.CompareExchange(ref phase, Sending, Waiting) != Waiting)
                return;

            End(isBroken);
            owner.Unwatch();
            Volatile.Write(ref phase, Idle);
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }

        public void Execute() => source.SetResult(new FlushResult(isCanceled: !isBroken, isCompleted: isBroken));

        public FlushResult GetResult(short token) => source.GetResult(token);

        public ValueTaskSourceStatus GetStatus(short token) => source.GetStatus(token);

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            source.OnCompleted(continuation, state, token, flags);

        private void End(bool wasBroken)
        {
            isBroken = wasBroken;

            foreach (var piece in pieces)
                ArrayPool<byte>.Shared.Return(piece.Array);

            pieces = [];
            Volatile.Write(ref bytes, 0);
        }
    }
}
