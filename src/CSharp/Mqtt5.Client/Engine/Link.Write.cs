namespace Mqtt5.Engine;

// Packets are encoded into the buffer under the gate. One thread at a time writes it, whichever begins, and it goes on
// until the buffer is empty; so one write covers all that was added during the last.
internal sealed partial class Link : IThreadPoolWorkItem
{
    // More than this is not held until the end of a turn.
    private const int HeldBytes = 16 * 1024;

    // The most bytes per write, so that progress on a slow transport is observable.
    private const int PieceBytes = 64 * 1024;

    private static readonly byte[] Pingreq = [(byte)PacketType.Pingreq << 4, 0];

    private readonly SendBuffer buffer = new();
    private readonly TaskCompletionSource drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long lastSent;
    private long lastPing;
    private long batchBytes;
    private int batchAcknowledgments;
    private int bufferedAcknowledgments;
    private bool pingWaits;
    private bool writing;

    // The last write or flush that did not complete synchronously.
    private Task? underWay;

    // The times of the last traffic.
    public Traffic Traffic => new(Volatile.Read(ref lastSent), Volatile.Read(ref lastReceived), Volatile.Read(ref lastPing));

    // How many bytes the transport has not taken, among them those of the packets that are being written. Used under the gate.
    public long UnsentBytes => buffer.Length + batchBytes;

    // How many acknowledgments are among them; those of one batch count until it is written. Used under the gate.
    public int UnsentAcknowledgments => bufferedAcknowledgments + batchAcknowledgments;

    // Room for a packet. Used under the gate.
    public Span<byte> Reserve(int size) => buffer.Reserve(size);

    // The packet is there. Used under the gate.
    public void Advance(int written)
    {
        buffer.Advance(written);

        if (!writing && (buffer.Length > HeldBytes || !engine.Turns.MayHoldPackets()))
            StartWriting();
    }

    // The same for an acknowledgment. Used under the gate.
    public void AdvanceAcknowledgment(int written)
    {
        bufferedAcknowledgments++;
        Advance(written);
    }

    // PINGREQ bypasses the buffer, so that a full buffer does not delay it. Used under the gate.
    public void Ping()
    {
        pingWaits = !closing;
        StartWriting();
    }

    // Has a thread of the pool write what waits. Called under the gate.
    public void StartWriting()
    {
        if (BeginWriting())
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    // True if the caller is to write: data waits and no other thread writes. Called under the gate.
    public bool BeginWriting()
    {
        if (writing || connection is null || (buffer.Length == 0 && !pingWaits))
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
        pingWaits = false;
        StartWriting();

        if (!writing)
            drained.TrySetResult();
    }

    private async Task WriteAsync(IMqttConnection open)
    {
        var batch = new SendBatch();

        try
        {
            var stream = open.Stream;

            while (true)
            {
                ReadOnlyMemory<byte> piece;
                bool isPing;

                lock (engine.Gate)
                {
                    batchBytes = batch.UnsentBytes;

                    if (batch.IsWritten)
                    {
                        buffer.Return(batch.Clear());
                        batchAcknowledgments = 0;
                    }

                    engine.Written(this);
                    isPing = pingWaits && batch.IsBetweenPackets();

                    if (isPing)
                    {
                        pingWaits = false;
                        piece = Pingreq;
                    }
                    else
                    {
                        if (batch.IsEmpty && buffer.Length > 0)
                        {
                            batch.Fill(buffer.Take());
                            batchBytes = batch.UnsentBytes;
                            batchAcknowledgments = bufferedAcknowledgments;
                            bufferedAcknowledgments = 0;
                        }

                        if (batch.IsEmpty)
                        {
                            writing = false;

                            if (closing)
                                drained.TrySetResult();

                            return;
                        }

                        piece = batch.Next(PieceBytes, untilPacket: pingWaits);
                    }
                }

                await BoundedAsync(stream.WriteAsync(piece, stop.Token)).ConfigureAwait(false);
                await BoundedAsync(stream.FlushAsync(stop.Token)).ConfigureAwait(false);
                var now = engine.Now();
                Volatile.Write(ref lastSent, now);

                if (isPing)
                    Volatile.Write(ref lastPing, now);
                else
                    batch.Advance(piece.Length);
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
