using System.Net;
using System.Net.Sockets;

namespace Mqtt5;

/// <summary>
/// Connects to a host by whichever of its addresses answers first, as Happy Eyeballs version 2 does (RFC 8305): the
/// addresses of both families are tried in turn, each a quarter of a second after the one before, and at once where that
/// one has failed. An address that is silent so costs a quarter of a second, not the time of a connect.
/// All members can be used from any thread.
/// </summary>
public sealed class MqttDialer
{
    // RFC 8305, sections 8 and 3.
    private static readonly TimeSpan AttemptDelay = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan ResolutionDelay = TimeSpan.FromMilliseconds(50);

    private readonly TimeProvider time;
    private readonly Func<string, AddressFamily, CancellationToken, Task<IPAddress[]>> resolve;
    private readonly Func<IPEndPoint, CancellationToken, ValueTask<Socket>> connect;

    /// <summary>Makes a dialer that asks the resolver of the system.</summary>
    /// <param name="time">The clock of the delays; null: that of the system.</param>
    public MqttDialer(TimeProvider? time = null)
        : this(time, null, null)
    {
    }

    internal MqttDialer(
        TimeProvider? time,
        Func<string, AddressFamily, CancellationToken, Task<IPAddress[]>>? resolve,
        Func<IPEndPoint, CancellationToken, ValueTask<Socket>>? connect)
    {
        this.time = time ?? TimeProvider.System;
        this.resolve = resolve ?? Dns.GetHostAddressesAsync;
        this.connect = connect ?? ConnectAsync;
    }

    /// <summary>The dialer of the system's clock and resolver.</summary>
    public static MqttDialer Default { get; } = new();

    /// <summary>Connects a TCP socket, without Nagle's algorithm.</summary>
    /// <param name="host">A name or an address.</param>
    /// <param name="port">The port, 1 to 65,535.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The connected socket. The caller disposes it.</returns>
    /// <exception cref="SocketException">
    /// The name has no address, or no address takes the connection; then it is the exception of the first address that failed.
    /// </exception>
    public async Task<Socket> ConnectAsync(string host, int port, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(host);

        // In brackets it is the form of a URI.
        if (IPAddress.TryParse(host, out var address))
            return await connect(new IPEndPoint(address, port), cancellationToken).ConfigureAwait(false);

        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var race = new Race(this, host, port, ending.Token);

        try
        {
            return await race.RunAsync().ConfigureAwait(false);
        }
        finally
        {
            // What is still under way is given up, and a socket that comes all the same is closed.
            await ending.CancelAsync().ConfigureAwait(false);
            race.CloseLosers();
        }
    }

    private static async ValueTask<Socket> ConnectAsync(IPEndPoint address, CancellationToken cancellationToken)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

        try
        {
            await socket.ConnectAsync(address, cancellationToken).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private sealed class Race(MqttDialer dialer, string host, int port, CancellationToken cancellationToken)
    {
        private readonly Queue<IPAddress> version6 = new();
        private readonly Queue<IPAddress> version4 = new();
        private readonly List<Task<Socket>> attempts = [];
        private readonly List<Task> lookups = [];
        private Exception? connectFailure;
        private Exception? lookupFailure;
        private bool version4IsNext;

        public async Task<Socket> RunAsync()
        {
            var lookup6 = LookUpAsync(AddressFamily.InterNetworkV6, version6);
            var lookup4 = LookUpAsync(AddressFamily.InterNetwork, version4);
            lookups.AddRange([lookup6, lookup4]);

            // Where the addresses of version 4 are here first, those of version 6 get a moment.
            if (await Task.WhenAny(lookup6, lookup4).WaitAsync(cancellationToken).ConfigureAwait(false) == lookup4)
                await Task.WhenAny(lookup6, Task.Delay(ResolutionDelay, dialer.time, cancellationToken)).ConfigureAwait(false);

            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                lookups.RemoveAll(one => one.IsCompleted);

                if (TryTakeNext() is { } address)
                    attempts.Add(dialer.connect(new IPEndPoint(address, port), cancellationToken).AsTask());
                else if (attempts.Count == 0 && lookups.Count == 0)
                    throw connectFailure ?? lookupFailure ?? new SocketException((int)SocketError.HostNotFound);

                if (await NextAsync().ConfigureAwait(false) is { } connected)
                    return connected;
            }
        }

        public void CloseLosers()
        {
            foreach (var attempt in attempts)
            {
                attempt.ContinueWith(
                    static one =>
                    {
                        if (one.IsCompletedSuccessfully)
                            one.Result.Dispose();
                        else
                            _ = one.Exception;
                    },
                    CancellationToken.None,
                    TaskContinuationOptions.ExecuteSynchronously,
                    TaskScheduler.Default);
            }
        }

        // Waits until an attempt ends, or it is time for the next one. Gives a socket that is connected.
        private async Task<Socket?> NextAsync()
        {
            using var waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var hasMore = version4.Count + version6.Count > 0;
            var events = new List<Task>([.. attempts, .. lookups]);

            if (hasMore)
                events.Add(Task.Delay(AttemptDelay, dialer.time, waiting.Token));

            var happened = await Task.WhenAny(events).WaitAsync(cancellationToken).ConfigureAwait(false);
            await waiting.CancelAsync().ConfigureAwait(false);

            if (happened is not Task<Socket> attempt)
                return null;

            attempts.Remove(attempt);

            try
            {
                return await attempt.ConfigureAwait(false);
            }
            catch (Exception failure) when (!cancellationToken.IsCancellationRequested)
            {
                connectFailure ??= failure;
                return null;
            }
        }

        // In the order of the resolver, a family after the other, version 6 first.
        private IPAddress? TryTakeNext()
        {
            var (first, second) = version4IsNext ? (version4, version6) : (version6, version4);

            if (first.TryDequeue(out var address) || second.TryDequeue(out address))
                version4IsNext = address.AddressFamily == AddressFamily.InterNetworkV6;

            return address;
        }

        // A family of which there are no addresses, or whose lookup fails, leaves it to the other one.
        private async Task LookUpAsync(AddressFamily family, Queue<IPAddress> found)
        {
            try
            {
                foreach (var address in await dialer.resolve(host, family, cancellationToken).ConfigureAwait(false))
                    found.Enqueue(address);
            }
            catch (Exception failure) when (!cancellationToken.IsCancellationRequested)
            {
                lookupFailure ??= failure;
            }
        }
    }
}
