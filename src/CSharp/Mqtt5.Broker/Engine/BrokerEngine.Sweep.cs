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
        var subscriptions = Registry.Current.Subscriptions;

        foreach (var (connection, _) in connections)
        {
            Node.TickHandshake(turn, connection);
            connection.AbortIfDue(now);
            // A route holds the sessions that it leads to, and a client that is silent must not keep those that have ended.
            connection.ForgetRoute(subscriptions);
        }

        foreach (var session in Registry.Sessions)
        {
            if (Node.Deadline(session) is { IsSome: true, Value: var due } && due <= now)
                Node.TickSession(turn, session);
        }

        Node.TickRegistry(turn);
        SharedCounters.ForgetEnded(Registry.Current.Subscriptions);

        if (systemInterval > 0 && now >= systemDue)
        {
            systemDue = now + systemInterval;
            PublishSystemTopics(turn);
        }
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
