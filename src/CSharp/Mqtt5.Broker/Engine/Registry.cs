
namespace Mqtt5.Serving;

// The registry: an immutable value that anybody reads and that is replaced as a whole. Writers take turns, so that no
// work is done twice, and the machine of a session is there before anyone can learn of the session. The lock is the
// innermost one: nothing else is called while it is held.
internal sealed class Registry(Broker broker, Totals totals)
{
    private readonly Lock turn = new();
    private readonly System.Collections.Concurrent.ConcurrentDictionary<long, Session> sessions = new();
    private Broker current = broker;

    public Broker Current => Volatile.Read(ref current);

    public IEnumerable<Session> Sessions
    {
        get
        {
            foreach (var (_, session) in sessions)
                yield return session;
        }
    }

    public Session? TryFind(long session) => sessions.GetValueOrDefault(session);

    public Session? Forget(long session) => sessions.TryRemove(session, out var known) ? known : null;

    // The session of a client that is admitted, or the reason why it is not.
    public Session? Admit(long now, Connect connect, ClientId spare, out Admission? admission, out ReasonCode refused)
    {
        lock (turn)
        {
            var (next, result) = BrokerModule.Admit(now, connect, spare, current);
            Volatile.Write(ref current, next);

            if (result.IsError)
            {
                admission = null;
                refused = result.ErrorValue;
                return null;
            }

            admission = result.ResultValue;
            refused = ReasonCode.Success;
            totals.Connected(next.Connections);

            if (!sessions.TryGetValue(admission.Session, out var session))
            {
                session = new Session(
                    admission.Session, ServerStateModule.Create(admission.Session, admission.ClientId, next.Settings));
                sessions[admission.Session] = session;
            }

            return session;
        }
    }

    public BrokerOutcome Detach(long now, long session, ConnectionEnd ending)
    {
        lock (turn)
        {
            var (next, outcome) = BrokerModule.Detach(now, session, ending, current);
            Volatile.Write(ref current, next);
            return outcome;
        }
    }

    public BrokerOutcome Remove(long now, long session, ReasonCode reason)
    {
        lock (turn)
        {
            var (next, outcome) = BrokerModule.Remove(now, session, reason, current);
            Volatile.Write(ref current, next);
            return outcome;
        }
    }

    // What is due by now; null: nothing.
    public BrokerOutcome? Tick(long now)
    {
        var due = BrokerModule.Deadline(Current);

        if (due.IsNone || due.Value > now)
            return null;

        lock (turn)
        {
            var (next, outcome) = BrokerModule.Tick(now, current);
            Volatile.Write(ref current, next);
            totals.SessionsExpired(outcome.Ended.Length);
            return outcome;
        }
    }

    public SubscriptionOutcome Subscribe(long session, Subscribe request, ReadOnlySpan<ReasonCode> judgements, out Broker snapshot)
    {
        lock (turn)
        {
            var (next, outcome) = BrokerSubscriptions.Subscribe(session, request, judgements, current);
            Volatile.Write(ref current, next);
            snapshot = next;
            return outcome;
        }
    }

    public SubscriptionOutcome Unsubscribe(long session, Unsubscribe request, out Broker snapshot)
    {
        lock (turn)
        {
            var (next, outcome) = BrokerSubscriptions.Unsubscribe(session, request, current);
            Volatile.Write(ref current, next);
            snapshot = next;
            return outcome;
        }
    }

    // Null when the message was kept; otherwise the reason why not.
    public ReasonCode? Retain(ServerMessage message, out Broker snapshot)
    {
        lock (turn)
        {
            var result = BrokerSubscriptions.Retain(message, current);

            if (result.IsError)
            {
                snapshot = current;
                return result.ErrorValue;
            }

            snapshot = result.ResultValue;
            Volatile.Write(ref current, snapshot);
            return null;
        }
    }
}
