using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Serving;

// The instruments of the meter Mqtt5 that are about a broker. What is counted anyway is only observed.
internal static class Telemetry
{
    private static readonly Meter Meter = new("Mqtt5");
    private static readonly Counter<long> ConnectedCount =
        Meter.CreateCounter<long>("mqtt5.broker.connected", "{connection}", "Connections that became clients, by mqtt5.version.");
    private static readonly Counter<long> DisconnectedCount =
        Meter.CreateCounter<long>("mqtt5.broker.disconnected", "{connection}", "Connections of clients that ended.");

    private static readonly Counter<long> ExceededCount =
        Meter.CreateCounter<long>("mqtt5.broker.limit.exceeded", "{event}", "How often clients went beyond a limit, by mqtt5.limit.");

    private static readonly Counter<long> RefusedCount =
        Meter.CreateCounter<long>("mqtt5.broker.refused", "{connection}", "Connections that did not become clients, by mqtt5.reason.");

    // Here rather than with the log, so that it is there before the first entry is dropped.
    private static readonly Counter<long> LogDroppedCount =
        Meter.CreateCounter<long>("mqtt5.broker.log.dropped", "{entry}", "Entries of the log that were dropped because it is written too slowly.");

    private static readonly Histogram<double> CommitDuration =
        Meter.CreateHistogram<double>("mqtt5.broker.store.commit.duration", "s", "How long a group of changes took until it was durable.");

    private static readonly Histogram<long> CommitSize =
        Meter.CreateHistogram<long>("mqtt5.broker.store.commit.size", "By", "The size of a group of changes.");

    private static readonly Histogram<double> AuthenticationDuration =
        Meter.CreateHistogram<double>("mqtt5.broker.authentication.duration", "s", "How long the authenticator took to answer a CONNECT or AUTH packet.");

    // Of one read in so many that had a PUBLISH.
    private const int ReadsOfSample = 64;

    private static readonly Histogram<double> PublishDuration =
        Meter.CreateHistogram<double>("mqtt5.broker.publish.duration", "s", "How long a read with PUBLISH packets took until the copies were given to their connections, of one read in 64.");

    [ThreadStatic]
    private static int reads;

    // The source of activities: one for each CONNECT, from its arrival to CONNACK.
    public static ActivitySource Source { get; } = new("Mqtt5");

    private static readonly List<WeakReference<BrokerEngine>> Brokers = [];

    static Telemetry()
    {
        Observe("mqtt5.broker.connections", "{connection}", "Clients that are connected.", (engine, _) => engine.Registry.Current.Connections);
        Observe("mqtt5.broker.sessions", "{session}", "Sessions, connected or not.", (engine, _) => engine.Registry.Current.SessionCount);
        Observe("mqtt5.broker.subscriptions", "{subscription}", "Subscriptions.", (engine, _) => engine.Registry.Current.Subscriptions.Count);
        Observe("mqtt5.broker.retained", "{message}", "Retained messages.", (engine, _) => engine.Registry.Current.Retained.Count);
        Observe("mqtt5.broker.retained.size", "By", "Bytes of retained messages.", (engine, _) => engine.Registry.Current.RetainedBytes);
        Observe("mqtt5.broker.connections.pending", "{connection}", "Connections whose CONNECT has not been accepted.", (engine, _) => engine.Pending);
        Observe("mqtt5.broker.in_flight", "{message}", "Messages of QoS 1 and 2 under way to clients.", (engine, _) => engine.Registry.Sessions.Sum(session => (long)session.State.Outbound.InFlight.Count));
        Observe("mqtt5.broker.queued", "{message}", "Messages that wait in sessions.", (_, counters) => counters.MessagesQueued);
        Observe("mqtt5.broker.queued.size", "By", "Bytes of messages that wait in sessions or are under way to their clients.", (_, counters) => counters.BytesQueued);
        Observe("mqtt5.broker.store.lag", "{record}", "Records that are not durable yet.", (engine, _) => engine.Journal?.Lag ?? 0);
        Meter.CreateObservableGauge("mqtt5.broker.connections.listener", ByListener, "{connection}", "Clients that are connected, by mqtt5.listener and mqtt5.version.");
        ObserveTotal("mqtt5.broker.published", "{message}", "PUBLISH packets that arrived.", (_, counters) => counters.PublishReceived);
        ObserveTotal("mqtt5.broker.delivered", "{message}", "PUBLISH packets that were sent.", (_, counters) => counters.PublishSent);
        ObserveTotal("mqtt5.broker.published.size", "By", "Bytes of the payloads that arrived.", (_, counters) => counters.PayloadBytesReceived);
        ObserveTotal("mqtt5.broker.delivered.size", "By", "Bytes of the payloads that were sent.", (_, counters) => counters.PayloadBytesSent);
        ObserveTotal("mqtt5.broker.dropped", "{message}", "Messages that were refused or dropped.", (_, counters) => counters.PublishDropped);
        ObserveTotal("mqtt5.broker.received.size", "By", "Bytes that arrived.", (_, counters) => counters.BytesReceived);
        ObserveTotal("mqtt5.broker.sent.size", "By", "Bytes that were sent.", (_, counters) => counters.BytesSent);
    }

    public static void Add(BrokerEngine engine)
    {
        lock (Brokers)
            Brokers.Add(new WeakReference<BrokerEngine>(engine));
    }

    public static void Remove(BrokerEngine engine)
    {
        lock (Brokers)
            Brokers.RemoveAll(one => !one.TryGetTarget(out var known) || known == engine);
    }

    public static void Connected(ILogger logger, string version) =>
        Count(logger, ConnectedCount, new KeyValuePair<string, object?>("mqtt5.version", version));

    public static void Exceeded(ILogger logger, LimitName limit) =>
        Count(logger, ExceededCount, new KeyValuePair<string, object?>("mqtt5.limit", LimitTable.Of(limit).Key));

    public static void Refused(ILogger logger, RefusalKind kind) =>
        Count(logger, RefusedCount, new KeyValuePair<string, object?>("mqtt5.reason", Refusal.KeyOf(kind)));

    public static void Disconnected(ILogger logger) => Count(logger, DisconnectedCount);

    // May throw, as listeners of the meter may.
    public static void LogEntryDropped() => LogDroppedCount.Add(1);

    public static void Committed(ILogger logger, TimeSpan duration, int bytes)
    {
        try
        {
            CommitDuration.Record(duration.TotalSeconds);
            CommitSize.Record(bytes);
        }
        catch (Exception failure)
        {
            Log.HookFailed(logger, CommitDuration.Name, failure);
        }
    }

    // Begins to measure a read, if it is one of those; 0: it is not. Without a listener of the histogram none is.
    public static long BeginRead() =>
        PublishDuration.Enabled && ++reads % ReadsOfSample == 0 ? Stopwatch.GetTimestamp() : 0;

    // A read that was measured, and that had a PUBLISH.
    public static void Published(ILogger logger, long began)
    {
        try
        {
            PublishDuration.Record(Stopwatch.GetElapsedTime(began).TotalSeconds);
        }
        catch (Exception failure)
        {
            Log.HookFailed(logger, PublishDuration.Name, failure);
        }
    }

    public static void Authenticated(ILogger logger, TimeSpan duration)
    {
        try
        {
            AuthenticationDuration.Record(duration.TotalSeconds);
        }
        catch (Exception failure)
        {
            Log.HookFailed(logger, AuthenticationDuration.Name, failure);
        }
    }

    // Listeners of the meter are called synchronously, and may throw.
    private static void Count(ILogger logger, Counter<long> counter, params ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        try
        {
            counter.Add(1, tags);
        }
        catch (Exception failure)
        {
            Log.HookFailed(logger, counter.Name, failure);
        }
    }

    private static void Observe(string name, string unit, string description, Func<BrokerEngine, BrokerCounters, long> value) =>
        Meter.CreateObservableGauge(name, () => Sum(value), unit, description);

    // As Observe, for what only rises.
    private static void ObserveTotal(string name, string unit, string description, Func<BrokerEngine, BrokerCounters, long> value) =>
        Meter.CreateObservableCounter(name, () => Sum(value), unit, description);

    // Looks at each session, as often as it is asked for; a connection costs nothing for it.
    private static List<Measurement<long>> ByListener()
    {
        var counts = new Dictionary<(string Listener, string Version), long>();

        lock (Brokers)
        {
            foreach (var broker in Brokers)
            {
                if (!broker.TryGetTarget(out var engine))
                    continue;

                foreach (var session in engine.Registry.Sessions)
                {
                    if (session.Connection is not Connection connection)
                        continue;

                    var key = (LabelOf(connection.Origin), Spec.version(connection.Protocol.Version).Name);
                    counts[key] = counts.GetValueOrDefault(key) + 1;
                }
            }
        }

        return
        [
            .. counts.Select(one => new Measurement<long>(
                one.Value,
                new KeyValuePair<string, object?>("mqtt5.listener", one.Key.Listener),
                new KeyValuePair<string, object?>("mqtt5.version", one.Key.Version))),
        ];
    }

    // As the options name it, so that a free port is 0 and the label the same after a restart.
    private static string LabelOf(Origin origin) =>
        origin.IsInProcess ? "in-process"
        : origin.Listener is { } listener ? Hosting.OpenListener.AddressOf(listener, listener.EndPoint).ToString().TrimEnd('/')
        : "application";

    // The sum over the brokers of the process.
    private static long Sum(Func<BrokerEngine, BrokerCounters, long> value)
    {
        var sum = 0L;

        lock (Brokers)
        {
            foreach (var broker in Brokers)
            {
                if (broker.TryGetTarget(out var engine))
                    sum += value(engine, engine.Totals.Read(0));
            }
        }

        return sum;
    }
}
