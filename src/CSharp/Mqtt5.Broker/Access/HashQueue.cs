using System.Net;
using System.Net.Sockets;

namespace Mqtt5.Signing;

// Work that is slow on purpose, such as hashing: a few pieces at a time, so that strangers cannot take all of the machine.
// The addresses that wait take turns, so many connections from one hold up the others for one piece each and no more; work
// that is cancelled leaves the queue at once.
internal sealed class HashQueue(int atATime)
{
    // How many pieces may wait for one address, and for all of them.
    internal const int MaximumPerAddress = 100;
    internal const int MaximumTotal = 10_000;

    private readonly Dictionary<string, Line> waiting = new(StringComparer.Ordinal);
    // The addresses that wait, the one whose turn it is first.
    private readonly LinkedList<Line> turns = new();
    private readonly Lock gate = new();
    private int running;
    private int total;

    // How many pieces wait.
    public int Waiting
    {
        get
        {
            lock (gate)
                return total;
        }
    }

    // An address as the queue takes it: without its port, and the network for IPv6, of which anyone gets 2^64 addresses.
    public static string AddressOf(string? endPoint)
    {
        if (endPoint is null || !IPEndPoint.TryParse(endPoint, out var parsed))
            return "";

        var address = parsed.Address.IsIPv4MappedToIPv6 ? parsed.Address.MapToIPv4() : parsed.Address;
        return address.AddressFamily == AddressFamily.InterNetworkV6 ? Convert.ToHexString(address.GetAddressBytes(), 0, 8) : address.ToString();
    }

    // Runs it when it is its turn, in the thread pool. Null: too much waits already.
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
            // It may have been let in meanwhile.
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

            // The others first, if it has more that waits.
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

    // What waits for an address, and its place among the others. Everything is added and removed at the cost of one.
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
