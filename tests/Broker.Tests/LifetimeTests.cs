using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Mqtt5.Serving;

namespace Mqtt5.BrokerTests;

// Connections and brokers at the points where they begin and end.
public sealed class LifetimeTests
{
    [Theory]
    [InlineData("")]
    [InlineData(" props{SessionExpiryInterval=100}")]
    public async Task The_end_of_a_connection_is_told_before_the_one_that_takes_over(string properties)
    {
        var events = new ConcurrentQueue<string>();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.ClientConnected = client => events.Enqueue("+" + client);
            options.ClientDisconnected = (client, _) => events.Enqueue("-" + client);
        });
        await using var first = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"c\"" + properties);
        await using var second = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"c\"" + properties);
        await first.ExpectDisconnectAsync(ReasonCode.SessionTakenOver);
        await second.ExpectNothingAsync();
        Assert.Equal(["+c", "-c", "+c"], events);
        await second.SendAsync("DISCONNECT");
        await second.ExpectEndAsync();
        await Waits.UntilAsync(() => events.Count == 4);
        Assert.Equal(["+c", "-c", "+c", "-c"], events);
    }

    [Fact]
    public async Task A_broker_that_was_stopped_is_held_by_nothing()
    {
        var engine = await StopAsync();
        await Waits.UntilAsync(() =>
        {
            GC.Collect();
            return !engine.IsAlive;
        });

        static async Task<WeakReference> StopAsync()
        {
            var broker = await Brokers.StartAsync();
            var engine = new WeakReference(broker.Engine);

            await using (await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\""))
                await broker.DisposeAsync().AsTask().Bounded();

            return engine;
        }
    }

    [Fact]
    public async Task A_client_that_is_ended_before_it_belongs_to_its_session_was_never_there()
    {
        var events = new ConcurrentQueue<string>();
        var permissions = new Permissions();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Authorizer = permissions;
            options.ClientConnected = client => events.Enqueue("+" + client);
            options.ClientDisconnected = (client, _) => events.Enqueue("-" + client);
        });
        await using var subscriber = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"s\"");
        await subscriber.SubscribeAsync("\"will\"");
        await using var first = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" will[topic=\"will\"]");
        // The registry has admitted the second one, and publishes the Will of the first before the second is attached.
        permissions.Asked = () => broker.EndSession("c");
        await using var second = await RawClient.OpenAsync(broker);
        await second.SendAsync("CONNECT clean=1 clientid=\"c\"");
        await second.ExpectCutAsync();
        await Waits.UntilAsync(() => broker.Engine.Served == 1);
        await subscriber.ExpectAsync("PUBLISH topic=\"will\"");
        Assert.Equal(["+s", "+c", "-c"], events);
        Assert.Equal(1, broker.ConnectionCount);
    }

    [Fact]
    public async Task A_client_that_is_ended_at_once_is_told_of_first()
    {
        var events = new ConcurrentQueue<string>();
        var log = new HookedLog();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.LoggerFactory = log;
            options.ClientConnected = client => events.Enqueue("+" + client);
            options.ClientDisconnected = (client, _) => events.Enqueue("-" + client);
        });
        // The connection is attached, and the application was not told yet.
        log.Connected = () => broker.Disconnect("c");
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.ExpectDisconnectAsync(ReasonCode.AdministrativeAction);
        await Waits.UntilAsync(() => events.Count == 2);
        Assert.Equal(["+c", "-c"], events);
    }

    [Fact]
    public async Task A_peer_that_closed_its_half_and_takes_nothing_is_cut_off()
    {
        await using var broker = await Brokers.StartAsync(options => options.CloseTimeout = TimeSpan.FromMilliseconds(100));
        await using var connection = new HalfClosed();
        var origin = new Hosting.KestrelOrigin(connection);
        origin.Leave(broker.Engine);
        await connection.Aborted.Bounded();
    }

    [Theory]
    [InlineData("mqtt")]
    [InlineData("mqtts")]
    public async Task A_client_that_closes_its_half_gets_what_it_is_owed(string scheme)
    {
        using var certificates = new TestCertificates();
        await using var broker = await Brokers.StartAsync(options => options.ListenTls(0, new MqttServerTlsOptions { Certificate = certificates.Server }));
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, broker.Addresses.First(one => one.Scheme == scheme).Port);
        Stream stream = new NetworkStream(socket);

        if (scheme == "mqtts")
        {
            var tls = new System.Net.Security.SslStream(stream, false, (_, given, _, _) => given!.GetCertHashString() == certificates.Server.GetCertHashString());
            await tls.AuthenticateAsClientAsync("localhost").Bounded();
            stream = tls;
        }

        await using var client = new RawClient(stream);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\"");
        await client.SendAsync("PUBLISH qos=1 topic=\"a\" id=7");

        if (stream is System.Net.Security.SslStream secure)
            await secure.ShutdownAsync();

        socket.Shutdown(SocketShutdown.Send);
        await client.ExpectStartAsync("CONNACK");
        await client.ExpectStartAsync("PUBACK id=7");
        await client.ExpectEndAsync();
    }

    [Fact]
    public async Task The_reason_arrives_over_a_WebSocket_although_more_bytes_follow()
    {
        await using var broker = await Brokers.StartAsync(options => options.ListenWebSocket(0));
        using var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("mqtt");
        await socket.ConnectAsync(broker.Addresses[1], default).Bounded();
        await socket.SendAsync(HealthyPair.Bytes("CONNECT clean=1 clientid=\"c\""), WebSocketMessageType.Binary, true, default);
        var buffer = new byte[4096];
        await socket.ReceiveAsync(buffer, default).Bounded();
        var sending = Task.Run(async () =>
        {
            await socket.SendAsync(new byte[] { 0xFF }, WebSocketMessageType.Binary, true, default);

            for (var index = 0; index < 300; index++)
                await socket.SendAsync(new byte[4096], WebSocketMessageType.Binary, true, default);
        });
        await Task.WhenAny(sending, Task.Delay(3000));
        var disconnect = await socket.ReceiveAsync(buffer, default).Bounded();
        Assert.Equal(WebSocketMessageType.Binary, disconnect.MessageType);
        Assert.Equal(0xE0, buffer[0]);
        Assert.Equal(0x81, buffer[2]);
        Assert.Equal(WebSocketMessageType.Close, (await socket.ReceiveAsync(buffer, default).Bounded()).MessageType);
    }

    [Fact]
    public async Task A_client_of_the_process_is_refused_once_the_broker_is_shut_down()
    {
        var broker = await Brokers.StartAsync();
        await broker.StopAsync().Bounded();
        await Assert.ThrowsAnyAsync<MqttException>(() => broker.ConnectInProcessAsync(options =>
        {
            options.Reconnect = null;
            options.ConnectTimeout = TimeSpan.FromMinutes(5);
        }).Bounded());
        await broker.DisposeAsync();
    }

    [Fact]
    public async Task A_client_of_the_process_that_is_cut_off_costs_the_publisher_nothing()
    {
        using var hold = new Hold();
        await using var broker = await Brokers.StartAsync(options => options.InterceptPublish = hold.Intercept);
        await using var client = await RawClient.OpenInProcessAsync(broker);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\"");
        await client.ExpectStartAsync("CONNACK");
        await client.SubscribeAsync("\"a\"");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        var connection = broker.Engine.Registry.Sessions.Single(session => session.State.ClientId.Text == "c").Connection as Serving.Connection;
        await client.SendAsync("PUBLISH topic=\"hold\"");
        await hold.BegunAsync();
        connection!.Abort();
        await publisher.SendAsync("PUBLISH qos=1 topic=\"a\" id=1");
        await publisher.ExpectStartAsync("PUBACK id=1");
        hold.End();
        await client.ExpectCutAsync();
        await Waits.UntilAsync(() => broker.Engine.Served == 1);
    }

    [Fact]
    public async Task Nothing_is_left_of_a_broker_that_cannot_have_one_of_its_ports()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var port = ((IPEndPoint)free.LocalEndpoint).Port;
        free.Stop();
        await Assert.ThrowsAnyAsync<IOException>(() => MqttBroker.StartAsync(options =>
            options.Listen(port).Listen(((IPEndPoint)taken.LocalEndpoint).Port)));
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(port));
        Assert.Equal(port, broker.Addresses[0].Port);
    }

    [Fact]
    public async Task A_start_that_is_given_up_leaves_nothing()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            MqttBroker.StartAsync(options => options.Listen(0), new CancellationToken(canceled: true)).Bounded());
    }

    [Fact]
    public async Task A_transport_that_cannot_be_cut_keeps_nobody_else_from_being_looked_at()
    {
        using var hold = new Hold();
        // The clock advances only when the test does it, so the silent client has time to receive its packets.
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.TimeProvider = time;
            options.CloseTimeout = TimeSpan.FromSeconds(1);
            options.InterceptPublish = hold.Intercept;
        });
        var stuck = new StuckOrigin();
        var serving = broker.Engine.ServeAsync(stuck.Input.Reader, stuck.Output.Writer, stuck);
        await stuck.Input.Writer.WriteAsync(HealthyPair.Bytes("CONNECT clean=1 clientid=\"stuck\""));
        await stuck.Input.Writer.WriteAsync(HealthyPair.Bytes("PUBLISH topic=\"hold\""));
        await hold.BegunAsync();
        broker.Disconnect("stuck");
        time.Advance(TimeSpan.FromSeconds(1.5));
        Assert.NotEqual(0, stuck.Attempts);
        await using var silent = await RawClient.ConnectAsync(broker, "CONNECT clean=1 keepalive=1 clientid=\"silent\"");
        time.Advance(TimeSpan.FromSeconds(2));
        await silent.ExpectDisconnectAsync(ReasonCode.KeepAliveTimeout);
        hold.End();

        // It has a second to receive the rest, and does not.
        while (!serving.IsCompleted)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(serving, Task.Delay(5)).Bounded();
        }

        await serving.Bounded();
    }

    // To abort a connection whose client has not read its DISCONNECT yet may make it lose it.
    [Fact]
    public async Task Shutting_down_cuts_nobody_who_has_gone()
    {
        var origin = new CountingOrigin();

        for (var round = 0; round < 100; round++)
        {
            await using var broker = new MqttBroker(new MqttBrokerOptions());
            var (input, output) = (new Pipe(), new Pipe());
            _ = broker.Engine.ServeAsync(input.Reader, output.Writer, origin);
            await input.Writer.WriteAsync(HealthyPair.Bytes("CONNECT clean=1 clientid=\"c\""));
            await Waits.UntilAsync(() => broker.ConnectionCount == 1);
            await broker.StopAsync().Bounded();
        }

        Assert.Equal(0, origin.Aborts);
    }

    [Fact]
    public async Task A_broker_is_disposed_of_by_many_and_twice()
    {
        var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () => await broker.DisposeAsync()))).Bounded();
        await broker.DisposeAsync();
        await client.ExpectDisconnectAsync(ReasonCode.ServerShuttingDown);
        await new MqttBroker(new MqttBrokerOptions()).DisposeAsync().AsTask().Bounded();
    }

    [Fact]
    public async Task A_connection_that_never_asks_for_a_WebSocket_has_the_time_to_connect()
    {
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.ListenWebSocket(0);
            options.Limits.ConnectTimeout = TimeSpan.FromSeconds(1);
        });
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, broker.Addresses[1].Port);
        Assert.Equal(0, await socket.ReceiveAsync(new byte[10]).Bounded());
    }

    [Fact]
    public async Task A_client_is_not_silent_while_it_is_judged()
    {
        var judge = new TaskCompletionSource<MqttAuthenticationResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.TimeProvider = time;
            options.Authenticator = new Late(judge.Task);
        });
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 keepalive=2 clientid=\"c\" props{AuthenticationMethod=\"m\"}");
        await client.SendAsync("AUTH rc=ReAuthenticate props{AuthenticationMethod=\"m\"}");
        await client.SendAsync("PINGREQ");
        await Waits.UntilAsync(() => broker.Engine.Registry.Sessions.Single().State.Connection.Value.Reauthenticating);

        for (var second = 0; second < 5; second++)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await client.SendAsync("PINGREQ");
        }

        judge.SetResult(MqttAuthenticationResult.Accepted);
        await client.ExpectStartAsync("AUTH rc=Success");
        await client.ExpectStartAsync("PINGRESP");
    }

    private sealed class Late(Task<MqttAuthenticationResult> judgement) : IMqttBrokerAuthenticator
    {
        public async ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken) =>
            context.Step == 0 ? MqttAuthenticationResult.Accepted : await judgement;
    }

    private sealed class Permissions : IMqttBrokerAuthorizer, IMqttPermissions
    {
        public Action? Asked { get; set; }

        public IMqttPermissions Authorize(MqttClientIdentity client) => client.ClientId == "s" ? this : MqttPermissions.All;

        public bool MayPublish(TopicName topic) => true;

        public bool MaySubscribe(TopicFilter filter) => true;

        public bool MayReceive(TopicName topic)
        {
            Asked?.Invoke();
            return true;
        }
    }

    // Counts how often it is aborted.
    private sealed class CountingOrigin : Origin
    {
        private int aborts;

        public int Aborts => Volatile.Read(ref aborts);

        public override bool IsInProcess => true;

        public override void Abort() => Interlocked.Increment(ref aborts);
    }

    // Keeps a connection in the midst of a packet, so that it cannot leave its session.
    private sealed class Hold : IDisposable
    {
        private readonly SemaphoreSlim begun = new(0);
        private readonly ManualResetEventSlim ended = new();

        public void Intercept(MqttPublishInterception publish)
        {
            if (publish.Topic != "hold")
                return;

            begun.Release();
            ended.Wait(RawClient.Patience);
        }

        public Task BegunAsync() => begun.WaitAsync().Bounded();

        public void End() => ended.Set();

        public void Dispose()
        {
            begun.Dispose();
            ended.Dispose();
        }
    }

    // It cannot be aborted.
    private sealed class StuckOrigin : Origin
    {
        private int attempts;

        public Pipe Input { get; } = new();

        public Pipe Output { get; } = new();

        public int Attempts => Volatile.Read(ref attempts);

        public override bool IsInProcess => true;

        public override void Abort()
        {
            Interlocked.Increment(ref attempts);
            throw new NotSupportedException("it cannot be aborted");
        }
    }

    // Its client has sent its last byte, and what is sent to it does not arrive.
    private sealed class HalfClosed : ConnectionContext
    {
        private readonly TaskCompletionSource aborted = new();

        public Task Aborted => aborted.Task;

        public override string ConnectionId { get; set; } = "1";

        public override IFeatureCollection Features { get; } = new FeatureCollection();

        public override IDictionary<object, object?> Items { get; set; } = new Dictionary<object, object?>();

        public override IDuplexPipe Transport { get; set; } = null!;

        public override CancellationToken ConnectionClosed { get; set; } = new(canceled: true);

        public override void Abort(ConnectionAbortedException abortReason) => aborted.TrySetResult();
    }

    private sealed class HookedLog : ILoggerFactory, ILogger
    {
        public Action? Connected { get; set; }

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public void Dispose()
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (eventId.Id == 101)
                Connected?.Invoke();
        }
    }
}
