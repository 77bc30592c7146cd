using System.Runtime.CompilerServices;
using Mqtt5.Storage;

namespace Mqtt5.BrokerTests.Storage;

// A store whose disk is a list. It fails, blocks and crashes where a test says so.
internal sealed class MemoryStore(IEnumerable<byte[]>? groups = null) : IMqttStore
{
    private readonly List<byte[]> disk = [.. groups ?? []];
    private readonly ManualResetEventSlim unblocked = new(true);
    private readonly Lock gate = new();
    private long freeBytes = long.MaxValue;
    private MqttStoreFault? fault;
    private int waiting;

    // What is durable now. A store made of it is the disk after a crash of the process.
    public byte[][] Disk
    {
        get
        {
            lock (gate)
                return [.. disk];
        }
    }

    public int Commits => Disk.Length;

    // Whether a commit waits for Unblock.
    public bool IsWaiting => Volatile.Read(ref waiting) > 0;

    public long FreeBytes
    {
        get => Volatile.Read(ref freeBytes);
        set => Volatile.Write(ref freeBytes, value);
    }

    public bool IsDisposed { get; private set; }

    // Each commit waits until Unblock.
    public void Block() => unblocked.Reset();

    public void Unblock() => unblocked.Set();

    // Each commit fails so; null: none does.
    public void Fail(MqttStoreFault? with)
    {
        lock (gate)
            fault = with;
    }

    public MemoryStore Crashed() => new(Disk);

    public ValueTask OpenAsync(CancellationToken cancellationToken = default) => default;

    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await Task.Yield();

        foreach (var group in Disk)
            yield return group;
    }

    public void Commit(ReadOnlySpan<byte> group)
    {
        Interlocked.Increment(ref waiting);
        Assert.True(unblocked.Wait(RawClient.Patience), "the test left the store blocked");
        Interlocked.Decrement(ref waiting);

        lock (gate)
        {
            if (fault is { } with)
                throw new MqttStoreException(with, "memory", "the test asks for it");

            disk.Add(group.ToArray());
        }
    }

    public ValueTask BackupAsync(string directory, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask DisposeAsync()
    {
        IsDisposed = true;
        return default;
    }
}
