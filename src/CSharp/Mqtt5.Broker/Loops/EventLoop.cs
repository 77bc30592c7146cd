using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Mqtt5.Serving;

namespace Mqtt5.Loops;

// One thread that serves the sockets registered with it: it waits until some are ready and lets each read or write once.
// A connection that fills its read buffer again and again waits in a queue behind the others, which are served in between,
// so a publisher at full speed delays them by no more than a part of its turn.
internal sealed class EventLoop : IDisposable
{
    // How long connections of the queue are served before the others are looked at again.
    private static readonly long BusyTicks = Stopwatch.Frequency / 2_000;

    // A stream: so many turns in a row, each soon after the one before, in each of which one connection sent so many bytes.
    private const int StreamTurns = 64;
    private const int StreamBytes = 512;
    private static readonly long StreamTicks = Stopwatch.Frequency / 4_000;

    // How long packets of a stream are left to gather, in microseconds. The system adds some 50.
    private const uint GatheringMicroseconds = 20;

    private readonly Poller poller = new();
    private readonly Queue<SocketInput> busy = new();
    private readonly Lock slotsLock = new();
    private readonly Stack<int> free = new();
    private readonly ILogger logger;
    private readonly Thread thread;
    private ISlot?[] slots = new ISlot?[64];
    private uint[] generations = new uint[64];
    private int used = 1;
    private int count;
    private bool isStopping;
    private long lastTurn;
    private int receivedBytes;
    private int streamTurns;

    public EventLoop(int number, ILogger logger)
    {
        this.logger = logger;
        thread = new Thread(Run) { IsBackground = true, Name = $"mqtt5 loop {number}" };
        thread.Start();
    }

    // What is registered with a loop. Called by its thread.
    internal interface ISlot
    {
        void Ready(uint events);
    }

    // How many sockets are registered.
    public int Count => Volatile.Read(ref count);

    public Poller Poller => poller;

    // Whether the caller is on the thread of the loop.
    public bool IsCurrent => Thread.CurrentThread == thread;

    // Gives the key under which a slot is registered. The key is not used again, even if its number is.
    public ulong Enter(ISlot slot)
    {
        lock (slotsLock)
        {
            if (!free.TryPop(out var index))
            {
                index = used++;

                if (index == slots.Length)
                {
                    Array.Resize(ref generations, 2 * index);
                    var larger = slots;
                    Array.Resize(ref larger, 2 * index);
                    Volatile.Write(ref slots, larger);
                }
            }

            slots[index] = slot;
            Volatile.Write(ref count, count + 1);
            return ((ulong)generations[index] << 32) | (uint)index;
        }
    }

    public void Leave(ulong key)
    {
        lock (slotsLock)
        {
            var index = (int)(uint)key;

            if (slots[index] is null || generations[index] != (uint)(key >> 32))
                return;

            generations[index]++;
            slots[index] = null;
            free.Push(index);
            Volatile.Write(ref count, count - 1);
        }
    }

    // Counts bytes that were received in this turn. Called by the thread of the loop.
    public void CountReceived(int bytes) => receivedBytes += bytes;

    // Has a connection read once those before it have.
    public void Queue(SocketInput input) => busy.Enqueue(input);

    public void Dispose()
    {
        Volatile.Write(ref isStopping, true);
        poller.Wake();

        if (Thread.CurrentThread != thread)
            thread.Join();
    }

    private void Run()
    {
        while (!Volatile.Read(ref isStopping))
        {
            try
            {
                Turn();
            }
            catch (Exception failure)
            {
                Log.LoopFailed(logger, failure);
            }
        }

        poller.Dispose();
    }

    private void Turn()
    {
        var ready = poller.Wait(busy.Count > 0 ? 0 : -1);
        LetStreamGather(ready);

        for (var index = 0; index < ready; index++)
        {
            var (key, events) = poller.At(index);

            if (key == Poller.WakeKey)
                poller.Woken();
            else
                Find(key)?.Ready(events);
        }

        if (busy.Count == 0)
            return;

        var until = Stopwatch.GetTimestamp() + BusyTicks;

        for (var left = busy.Count; left > 0; left--)
        {
            busy.Dequeue().ReadQueued();

            if (Stopwatch.GetTimestamp() >= until)
                break;
        }
    }

    // A loop that is faster than one publisher hands on each few packets alone, and then every receiver pays a system call for
    // a few packets. While nothing else is ready, it lets more of them come first.
    private void LetStreamGather(int ready)
    {
        var now = Stopwatch.GetTimestamp();
        var isStream = ready == 1 && busy.Count == 0 && receivedBytes >= StreamBytes && now - lastTurn < StreamTicks;
        streamTurns = isStream ? streamTurns + 1 : 0;
        lastTurn = now;
        receivedBytes = 0;

        if (streamTurns > StreamTurns)
            Poller.Sleep(GatheringMicroseconds);
    }

    private ISlot? Find(ulong key)
    {
        lock (slotsLock)
        {
            var index = (int)(uint)key;
            return generations[index] == (uint)(key >> 32) ? slots[index] : null;
        }
    }
}
