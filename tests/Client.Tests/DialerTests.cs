using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;

namespace Mqtt5.Client.Tests;

// Happy Eyeballs (RFC 8305), with a resolver and connects under the control of the test.
public sealed class DialerTests
{
    private static readonly IPAddress Silent6 = IPAddress.Parse("2001:db8::1");
    private static readonly IPAddress Other6 = IPAddress.Parse("2001:db8::2");
    private static readonly IPAddress First4 = IPAddress.Parse("192.0.2.1");
    private static readonly IPAddress Second4 = IPAddress.Parse("192.0.2.2");

    private readonly FakeTimeProvider time = new();
    private readonly List<IPAddress> tried = [];
    private readonly Dictionary<IPAddress, TaskCompletionSource<Socket>> attempts = [];

    [Fact]
    public async Task A_silent_address_costs_a_quarter_of_a_second()
    {
        var connecting = Dialer([Silent6], [First4]).ConnectAsync("host", 1883);
        await Waits.UntilAsync(() => Tried() == 1);
        time.Advance(TimeSpan.FromMilliseconds(249));
        await Waits.StaysAsync(connecting);
        Assert.Equal([Silent6], tried);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await Waits.UntilAsync(() => Tried() == 2);
        using var socket = NewSocket();
        attempts[First4].SetResult(socket);
        Assert.Same(socket, await connecting.Bounded());
        // The losing attempt is canceled, and its socket closed if it connects all the same.
        using var late = NewSocket();
        attempts[Silent6].TrySetResult(late);
        await Waits.UntilAsync(() => late.SafeHandle.IsClosed || attempts[Silent6].Task.IsCanceled);
    }

    [Fact]
    public async Task Families_take_turns_and_an_address_that_fails_is_followed_at_once()
    {
        var connecting = Dialer([Silent6, Other6], [First4, Second4]).ConnectAsync("host", 1883);

        for (var count = 1; count <= 4; count++)
        {
            var expected = count;
            await Waits.UntilAsync(() => Tried() == expected);
            attempts[tried[^1]].SetException(new SocketException((int)SocketError.ConnectionRefused));
        }

        var failed = await Assert.ThrowsAsync<SocketException>(() => connecting.Bounded());
        Assert.Equal(SocketError.ConnectionRefused, failed.SocketErrorCode);
        Assert.Equal([Silent6, First4, Other6, Second4], tried);
    }

    [Fact]
    public async Task Addresses_of_version_6_get_a_moment_where_those_of_version_4_are_here_first()
    {
        var version6 = new TaskCompletionSource<IPAddress[]>();
        var dialer = new MqttDialer(
            time,
            (_, family, _) => family == AddressFamily.InterNetworkV6 ? version6.Task : Task.FromResult<IPAddress[]>([First4]),
            (address, cancellationToken) => new ValueTask<Socket>(AttemptAsync(address.Address, cancellationToken)));
        var connecting = dialer.ConnectAsync("host", 1883);
        await Waits.StaysAsync(connecting);
        Assert.Empty(tried);
        version6.SetResult([Silent6]);
        await Waits.UntilAsync(() => Tried() == 1);
        Assert.Equal([Silent6], tried);
        using var socket = NewSocket();
        attempts[Silent6].SetResult(socket);
        await connecting.Bounded();
    }

    [Fact]
    public async Task Addresses_of_version_4_do_not_wait_for_a_lookup_that_hangs()
    {
        var dialer = new MqttDialer(
            time,
            (_, family, cancellationToken) => family == AddressFamily.InterNetworkV6
                ? Task.Delay(-1, cancellationToken).ContinueWith(_ => Array.Empty<IPAddress>(), TaskScheduler.Default)
                : Task.FromResult<IPAddress[]>([First4]),
            (address, cancellationToken) => new ValueTask<Socket>(AttemptAsync(address.Address, cancellationToken)));
        var connecting = dialer.ConnectAsync("host", 1883);
        await Waits.UntilAsync(() =>
        {
            time.Advance(TimeSpan.FromMilliseconds(50));
            return Tried() == 1;
        });
        using var socket = NewSocket();
        attempts[First4].SetResult(socket);
        Assert.Same(socket, await connecting.Bounded());
    }

    [Fact]
    public async Task A_name_without_addresses_fails()
    {
        var failed = await Assert.ThrowsAsync<SocketException>(() => Dialer([], []).ConnectAsync("host", 1883).Bounded());
        Assert.Equal(SocketError.HostNotFound, failed.SocketErrorCode);
    }

    [Fact]
    public async Task An_address_that_refuses_says_more_than_a_family_without_addresses()
    {
        var dialer = new MqttDialer(
            time,
            (_, family, _) => family == AddressFamily.InterNetworkV6
                ? Task.FromException<IPAddress[]>(new SocketException((int)SocketError.HostNotFound))
                : Task.FromResult<IPAddress[]>([First4]),
            (address, cancellationToken) => new ValueTask<Socket>(AttemptAsync(address.Address, cancellationToken)));
        var connecting = dialer.ConnectAsync("host", 1883);
        await Waits.UntilAsync(() => Tried() == 1);
        attempts[First4].SetException(new SocketException((int)SocketError.ConnectionRefused));
        var failed = await Assert.ThrowsAsync<SocketException>(() => connecting.Bounded());
        Assert.Equal(SocketError.ConnectionRefused, failed.SocketErrorCode);
    }

    [Fact]
    public async Task A_dial_that_is_given_up_ends_all_attempts()
    {
        using var cancellation = new CancellationTokenSource();
        var connecting = Dialer([Silent6], [First4]).ConnectAsync("host", 1883, cancellation.Token);
        await Waits.UntilAsync(() => Tried() == 1);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connecting.Bounded());
        await Waits.UntilAsync(() => attempts[Silent6].Task.IsCanceled);
    }

    [Fact]
    public async Task A_real_name_of_which_one_address_listens_is_reached()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var socket = await MqttDialer.Default.ConnectAsync("localhost", ((IPEndPoint)listener.LocalEndpoint).Port).Bounded();
        Assert.True(socket.Connected);
        Assert.True(socket.NoDelay);
    }

    private static Socket NewSocket() => new(SocketType.Stream, ProtocolType.Tcp);

    private MqttDialer Dialer(IPAddress[] version6, IPAddress[] version4) => new(
        time,
        (_, family, _) => Task.FromResult(family == AddressFamily.InterNetworkV6 ? version6 : version4),
        (address, cancellationToken) => new ValueTask<Socket>(AttemptAsync(address.Address, cancellationToken)));

    private Task<Socket> AttemptAsync(IPAddress address, CancellationToken cancellationToken)
    {
        var attempt = new TaskCompletionSource<Socket>(TaskCreationOptions.RunContinuationsAsynchronously);
        cancellationToken.Register(() => attempt.TrySetCanceled(cancellationToken));

        lock (tried)
        {
            attempts.Add(address, attempt);
            tried.Add(address);
        }

        return attempt.Task;
    }

    private int Tried()
    {
        lock (tried)
            return tried.Count;
    }
}
