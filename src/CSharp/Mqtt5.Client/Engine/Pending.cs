namespace Mqtt5.Engine;

// A request of the application whose ticket has not settled. Both members are called under the gate, exactly one of
// them and once; what they complete goes on elsewhere.
internal abstract class Pending
{
    public Ticket Ticket { get; set; }

    public abstract void Settle(ReasonCode reason);

    public abstract void Settle(Settlement settlement);
}
