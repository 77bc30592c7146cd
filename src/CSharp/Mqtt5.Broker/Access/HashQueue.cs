using System.Net;
using System.Net.Sockets;

namespace Mqtt5.Signing;

// Bounds the concurrency of deliberately slow work, such as password hashing, so that unauthenticated peers cannot exhaust
// the processors. Addresses are served round-robin, so many connections from one address delay each of the others by one
// item at most; canceled work leaves the queue at once.
internal sealed class HashQueue(int atATime)
{
    // The most items that may be queued, per address and in total.
    internal const int MaximumPerAddress = 100;
    internal const int MaximumTotal = 10_000;

    private readonly Dictionary<string, Line> waiting = new(StringComparer.Ordinal);
    // The addresses with queued items, in round-robin order.
    private readonly LinkedList<Line> turns = new();
    private readonly Lock gate = new();
    private int running;
    private int total;

    // The number of queued items.
    public int Waiting
    {
        get
        {
            lock (gate)
                return total;
        }
    }

    // The key of an address: without its port, and for IPv6 only the /64 network, since one peer can use all of its
    // addresses.
    public static string AddressOf(string? endPoint)
    {
        if (endPoint is null || !IPEndPoint.TryParse(endPoint, out var parsed))
            return "";

        var address = parsed.Address.IsIPv4MappedToIPv6 ? parsed.Address.MapToIPv4() : parsed.Address;
        return address.AddressFamily == AddressFamily.InterNetworkV6 ? Convert.ToHexString(address.GetAddressBytes(), 0, 8) : address.ToString();
    }

    // Runs the work on the thread pool when its turn comes. Null: the queue is full.
    public async ValueTask<T?> RunAsync<T>(string address, Func<T> work, CancellationToken cancellationToken)
        where T : struct
    {
        if (!await TryEnterAsync(address, cancellationToken).ConfigureAwait(false))
            return null;

        try
        {
            return await Task.Run(work, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Leave();
        }
    }

    private async ValueTask<bool> TryEnterAsync(string address, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Line? line;
        LinkedListNode<TaskCompletionSource> node;

        lock (gate)
        {
            if (running < atATime)
            {
                running++;
                return true;
            }

            waiting.TryGetValue(address, out line);

            if (total >= MaximumTotal || line?.Entries.Count >= MaximumPerAddress)
                return false;

            if (line is null)
            {
                waiting.Add(address, line = new Line(address));
                turns.AddLast(line.Turn);
            }

            node = line.Entries.AddLast(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            total++;
        }

        await using var cancelling = cancellationToken.UnsafeRegister(_ => Remove(line, node, cancellationToken), null).ConfigureAwait(false);
        await node.Value.Task.ConfigureAwait(false);
        return true;
    }

    private void Remove(Line line, LinkedListNode<TaskCompletionSource> node, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            // It may have been started in the meantime.
            if (node.List is null)
                return;

            Take(line, node);
        }

        node.Value.TrySetCanceled(cancellationToken);
    }

    private void Leave()
    {
        TaskCompletionSource next;

        lock (gate)
        {
            if (turns.First is not { Value: var line })
            {
                running--;
                return;
            }

            var node = line.Entries.First!;
            next = node.Value;
            Take(line, node);

            // An address that still has queued items goes to the back.
            if (line.Entries.Count > 0)
            {
                turns.Remove(line.Turn);
                turns.AddLast(line.Turn);
            }
        }

        next.SetResult();
    }

    private void Take(Line line, LinkedListNode<TaskCompletionSource> node)
    {
        line.Entries.Remove(node);
        total--;

        if (line.Entries.Count == 0)
        {
            waiting.Remove(line.Address);
            turns.Remove(line.Turn);
        }
    }

    // The queued items of an address, and its position in the round-robin. Adding and removing take constant time.
    private sealed class Line
    {
        public Line(string address)
        {
            Address = address;
            Turn = new LinkedListNode<Line>(this);
        }

        public string Address { get; }

        public LinkedListNode<Line> Turn { get; }

        public LinkedList<TaskCompletionSource> Entries { get; } = new();
    }
}
