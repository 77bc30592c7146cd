using System.Collections.Concurrent;

namespace Mqtt5.Serving;

// All that depends on time, looked at by one timer: nothing that MQTT times is finer than a second. A sweep looks at what is
// due, not at every session and connection.
internal sealed partial class BrokerEngine
{
    private static readonly TimeSpan SweepPeriod = TimeSpan.FromMilliseconds(DeadlineWheel.Period);

    // A sweep that comes this much later than the one before, in milliseconds, comes after a pause of the process.
    private const long LongestGap = 2_000;

    // How many sweeps let everything be after a pause, and how many let clients be of which bytes are unread.
    private const int SweepsOfPatience = 4;
    private const int SweepsOfLeniency = 40;

    // Routes are looked at in every fourth sweep, so once a second, and three times after a change.
    private const int SweepsOfRoutes = 4;
    private const int RoutePasses = 3;

    private readonly ITimer sweep;
    private readonly DeadlineWheel wheel = new();
    private readonly List<SessionId> due = [];

    // The connections that have no session yet, or that end.
    private readonly ConcurrentDictionary<Connection, bool> unsettled = new();
    private readonly long systemInterval;
    private readonly Dictionary<string, string> systemValues = [];
    private long systemDue;
    private long lastSweep;
    private long routesVersion = -1;
    private long sweeps;
    private int routePasses;
    private int patientSweeps;
    private int lenientSweeps;
    private int sweeping;

    // Has a session looked at when it is due, if that is earlier than it would be. Called within its gate.
    public void Watch(Session session)
    {
        if (Node.Deadline(session) is not { IsSome: true, Value: var until })
            return;

        var slot = DeadlineWheel.SlotOf(until);

        if (slot < session.Slot)
            session.Slot = wheel.Enter(session.Id, slot);
    }

    // Has a connection looked at in every sweep: it has no session, or it ends.
    public void Watch(Connection connection) => unsettled.TryAdd(connection, true);

    // A connection has its session. It may be closed at the same time.
    private void Unwatch(Connection connection)
    {
        unsettled.TryRemove(connection, out _);

        if (connection.IsClosing)
            Watch(connection);
    }

    private void Sweep()
    {
        if (Interlocked.Exchange(ref sweeping, 1) == 1)
            return;

        try
        {
            var turn = Rent();

            try
            {
                Sweep(turn);
            }
            finally
            {
                Return(turn);
            }
        }
        catch (Exception failure)
        {
            Log.SweepFailed(Logger, failure);
        }
        finally
        {
            Volatile.Write(ref sweeping, 0);
        }
    }

    private void Sweep(Turn turn)
    {
        var now = turn.Now;
        NoticePause(now);

        foreach (var (connection, _) in unsettled)
        {
            if (patientSweeps == 0)
                Node.TickHandshake(turn, connection);

            connection.AbortIfDue(now);
        }

        if (patientSweeps == 0)
            SweepSessions(turn);

        ForgetRoutes();
        Node.TickRegistry(turn);
        SharedCounters.ForgetEnded(Registry.Current.Subscriptions);

        if (systemInterval > 0 && now >= systemDue)
        {
            systemDue = now + systemInterval;
            PublishSystemTopics(turn);
        }
    }

    // After a pause of the process or of the machine, clients may seem silent whose packets are there but not read yet. What
    // has come is read before anything ends for lack of it.
    private void NoticePause(long now)
    {
        var isLate = now - lastSweep > LongestGap;
        lastSweep = now;

        if (isLate)
        {
            patientSweeps = SweepsOfPatience;
            lenientSweeps = SweepsOfLeniency;
            return;
        }

        patientSweeps = Math.Max(0, patientSweeps - 1);
        lenientSweeps = Math.Max(0, lenientSweeps - 1);
    }

    private void SweepSessions(Turn turn)
    {
        while (wheel.TryTake(turn.Now, due, out var slot))
        {
            foreach (var number in due)
            {
                if (Registry.TryFind(number) is { } session && session.Slot <= slot)
                    SweepSession(turn, session);
            }
        }
    }

    private void SweepSession(Turn turn, Session session)
    {
        var isDue = Node.Deadline(session) is { IsSome: true, Value: var until } && until <= turn.Now;
        var isUnread = isDue && lenientSweeps > 0 && session.Connection is Connection connection && connection.Origin.HasUnreadBytes();

        if (isDue && !isUnread)
            Node.TickSession(turn, session);

        lock (session.Gate)
        {
            session.Slot = DeadlineWheel.Nowhere;
            Watch(session);
        }
    }

    // A route holds the sessions that it leads to, and a client that is silent must not keep those that have ended. More than
    // once after each change, because a turn may store a route that was current when it began.
    private void ForgetRoutes()
    {
        var subscriptions = Registry.Current.Subscriptions;

        if (subscriptions.Version != routesVersion)
        {
            routesVersion = subscriptions.Version;
            routePasses = 0;
        }

        if (++sweeps % SweepsOfRoutes != 0 || routePasses == RoutePasses)
            return;

        routePasses++;

        foreach (var (connection, _) in connections)
            connection.ForgetRoute(subscriptions);
    }

    // Values that are what they were are not published again.
    private void PublishSystemTopics(Turn turn)
    {
        var values = SystemTopics.Values(turn.Now, MqttBroker.Version, Totals.Read(0), Registry.Current);

        foreach (var value in values)
        {
            if (systemValues.TryGetValue(value.Topic.Text, out var known) && known == value.Value)
                continue;

            systemValues[value.Topic.Text] = value.Value;
            Node.Publish(turn, SystemTopics.Message(value));
        }
    }
}
