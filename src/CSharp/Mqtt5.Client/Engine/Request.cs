namespace Mqtt5.Engine;

// A request that is awaited as a task: all but publishing.
internal sealed class Request : Pending
{
    private readonly TaskCompletionSource<Settlement?> source = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // The settlement; null for a success that needs no more words.
    public Task<Settlement?> Task => source.Task;

    public override void Settle(ReasonCode reason) => source.TrySetResult(null);

    public override void Settle(Settlement settlement) => source.TrySetResult(settlement);
}
