using Mqtt5.Hosting;
using Mqtt5.Serving;

namespace Mqtt5;

/// <summary>
/// Looks into a running broker, for tools of operators. It reads snapshots that are immutable and takes no gate, so no client
/// waits for it; a page shows the state at the moment of its call. Lists are ordered, and a page begins behind the entry where
/// the one before ended: what is there all the time is listed exactly once, whatever comes and goes meanwhile. Behind that
/// place, a call looks at 50,000 entries at most, so a page may have fewer than were asked for. Safe to use from many threads.
/// </summary>
public sealed partial class MqttBrokerInspection
{
    /// <summary>The most entries of a page.</summary>
    public const int MostEntries = 1_000;

    /// <summary>A payload is cut to this many bytes.</summary>
    public const int MostPayloadBytes = 65_536;

    // So many entries are looked at for one page.
    private const int MostLooks = 50_000;

    private const int MostMembers = 1_000;

    private readonly MqttBroker broker;
    private readonly long origin;

    internal MqttBrokerInspection(MqttBroker broker)
    {
        this.broker = broker;
        origin = Engine.Now();
    }

    /// <summary>Whether the broker serves: it has started, its store is read and did not fail, and it does not shut down.</summary>
    public bool IsReady => broker.IsRunning;

    private BrokerEngine Engine => broker.Engine;

    /// <summary>The figures of the broker now.</summary>
    /// <returns>The figures.</returns>
    public MqttBrokerOverview Overview()
    {
        var current = Engine.Registry.Current;
        var totals = Engine.Totals.Read(0);
        return new MqttBrokerOverview
        {
            Version = MqttBroker.Version,
            UptimeSeconds = (Engine.Now() - origin) / 1_000,
            IsReady = IsReady,
            Status = IsReady ? null : Engine.StoreStatus ?? "not started, or shutting down",
            Connections = current.Connections,
            ConnectionsPending = Engine.Pending,
            ConnectionsMost = totals.MostClients,
            Sessions = current.SessionCount,
            Subscriptions = current.Subscriptions.Count,
            Retained = current.Retained.Count,
            RetainedBytes = current.RetainedBytes,
            Queued = totals.MessagesQueued,
            QueuedBytes = totals.BytesQueued,
            PublishReceived = totals.PublishReceived,
            PublishSent = totals.PublishSent,
            PublishDropped = totals.PublishDropped,
            BytesReceived = totals.BytesReceived,
            BytesSent = totals.BytesSent,
            ConnectionsOpened = totals.ConnectionsOpened,
            SessionsExpired = totals.SessionsExpired,
        };
    }

    /// <summary>Where the broker listens by itself.</summary>
    /// <returns>The listeners, in the order of the options.</returns>
    public IReadOnlyList<MqttListenerInfo> Listeners() =>
        [.. broker.Listening.Select(InfoOf)];

    /// <summary>How often clients went beyond each limit, by the name of the limit as an option; limits that were not are absent.</summary>
    /// <returns>The counts since the start.</returns>
    public IReadOnlyDictionary<string, long> LimitsExceeded() => Engine.Watching.Limits();

    /// <summary>How many connections did not become clients, by the kind of reason, as <c>wrong-password</c>.</summary>
    /// <returns>The counts since the start.</returns>
    public IReadOnlyDictionary<string, long> Refusals() => Engine.Watching.Refusals();

    /// <summary>How many messages were dropped or refused, by reason.</summary>
    /// <returns>The counts since the start.</returns>
    public MqttDrops Drops() => Engine.Watching.Drops(Engine.Totals.Read(0).PublishDropped);

    /// <summary>
    /// What happens from now on. At most 1,024 events wait for the reader; then the oldest are left out, which shows as a gap
    /// of <see cref="MqttBrokerEvent.Number"/>.
    /// </summary>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>The events, as they happen.</returns>
    public IAsyncEnumerable<MqttBrokerEvent> WatchAsync(CancellationToken cancellationToken = default) =>
        Engine.Watching.WatchAsync(cancellationToken);

    /// <summary>Explains what would become of a message for a client, if it were published now.</summary>
    /// <param name="clientId">The client.</param>
    /// <param name="message">The message.</param>
    /// <param name="publisherId">The client that would publish it; null: the broker itself.</param>
    /// <returns>The explanation.</returns>
    /// <exception cref="ArgumentException">The message cannot be sent by MQTT.</exception>
    public MqttDeliveryExplanation Explain(string clientId, MqttMessage message, string? publisherId = null)
    {
        ArgumentNullException.ThrowIfNull(message);
        var verdict = broker.Explain(clientId, message, publisherId);
        var current = Engine.Registry.Current;
        var topic = TopicName.Of(message.Topic);
        string[] filters = current.Sessions.TryFind(clientId)?.Value is { } entry
            ? [.. BrokerModule.FiltersOf(entry.Session, current).Values.Where(filter => Topic.matches(filter, topic)).Select(filter => filter.Text)]
            : [];
        string[] members = verdict is DeliveryVerdict.SharedWith shared
            ? [.. shared.Sessions.Take(MostMembers).Select(session => ClientOf(session, current)).OfType<string>()]
            : [];
        var (name, sentence) = Describe(verdict);
        return new MqttDeliveryExplanation
        {
            Verdict = name,
            IsDelivered = verdict is DeliveryVerdict.Sent or DeliveryVerdict.Waits,
            Sentence = sentence,
            QoS = verdict switch
            {
                DeliveryVerdict.Sent sent => (int)sent.QoS,
                DeliveryVerdict.Waits waits => (int)waits.QoS,
                _ => null,
            },
            Filters = filters,
            Members = members,
        };
    }

    private static (string Name, string Sentence) Describe(DeliveryVerdict verdict) => verdict switch
    {
        DeliveryVerdict.Sent sent => ("sent", $"it is sent at once with QoS {(int)sent.QoS}"),
        DeliveryVerdict.Waits waits => ("waits", $"it waits with QoS {(int)waits.QoS}: for the client to connect, for its Receive Maximum, or for its connection to take data"),
        DeliveryVerdict.SharedWith shared => ("shared-with", $"the only subscription that matches is shared, and one of its {shared.Sessions.Length} members gets it"),
        DeliveryVerdict.QueueFull full => ("queue-full", $"the queue of the session has {full.Messages} messages, as many as it may"),
        DeliveryVerdict.QueueBytesFull full => ("queue-bytes-full", $"the session holds {full.Bytes} bytes of messages, and it or all sessions together may hold no more"),
        { IsNoSession: true } => ("no-session", "there is no session of this client"),
        { IsNoSubscription: true } => ("no-subscription", "no filter of the session matches the topic"),
        { IsNoLocal: true } => ("no-local", "the only subscriptions that match have No Local, and the client publishes it itself"),
        { IsNotAllowed: true } => ("not-allowed", "the access rules do not let the client have messages of this topic"),
        { IsExpired: true } => ("expired", "the message has expired"),
        { IsTooLarge: true } => ("too-large", "it is larger than the Maximum Packet Size of the client"),
        { IsAway: true } => ("away", "messages of QoS 0 do not wait for a client that is away"),
        { IsCongested: true } => ("congested", "messages of QoS 0 do not wait for a connection that takes no data"),
        _ => ("unknown", verdict.ToString()),
    };

    private static string[] NamesOf(ProtocolVersions versions)
    {
        (ProtocolVersions Flag, ProtocolVersion Version)[] all =
            [(ProtocolVersions.V5, ProtocolVersion.V5), (ProtocolVersions.V311, ProtocolVersion.V311), (ProtocolVersions.V31, ProtocolVersion.V31)];
        return [.. all.Where(one => versions.HasFlag(one.Flag)).Select(one => VersionNames.Of(one.Version))];
    }

    private static string? ClientOf(SessionId session, Broker current) =>
        BrokerModule.TryFind(session, current) is { IsSome: true, Value: var entry } ? entry.ClientId.Text : null;

    private MqttListenerInfo InfoOf(OpenListener open)
    {
        var listener = open.Listener;
        return new MqttListenerInfo
        {
            Address = open.Address.ToString().TrimEnd('/'),
            Transport = listener.Kind switch
            {
                ListenerKind.WebSocket => "websocket",
                ListenerKind.Unix => "unix",
                ListenerKind.Tls => "tls",
                _ => "tcp",
            },
            IsEncrypted = listener.Tls is not null,
            NeedsCertificate = listener.Tls is { ClientCertificateOptional: false, ClientAuthorities.Count: > 0 },
            IsBehindProxy = listener.IsBehindProxy,
            Versions = NamesOf(listener.Versions ?? Engine.Versions),
        };
    }
}
