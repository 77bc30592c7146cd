using Microsoft.FSharp.Core;
using Mqtt5.Serving;

namespace Mqtt5;

// The lists.
public sealed partial class MqttBrokerInspection
{
    // Between Client Identifier and filter of a place: no text of MQTT has it [MQTT-1.5.4-2].
    private const char Separator = '\0';

    /// <summary>Clients and sessions, ordered by Client Identifier.</summary>
    /// <param name="count">How many at most, 1 to <see cref="MostEntries"/>.</param>
    /// <param name="after"><see cref="MqttPage{T}.Next"/> of the page before; null: from the first on.</param>
    /// <param name="query">Which; null: all.</param>
    /// <returns>The page.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The count is out of range.</exception>
    public MqttPage<MqttClientInfo> Clients(int count, string? after = null, MqttClientQuery? query = null)
    {
        CheckCount(count);
        var current = Engine.Registry.Current;
        var page = new PageBuilder<MqttClientInfo>(count);

        foreach (var (clientId, entry) in current.Sessions)
        {
            if (after is not null && string.CompareOrdinal(clientId, after) <= 0)
                continue;

            if (!page.MayLook(clientId))
                break;

            if (query?.Contains is { } part && !clientId.Contains(part, StringComparison.Ordinal))
                continue;

            if (query?.IsConnected is { } isConnected && isConnected == entry.Connection.IsNone)
                continue;

            var client = InfoOf(entry, current);

            if (query?.Version is { } version && client.Version != version)
                continue;

            page.Add(client);
        }

        return page.Result();
    }

    /// <summary>A client and its session.</summary>
    /// <param name="clientId">The Client Identifier.</param>
    /// <returns>The client; null: it has no session.</returns>
    public MqttClientInfo? Client(string clientId)
    {
        ArgumentNullException.ThrowIfNull(clientId);
        var current = Engine.Registry.Current;
        return current.Sessions.TryFind(clientId)?.Value is { } entry ? InfoOf(entry, current) : null;
    }

    /// <summary>Subscriptions, ordered by Client Identifier and filter.</summary>
    /// <param name="count">How many at most, 1 to <see cref="MostEntries"/>.</param>
    /// <param name="after"><see cref="MqttPage{T}.Next"/> of the page before; null: from the first on.</param>
    /// <param name="clientId">Only those of this client; null: of all.</param>
    /// <param name="filter">Only those with exactly this filter; null: with any.</param>
    /// <param name="topic">Only those whose filter matches this topic; null: any.</param>
    /// <returns>The page.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The count is out of range.</exception>
    /// <exception cref="ArgumentException">The topic is no Topic Name.</exception>
    public MqttPage<MqttSubscriptionInfo> Subscriptions(
        int count, string? after = null, string? clientId = null, string? filter = null, string? topic = null)
    {
        CheckCount(count);
        var name = topic is null ? null : TopicName.Of(topic);
        var current = Engine.Registry.Current;
        var page = new PageBuilder<MqttSubscriptionInfo>(count);
        var (afterClient, afterFilter) = Split(after);
        var entries = clientId is null
            ? current.Sessions.Select(pair => pair.Value)
            : current.Sessions.TryFind(clientId) is { } found ? [found.Value] : [];

        foreach (var entry in entries)
        {
            var order = afterClient is null ? 1 : string.CompareOrdinal(entry.ClientId.Text, afterClient);

            if (order < 0)
                continue;

            foreach (var (text, one) in BrokerModule.FiltersOf(entry.Session, current))
            {
                if (order == 0 && string.CompareOrdinal(text, afterFilter) <= 0)
                    continue;

                if (!page.MayLook(entry.ClientId.Text + Separator + text))
                    return page.Result();

                if ((filter is not null && filter != text) || (name is not null && !Topic.matches(one, name)))
                    continue;

                if (Mqtt5.Subscriptions.TryFind(entry.Session, one, current.Subscriptions) is { IsSome: true, Value: var subscription })
                    page.Add(InfoOf(entry, subscription));
            }
        }

        return page.Result();
    }

    /// <summary>
    /// Shared subscriptions with their members, ordered by filter. Looks at all subscriptions, so its cost grows with them.
    /// </summary>
    /// <param name="count">How many at most, 1 to <see cref="MostEntries"/>.</param>
    /// <param name="after"><see cref="MqttPage{T}.Next"/> of the page before; null: from the first on.</param>
    /// <returns>The page.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The count is out of range.</exception>
    public MqttPage<MqttSharedGroupInfo> SharedGroups(int count, string? after = null)
    {
        CheckCount(count);
        var current = Engine.Registry.Current;
        // The first of those behind the place, and one more, which says whether there is another page.
        var first = new SortedSet<string>(StringComparer.Ordinal);

        foreach (var (_, entry) in current.Sessions)
        {
            foreach (var (text, filter) in BrokerModule.FiltersOf(entry.Session, current))
            {
                if (!filter.IsShared || (after is not null && string.CompareOrdinal(text, after) <= 0) || !first.Add(text))
                    continue;

                if (first.Count > count + 1)
                    first.Remove(first.Max!);
            }
        }

        MqttSharedGroupInfo[] groups =
        [
            .. first.Take(count)
                .Select(filter => Mqtt5.Subscriptions.TryFindGroup(TopicFilter.Of(filter), current.Subscriptions))
                .Where(group => group.IsSome)
                .Select(group => InfoOf(group.Value, current)),
        ];
        return new MqttPage<MqttSharedGroupInfo>(groups, first.Count > count ? first.ElementAt(count - 1) : null);
    }

    /// <summary>
    /// Retained messages whose topics match a filter, without their payloads; <c>#</c> does not match topics that begin with $.
    /// Topics come before those below them, in no other order.
    /// </summary>
    /// <param name="filter">The Topic Filter.</param>
    /// <param name="count">How many at most, 1 to <see cref="MostEntries"/>.</param>
    /// <param name="after"><see cref="MqttPage{T}.Next"/> of the page before with the same filter; null: from the first on.</param>
    /// <returns>The page.</returns>
    /// <exception cref="ArgumentException">The filter or the place is not valid.</exception>
    public MqttPage<MqttMessageInfo> Retained(string filter, int count, string? after = null)
    {
        CheckCount(count);
        var pattern = TopicFilter.Of(filter);
        var place = after is null ? null : TopicName.Of(after);

        if (pattern.IsShared)
            throw new ArgumentException("a shared filter has no retained messages", nameof(filter));

        if (place is not null && !Topic.matches(pattern, place))
            throw new ArgumentException("the place is not one of this filter", nameof(after));

        var now = Engine.Now();
        var current = Engine.Registry.Current;
        var page = new PageBuilder<MqttMessageInfo>(count);
        var messages = place is null
            ? RetainedMessages.Matching(pattern, current.Retained)
            : RetainedMessages.MatchingBehind(place, pattern, current.Retained);

        foreach (var retained in messages)
        {
            if (!page.MayLook(retained.Topic.Text))
                break;

            if (!ServerMessageModule.IsExpired(now, retained.Message))
                page.Add(InfoOf(retained.Message, hasPayload: false));
        }

        return page.Result();
    }

    /// <summary>The retained message of a topic, with its payload.</summary>
    /// <param name="topic">The topic.</param>
    /// <returns>The message; null: the topic has none.</returns>
    /// <exception cref="ArgumentException">It is no Topic Name.</exception>
    public MqttMessageInfo? RetainedAt(string topic)
    {
        var found = RetainedMessages.TryFind(TopicName.Of(topic), Engine.Registry.Current.Retained);
        return found.IsSome && !ServerMessageModule.IsExpired(Engine.Now(), found.Value) ? InfoOf(found.Value, hasPayload: true) : null;
    }

    /// <summary>The messages of QoS 1 and 2 that were sent to a client and that it has not acknowledged, without payloads.</summary>
    /// <param name="clientId">The client.</param>
    /// <param name="count">How many at most, 1 to <see cref="MostEntries"/>; those with the lowest Packet Identifiers.</param>
    /// <returns>The messages by Packet Identifier; null: the client has no session.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The count is out of range.</exception>
    public IReadOnlyList<MqttMessageInfo>? InFlight(string clientId, int count)
    {
        CheckCount(count);

        if (StateOf(clientId) is not { } state)
            return null;

        var messages = new List<MqttMessageInfo>();
        var exchanges = state.Outbound.InFlight;

        for (int id = 1; id <= ushort.MaxValue && messages.Count < Math.Min(count, exchanges.Count); id++)
        {
            if (PacketIdMap.tryFind((ushort)id, exchanges) is { IsSome: true, Value: Exchange.Message under })
                messages.Add(InfoOf(under.Message, id, under.Stage));
        }

        return messages;
    }

    /// <summary>The messages that wait for a client, in their order, without payloads.</summary>
    /// <param name="clientId">The client.</param>
    /// <param name="count">How many at most, 1 to <see cref="MostEntries"/>; the first.</param>
    /// <returns>The messages; null: the client has no session.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The count is out of range.</exception>
    public IReadOnlyList<MqttMessageInfo>? Queue(string clientId, int count)
    {
        CheckCount(count);
        return StateOf(clientId) is { } state
            ? [.. ((IReadOnlyCollection<Outgoing>)state.Outbound.Waiting).Take(count).Select(message => InfoOf(message, null, null))]
            : null;
    }

    private static void CheckCount(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, MostEntries);
    }

    private static (string? Client, string Filter) Split(string? after)
    {
        var end = after?.IndexOf(Separator, StringComparison.Ordinal) ?? -1;
        return end < 0 ? (after, "") : (after![..end], after[(end + 1)..]);
    }

    private ServerState? StateOf(string clientId) =>
        Engine.Registry.Current.Sessions.TryFind(clientId)?.Value is { } entry ? Engine.Registry.TryFind(entry.Session)?.State : null;

    private DateTimeOffset? TimeOf(FSharpValueOption<long> instant)
    {
        if (instant.IsNone)
            return null;

        // Half a century ahead is as good as any later time, and no date overflows.
        var milliseconds = Math.Clamp(instant.Value - Engine.Now(), -1_500_000_000_000, 1_500_000_000_000);
        return Engine.Time.GetUtcNow() + TimeSpan.FromMilliseconds(milliseconds);
    }

    private MqttClientInfo InfoOf(SessionEntry entry, Broker current)
    {
        var session = Engine.Registry.TryFind(entry.Session);
        var state = session?.State;
        var connection = state?.Connection is { IsSome: true, Value: var open } ? open : null;
        return new MqttClientInfo
        {
            ClientId = entry.ClientId.Text,
            IsConnected = !entry.Connection.IsNone,
            UserName = connection?.UserName is { IsSome: true, Value: var name } ? name : null,
            Owner = entry.Owner is { IsSome: true, Value: var owner } ? owner : null,
            EndPoint = ((Connection?)session?.Connection)?.Origin.EndPoint,
            Version = connection is null ? null : VersionNames.Of(connection.Version),
            SessionExpirySeconds = entry.SessionExpiry,
            AllowedSilenceMilliseconds = connection?.AllowedSilence,
            AwaySince = TimeOf(entry.AwaySince),
            EndsAt = TimeOf(entry.EndsAt),
            WillTopic = entry.Will is { IsSome: true, Value: var will } ? will.Topic.Text : null,
            Subscriptions = BrokerModule.FiltersOf(entry.Session, current).Count,
            InFlight = state?.Outbound.InFlight.Count ?? 0,
            Queued = state?.Outbound.Waiting.Count ?? 0,
            QueuedBytes = state?.Outbound.WaitingBytes ?? 0,
            IsCongested = connection?.IsCongested ?? false,
        };
    }

    private static MqttSubscriptionInfo InfoOf(SessionEntry entry, SubscriptionEntry<SessionId> subscription) => new()
    {
        ClientId = entry.ClientId.Text,
        Filter = subscription.Filter.Text,
        QoS = (int)subscription.Options.MaximumQoS,
        NoLocal = subscription.Options.NoLocal,
        RetainAsPublished = subscription.Options.RetainAsPublished,
        Identifier = subscription.Identifier is { IsSome: true, Value: var identifier } ? identifier : null,
    };

    private static MqttSharedGroupInfo InfoOf(SharedGroup<SessionId> group, Broker current) => new()
    {
        Filter = group.Filter.Text,
        ShareName = group.ShareName,
        MemberCount = group.Members.Length,
        Members = [.. group.Members.Take(MostMembers).Select(member => ClientOf(member.Subscriber, current)).OfType<string>()],
    };

    private MqttMessageInfo InfoOf(ServerMessage message, bool hasPayload) => new()
    {
        Topic = message.Topic.Text,
        QoS = (int)message.QoS,
        Retain = message.Retain,
        PayloadBytes = message.Payload.Length,
        Payload = hasPayload ? message.Payload.Span[..Math.Min(MostPayloadBytes, message.Payload.Length)].ToArray() : null,
        ExpiresAt = TimeOf(message.ExpiresAt),
        ContentType = message.Properties.ContentType is { IsSome: true, Value: var type } ? type.Text : null,
        PublisherId = message.PublisherId is { IsSome: true, Value: var publisher } ? publisher.Text : null,
    };

    private MqttMessageInfo InfoOf(Outgoing message, int? packetId, Stage? stage) => new()
    {
        Topic = message.Topic.Text,
        QoS = (int)message.QoS,
        Retain = message.Retain,
        PayloadBytes = message.Payload.Length,
        PacketId = packetId,
        WaitsFor = stage switch
        {
            null => null,
            { IsAwaitPuback: true } => "puback",
            { IsAwaitPubrec: true } => "pubrec",
            _ => "pubcomp",
        },
        ExpiresAt = TimeOf(message.ExpiresAt),
        ContentType = message.Properties.ContentType is { IsSome: true, Value: var type } ? type.Text : null,
    };

    // Takes so many entries, and looks at a bounded number of them.
    private sealed class PageBuilder<T>(int count)
    {
        private readonly List<T> items = [];
        private string? last;
        private int looks;
        private bool isCut;

        // False: the page ends in front of the entry with this place.
        public bool MayLook(string place)
        {
            if (items.Count == count || looks == MostLooks)
            {
                isCut = true;
                return false;
            }

            looks++;
            last = place;
            return true;
        }

        public void Add(T item) => items.Add(item);

        public MqttPage<T> Result() => new(items, isCut ? last : null);
    }
}
