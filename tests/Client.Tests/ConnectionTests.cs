namespace Mqtt5.Client.Tests;

public sealed class ConnectionTests
{
    [Fact]
    public async Task CONNECT_carries_what_the_options_say()
    {
        await using var world = new World(options =>
        {
            options.KeepAlive = TimeSpan.FromSeconds(30);
            options.SessionExpiry = Timeout.InfiniteTimeSpan;
            options.ReceiveMaximum = 10;
            options.MaximumPacketSize = 1_000;
            options.TopicAliasMaximum = 3;
            options.RequestResponseInformation = true;
            options.RequestProblemInformation = false;
            options.UserProperties = UserProperties.Of([UserProperty.Of("k", "v")]);
            options.Credentials = MqttCredentials.Of("user", "");
            options.Will = new MqttWill
            {
                Message = new MqttMessage { Topic = "will", Text = "gone", QoS = QoS.ExactlyOnce, Retain = true, Expiry = TimeSpan.FromSeconds(5), ContentType = "t" },
                Delay = TimeSpan.FromSeconds(3),
            };
        });
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        var connect = await peer.AcceptAsync();
        await opening.Bounded();
        Assert.True(connect.CleanStart);
        Assert.Equal(30, connect.KeepAlive);
        Assert.Equal("client", connect.ClientId.Value.Text);
        Assert.Equal("user", connect.UserName.Value.Text);
        Assert.Equal(0, connect.Password.Value.Length);
        var properties = connect.Properties;
        Assert.Equal(uint.MaxValue, properties.SessionExpiryInterval.Value);
        Assert.Equal((10, 1_000u, 3), (properties.ReceiveMaximum.Value, properties.MaximumPacketSize.Value, properties.TopicAliasMaximum.Value));
        Assert.Equal((true, false), (properties.RequestResponseInformation.Value, properties.RequestProblemInformation.Value));
        var will = connect.Will.Value;
        Assert.Equal(("will", QoS.ExactlyOnce, true), (will.Topic.Text, will.QoS, will.Retain));
        Assert.Equal((3u, 5u, "t"), (will.Properties.WillDelayInterval.Value, will.Properties.MessageExpiryInterval.Value, will.Properties.ContentType.Value.Text));
    }

    [Fact]
    public async Task The_answer_of_the_server_is_shown()
    {
        await using var world = new World();
        var properties = new ConnackBuilder
        {
            AssignedClientId = "given",
            KeepAlive = 7,
            ReceiveMaximum = 3,
            MaximumPacketSize = 500,
            ReasonString = "hello",
            ResponseInformation = "info",
            SharedAvailable = false,
            SessionExpiryInterval = 9,
            TopicAliasMaximum = 2,
        }.Build();
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        await peer.AcceptAsync(properties: properties);
        var result = await opening.Bounded();
        Assert.Equal(("given", TimeSpan.FromSeconds(7), 3, 500L, "hello", "info"), (result.AssignedClientId, result.KeepAlive, result.ReceiveMaximum, result.MaximumPacketSize, result.ReasonString, result.ResponseInformation));
        Assert.Equal((false, TimeSpan.FromSeconds(9), 2, QoS.ExactlyOnce), (result.SharedSubscriptionAvailable, result.SessionExpiry, result.TopicAliasMaximum, result.MaximumQoS));
        Assert.Equal("given", world.Client.ClientId);
    }

    [Fact]
    public async Task A_refusal_throws_with_what_the_server_said()
    {
        await using var world = new World();
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        await peer.ExpectAsync<Packet.Connect>();
        await peer.SendAsync(Packet.NewConnack(new Connack(
            false, ReasonCode.BadUserNameOrPassword, new ConnackBuilder { ReasonString = "no" }.Build())));
        var refused = await Assert.ThrowsAsync<MqttConnectException>(() => opening.Bounded());
        Assert.Equal((ReasonCode.BadUserNameOrPassword, "no"), (refused.Reason, refused.ReasonString));
        Assert.Equal(MqttConnectionStatus.Closed, world.Client.State.Status);
        await peer.ExpectEndAsync();
    }

    [Fact]
    public async Task A_first_connection_that_fails_is_not_tried_again_and_tells_why()
    {
        await using var world = new World();
        world.Transport.Connecting = (_, _) => throw new IOException("nobody listens");
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => world.Client.OpenAsync().Bounded());
        Assert.IsType<IOException>(failed.InnerException);
        Assert.Equal(1, world.Transport.Attempts);
    }

    [Fact]
    public async Task A_first_connection_is_tried_again_where_the_options_say_so()
    {
        await using var world = new World(options => options.Reconnect!.RetryFirstConnection = true);
        world.Transport.Connecting = (number, _) => number < 3 ? throw new IOException("nobody listens") : default;
        var opening = world.Client.OpenAsync();
        await world.UntilAsync(MqttConnectionStatus.Waiting);
        world.Time.Advance(TimeSpan.FromSeconds(1));
        await Waits.UntilAsync(() => world.Transport.Attempts == 2);
        await world.UntilAsync(MqttConnectionStatus.Waiting);
        world.Time.Advance(TimeSpan.FromSeconds(2));
        await (await world.NextPeerAsync()).AcceptAsync();
        await opening.Bounded();
    }

    [Fact]
    public async Task A_server_that_never_answers_ends_the_attempt()
    {
        await using var world = new World();
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        await peer.ExpectAsync<Packet.Connect>();
        world.Time.Advance(TimeSpan.FromSeconds(11));
        await Assert.ThrowsAsync<MqttConnectException>(() => opening.Bounded());
        await peer.ExpectEndAsync();
    }

    [Fact]
    public async Task Cancelling_ends_the_attempt()
    {
        await using var world = new World();
        using var cancellation = new CancellationTokenSource();
        var opening = world.Client.OpenAsync(cancellation.Token);
        var peer = await world.NextPeerAsync();
        await peer.ExpectAsync<Packet.Connect>();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening.Bounded());
        await peer.ExpectEndAsync();
    }

    [Fact]
    public async Task Credentials_are_asked_for_at_each_connection()
    {
        var asked = 0;
        await using var world = new World(options => options.CredentialsProvider = _ =>
            ValueTask.FromResult(MqttCredentials.Of("user", $"token {++asked}")));
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        Assert.Equal("token 1", Password(await peer.AcceptAsync()));
        await opening.Bounded();
        await world.Connection!.BreakAsync();
        await world.UntilAsync(MqttConnectionStatus.Waiting);
        world.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal("token 2", Password(await (await world.NextPeerAsync()).AcceptAsync()));

        static string Password(Connect connect) => System.Text.Encoding.UTF8.GetString(connect.Password.Value.Reveal.Span);
    }

    [Fact]
    public async Task Credentials_that_cannot_be_had_fail_the_attempt()
    {
        await using var world = new World(options => options.CredentialsProvider = _ => throw new InvalidOperationException("vault is shut"));
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => world.Client.OpenAsync().Bounded());
        Assert.Equal(ReasonCode.NotAuthorized, failed.Reason);
        Assert.IsType<InvalidOperationException>(failed.InnerException);
    }

    [Fact]
    public async Task Disconnecting_tells_reason_and_properties_and_closes()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var disconnecting = world.Client.DisconnectAsync(
            ReasonCode.DisconnectWithWillMessage, TimeSpan.FromSeconds(5), "bye", UserProperties.Of([UserProperty.Of("k", "v")]));
        var outcome = (await peer.ExpectAsync<Packet.Disconnect>()).Outcome;
        Assert.Equal(ReasonCode.DisconnectWithWillMessage, outcome.Reason);
        Assert.Equal((5u, "bye"), (outcome.Properties.Value.SessionExpiryInterval.Value, outcome.Properties.Value.ReasonString.Value.Text));
        await disconnecting.Bounded();
        await peer.ExpectEndAsync();
        Assert.Equal(MqttConnectionStatus.Closed, world.Client.State.Status);
    }

    [Fact]
    public async Task What_was_published_before_Disconnect_is_sent_before_it()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();

        for (var i = 0; i < 100; i++)
            await world.Client.PublishAsync("a", new byte[1_000]);

        var disconnecting = world.Client.DisconnectAsync();

        for (var i = 0; i < 100; i++)
            await peer.ExpectAsync<Packet.Publish>();

        await peer.ExpectAsync<Packet.Disconnect>();
        await disconnecting.Bounded();
    }

    [Fact]
    public async Task The_state_starts_with_the_current_one_and_leaves_none_out()
    {
        await using var world = new World();
        var seen = new List<MqttConnectionStatus>();
        var watching = Task.Run(async () =>
        {
            await foreach (var state in world.Client.States())
                seen.Add(state.Status);
        });
        await Waits.UntilAsync(() => seen.Count == 1);
        await world.OpenAsync();
        await world.Connection!.BreakAsync();
        await world.ReopenAsync();
        await world.UntilAsync(MqttConnectionStatus.Connected);
        await world.DisposeAsync();
        await watching.Bounded();
        Assert.Equal(
            [
                MqttConnectionStatus.Idle, MqttConnectionStatus.Connecting, MqttConnectionStatus.Connected,
                MqttConnectionStatus.Waiting, MqttConnectionStatus.Connecting, MqttConnectionStatus.Connected,
                MqttConnectionStatus.Closed,
            ],
            seen);
    }

    [Fact]
    public async Task Pings_are_sent_and_a_missing_answer_ends_the_connection()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        world.Time.Advance(TimeSpan.FromSeconds(46));
        Assert.True((await peer.ReadAsync())!.IsPingreq);
        await peer.SendAsync(Packet.Pingresp);
        // Once it answers this, it has taken PINGRESP.
        await peer.PublishAsync("a", "x", 1, QoS.AtLeastOnce);
        await peer.ExpectAsync<Packet.Puback>();
        world.Time.Advance(TimeSpan.FromSeconds(46));
        Assert.True((await peer.ReadAsync())!.IsPingreq);
        world.Time.Advance(TimeSpan.FromSeconds(11));
        var waiting = await world.UntilAsync(MqttConnectionStatus.Waiting);
        Assert.Equal(ReasonCode.KeepAliveTimeout, waiting.Cause!.Reason);
        await peer.ExpectEndAsync();
    }

    [Fact]
    public async Task Options_that_are_not_valid_are_refused()
    {
        Assert.Throws<ArgumentException>(() => new MqttClient(new MqttClientOptions()));
        Assert.Throws<ArgumentException>(() => new MqttClient(MqttClientOptions.For("http://server")));
        Assert.ThrowsAny<ArgumentException>(() => new MqttClient(new World(options => options.KeepAlive = TimeSpan.FromDays(1)).Options));
        Assert.ThrowsAny<ArgumentException>(() => new MqttClient(new World(options => options.ReceiveMaximum = 0).Options));
        Assert.ThrowsAny<ArgumentException>(() => new MqttClient(new World(options => options.Reconnect!.Jitter = 2).Options));
        await Assert.ThrowsAnyAsync<ArgumentException>(() => MqttClient.ConnectAsync("gopher://server"));
    }

    [Fact]
    public async Task A_server_that_names_another_is_followed_where_the_options_say_so()
    {
        Uri? asked = null;
        await using var world = new World(options => options.Reconnect!.FollowServerReference = true);
        var inner = world.Transport;
        world.Options.Transport = new Watching(inner, server => asked = server);
        var peer = await world.OpenAsync();
        await peer.SendAsync(Packet.NewDisconnect(Outcome<DisconnectProperties>.NewFull(
            ReasonCode.UseAnotherServer,
            new DisconnectProperties(default, default, UserProperties.Empty, Peer.Some(Utf8String.Of("other:1884"))))));
        await world.UntilAsync(MqttConnectionStatus.Waiting);
        world.Time.Advance(TimeSpan.FromMilliseconds(10));
        await (await world.NextPeerAsync()).AcceptAsync();
        Assert.Equal(("other", 1884), (asked!.Host, asked.Port));
    }

    private sealed class Watching(IMqttTransport inner, Action<Uri> watch) : IMqttTransport
    {
        public ValueTask<IMqttConnection> ConnectAsync(Uri server, CancellationToken cancellationToken)
        {
            watch(server);
            return inner.ConnectAsync(server, cancellationToken);
        }
    }
}
