namespace Mqtt5.Serving;

// What a connection holds until it is durable.
internal sealed partial class Connection
{
    private HeldLane? lane;

    // A connection that has ended holds nothing: its pipe belongs to the transport again.
    public override HeldLane? Lane => isSealed ? null : lane ??= new HeldLane();

    private long HeldBytes => lane?.Bytes ?? 0;

    // Packets that were held are written. Goes on with the session if it waited for that.
    public void Released()
    {
        lock (Gate)
        {
            if (!flushing && !isSealed)
                CountUnsent(Writer.Copied + HeldBytes);

            if (HeldBytes > engine.LeastSendBufferBytes)
                return;
        }

        TakesDataIfCongested();
    }

    // All is sent. Called under the gate.
    private void TellFlushed()
    {
        if (isSealed || HeldBytes == 0)
            flushed?.TrySetResult();
    }
}
