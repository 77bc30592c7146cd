using System.Collections.Concurrent;
using System.Diagnostics;

namespace Mqtt5.Engine;

// Where publish calls go on once they have settled. Each as a work item of its own would cost a wake-up and a write for
// each; so one thread completes them in turn and then writes what they sent. It is a thread of the pool, outside of the
// gate, and the loop that reads goes on without it.
internal sealed class PublicationTurns : IThreadPoolWorkItem
{
    // A turn that has lasted this long leaves the rest to other threads.
    private static readonly long SliceTicks = Stopwatch.Frequency / 10_000;

    // A call that goes on for one to two of these without awaiting anything, perhaps because it waits for another call,
    // loses the turn: others complete the rest, and what it has sent is written.
    private static readonly TimeSpan WatchInterval = TimeSpan.FromMilliseconds(10);

    private readonly ClientEngine engine;
    private readonly ConcurrentQueue<Publication> settled = new();
    private readonly List<Turn> turns = [];
    private readonly Stack<Turn> idleTurns = new();
    private readonly ITimer watch;
    private int turnRequested;
    private int turnCount;
    private int turnCountBefore;
    private bool watching;

    public PublicationTurns(ClientEngine engine)
    {
        this.engine = engine;
        // System time, since thread scheduling does not follow the application's clock.
        watch = TimeProvider.System.CreateTimer(
            static turns => ((PublicationTurns)turns!).WatchTurns(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    // Whether the link is processing input, after which it requests a turn itself. Used under the gate.
    public bool IsTaking { get; set; }

    // Whether publish calls wait for a turn.
    public bool HasSettled => !settled.IsEmpty;

    // A call has settled and goes on in a turn, soon. Called under the gate.
    public void Complete(Publication publication)
    {
        settled.Enqueue(publication);

        // Else the link sees to it once it has taken what came.
        if (!IsTaking)
            RequestTurn();
    }

    // Has a thread of the pool take a turn.
    public void RequestTurn()
    {
        if (Interlocked.Exchange(ref turnRequested, 1) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute()
    {
        Volatile.Write(ref turnRequested, 0);

        // As many threads join in as the pool has for it.
        if (settled.Count > 1)
            RequestTurn();

        TakeTurn();
    }

    // Completes the calls that have settled, and writes what was sent meanwhile. What awaits the calls runs within.
    public void TakeTurn()
    {
        if (settled.IsEmpty)
            return;

        var turn = BeginTurn();
        var outer = Turn.OfThread;
        Turn.OfThread = turn;
        var started = Stopwatch.GetTimestamp();

        while (!turn.IsOver && settled.TryDequeue(out var publication))
        {
            publication.Complete();
            turn.Count();

            if (Stopwatch.GetTimestamp() - started > SliceTicks)
            {
                if (!settled.IsEmpty)
                    RequestTurn();

                break;
            }
        }

        Turn.OfThread = outer;
        EndTurn(turn);
    }

    // Whether what the calling thread has put in the send buffer is written at the end of its turn. Called under the gate.
    public bool MayHoldPackets()
    {
        if (Turn.OfThread is not { IsOver: false } turn || turn.Turns != this)
            return false;

        turn.HoldsPackets = true;
        return true;
    }

    private Turn BeginTurn()
    {
        lock (engine.Gate)
        {
            if (!idleTurns.TryPop(out var turn))
                turn = new Turn(this);

            turn.Begin();
            turns.Add(turn);
            turnCount++;

            if (!watching)
            {
                watching = true;
                watch.Change(WatchInterval, Timeout.InfiniteTimeSpan);
            }

            return turn;
        }
    }

    private void EndTurn(Turn turn)
    {
        Link? due = null;

        lock (engine.Gate)
        {
            if (!turn.IsOver)
            {
                turns.Remove(turn);

                if (turn.HoldsPackets && engine.Current is { } link && link.BeginWriting())
                    due = link;
            }

            idleTurns.Push(turn);
        }

        due?.Write();
    }

    // Ends the turns in which nothing has happened since the last time, and goes on while there are turns.
    private void WatchTurns()
    {
        lock (engine.Gate)
        {
            for (var index = turns.Count - 1; index >= 0; index--)
            {
                var turn = turns[index];

                if (turn.Completed == turn.CompletedBefore)
                    GiveUp(turn);
                else
                    turn.CompletedBefore = turn.Completed;
            }

            watching = turns.Count > 0 || turnCount != turnCountBefore;
            turnCountBefore = turnCount;

            if (watching)
                watch.Change(WatchInterval, Timeout.InfiniteTimeSpan);
        }
    }

    private void GiveUp(Turn turn)
    {
        turns.Remove(turn);
        turn.IsOver = true;

        if (turn.HoldsPackets)
            engine.Current?.StartWriting();

        if (!settled.IsEmpty)
            RequestTurn();
    }
}
