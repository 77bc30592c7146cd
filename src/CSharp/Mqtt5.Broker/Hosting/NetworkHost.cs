using System.Net;
using System.Net.Sockets;
using Mqtt5.Loops;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// The listeners of a broker that runs by itself: event loops for TCP and Unix sockets where the system has epoll, and Kestrel
// for all others. They are changed by one caller at a time.
internal sealed class NetworkHost(MqttBroker broker, MqttBrokerOptions options) : IAsyncDisposable
{
    private readonly List<KestrelHost> kestrels = [];
    private readonly ConnectionCount counted = new();
    private OpenListener[] open = [];
    private EventLoops? loops;
    private Task? closing;

    public int KestrelCount => Kestrels().Length;

    // In the order of the options.
    public IReadOnlyList<OpenListener> Open => Volatile.Read(ref open);

    // Opens the listeners that are wanted and not there. If one cannot be opened, those that were there are left. Only those
    // that are at the place of a new one are closed before it is opened, since two cannot be there.
    public async Task<ListenerChange> PrepareAsync(MqttBrokerOptions next, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var removed = open.ToList();
        var all = new OpenListener?[next.Listeners.Count];

        for (var index = 0; index < all.Length; index++)
        {
            if (removed.Find(one => one.Listener == next.Listeners[index]) is { } kept)
            {
                all[index] = kept;
                removed.Remove(kept);
            }
        }

        var wanted = Enumerable.Range(0, all.Length).Where(index => all[index] is null).ToLookup(
            index => removed.Exists(one => AreAtOnePlace(one, next.Listeners[index])));
        var added = new List<OpenListener>();
        var closed = new List<OpenListener>();

        try
        {
            await OpenAsync(wanted[false], next, all, added, cancellationToken).ConfigureAwait(false);

            foreach (var earlier in removed.Where(one => wanted[true].Any(index => AreAtOnePlace(one, next.Listeners[index]))))
            {
                closed.Add(earlier);
                await earlier.CloseAsync().ConfigureAwait(false);
            }

            await OpenAsync(wanted[true], next, all, added, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await AbandonAsync(added, closed).ConfigureAwait(false);
            throw;
        }

        return new ListenerChange(all!, [.. added], [.. removed]);
    }

    // The new listeners accept connections, and those that are not wanted accept no more.
    public async Task CommitAsync(ListenerChange change, TimeSpan connectTimeout)
    {
        Volatile.Write(ref open, change.All);

        foreach (var one in change.Added)
            one.Accept();

        foreach (var one in change.Removed)
            await one.CloseAsync().ConfigureAwait(false);

        foreach (var one in Kestrels())
            one.Configure(connectTimeout);
    }

    // Leaves all as it was before the change was prepared.
    public Task AbandonAsync(ListenerChange change) =>
        AbandonAsync(change.Added, change.Removed.Where(one => change.Added.Any(other => AreAtOnePlace(one, other.Listener))));

    public Task CloseListenersAsync()
    {
        loops?.CloseListeners();
        return closing ??= Task.WhenAll(Kestrels().Select(one => one.StopAsync()));
    }

    public async ValueTask DisposeAsync()
    {
        await CloseListenersAsync().ConfigureAwait(false);

        foreach (var one in Kestrels())
            await one.DisposeAsync().ConfigureAwait(false);

        if (loops is not null)
            await loops.DisposeAsync().ConfigureAwait(false);
    }

    private static bool IsForLoops(Listener listener) =>
        Poller.IsSupported && listener is { Kind: ListenerKind.Tcp or ListenerKind.Unix, IsBehindProxy: false };

    // Whether one cannot be opened while the other is. The port that is free is never the same.
    private static bool AreAtOnePlace(OpenListener one, Listener other) =>
        one.Listener.Kind == ListenerKind.Unix
            ? other.Kind == ListenerKind.Unix && one.Listener.Path == other.Path
            : one.Listener.EndPoint is { } first && other.EndPoint is { Port: > 0 } second && one.Address.Port == second.Port
                && (first.Address.Equals(second.Address) || IsAny(first.Address) || IsAny(second.Address));

    private static bool IsAny(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    private async Task OpenAsync(
        IEnumerable<int> wanted, MqttBrokerOptions next, OpenListener?[] all, List<OpenListener> added, CancellationToken cancellationToken)
    {
        var others = new List<int>();

        foreach (var index in wanted)
        {
            var listener = next.Listeners[index];

            if (!IsForLoops(listener))
            {
                others.Add(index);
                continue;
            }

            all[index] = OpenOnLoops(listener, index);
            added.Add(all[index]!);
        }

        if (others.Count == 0)
            return;

        var kestrel = new KestrelHost(broker, options, next.Limits.ConnectTimeout, counted, endPoint => BindFor(endPoint, next, others))
        {
            Retired = one =>
            {
                lock (kestrels)
                    kestrels.Remove(one);
            },
        };

        try
        {
            var opened = await kestrel.StartAsync([.. others.Select(index => next.Listeners[index])], cancellationToken).ConfigureAwait(false);

            for (var number = 0; number < others.Count; number++)
                all[others[number]] = opened[number];

            added.AddRange(opened);
        }
        catch
        {
            await kestrel.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        lock (kestrels)
            kestrels.Add(kestrel);
    }

    private LoopListener OpenOnLoops(Listener listener, int index)
    {
        if (loops is null)
        {
            var threads = options.Threads == 0 ? Math.Max(1, Environment.ProcessorCount / 2) : options.Threads;
            loops = new EventLoops(broker.Engine, threads, options.CallbacksMayBlock && options.HasCallbacks);
        }

        var socket = Bind(listener.Kind == ListenerKind.Unix ? new UnixDomainSocketEndPoint(listener.Path!) : listener.EndPoint!, listener, index);

        try
        {
            Acceptor.Listen(socket);
            return new LoopListener(loops, socket, listener);
        }
        catch (SocketException failure)
        {
            var description = ListenSockets.Describe(socket.LocalEndPoint!, failure);
            socket.Dispose();
            throw new MqttListenException(index, description, failure);
        }
    }

    // Kestrel tells only where.
    private Socket BindFor(EndPoint endPoint, MqttBrokerOptions next, List<int> indexes)
    {
        var index = indexes.Find(one => next.Listeners[one] is var listener && (listener.Kind == ListenerKind.Unix ? listener.Path == endPoint.ToString() : endPoint.Equals(listener.EndPoint)));
        return Bind(endPoint, next.Listeners[index], index);
    }

    private Socket Bind(EndPoint endPoint, Listener listener, int index)
    {
        try
        {
            return ListenSockets.Bind(endPoint, listener, broker.Engine.Logger);
        }
        catch (IOException failure)
        {
            throw new MqttListenException(index, failure.Message, failure);
        }
    }

    private async Task AbandonAsync(IEnumerable<OpenListener> added, IEnumerable<OpenListener> closed)
    {
        foreach (var one in added)
            await one.CloseAsync().ConfigureAwait(false);

        foreach (var one in closed)
            await ReopenAsync(one).ConfigureAwait(false);
    }

    // Another program can have taken the place meanwhile.
    private async Task ReopenAsync(OpenListener closed)
    {
        var again = new MqttBrokerOptions();
        // At the port that it had, also if that was a free one.
        again.Listeners.Add(closed.Listener.EndPoint is { } endPoint ? closed.Listener with { EndPoint = new IPEndPoint(endPoint.Address, closed.Address.Port) } : closed.Listener);
        again.Limits.ConnectTimeout = TimeSpan.FromMilliseconds(broker.Engine.Settings.Limits.ConnectTimeout);
        var opened = new OpenListener?[1];

        try
        {
            await OpenAsync([0], again, opened, [], CancellationToken.None).ConfigureAwait(false);
            opened[0]!.Listener = closed.Listener;
            opened[0]!.Accept();
            Volatile.Write(ref open, [.. open.Select(one => ReferenceEquals(one, closed) ? opened[0]! : one)]);
        }
        catch (Exception failure) when (failure is IOException or SocketException)
        {
            Log.ListenerLost(broker.Engine.Logger, closed.Address, failure);
            Volatile.Write(ref open, [.. open.Where(one => !ReferenceEquals(one, closed))]);
        }
    }

    private KestrelHost[] Kestrels()
    {
        lock (kestrels)
            return [.. kestrels];
    }
}
