using System.Net.Sockets;
using Mqtt5.Hosting;
using Mqtt5.Serving;

namespace Mqtt5.Loops;

// A listener of the event loops.
internal sealed class LoopListener(EventLoops loops, Socket listening, Listener listener)
    : OpenListener(listener, AddressOf(listener, listening.LocalEndPoint))
{
    private Acceptor? acceptor;

    public override void Accept() => acceptor = loops.Accept(listening, Listener);

    public override Task CloseAsync()
    {
        if (acceptor is null)
            listening.Dispose();
        else
            loops.Close(acceptor);

        return Task.CompletedTask;
    }
}
