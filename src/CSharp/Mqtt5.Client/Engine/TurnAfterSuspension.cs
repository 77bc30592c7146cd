using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace Mqtt5.Engine;

// Awaits a read that is under way. Once the wait is registered, so that the loop goes on elsewhere when bytes come, the
// thread that has become free takes a turn; a thread is woken only for the read.
internal readonly struct TurnAfterSuspension(ValueTask<ReadResult> read, PublicationTurns turns) : ICriticalNotifyCompletion
{
    // The wait is registered in any case; it ends soon if the read is completed by now.
    public bool IsCompleted => false;

    public TurnAfterSuspension GetAwaiter() => this;

    public ReadResult GetResult() => read.GetAwaiter().GetResult();

    public void OnCompleted(Action continuation) => UnsafeOnCompleted(continuation);

    public void UnsafeOnCompleted(Action continuation)
    {
        // The loop may go on before the first of these returns, and it owns the awaiter.
        var free = turns;
        read.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(continuation);
        free.TakeTurn();
    }
}
