using System.Runtime.InteropServices;

namespace Mqtt5.Storage.Files;

/// <summary>
/// What groups of records come to, by key: of changes of the same thing the last one counts, and a message that came and
/// went is not there. An order is used for one message of a session, and a number for one session.
/// </summary>
internal sealed class SettlingBatch
{
    /// <summary>The sessions that something is known of.</summary>
    public Dictionary<SessionId, SessionWork> Sessions { get; } = [];

    /// <summary>The topics whose retained messages changed; null: it was removed.</summary>
    public Dictionary<TopicName, StoredRetained?> Retained { get; } = [];

    /// <summary>The counters; null: they are as they were.</summary>
    public JournalRecord? Counters { get; private set; }

    /// <summary>How many records it took.</summary>
    public long Records { get; private set; }

    /// <summary>Takes the records of a group.</summary>
    /// <param name="group">The group, whose memory is kept as long as the batch.</param>
    /// <param name="path">The file, for the exception.</param>
    /// <param name="number">Its number, for the exception.</param>
    /// <exception cref="MqttStoreException">It cannot be read.</exception>
    public void Add(ReadOnlyMemory<byte> group, string path, long number)
    {
        for (var offset = 0; offset == 0 || offset < group.Length;)
        {
            var read = JournalCodec.TryRead(group, ref offset);

            if (read.IsError)
                throw Faults.Damaged(path, $"table journal, row {number}: {read.ErrorValue}");

            Add(read.ResultValue);
        }
    }

    /// <summary>Takes a record.</summary>
    public void Add(JournalRecord record)
    {
        Records++;

        switch (record)
        {
            case JournalRecord.Broker broker:
                Add(broker.Change);
                break;
            case JournalRecord.Session session:
                Work(session.Session).Add(session.Change);
                break;
            default:
                Counters = record;
                break;
        }
    }

    private void Add(StoredChange change)
    {
        switch (change)
        {
            case StoredChange.SessionSet set:
                Work(set.Entry.Session).Entry = change;
                break;
            case StoredChange.SessionEnded ended:
                Work(ended.Session).End();
                break;
            case StoredChange.Subscribed subscribed:
                Work(subscribed.Session).Subscriptions[subscribed.Filter] = change;
                break;
            case StoredChange.Unsubscribed unsubscribed:
                Work(unsubscribed.Session).Subscriptions[unsubscribed.Filter] = null;
                break;
            case StoredChange.Retained retained:
                Retained[retained.Message.Topic] = retained.Message;
                break;
            case StoredChange.RetainedRemoved removed:
                Retained[removed.Topic] = null;
                break;
            default:
                throw new InvalidOperationException($"there is no change {change}");
        }
    }

    private SessionWork Work(SessionId session)
    {
        ref var work = ref CollectionsMarshal.GetValueRefOrAddDefault(Sessions, session, out _);
        return work ??= new SessionWork();
    }
}
