using System.Net;
using System.Net.Sockets;
using Mqtt5.Hosting;
using Mqtt5.Serving;

namespace Mqtt5.Loops;

// A listening socket on an event loop. The sockets that it accepts inherit its options, which saves each a system call.
internal sealed class Acceptor : EventLoop.ISlot, IDisposable
{
    private const int Backlog = 512;

    // How many are accepted before the other sockets of the loop are served.
    private const int MostInTurn = 16;

    private readonly EventLoops loops;
    private readonly EventLoop loop;
    private readonly Listener listener;
    private readonly Lock gate = new();
    private readonly CancellationTokenSource closing = new();
    private readonly nint descriptor;
    private readonly ulong key;
    private bool isClosed;

    public Acceptor(EventLoops loops, EventLoop loop, Socket socket, Listener listener)
    {
        this.loops = loops;
        this.loop = loop;
        this.listener = listener;
        Socket = socket;
        socket.Blocking = false;
        descriptor = socket.Handle;
        key = loop.Enter(this);
        loop.Poller.Register(descriptor, key, Poller.Readable);
    }

    public Socket Socket { get; }

    // Has a socket that is bound listen, before it is given to an acceptor.
    public static void Listen(Socket bound)
    {
        if (bound.ProtocolType == ProtocolType.Tcp)
            bound.NoDelay = true;

        bound.Listen(Backlog);
    }

    public void Ready(uint events)
    {
        for (var number = 0; number < MostInTurn; number++)
        {
            if (number > 0 && !IsReady())
                return;

            if (MemoryPressure.IsHigh())
            {
                _ = PauseAsync();
                return;
            }

            try
            {
                var accepted = Socket.Accept();
                var isLast = Descriptors.IsKeptBack(accepted.Handle);
                loops.Serve(accepted, listener);

                if (isLast)
                {
                    _ = PauseAsync();
                    return;
                }
            }
            catch (SocketException failure) when (failure.SocketErrorCode is SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable)
            {
                _ = PauseAsync();
                return;
            }
            catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
            {
                // The peer has gone already, or the listener is closed.
                return;
            }
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            if (isClosed)
                return;

            isClosed = true;
            closing.Cancel();
            loop.Leave(key);
            Socket.Dispose();
            closing.Dispose();
        }
    }

    private bool IsReady()
    {
        try
        {
            return Socket.Poll(0, SelectMode.SelectRead);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    // Connections wait in the backlog of the operating system meanwhile.
    private async Task PauseAsync()
    {
        CancellationToken closed;
        EndPoint? endPoint;

        lock (gate)
        {
            if (isClosed)
                return;

            loop.Poller.Unregister(descriptor);
            closed = closing.Token;
            endPoint = Socket.LocalEndPoint;
        }

        await AcceptingPause.WaitAsync(Descriptors.AreShort, "descriptors", endPoint, loops.Logger, closed).ConfigureAwait(false);
        await AcceptingPause.WaitAsync(MemoryPressure.IsHigh, "memory", endPoint, loops.Logger, closed).ConfigureAwait(false);

        lock (gate)
        {
            if (!isClosed)
                loop.Poller.Register(descriptor, key, Poller.Readable);
        }
    }
}
