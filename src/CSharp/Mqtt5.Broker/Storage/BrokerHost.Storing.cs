namespace Mqtt5.Serving;

// What the node needs of a store. It relays to the journal.
internal sealed partial class BrokerHost
{
    public override bool Keeps => engine.Journal is not null;

    public override long Durable => engine.Journal!.Durable;

    public override bool IsStoreFull => engine.Journal!.IsFull;

    public override long Append(NodeSession session, ServerState before, ServerState after) =>
        engine.Journal!.Append(session.Id, before, after);

    public override long Append(Broker before, BrokerChange[] changes) => engine.Journal!.Append(before, changes);

    public override void EnterUnit() => engine.Journal!.EnterUnit();

    public override void ExitUnit() => engine.Journal!.ExitUnit();

    public override void Held(NodeConnection connection) => engine.Journal!.Hold((Connection)connection);

    // Tickets below this one belong to messages that were restored.
    public void StartTickets(Ticket first) => Volatile.Write(ref lastTicket, first.Value - 1);
}
