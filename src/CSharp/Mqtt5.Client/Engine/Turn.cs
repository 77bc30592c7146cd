namespace Mqtt5.Engine;

// One thread's turn at the publish calls that have settled: what awaits them goes on, one call after another, and what it
// sends meanwhile is written at once at the end.
internal sealed class Turn(PublicationTurns turns)
{
    [ThreadStatic]
    private static Turn? ofThread;

    private int completed;
    private bool isOver;

    // The turn that the calling thread has; null: it has none.
    public static Turn? OfThread
    {
        get => ofThread;
        set => ofThread = value;
    }

    public PublicationTurns Turns => turns;

    // Whether packets wait for the end of the turn. Used under the gate.
    public bool HoldsPackets { get; set; }

    // Set under the gate when others have to take over, because one call went on for too long.
    public bool IsOver
    {
        get => Volatile.Read(ref isOver);
        set => Volatile.Write(ref isOver, value);
    }

    // Counts the calls that have been completed.
    public int Completed => Volatile.Read(ref completed);

    // The count at its last reading; -1: not read in this turn. Used under the gate.
    public int CompletedBefore { get; set; }

    // Called under the gate.
    public void Begin()
    {
        HoldsPackets = false;
        IsOver = false;
        CompletedBefore = -1;
    }

    public void Count() => Volatile.Write(ref completed, completed + 1);
}
