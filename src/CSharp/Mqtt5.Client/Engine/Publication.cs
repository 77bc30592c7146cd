using System.Threading.Tasks.Sources;

namespace Mqtt5.Engine;

// A message whose outcome is awaited. It is used again after its result was taken.
internal sealed class Publication(ClientEngine engine) : Pending, IValueTaskSource<MqttPublishResult>
{
    private ManualResetValueTaskSourceCore<MqttPublishResult> source;
    private MqttPublishResult result;
    private Settlement? failure;
    private CancellationTokenRegistration registration;
    private CancellationToken cancellation;
    private bool isSettled;

    // Whether its first step is under way, so that no caller can await it yet. Used under the gate.
    public bool IsStarting { get; set; }

    public ValueTask<MqttPublishResult> Outcome => new(this, source.Version);

    // Called after the gate was left, because a token that is cancelled already calls back at once.
    public void CancelWith(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref isSettled))
            return;

        cancellation = cancellationToken;
        registration = cancellationToken.UnsafeRegister(static state => ((Publication)state!).Cancel(), this);
        // Either this sees that it has settled meanwhile, or that sees the registration.
        Interlocked.MemoryBarrier();

        if (Volatile.Read(ref isSettled))
            registration.Unregister();
    }

    public override void Settle(ReasonCode reason)
    {
        result = new MqttPublishResult(reason, null);
        Settle();
    }

    public override void Settle(Settlement settlement)
    {
        if (settlement is Settlement.Published { Reason: < ReasonCode.UnspecifiedError } published)
            result = new MqttPublishResult(published.Reason, published.Properties);
        else
            failure = settlement;

        Settle();
    }

    // Continuations of awaiting callers run within. Called once after it has settled, outside of the gate.
    public void Complete()
    {
        // Not only when the result is taken, which a caller may leave, for its token may last.
        if (registration.Unregister())
            registration = default;

        if (failure is null)
            source.SetResult(result);
        else
            source.SetException(Failures.Of(failure, cancellation));
    }

    public MqttPublishResult GetResult(short token)
    {
        // Waits for a cancellation that is being told, so that it cannot hit the next use.
        registration.Dispose();
        registration = default;

        try
        {
            return source.GetResult(token);
        }
        finally
        {
            source.Reset();
            cancellation = default;
            isSettled = false;
            result = default;
            failure = null;
            engine.Publisher.Recycle(this);
        }
    }

    public ValueTaskSourceStatus GetStatus(short token) => source.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        source.OnCompleted(continuation, state, token, flags);

    private void Settle()
    {
        // Between this and the look at the registration is the queue of the turn, which is a full fence.
        Volatile.Write(ref isSettled, true);

        if (IsStarting)
            Complete();
        else
            engine.Turns.Complete(this);
    }

    private void Cancel() => engine.Cancel(Ticket);
}
