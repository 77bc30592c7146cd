namespace Mqtt5.Serving;

// All that depends on time, looked at by one timer: nothing that MQTT times is finer than a second.
internal sealed partial class BrokerEngine
{
    private static readonly TimeSpan SweepPeriod = TimeSpan.FromMilliseconds(250);

    private readonly ITimer sweep;
    private readonly long systemInterval;
    private readonly Dictionary<string, string> systemValues = [];
    private long systemDue;
    private int sweeping;

    private void Sweep()
    {
        if (Interlocked.Exchange(ref sweeping, 1) == 1)
            return;

        try
        {
            var worker = Rent();

            try
            {
                Sweep(worker);
            }
            finally
            {
                Return(worker);
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

    private void Sweep(Worker worker)
    {
        var now = worker.Now;
        var subscriptions = Registry.Current.Subscriptions;

        foreach (var (connection, _) in connections)
        {
            connection.TickHandshake();
            connection.AbortIfDue(now);
            // A route holds the sessions that it leads to, and a client that is silent must not keep those that have ended.
            connection.ForgetRoute(subscriptions);
        }

        foreach (var session in Registry.Sessions)
        {
            var lastReceived = session.Connection?.LastReceived ?? 0;
            var due = ServerStateModule.Deadline(lastReceived, session.State);

            if (due.IsSome && due.Value <= now)
            {
                worker.Tick(session);
                worker.Drain();
            }
        }

        if (Registry.Tick(now) is { } outcome)
            worker.Follow(outcome);

        Turns.ForgetEnded(Registry.Current.Subscriptions);

        if (systemInterval > 0 && now >= systemDue)
        {
            systemDue = now + systemInterval;
            PublishSystemTopics(worker);
        }
    }

    // Values that are what they were are not published again.
    private void PublishSystemTopics(Worker worker)
    {
        var values = SystemTopics.Values(worker.Now, MqttBroker.Version, Totals.Read(0), Registry.Current);

        foreach (var value in values)
        {
            if (systemValues.TryGetValue(value.Topic.Text, out var known) && known == value.Value)
                continue;

            systemValues[value.Topic.Text] = value.Value;
            worker.Route(null, SystemTopics.Message(value));
        }
    }
}
