using System.Buffers;
using Microsoft.FSharp.Core;

namespace Mqtt5.BrokerTests.Storage;

// Groups of records as a broker makes them: a session is set before it keeps anything, a number is of one session, and an
// order of one message.
internal sealed class RandomRecords(int seed)
{
    private const int MostSessions = 6;
    private readonly Random random = new(seed);
    private readonly SortedDictionary<SessionId, SortedSet<long>> kept = [];
    private readonly Dictionary<SessionId, long> orders = [];
    private readonly JournalGroup group = new();
    private SessionId nextSession = new(1);

    public byte[] NextGroup(int records, int mostPayloadBytes = 200)
    {
        group.Clear();

        for (var count = 0; count < records; count++)
            Add(mostPayloadBytes);

        return group.Seal().ToArray();
    }

    private void Add(int mostPayloadBytes)
    {
        if (kept.Count == 0 || (kept.Count < MostSessions && random.Next(20) == 0))
        {
            kept[nextSession] = [];
            orders[nextSession] = 1;
            group.Add(JournalRecord.NewBroker(StoredChange.NewSessionSet(Owner(nextSession))));
            nextSession = nextSession.Next;
            return;
        }

        var session = kept.Keys.ElementAt(random.Next(kept.Count));
        var messages = kept[session];

        switch (random.Next(16))
        {
            case 0:
                group.Add(JournalRecord.NewBroker(StoredChange.NewSessionSet(Owner(session))));
                break;
            case 1 when random.Next(4) == 0:
                kept.Remove(session);
                group.Add(JournalRecord.NewBroker(StoredChange.NewSessionEnded(session, ClientId.Of($"c{session}"))));
                break;
            case 2:
                group.Add(JournalRecord.NewBroker(StoredChange.NewSubscribed(
                    session, Filter(), SubscriptionOptions.Of(QoS.AtLeastOnce), random.Next(2) == 0 ? FSharpValueOption<uint>.None : 7)));
                break;
            case 3:
                group.Add(JournalRecord.NewBroker(StoredChange.NewUnsubscribed(session, Filter())));
                break;
            case 4:
                group.Add(JournalRecord.NewBroker(StoredChange.NewRetained(new StoredRetained(
                    Topic(), Payload(mostPayloadBytes), QoS.ExactlyOnce, PublishProperties.Empty, 9_000, session, ClientId.Of($"c{session}")))));
                break;
            case 5:
                group.Add(JournalRecord.NewBroker(StoredChange.NewRetainedRemoved(Topic())));
                break;
            case 6:
                Add(session, SessionChange.NewHeld((ushort)random.Next(1, 9)));
                break;
            case 7:
                Add(session, SessionChange.NewFreed((ushort)random.Next(1, 9)));
                break;
            case 8 when random.Next(6) == 0:
                messages.Clear();
                orders[session] = 1;
                Add(session, SessionChange.Cleared);
                break;
            case 9:
                group.Add(JournalRecord.NewCounters(nextSession, new ConnectionId(random.Next(100)), random.NextInt64(1 << 40)));
                break;
            case 10 or 11 when messages.Count > 0:
                Add(session, SessionChange.NewMoved(messages.ElementAt(random.Next(messages.Count)), Place(session)));
                break;
            case 12 or 13 when messages.Count > 0:
                var gone = messages.ElementAt(random.Next(messages.Count));
                messages.Remove(gone);
                Add(session, SessionChange.NewGone(gone));
                break;
            default:
                var order = orders[session]++;
                messages.Add(order);
                Add(session, SessionChange.NewKept(order, Place(session), Message(mostPayloadBytes), FSharpValueOption<SharedDelivery>.None));
                break;
        }
    }

    private void Add(SessionId session, SessionChange change) => group.Add(session, [change]);

    private StoredPlace Place(SessionId session) =>
        random.Next(3) switch
        {
            0 => StoredPlace.Waiting,
            1 => StoredPlace.NewSent((ushort)random.Next(1, 100)),
            _ => StoredPlace.NewReleased((ushort)random.Next(1, 100), orders[session]++),
        };

    private StoredMessage Message(int mostPayloadBytes) =>
        StoredMessage.Read(
            new Outgoing(Topic(), Payload(mostPayloadBytes), QoS.AtLeastOnce, false, PublishProperties.Empty, FSharpValueOption<long>.None, Ticket.None),
            random.Next(2) == 0 ? FSharpValueOption<long>.None : random.NextInt64(1 << 40));

    private Bytes Payload(int mostBytes)
    {
        var payload = new byte[random.Next(mostBytes)];
        random.NextBytes(payload);
        return Bytes.OfArray(payload);
    }

    private TopicName Topic() => TopicName.Of($"t/{random.Next(8)}/ä");

    private TopicFilter Filter() => TopicFilter.Of($"t/{random.Next(5)}/#");

    private StoredOwner Owner(SessionId session) =>
        new(session,
            ClientId.Of($"c{session}"),
            session.Value % 2 == 0 ? FSharpValueOption<string>.None : "anna",
            FSharpValueOption<string>.None,
            epoch: 1,
            connection: new ConnectionId(random.Next(3)),
            sessionExpiry: 3_600,
            FSharpValueOption<Will>.None,
            FSharpValueOption<long>.None,
            FSharpValueOption<long>.None,
            random.Next(2) == 0 ? FSharpValueOption<long>.None : random.NextInt64(1 << 40));
}

// What records come to, said as simply as can be: the model for what a store gives back.
internal sealed class FoldedRecords
{
    private readonly SortedDictionary<string, string> rows = new(StringComparer.Ordinal);
    private readonly SortedDictionary<SessionId, StoredSession> sessions = [];
    private readonly HashSet<SessionId> known = [];

    public static FoldedRecords Of(IEnumerable<ReadOnlyMemory<byte>> groups)
    {
        var folded = new FoldedRecords();

        foreach (var group in groups)
            folded.Add(group);

        return folded;
    }

    public void Add(ReadOnlyMemory<byte> group)
    {
        for (var offset = 0; offset == 0 || offset < group.Length;)
        {
            var read = JournalCodec.TryRead(group, ref offset);
            Assert.True(read.IsOk);
            Add(read.ResultValue);
        }
    }

    // One line for each thing that is stored.
    public string[] Lines() =>
    [
        .. rows.Select(row => $"{row.Key}: {row.Value}"),
        .. sessions.Where(one => known.Contains(one.Key)).SelectMany(one => Lines(one.Key, one.Value)),
    ];

    private static IEnumerable<string> Lines(SessionId session, StoredSession stored)
    {
        foreach (var (order, entry) in stored.Messages)
            yield return $"{session}/{order}: {Hex(JournalRecord.NewSession(session, SessionChange.NewKept(order, entry.Place, entry.Message, entry.Shared)))}";

        for (var id = 1; id < 20; id++)
        {
            if (PacketIdSetModule.contains((ushort)id, stored.Held))
                yield return $"{session} holds {id}";
        }

        yield return $"{session} goes on with {stored.NextOrder}";
    }

    private static string Hex(JournalRecord record)
    {
        var output = new ArrayBufferWriter<byte>();
        JournalCodec.Write(record, output);
        return Convert.ToHexString(output.WrittenSpan);
    }

    private void Add(JournalRecord record)
    {
        switch (record)
        {
            case JournalRecord.Session session:
                sessions[session.Session] = Durability.Apply(session.Change, sessions.GetValueOrDefault(session.Session, StoredSession.Empty));
                break;
            case JournalRecord.Broker { Change: StoredChange.SessionSet set }:
                known.Add(set.Entry.Session);
                sessions.TryAdd(set.Entry.Session, StoredSession.Empty);
                rows[$"session {set.Entry.Session}"] = Hex(record);
                break;
            case JournalRecord.Broker { Change: StoredChange.SessionEnded ended }:
                known.Remove(ended.Session);
                sessions.Remove(ended.Session);
                rows.Remove($"session {ended.Session}");

                foreach (var key in rows.Keys.Where(key => key.StartsWith($"subscription {ended.Session} ", StringComparison.Ordinal)).ToArray())
                    rows.Remove(key);

                break;
            case JournalRecord.Broker { Change: StoredChange.Subscribed subscribed }:
                rows[$"subscription {subscribed.Session} {subscribed.Filter.Text}"] = Hex(record);
                break;
            case JournalRecord.Broker { Change: StoredChange.Unsubscribed unsubscribed }:
                rows.Remove($"subscription {unsubscribed.Session} {unsubscribed.Filter.Text}");
                break;
            case JournalRecord.Broker { Change: StoredChange.Retained retained }:
                rows[$"retained {retained.Message.Topic.Text}"] = Hex(record);
                break;
            case JournalRecord.Broker { Change: StoredChange.RetainedRemoved removed }:
                rows.Remove($"retained {removed.Topic.Text}");
                break;
            default:
                rows["counters"] = Hex(record);
                break;
        }
    }
}
