using System.Runtime.InteropServices;
using Mqtt5.Serving;

namespace Mqtt5.Transports;

// The payloads that connections hold without a copy. One that waits for several connections counts once.
internal sealed class SharedPayloads(Totals totals)
{
    private readonly Dictionary<object, int> holders = new(ReferenceEqualityComparer.Instance);

    // A connection holds the payload.
    public void Add(ReadOnlyMemory<byte> payload) => Change(payload, 1);

    // It does not any more.
    public void Remove(ReadOnlyMemory<byte> payload) => Change(payload, -1);

    private void Change(ReadOnlyMemory<byte> payload, int change)
    {
        // Memory without an array is counted for each holder.
        if (!MemoryMarshal.TryGetArray(payload, out var segment))
        {
            totals.Unsent(change * (long)payload.Length);
            return;
        }

        lock (holders)
        {
            ref var count = ref CollectionsMarshal.GetValueRefOrAddDefault(holders, segment.Array!, out _);
            var before = count;
            count += change;

            if (before == 0)
                totals.Unsent(segment.Array!.Length);

            if (count == 0)
            {
                holders.Remove(segment.Array!);
                totals.Unsent(-segment.Array!.Length);
            }
        }
    }
}
