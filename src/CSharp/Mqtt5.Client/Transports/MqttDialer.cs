using System.Net;
using System.Net.Sockets;

namespace Mqtt5;

/// <summary>
/// Connects to the first address of a host that answers, by Happy Eyeballs version 2 (RFC 8305): addresses of both families
/// are tried alternately, a quarter of a second apart, or at once after a failure. An unresponsive address thus costs a
/// quarter of a second rather than a connect timeout. All members can be used from any thread.
/// </summary>
public sealed class MqttDialer
{
    // RFC 8305, sections 8 and 3.
    private static readonly TimeSpan AttemptDelay = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan ResolutionDelay = TimeSpan.FromMilliseconds(50);

    private readonly TimeProvider time;
    private readonly Func<string, AddressFamily, CancellationToken, Task<IPAddress[]>> resolve;
    private readonly Func<IPEndPoint, CancellationToken, ValueTask<Socket>> connect;

    /// <summary>Makes a dialer that uses the resolver of the system.</summary>
    /// <param name="time">The clock for the delays; null: the system's.</param>
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

    /// <summary>A dialer with the system's clock and resolver.</summary>
    public static MqttDialer Default { get; } = new();

    /// <summary>Connects a TCP socket, without Nagle's algorithm.</summary>
    /// <param name="host">A name or an address.</param>
    /// <param name="port">The port, 1 to 65,535.</param>
    /// <param name="cancellationToken">Cancels connecting.</param>
    /// <returns>The connected socket. The caller disposes it.</returns>
    /// <exception cref="SocketException">
    /// The name has no address, or no address accepts the connection; then it is the exception of the first failed attempt.
    /// </exception>
    public async Task<Socket> ConnectAsync(string host, int port, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(host);

        // Also accepts the brackets of an IPv6 literal in a URI.
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
            // Cancels the other attempts, and closes sockets that connect all the same.
            await ending.CancelAsync().ConfigureAwait(false);
            race.CloseLosers();
        }
    }

    private static async ValueTask<Socket> ConnectAsync(IPEndPoint address, CancellationToken cancellationToken)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

        try
        {
            // The operating system ends the connection two minutes after the peer vanished, also where Keep Alive is 0.
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 60);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 10);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 6);
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

            // If IPv4 addresses arrive first, IPv6 gets the Resolution Delay of RFC 8305.
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

        // Waits until an attempt ends, or the next one is due. Returns a connected socket, if any.
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

        // In the resolver's order, alternating between the families, IPv6 first.
        private IPAddress? TryTakeNext()
        {
            var (first, second) = version4IsNext ? (version4, version6) : (version6, version4);

            if (first.TryDequeue(out var address) || second.TryDequeue(out address))
                version4IsNext = address.AddressFamily == AddressFamily.InterNetworkV6;

            return address;
        }

        // A family that has no addresses, or whose lookup fails, is skipped.
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
