using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Mqtt5.Serving;

namespace Mqtt5.Loops;

// The event loops of a broker, which are threads of its own: nothing of the process that it runs in is changed. A
// connection belongs to the loop that had the fewest when it came.
internal sealed class EventLoops : IAsyncDisposable
{
    private readonly BrokerEngine engine;
    private readonly EventLoop[] loops;
    private readonly List<Acceptor> acceptors = [];
    private readonly bool usesPool;

    // With code of the application that may block, the turns of connections run on the thread pool.
    public EventLoops(BrokerEngine engine, int threads, bool usesPool)
    {
        this.engine = engine;
        this.usesPool = usesPool;
        loops = new EventLoop[threads];

        for (var number = 0; number < threads; number++)
            loops[number] = new EventLoop(number, engine.Logger);
    }

    public ILogger Logger => engine.Logger;

    private int Count => loops.Sum(loop => loop.Count);

    // Accepts the connections of a socket that listens.
    public Acceptor Accept(Socket listening, Listener listener)
    {
        var acceptor = new Acceptor(this, Idlest(), listening, listener);

        lock (acceptors)
            acceptors.Add(acceptor);

        return acceptor;
    }

    // Accepts no more of them.
    public void Close(Acceptor acceptor)
    {
        lock (acceptors)
            acceptors.Remove(acceptor);

        acceptor.Dispose();
    }

    // Serves a connection on one of the loops.
    public void Serve(Socket socket, Listener listener)
    {
        socket.Blocking = false;
        var input = new SocketInput(Idlest(), socket, usesPool);
        var output = new SocketOutput(input);
        input.Begin(output);

        // A connection that is refused at once is not left by the engine.
        if (engine.ServeAsync(input, output, new SocketOrigin(input, socket.RemoteEndPoint, listener)).IsCompleted)
            input.End();
    }

    public void CloseListeners()
    {
        Acceptor[] all;

        lock (acceptors)
            all = [.. acceptors];

        foreach (var acceptor in all)
            acceptor.Dispose();
    }

    // The engine has ended its connections, or has aborted them.
    public async ValueTask DisposeAsync()
    {
        CloseListeners();
        var patience = Environment.TickCount64 + engine.CloseTimeout;

        while (Count > 0 && Environment.TickCount64 < patience)
            await Task.Delay(5).ConfigureAwait(false);

        foreach (var loop in loops)
            loop.Dispose();
    }

    private EventLoop Idlest()
    {
        var best = loops[0];

        foreach (var loop in loops.AsSpan(1))
        {
            if (loop.Count < best.Count)
                best = loop;
        }

        return best;
    }
}
