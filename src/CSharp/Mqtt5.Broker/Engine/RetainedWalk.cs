namespace Mqtt5.Serving;

// Walks through the retained messages that a subscription brings, as far as the session has room for them.
internal sealed class RetainedWalk(RetainedDelivery delivery, IEnumerator<ServerMessage> messages)
{
    private int busy;

    public RetainedDelivery Delivery => delivery;

    public IEnumerator<ServerMessage> Messages => messages;

    // The walk of the next subscription. Set under the gate of the session.
    public RetainedWalk? Next { get; set; }

    // One walks at a time; whoever comes meanwhile is told no.
    public bool TryEnter() => Interlocked.Exchange(ref busy, 1) == 0;

    // Whoever exits looks once more whether there is room: one that was told no may have made it.
    public void Exit() => Interlocked.Exchange(ref busy, 0);
}
