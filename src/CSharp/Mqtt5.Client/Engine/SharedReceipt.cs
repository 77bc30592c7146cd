namespace Mqtt5.Engine;

// One message that several subscriptions of a client received: its acknowledgement is due when all are done with it,
// as a failure if all of them rejected it.
internal sealed class SharedReceipt(SubscriptionRegistry registry, int receivers) : IReceipt
{
    private readonly Lock gate = new();
    private int left = receivers;
    private ReasonCode verdict = ReasonCode.UnspecifiedError;
    private bool accepted;

    public void Settle(DeliveryToken token, ReasonCode reason)
    {
        lock (gate)
        {
            if (reason < ReasonCode.UnspecifiedError)
                accepted = true;
            else
                verdict = reason;

            if (--left > 0)
                return;
        }

        registry.Settle(token, accepted ? ReasonCode.Success : verdict);
    }
}
