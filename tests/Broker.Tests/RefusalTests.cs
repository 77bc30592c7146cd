using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Mqtt5.Serving;

namespace Mqtt5.BrokerTests;

// Connections that do not become clients: counted by their reason, and told in the log, some a second. The meter is that of
// the whole process.
[Collection("alone")]
public sealed class RefusalTests
{
    [Fact]
    public async Task Refusals_are_counted_by_their_reason_and_logged_with_address_and_name()
    {
        using var chains = new CertificateChains();
        using var counted = new Counted();
        using var log = new LogTests.Recorder(least: LogLevel.Information);
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.LoggerFactory = log;
            options.Authenticator = MqttPasswordFile.Parse(MqttPasswordFile.Line("anna", "right"u8));
            options.ListenTls(0, new MqttServerTlsOptions { Certificate = chains.Server });
            options.ListenWebSocket(0);
        });

        await using (var guess = await RawClient.OpenAsync(broker))
        {
            await guess.SendAsync("CONNECT clean=1 clientid=\"a\" username=\"ann\\u202Ea\" password=\"wrong\"");
            await guess.ExpectStartAsync("CONNACK rc=BadUserNameOrPassword");
        }

        await SendAsync(broker, "mqtt", "100D00044D51545409020000000000");
        await SendAsync(broker, "mqtt", "1003000901");
        await SendAsync(broker, "mqtts", "100D00044D51545405020000000000");
        await SendAsync(broker, "ws", Convert.ToHexString("GET /other HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"u8));
        await SendAsync(broker, "ws", "100D00044D51545405020000000000");

        await Waits.UntilAsync(() => counted.Of("wrong-password") == 1 && counted.Of("other-version") == 1 && counted.Of("malformed") == 1
            && counted.Of("tls-failure") == 1 && counted.Of("not-http") == 2);
        await Waits.UntilAsync(() => log.Lines.Count(line => line.Contains("is refused", StringComparison.Ordinal)) == 6);
        var line = log.Lines.Single(line => line.Contains("wrong-password", StringComparison.Ordinal));
        Assert.Matches(@"127\.0\.0\.1:[0-9]+ with user name ann\\u202ea is refused", line);
        Assert.DoesNotContain(log.Lines, line => line.Contains("wrong\"", StringComparison.Ordinal));

        // A client that is accepted is no refusal.
        await using var anna = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"a\" username=\"anna\" password=\"right\"");
        Assert.Equal(6, counted.All);
    }

    [Fact]
    public async Task A_missing_PROXY_header_and_a_CONNECT_that_does_not_come_are_counted()
    {
        using var counted = new Counted();
        await using (var broker = await MqttBroker.StartAsync(options =>
        {
            options.AllowAnonymous = true;
            options.Listen(0, proxyProtocol: true);
        }))
        {
            await SendAsync(broker, "mqtt", "100D00044D51545405020000000000");
        }

        await Waits.UntilAsync(() => counted.Of("proxy-header") == 1);
        await using var silent = await Brokers.StartAsync(options => options.Limits.ConnectTimeout = TimeSpan.FromMilliseconds(300));
        await SendAsync(silent, "mqtt", "10");
        await Waits.UntilAsync(() => counted.Of("no-connect-in-time") == 1);
        Assert.Equal(2, counted.All);
    }

    [Fact]
    public void Of_a_flood_of_refusals_some_a_second_are_logged_and_the_rest_is_told_as_a_number()
    {
        var time = new FakeTimeProvider();
        using var log = new LogTests.Recorder();
        var refusals = new Refusals(log, time, new BrokerWatch(time));

        for (var number = 0; number < 1_000; number++)
            refusals.Add(RefusalKind.WrongPassword, "127.0.0.1:1", "anna", "no");

        refusals.Add(RefusalKind.TlsFailure, "127.0.0.1:1", null, "no");
        Assert.Equal(5, log.Lines.Count(line => line.Contains("wrong-password", StringComparison.Ordinal)));
        Assert.Single(log.Lines, line => line.Contains("tls-failure", StringComparison.Ordinal));
        time.Advance(TimeSpan.FromSeconds(1));
        refusals.Add(RefusalKind.WrongPassword, "127.0.0.1:1", "anna", "no");
        Assert.Contains(log.Lines, line => line.StartsWith("995 more refusals for the reason wrong-password", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Guessing_is_as_slow_as_connecting()
    {
        var asked = 0;
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.TimeProvider = new FakeTimeProvider();
            options.Limits.ConnectionsPerSecond = 3;
            options.Authenticator = new Counting(() => Interlocked.Increment(ref asked));
        });

        for (var number = 0; number < 10; number++)
        {
            await using var client = await RawClient.OpenAsync(broker);
            await client.SendAsync("CONNECT clean=1 clientid=\"a\" username=\"anna\" password=\"x\"");
            await client.ExpectStartAsync(number < 3 ? "CONNACK rc=BadUserNameOrPassword" : "CONNACK rc=ConnectionRateExceeded");
        }

        Assert.Equal(3, asked);
    }

    [Fact]
    public void The_same_unknown_name_costs_the_same_after_the_passwords_are_loaded_again()
    {
        string[] lines = [.. Enumerable.Range(0, 20).Select(number => $"user{number}:pbkdf2-sha512:{(number % 2 == 0 ? 1_000 : 5_000)}:{Convert.ToBase64String(new byte[16])}:{Convert.ToBase64String(new byte[64])}")];
        var before = MqttPasswordFile.Parse(string.Join('\n', lines));
        var again = MqttPasswordFile.Parse(string.Join('\n', lines.Reverse()));
        var one = MqttPasswordFile.Parse(string.Join('\n', lines.Skip(1)));
        var names = Enumerable.Range(0, 1_000).Select(number => $"unknown {number}").ToArray();
        Assert.All(names, name => Assert.Equal(before.IterationsOf(name), again.IterationsOf(name)));
        Assert.InRange(names.Count(name => before.IterationsOf(name) == 1_000), 350, 650);

        // One line less moves one name in forty.
        Assert.InRange(names.Count(name => before.IterationsOf(name) != one.IterationsOf(name)), 0, 100);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task Accepted_sockets_notice_a_peer_that_vanished(string address)
    {
        if (address == "::1" && !Socket.OSSupportsIPv6)
            return;

        using var listener = Hosting.ListenSockets.Bind(new IPEndPoint(IPAddress.Parse(address), 0), null, new LogTests.Recorder());
        listener.Listen();
        using var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalEndPoint!).Bounded();
        using var accepted = await listener.AcceptAsync().Bounded();
        Assert.NotEqual(0, accepted.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive));
        Assert.Equal(60, accepted.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime));
        Assert.Equal(10, accepted.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval));
        Assert.Equal(6, accepted.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount));
    }

    [Theory]
    [InlineData(false, "other", null)]
    [InlineData(true, "client", null)]
    [InlineData(true, "other", ReasonCode.ClientIdentifierNotValid)]
    public async Task A_Client_Identifier_may_be_bound_to_the_certificate(bool isBound, string clientId, ReasonCode? reason)
    {
        using var chains = new CertificateChains();
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.ClientIds = isBound ? ClientIdRule.CertificateName : ClientIdRule.Free;
            options.ListenTls(0, new MqttServerTlsOptions { Certificate = chains.Server, Intermediates = [chains.Intermediate], ClientAuthorities = [chains.Root] });
        });
        var options = Brokers.For(broker, "mqtts", clientId);
        options.Tls.ServerName = "localhost";
        options.Tls.CertificateAuthorities.Add(chains.Root);
        options.Tls.ClientCertificates.Add(chains.Client);
        options.Tls.ClientCertificates.Add(System.Security.Cryptography.X509Certificates.X509CertificateLoader.LoadCertificate(chains.Intermediate.RawData));
        await CheckAsync(options, reason);
    }

    [Theory]
    [InlineData("anna", "anna", "right", null)]
    [InlineData("bob", "anna", "right", ReasonCode.ClientIdentifierNotValid)]
    [InlineData("", "anna", "right", ReasonCode.ClientIdentifierNotValid)]
    [InlineData("anna", null, null, ReasonCode.NotAuthorized)]
    public async Task A_Client_Identifier_may_be_bound_to_the_user_name(string clientId, string? userName, string? password, ReasonCode? reason)
    {
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.ClientIds = ClientIdRule.UserName;
            options.AllowAnonymous = true;
            options.Authenticator = MqttPasswordFile.Parse(MqttPasswordFile.Line("anna", "right"u8));
        });
        var options = Brokers.For(broker, "mqtt", clientId);

        if (userName is not null)
            options.Credentials = MqttCredentials.Of(userName, password!);

        await CheckAsync(options, reason);

        // One of the same process may have any.
        await using var own = await broker.ConnectInProcessAsync(it => it.ClientId = "own").Bounded();
    }

    private static async Task CheckAsync(MqttClientOptions options, ReasonCode? reason)
    {
        if (reason is null)
        {
            await using var client = await MqttClient.ConnectAsync(options).Bounded();
            return;
        }

        var failure = await Assert.ThrowsAnyAsync<MqttConnectException>(() => MqttClient.ConnectAsync(options).Bounded());
        Assert.Equal(reason, failure.Result?.Reason);
    }

    // Sends bytes that make no client, and waits for the end.
    private static async Task SendAsync(MqttBroker broker, string scheme, string hex)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, broker.Addresses.First(one => one.Scheme == scheme).Port).Bounded();
        await socket.SendAsync(Convert.FromHexString(hex).AsMemory()).Bounded();
        var answer = new byte[4096];

        try
        {
            while (await socket.ReceiveAsync(answer.AsMemory()).Bounded() > 0)
            {
                // Not what is looked at here.
            }
        }
        catch (SocketException)
        {
            // It was cut.
        }
    }

    private sealed class Counting(Action asked) : IMqttBrokerAuthenticator
    {
        public ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken)
        {
            asked();
            return new(MqttAuthenticationResult.Refused());
        }
    }

    private sealed class Counted : IDisposable
    {
        private readonly ConcurrentDictionary<string, int> counts = new();
        private readonly MeterListener listener = new();

        public Counted()
        {
            listener.InstrumentPublished = (instrument, it) =>
            {
                if (instrument.Name == "mqtt5.broker.refused")
                    it.EnableMeasurementEvents(instrument);
            };
            listener.SetMeasurementEventCallback<long>((_, _, tags, _) =>
            {
                foreach (var (key, value) in tags)
                {
                    if (key == "mqtt5.reason")
                        counts.AddOrUpdate((string)value!, 1, (_, count) => count + 1);
                }
            });
            listener.Start();
        }

        public int All => counts.Values.Sum();

        public int Of(string reason) => counts.GetValueOrDefault(reason);

        public void Dispose() => listener.Dispose();
    }
}
