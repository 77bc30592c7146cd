using Microsoft.FSharp.Core;

namespace Mqtt5.Serving;

// Walks through the retained messages that a subscription brings, as far as the session has room for them. While it has
// none, the walk keeps the topic where it is, and not what was retained when it began: a client that does not read must
// not keep messages in memory that were replaced or removed since.
internal sealed class RetainedWalk(RetainedDelivery delivery)
{
    private IEnumerator<ServerMessage>? messages;
    private ServerMessage? next;
    private FSharpValueOption<TopicName> last = FSharpValueOption<TopicName>.None;
    private int busy;
    private bool ended;

    public RetainedDelivery Delivery => delivery;

    // The walk of the next subscription. Set under the gate of the session.
    public RetainedWalk? Next { get; set; }

    // Whether its subscription is gone.
    public bool IsEnded => Volatile.Read(ref ended);

    // Called under the gate of the session.
    public void End() => Volatile.Write(ref ended, true);

    // One walks at a time; whoever comes meanwhile is told no.
    public bool TryEnter() => Interlocked.Exchange(ref busy, 1) == 0;

    // Whoever exits looks once more whether there is room: one that was told no may have made it.
    public void Exit() => Interlocked.Exchange(ref busy, 0);

    // The message that is next; null: there is none left.
    public ServerMessage? Peek(long now, ClientId client, Broker broker)
    {
        if (next is null)
        {
            messages ??= BrokerSubscriptions.RetainedBehind(now, client, delivery, last, broker).GetEnumerator();
            next = messages.MoveNext() ? messages.Current : null;
        }

        return next;
    }

    // The message that is next is dealt with.
    public void Take()
    {
        last = FSharpValueOption<TopicName>.Some(next!.Topic);
        next = null;
    }

    // Until there is room.
    public void Pause() => (messages, next) = (null, null);
}
