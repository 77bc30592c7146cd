using Mqtt5.Serving;

namespace Mqtt5;

/// <summary>What a broker tells about a session.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="IsConnected">Whether the client is connected.</param>
/// <param name="EndPoint">Where it connects from; null: it is away, or that is not known.</param>
/// <param name="Subscriptions">The filters that it is subscribed to.</param>
/// <param name="InFlight">Messages that are under way to it.</param>
/// <param name="Queued">Messages that wait.</param>
/// <param name="QueuedBytes">Bytes that wait.</param>
/// <param name="Version">The version that its client is connected with; null: it is away.</param>
public sealed record MqttSessionInfo(
    string ClientId,
    bool IsConnected,
    string? EndPoint,
    IReadOnlyList<string> Subscriptions,
    int InFlight,
    int Queued,
    long QueuedBytes,
    ProtocolVersion? Version = null)
{
    internal static MqttSessionInfo Of(SessionEntry entry, BrokerEngine engine)
    {
        var session = engine.Registry.TryFind(entry.Session);
        var outbound = session?.State.Outbound;
        return new MqttSessionInfo(
            entry.ClientId.Text,
            !entry.Connection.IsNone,
            ((Connection?)session?.Connection)?.Origin.EndPoint,
            [.. BrokerModule.FiltersOf(entry.Session, engine.Registry.Current).Keys],
            outbound?.InFlight.Count ?? 0,
            outbound?.Waiting.Count ?? 0,
            outbound?.WaitingBytes ?? 0,
            session?.State.Connection is { IsSome: true, Value: var current } ? current.Version : null);
    }
}
