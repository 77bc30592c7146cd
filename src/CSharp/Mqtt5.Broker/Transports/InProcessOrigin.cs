using Mqtt5.Serving;
using Mqtt5.Testing;

namespace Mqtt5.Transports;

// A client of the same process.
internal sealed class InProcessOrigin(InMemoryConnection connection) : Origin
{
    private bool isBroken;

    public override bool IsInProcess => true;

    // The pipes belong to those who read and write them for as long as the connection is served: to complete them here
    // would make the next write throw, on whichever thread.
    public override void Abort()
    {
        Volatile.Write(ref isBroken, true);
        connection.Output.CancelPendingFlush();
        connection.Input.CancelPendingRead();
    }

    // Nothing of the connection is served any more.
    public ValueTask EndAsync() => Volatile.Read(ref isBroken) ? connection.BreakAsync() : connection.DisposeAsync();
}
