namespace Mqtt5.HttpHook.Requests;

// Answers that are kept for as long as one another, so that the oldest is the first that does not count any more. Its user
// keeps callers apart.
internal sealed class AnswerCache(int capacity, TimeSpan validity)
{
    private readonly Dictionary<QuestionKey, LinkedListNode<Entry>> entries = [];
    private readonly LinkedList<Entry> byAge = new();

    public int Count => entries.Count;

    public HookAnswer? Find(in QuestionKey key, TimeProvider time)
    {
        if (!entries.TryGetValue(key, out var node))
            return null;

        if (IsValid(node.Value, time))
            return node.Value.Answer;

        Remove(node);
        return null;
    }

    public void Add(in QuestionKey key, HookAnswer answer, TimeProvider time)
    {
        if (validity == TimeSpan.Zero)
            return;

        if (entries.TryGetValue(key, out var before))
            Remove(before);

        while (byAge.First is { } oldest && (entries.Count >= capacity || !IsValid(oldest.Value, time)))
            Remove(oldest);

        entries.Add(key, byAge.AddLast(new Entry(key, answer, time.GetTimestamp())));
    }

    private bool IsValid(in Entry entry, TimeProvider time) =>
        time.GetElapsedTime(entry.Since) < validity && !(entry.Answer.ExpiresAt <= time.GetUtcNow());

    private void Remove(LinkedListNode<Entry> node)
    {
        entries.Remove(node.Value.Key);
        byAge.Remove(node);
    }

    private readonly record struct Entry(QuestionKey Key, HookAnswer Answer, long Since);
}
