using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.Client.Tests;

// Everything at once, from several threads, with connections that break at any time: each call comes to an end that is
// told of, and nothing is left behind.
public sealed class ChaosTests
{
    private const int Rounds = 10;
    private const int Callers = 4;
    private const int Calls = 60;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Every_call_ends_and_leaves_nothing_behind(bool overSocket)
    {
        for (var seed = 0; seed < Rounds; seed++)
        {
            if (overSocket)
            {
                using var listener = new TcpListener(IPAddress.Loopback, 0);
                listener.Start();
                var options = MqttClientOptions.For($"mqtt://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
                await RunAsync(options, seed, async stopping => new Server(await listener.AcceptTcpClientAsync(stopping)));
            }
            else
            {
                var transport = new InMemoryTransport();
                var options = MqttClientOptions.For("mqtt://server");
                options.Transport = transport;
                await RunAsync(options, seed, async stopping => new Server(await transport.AcceptAsync(stopping)));
            }
        }
    }

    private static async Task RunAsync(MqttClientOptions options, int seed, Func<CancellationToken, Task<Server>> accept)
    {
        options.Reconnect = new MqttReconnectOptions
        {
            InitialDelay = TimeSpan.FromMilliseconds(1),
            MaximumDelay = TimeSpan.FromMilliseconds(4),
            RetryFirstConnection = true,
        };
        options.CloseTimeout = TimeSpan.FromMilliseconds(200);
        options.ReceiveMaximum = 4;
        options.SendBufferBytes = 2_000;
        options.Queue.MaximumMessages = 20;
        options.Queue.WhenFull = seed % 2 == 0 ? WhenFull.DropOldest : WhenFull.Refuse;
        var client = new MqttClient(options);
        using var stop = new CancellationTokenSource();
        var server = ServeAsync(accept, seed, stop.Token);
        await client.OpenAsync().Bounded();
        var callers = Enumerable.Range(0, Callers).Select(number => Task.Run(() => CallAsync(client, new Random(seed * Callers + number)))).ToArray();

        // Half of the rounds end in the middle.
        if (seed % 2 == 0)
            await Task.WhenAll(callers).Bounded();
        else
            await Task.WhenAny(callers).Bounded();

        await client.DisposeAsync().Bounded();
        await Task.WhenAll(callers).Bounded();
        await stop.CancelAsync();
        await server.Bounded();
        Assert.Equal(MqttConnectionStatus.Closed, client.State.Status);
        var engine = client.Engine;
        await Waits.UntilAsync(() => engine.Subscriptions.Handling().Length == 0 && !engine.Turns.HasSettled);

        lock (engine.Gate)
        {
            Assert.Equal(0, engine.CallsUnderWay);
            Assert.Empty(engine.Subscriptions.All());
            Assert.True(ClientStateModule.Sound(engine.State) is { IsNone: true });
        }
    }

    private static async Task CallAsync(MqttClient client, Random random)
    {
        for (var call = 0; call < Calls; call++)
        {
            using var cancellation = new CancellationTokenSource();

            if (random.Next(3) == 0)
                cancellation.CancelAfter(random.Next(5));

            try
            {
                await CallAsync(client, random, cancellation.Token).Bounded();
            }
            catch (Exception failure) when (failure is OperationCanceledException or MqttException)
            {
                // A call may fail so.
            }
            catch (TimeoutException failure) when (failure.Message.StartsWith("no answer", StringComparison.Ordinal))
            {
                // So may a request.
            }
            catch (ObjectDisposedException)
            {
                return;
            }
        }
    }

    private static async Task CallAsync(MqttClient client, Random random, CancellationToken cancellation)
    {
        switch (random.Next(9))
        {
            case 0:
                client.TryPublish("a", "x");
                break;
            case 1:
                await client.PublishAsync("a", new byte[random.Next(2_000)], QoS.AtMostOnce, cancellationToken: cancellation);
                break;
            case 2 or 3:
                await Task.WhenAll(Enumerable.Range(0, 10).Select(_ =>
                    client.PublishAsync("a", "x", (QoS)random.Next(3), cancellationToken: cancellation).AsTask()));
                break;
            case 4:
                await PullAsync(client, random, cancellation);
                break;
            case 5:
                await PushAsync(client, random, cancellation);
                break;
            case 6:
                await client.RequestAsync("a", "x", TimeSpan.FromMilliseconds(1 + random.Next(20)), cancellation);
                break;
            case 7:
                await client.UnsubscribeAsync("a", cancellationToken: cancellation);
                break;
            default:
                if (random.Next(4) == 0)
                {
                    await client.DisconnectAsync(cancellationToken: cancellation);
                    await client.OpenAsync(cancellation);
                }

                break;
        }
    }

    private static async Task PullAsync(MqttClient client, Random random, CancellationToken cancellation)
    {
        await using var subscription = await client.SubscribeAsync("a", (QoS)random.Next(3), cancellationToken: cancellation);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(5);
        client.TryPublish("a", "x");

        await foreach (var _ in subscription.WithCancellation(deadline.Token))
        {
            if (random.Next(3) == 0)
                break;
        }
    }

    private static async Task PushAsync(MqttClient client, Random random, CancellationToken cancellation)
    {
        var options = new MqttSubscribeOptions { Ordering = (MqttOrdering)random.Next(3), MaximumConcurrency = 3 };
        var kind = random.Next(5);
        MqttSubscription? subscription = null;

        subscription = await client.SubscribeAsync(
            "a",
            async (message, stopping) =>
            {
                switch (kind)
                {
                    case 0:
                        throw new InvalidOperationException("a handler that fails");
                    case 1:
                        await client.PublishAsync("b", "x", QoS.AtLeastOnce, cancellationToken: stopping);
                        break;
                    case 2:
                        await Task.Delay(-1, stopping);
                        break;
                    case 3 when subscription is { } own:
                        await own.DisposeAsync();
                        break;
                    default:
                        await Task.Yield();
                        break;
                }
            },
            (QoS)random.Next(3),
            options,
            cancellation);

        await client.PublishAsync("a", "x", (QoS)random.Next(3), cancellationToken: cancellation);

        // Others are left to the end of the client.
        if (random.Next(2) == 0)
            await subscription.DisposeAsync();
    }

    // A server that answers, echoes, forgets sessions and breaks connections.
    private static async Task ServeAsync(Func<CancellationToken, Task<Server>> accept, int seed, CancellationToken stopping)
    {
        var random = new Random(-1 - seed);
        var connections = new List<Task>();

        try
        {
            while (true)
            {
                var connection = await accept(stopping);
                connections.Add(ServeAsync(connection, new Random(random.Next())));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(connections);
        }
    }

    private static async Task ServeAsync(Server connection, Random random)
    {
        var peer = new Peer(connection.Stream);
        ushort id = 0;
        var echoes = new ConcurrentDictionary<ushort, bool>();

        try
        {
            while (await peer.ReadAsync() is { } packet)
            {
                if (random.Next(60) == 0)
                    break;

                switch (packet)
                {
                    case Packet.Connect:
                        await peer.SendAsync(Packet.NewConnack(new Connack(
                            false, ReasonCode.Success, new ConnackBuilder { ReceiveMaximum = 5 }.Build())));
                        break;
                    case Packet.Subscribe { Subscribe: var asked }:
                        await peer.SendAsync(Packet.NewSuback(new SubscriptionAcknowledgement(
                            asked.PacketId,
                            AcknowledgementProperties.Empty,
                            ReasonCodeList.Of([.. asked.Subscriptions.Select(_ => random.Next(8) == 0 ? ReasonCode.QuotaExceeded : ReasonCode.GrantedQoS1)]))));
                        break;
                    case Packet.Unsubscribe { Unsubscribe: var given }:
                        await peer.SendAsync(Packet.NewUnsuback(new SubscriptionAcknowledgement(
                            given.PacketId, AcknowledgementProperties.Empty, ReasonCodeList.Of([.. given.Filters.Select(_ => ReasonCode.Success)]))));
                        break;
                    case Packet.Pubrel { Acknowledgement: var released }:
                        await peer.PubcompAsync(released.PacketId);
                        break;
                    case Packet.Puback { Acknowledgement: var acknowledged }:
                        echoes.TryRemove(acknowledged.PacketId.Value, out _);
                        break;
                    case Packet.Publish { Publish: var publish }:
                        if (publish.Delivery.QoS == QoS.AtLeastOnce)
                            await peer.PubackAsync(publish.Delivery.PacketId.Value);
                        else if (publish.Delivery.QoS == QoS.ExactlyOnce)
                            await peer.PubrecAsync(publish.Delivery.PacketId.Value);

                        if (echoes.Count < 4 && echoes.TryAdd(++id, true))
                            await peer.PublishAsync("a", "echo", id, QoS.AtLeastOnce);
                        else
                            await peer.PublishAsync("a", "echo");

                        break;
                }
            }
        }
        catch (Exception failure) when (failure is IOException or InvalidOperationException)
        {
            // The client has ended the connection.
        }

        await connection.BreakAsync();
    }

    // The server's end of a connection.
    private sealed class Server
    {
        private readonly InMemoryConnection? inMemory;

        public Server(InMemoryConnection connection)
        {
            inMemory = connection;
            Stream = connection.Stream;
        }

        public Server(TcpClient client) => Stream = client.GetStream();

        public Stream Stream { get; }

        public ValueTask BreakAsync() => inMemory is { } pipe ? pipe.BreakAsync() : Stream.DisposeAsync();
    }
}
