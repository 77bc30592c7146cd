namespace Mqtt5.Client.Tests;

// Requests and authentications that meet the end of a connection, or another one.
public sealed class RequestEndingTests
{
    [Fact]
    public async Task A_request_of_a_client_that_was_opened_again_subscribes_anew()
    {
        await using var world = new World(options => options.CleanStart = true);
        var peer = await world.OpenAsync();
        var first = world.Client.RequestAsync("math", "1");
        await peer.GrantAsync();
        var sent = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        var topic = sent.Properties.ResponseTopic.Value;
        await AnswerAsync(peer, sent);
        await first.Bounded();
        var engine = world.Client.Engine;
        Task disconnecting;
        Task opening;
        Task<MqttReceivedMessage> second;

        // The loop over the answers gets a message, and cannot acknowledge it, and so cannot see the end, before the gate is left.
        lock (engine.Gate)
        {
            engine.Post(engine.Current!, ClientEvent.NewReceived(Packet.NewPublish(new Publish(
                Delivery.NewAtLeastOnce(PacketId.Of(1), false), false, TopicReference.NewName(topic), PublishProperties.Empty, Bytes.OfText("stray")))));
            disconnecting = world.Client.DisconnectAsync();
            opening = world.Client.OpenAsync();
            second = world.Client.RequestAsync("math", "2");
        }

        await disconnecting.Bounded();
        var next = await world.NextPeerAsync();
        await next.AcceptAsync();
        await opening.Bounded();
        Publish? request = null;
        var subscribed = false;

        while (request is null)
        {
            switch (await next.ReadAsync())
            {
                case Packet.Unsubscribe { Unsubscribe: var given }:
                    await next.SendAsync(Packet.NewUnsuback(new SubscriptionAcknowledgement(
                        given.PacketId, AcknowledgementProperties.Empty, ReasonCodeList.Of([ReasonCode.Success]))));
                    break;
                case Packet.Subscribe { Subscribe: var asked }:
                    subscribed = true;
                    await next.SendAsync(Packet.NewSuback(new SubscriptionAcknowledgement(
                        asked.PacketId, AcknowledgementProperties.Empty, ReasonCodeList.Of([ReasonCode.GrantedQoS1]))));
                    break;
                case Packet.Publish { Publish: var publish }:
                    request = publish;
                    break;
                default:
                    Assert.Fail("an unexpected packet");
                    break;
            }
        }

        Assert.True(subscribed);
        await AnswerAsync(next, request);
        Assert.Equal("answer", (await second.Bounded()).Text);
    }

    [Fact]
    public async Task A_cancelled_request_tells_whose_token_it_was()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        using var cancellation = new CancellationTokenSource();
        var request = world.Client.RequestAsync("math", "1", cancellationToken: cancellation.Token);
        await peer.GrantAsync();
        await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value);
        await cancellation.CancelAsync();
        var cancelled = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request.Bounded());
        Assert.Equal(cancellation.Token, cancelled.CancellationToken);
    }

    [Fact]
    public async Task Requests_that_end_with_the_client_leave_no_failure_behind()
    {
        using var unobserved = new Unobserved();

        for (var round = 0; round < 20; round++)
            await EndRequestsAsync();

        // No other test ends a connection for this reason.
        Assert.Equal(0, await unobserved.CountAsync("the server disconnected: 0xA0 Maximum connect time"));
    }

    private static async Task EndRequestsAsync()
    {
        await using var world = new World(options => options.Reconnect = null);
        var peer = await world.OpenAsync();
        var requests = new List<Task> { world.Client.RequestAsync("math", "1") };
        await peer.GrantAsync();
        await peer.ExpectAsync<Packet.Publish>();

        for (var i = 0; i < 200; i++)
            requests.Add(world.Client.RequestAsync("math", "1"));

        for (var i = 0; i < 200; i++)
            await peer.ExpectAsync<Packet.Publish>();

        await peer.DisconnectAsync(ReasonCode.MaximumConnectTime);

        foreach (var request in requests)
        {
            var ended = await Assert.ThrowsAsync<MqttDisconnectedException>(() => request.Bounded());
            Assert.Equal("the server disconnected: 0xA0 Maximum connect time", ended.Message);
        }
    }

    [Fact]
    public async Task Authenticating_again_while_connecting_leaves_the_exchange_under_way_alone()
    {
        await using var world = new World(options => options.Authenticator = new Numbered());
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        await peer.ExpectAsync<Packet.Connect>();
        await Assert.ThrowsAsync<MqttRejectedException>(() => world.Client.ReauthenticateAsync().Bounded());
        await peer.SendAsync(Packet.NewAuth(new Auth(
            ReasonCode.ContinueAuthentication, ConnackBuilder.AuthenticationOf("numbered", null), default, UserProperties.Empty)));
        var answer = (await peer.ExpectAsync<Packet.Auth>()).Auth.Authentication;
        Assert.Equal([1], answer.Data.Value.Reveal.Memory.ToArray());
        await peer.SendAsync(Packet.NewConnack(new Connack(
            false, ReasonCode.Success, new ConnackBuilder { Authentication = ("numbered", null) }.Build())));
        await opening.Bounded();
    }

    [Fact]
    public async Task A_server_that_asks_twice_meets_one_call_of_the_exchange_at_a_time()
    {
        var exchange = new Slow();
        await using var world = new World(options => options.Authenticator = exchange);
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        await peer.ExpectAsync<Packet.Connect>();

        for (var i = 0; i < 2; i++)
        {
            await peer.SendAsync(Packet.NewAuth(new Auth(
                ReasonCode.ContinueAuthentication, ConnackBuilder.AuthenticationOf("slow", null), default, UserProperties.Empty)));
        }

        await peer.SendAsync(Packet.NewConnack(new Connack(
            false, ReasonCode.Success, new ConnackBuilder { Authentication = ("slow", null) }.Build())));
        await exchange.Entered.Task.Bounded();
        await Waits.StaysAsync(opening);
        Assert.Equal(1, exchange.Most);
        exchange.Release.SetResult();
        await opening.Bounded();
        Assert.Equal(1, exchange.Most);
    }

    private static async Task AnswerAsync(Peer peer, Publish request)
    {
        await peer.PubackAsync(request.Delivery.PacketId.Value);
        await peer.PublishAsync(
            request.Properties.ResponseTopic.Value.Text,
            "answer",
            properties: new PublishProperties(
                default, default, default, request.Properties.CorrelationData, UserProperties.Empty, SubscriptionIdentifiers.Empty, default));
    }

    // Counts how many of its methods run at a time.
    private sealed class Slow : IMqttAuthenticator, IMqttAuthenticationExchange
    {
        private int running;

        public TaskCompletionSource Entered { get; } = new();

        public TaskCompletionSource Release { get; } = new();

        public int Most { get; private set; }

        public string Method => "slow";

        public IMqttAuthenticationExchange Begin() => this;

        public ValueTask<ReadOnlyMemory<byte>?> StartAsync(CancellationToken cancellationToken) => new((ReadOnlyMemory<byte>?)null);

        public async ValueTask<ReadOnlyMemory<byte>?> ContinueAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken)
        {
            await CompleteAsync(data, cancellationToken);
            return null;
        }

        public async ValueTask CompleteAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken)
        {
            Most = Math.Max(Most, Interlocked.Increment(ref running));
            Entered.TrySetResult();
            await Release.Task;
            Interlocked.Decrement(ref running);
        }
    }

    // Each of its exchanges says its number.
    private sealed class Numbered : IMqttAuthenticator
    {
        private byte last;

        public string Method => "numbered";

        public IMqttAuthenticationExchange Begin() => new Exchange(++last);

        private sealed class Exchange(byte number) : IMqttAuthenticationExchange
        {
            public ValueTask<ReadOnlyMemory<byte>?> StartAsync(CancellationToken cancellationToken) => new((ReadOnlyMemory<byte>?)null);

            public ValueTask<ReadOnlyMemory<byte>?> ContinueAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken) =>
                new((ReadOnlyMemory<byte>?)new byte[] { number });

            public ValueTask CompleteAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken) => ValueTask.CompletedTask;
        }
    }
}
