using System.Collections.Concurrent;

namespace Mqtt5.Serving;

// The broker's shared state, as an immutable snapshot that any thread reads, and the sessions by number. Writers are
// serialized by a lock that is last in the lock order.
internal sealed class Registry(Broker broker)
{
    private readonly ConcurrentDictionary<SessionId, Session> sessions = new();
    private Broker current = broker;

    public Lock Lock { get; } = new();

    public Broker Current => Volatile.Read(ref current);

    public IEnumerable<Session> Sessions
    {
        get
        {
            foreach (var (_, session) in sessions)
                yield return session;
        }
    }

    public void Replace(Broker next) => Volatile.Write(ref current, next);

    public Session Open(ServerState state) => sessions[state.Session] = new Session(state);

    public Session? TryFind(SessionId session) => sessions.GetValueOrDefault(session);

    public Session? Forget(SessionId session) => sessions.TryRemove(session, out var known) ? known : null;
}
