using Mqtt5.Serving;
using Mqtt5.Testing;

namespace Mqtt5.Transports;

// A client of the same process.
internal sealed class InProcessOrigin(InMemoryConnection connection) : Origin
{
    public override bool IsInProcess => true;

    public override void Abort() => _ = connection.BreakAsync().AsTask();
}
