namespace Mqtt5.Engine;

// One message that several subscriptions of a client received: its acknowledgement is due when all are done with it,
// as a failure if all of them rejected it.
internal sealed class SharedReceipt(int receivers)
{
    private readonly Lock gate = new();
    private int left = receivers;
    private ReasonCode verdict = ReasonCode.UnspecifiedError;
    private bool accepted;

    // True when this was the last one.
    public bool Settle(ReasonCode reason, out ReasonCode result)
    {
        lock (gate)
        {
            if (reason < ReasonCode.UnspecifiedError)
                accepted = true;
            else
                verdict = reason;

            result = accepted ? ReasonCode.Success : verdict;
            return --left == 0;
        }
    }
}
