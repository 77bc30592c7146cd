using Mqtt5.Serving;

namespace Mqtt5.Loops;

// A connection that an event loop serves.
internal sealed class SocketOrigin(SocketInput input, System.Net.EndPoint? peer, Listener listener) : Origin
{
    public override string? EndPoint => peer?.ToString();

    public override Listener? Listener => listener;

    public override CancellationToken Closed => input.Closed;

    public override bool HasUnreadBytes() => input.HasUnreadBytes();

    public override bool TryDefer() => input.TryDefer();

    public override void Abort() => input.Abort();

    public override void Leave(BrokerEngine engine) => input.End();
}
