using System.Runtime.InteropServices;

namespace Mqtt5.Storage.Files;

/// <summary>What the changes of a session come to.</summary>
internal sealed class SessionWork
{
    /// <summary>Whether it is over, so that nothing else counts.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Whether all that it kept before is gone.</summary>
    public bool IsCleared { get; private set; }

    /// <summary>Its entry; null: it is as it was.</summary>
    public StoredChange? Entry { get; set; }

    /// <summary>The filters whose subscriptions changed; null: there is none any more.</summary>
    public Dictionary<TopicFilter, StoredChange?> Subscriptions { get; } = [];

    /// <summary>The messages that changed, by their order.</summary>
    public Dictionary<long, MessageWork> Messages { get; } = [];

    /// <summary>The Packet Identifiers of the peer, and whether each is in use.</summary>
    public Dictionary<ushort, bool> Held { get; } = [];

    /// <summary>Lower orders are used; 0: what was known before says it.</summary>
    public long NextOrder { get; private set; }

    /// <summary>Ends the session.</summary>
    public void End()
    {
        IsOver = true;
        Entry = null;
        Subscriptions.Clear();
        Clear();
    }

    /// <summary>Takes a change.</summary>
    public void Add(SessionChange change)
    {
        switch (change.Tag)
        {
            case SessionChange.Tags.Kept:
                Messages[change.Order] = new MessageWork { Kept = change, HasMessage = true, Place = change.Place };
                Number(change.Order, change.Place);
                break;
            case SessionChange.Tags.Moved:
                ref var moved = ref CollectionsMarshal.GetValueRefOrAddDefault(Messages, change.Order, out _);
                moved.Place = change.Place;
                Number(change.Order, change.Place);
                break;
            case SessionChange.Tags.Gone:
                if (Messages.TryGetValue(change.Order, out var known) && known.HasMessage)
                    Messages.Remove(change.Order);
                else
                    Messages[change.Order] = new MessageWork { IsGone = true };

                break;
            case SessionChange.Tags.Numbered:
                NextOrder = Math.Max(NextOrder, change.Order);
                break;
            case SessionChange.Tags.Held:
                Held[change.PacketId] = true;
                break;
            case SessionChange.Tags.Freed:
                Held[change.PacketId] = false;
                break;
            default:
                Clear();
                break;
        }
    }

    private void Clear()
    {
        IsCleared = true;
        Messages.Clear();
        Held.Clear();
        NextOrder = 0;
    }

    private void Number(long order, StoredPlace place)
    {
        NextOrder = Math.Max(NextOrder, order + 1);

        if (place.IsReleased)
            NextOrder = Math.Max(NextOrder, place.Number + 1);
    }
}

/// <summary>What the changes of a message come to.</summary>
internal struct MessageWork
{
    /// <summary>The change that brought it, if it came in this batch.</summary>
    public SessionChange Kept;

    /// <summary>Whether it came in this batch.</summary>
    public bool HasMessage;

    /// <summary>Whether it went, and came before.</summary>
    public bool IsGone;

    /// <summary>Where it stands, unless it went.</summary>
    public StoredPlace Place;
}
