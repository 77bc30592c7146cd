using System.Collections.Concurrent;

namespace Mqtt5.Serving;

// A session of the registry: its state as the node uses it, and the gate around each step.
internal sealed class Session(ServerState state) : NodeSession
{
    private ServerState state = state;
    private ClientPermissions? permissions;
    private ConnectionEnd? ending;
    private ConcurrentDictionary<Ticket, Delivery>? deliveries;

    public override SessionId Id { get; } = state.Session;

    public Lock Gate { get; } = new();

    public override long Log { get; set; }

    // Where it is in the wheel of deadlines. Written within the gate.
    public long Slot { get; set; } = DeadlineWheel.Nowhere;

    public override ServerState State
    {
        get => Volatile.Read(ref state);
        set => Volatile.Write(ref state, value);
    }

    public override NodeConnection? Connection { get; set; }

    public override NodeConnection? Leaving { get; set; }

    public override ConnectionEnd? Ending
    {
        get => Volatile.Read(ref ending);
        set => Volatile.Write(ref ending, value);
    }

    public override ClientPermissions? Permissions
    {
        get => Volatile.Read(ref permissions);
        set => Volatile.Write(ref permissions, value);
    }

    // The outgoing copies whose delivery is reported to the application, by ticket; null: none.
    public ConcurrentDictionary<Ticket, Delivery>? Deliveries => deliveries;

    public override void Enter() => Gate.Enter();

    public override void Exit() => Gate.Exit();

    // Called under the gate.
    public void Watch(Outgoing copy) =>
        (deliveries ??= new ConcurrentDictionary<Ticket, Delivery>())[copy.Ticket] = new Delivery(copy.Topic, copy.QoS);

    // Stops watching a copy; null: it was not watched.
    public Delivery? Unwatch(Ticket ticket) =>
        deliveries is { } known && known.TryRemove(ticket, out var delivery) ? delivery : null;
}
