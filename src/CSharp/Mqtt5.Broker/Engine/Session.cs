namespace Mqtt5.Serving;

// A session of the registry: its machine, and the gate around each step of it.
internal sealed class Session(long number, ServerState state)
{
    private ServerState state = state;
    private IMqttPermissions? permissions;
    private RetainedWalk? walk;

    public long Number => number;

    // Held around each step and all of its effects; never two gates of sessions at a time.
    public Lock Gate { get; } = new();

    // Written under the gate. Others may look at it; it is immutable.
    public ServerState State
    {
        get => Volatile.Read(ref state);
        set => Volatile.Write(ref state, value);
    }

    // The connection that the state has. Used under the gate.
    public Connection? Connection { get; set; }

    // The copies whose end the application wants to know, by their tickets; null: none.
    public System.Collections.Concurrent.ConcurrentDictionary<long, Delivery>? Deliveries { get; private set; }

    public void Watch(long ticket, Delivery delivery)
    {
        if (Deliveries is null)
        {
            lock (Gate)
                Deliveries ??= new System.Collections.Concurrent.ConcurrentDictionary<long, Delivery>();
        }

        Deliveries[ticket] = delivery;
    }

    // What the client may do; null: everything. It may change with the connection.
    public IMqttPermissions? Permissions
    {
        get => Volatile.Read(ref permissions);
        set => Volatile.Write(ref permissions, value);
    }

    // The retained messages that are still due, the oldest subscription first.
    public RetainedWalk? Walk
    {
        get => Volatile.Read(ref walk);
        set => Volatile.Write(ref walk, value);
    }
}
