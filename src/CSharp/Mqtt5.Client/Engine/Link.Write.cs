namespace Mqtt5.Engine;

// Packets are encoded into the buffer under the gate. One thread at a time writes it, whichever begins, and it goes on
// until the buffer is empty; so one write covers all that was added during the last.
internal sealed partial class Link : IThreadPoolWorkItem
{
    // More than this is not held until the end of a turn.
    private const int HeldBytes = 16 * 1024;

    private readonly SendBuffer buffer = new();
    private readonly TaskCompletionSource drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long lastSent = engine.Now();
    private bool writing;

    // What the transport was asked for last and did not complete at once.
    private Task? underWay;

    // When the last packet was written to the transport.
    public long LastSent => Volatile.Read(ref lastSent);

    // How many bytes wait to be written. Used under the gate.
    public int Waiting => buffer.Length;

    // Room for a packet. Used under the gate.
    public Span<byte> Reserve(int size) => buffer.Reserve(size);

    // The packet is there. Used under the gate.
    public void Advance(int written)
    {
        buffer.Advance(written);

        if (!writing && (buffer.Length > HeldBytes || !engine.MayHoldPackets()))
            StartWriting();
    }

    // Has a thread of the pool write what waits. Called under the gate.
    public void StartWriting()
    {
        if (BeginWriting())
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    // True if the caller is to write: something waits and nobody else writes. Called under the gate.
    public bool BeginWriting()
    {
        if (writing || connection is null || buffer.Length == 0)
            return false;

        writing = true;
        return true;
    }

    // Writes what waits; what a transport cannot take at once is written when it can. Called after BeginWriting.
    public void Write() => _ = WriteAsync(connection!);

    void IThreadPoolWorkItem.Execute() => Write();

    // Nothing more is sent. Called under the gate.
    private void EndWriting()
    {
        StartWriting();

        if (!writing)
            drained.TrySetResult();
    }

    private async Task WriteAsync(IMqttConnection open)
    {
        byte[]? written = null;

        try
        {
            var stream = open.Stream;

            while (true)
            {
                ArraySegment<byte> batch;

                lock (engine.Gate)
                {
                    if (written is not null)
                    {
                        buffer.Return(written);
                        engine.Written(this);
                    }

                    if (buffer.Length == 0)
                    {
                        writing = false;

                        if (closing)
                            drained.TrySetResult();

                        return;
                    }

                    batch = buffer.Take();
                }

                var started = engine.Now();
                await BoundedAsync(stream.WriteAsync(batch, stop.Token)).ConfigureAwait(false);
                await BoundedAsync(stream.FlushAsync(stop.Token)).ConfigureAwait(false);
                Volatile.Write(ref lastSent, started);
                written = batch.Array!;
            }
        }
        catch (Exception failure)
        {
            underWay?.Forget();
            engine.LinkEnded(this, failure);
            drained.TrySetResult();
        }
    }

    // Ends the wait with the link, whether or not the stream listens to the token. Most writes need no wait.
    private ValueTask BoundedAsync(ValueTask write) =>
        write.IsCompletedSuccessfully ? write : new ValueTask(BoundedAsync(write.AsTask()));

    private Task BoundedAsync(Task write)
    {
        underWay = write;
        return write.WaitAsync(stop.Token);
    }
}
