namespace Mqtt5.Client.Tests;

// The client in MQTT 3.1.1 and 3.1, against a scripted server.
public sealed class VersionTests
{
    private static readonly UserProperties Users = UserProperties.Of([UserProperty.Of("k", "v")]);

    public static TheoryData<string, Action<MqttClientOptions>> Options => new()
    {
        { "User Property", options => options.UserProperties = Users },
        { "Topic Alias Maximum", options => options.TopicAliasMaximum = 1 },
        { "Request Response Information", options => options.RequestResponseInformation = true },
        { "Request Problem Information", options => options.RequestProblemInformation = false },
        { "Authentication Method", options => options.Authenticator = new TokenAuthenticator("m", _ => ValueTask.FromResult("t")) },
        { "Will Delay Interval", options => options.Will = Will(new MqttMessage { Topic = "w" }, TimeSpan.FromSeconds(1)) },
        { "Message Expiry Interval", options => options.Will = Will(new MqttMessage { Topic = "w", Expiry = TimeSpan.FromSeconds(1) }) },
        { "Content Type", options => options.Will = Will(new MqttMessage { Topic = "w", ContentType = "t" }) },
        { "Payload Format Indicator", options => options.Will = Will(new MqttMessage { Topic = "w", IsText = true }) },
        { "PropagateTraceContext", options => options.PropagateTraceContext = true },
    };

    public static TheoryData<string, MqttMessage> Messages => new()
    {
        { "User Property", new MqttMessage { Topic = "a", UserProperties = Users } },
        { "Response Topic", new MqttMessage { Topic = "a", ResponseTopic = "r" } },
        { "Correlation Data", new MqttMessage { Topic = "a", CorrelationData = new byte[1] } },
        { "Content Type", new MqttMessage { Topic = "a", ContentType = "t" } },
        { "Payload Format Indicator", new MqttMessage { Topic = "a", IsText = true } },
    };

    public static TheoryData<string, MqttTopicFilter, MqttSubscribeOptions> Subscriptions => new()
    {
        { "No Local", new MqttTopicFilter("a") { NoLocal = true }, new MqttSubscribeOptions() },
        { "Retain As Published", new MqttTopicFilter("a") { RetainAsPublished = true }, new MqttSubscribeOptions() },
        { "Retain Handling", new MqttTopicFilter("a") { RetainHandling = RetainHandling.SendIfNew }, new MqttSubscribeOptions() },
        { "Subscription Identifier", new MqttTopicFilter("a"), new MqttSubscribeOptions { SubscriptionIdentifier = 1 } },
        { "User Property", new MqttTopicFilter("a"), new MqttSubscribeOptions { UserProperties = Users } },
    };

    [Theory]
    [MemberData(nameof(Options))]
    public void An_option_that_the_version_does_not_have_is_named_when_the_client_is_made(string option, Action<MqttClientOptions> set)
    {
        var options = MqttClientOptions.For("mqtt://server");
        options.Version = MqttVersion.Mqtt311;
        set(options);
        var missing = Assert.Throws<MqttNotSupportedException>(() => new MqttClient(options));
        Assert.Equal(option, missing.Option);
        Assert.Contains("MQTT 3.1.1", missing.Message, StringComparison.Ordinal);
        Assert.Equal((ReasonCode.UnsupportedProtocolVersion, MqttReasonSource.Client), (missing.Reason!.Value, missing.ReasonSource!.Value));
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public async Task A_property_that_the_version_does_not_have_is_named_and_nothing_is_sent(string option, MqttMessage message)
    {
        await using var world = In(MqttVersion.Mqtt311);
        var peer = await world.OpenAsync();
        Assert.Equal(option, (await Assert.ThrowsAsync<MqttNotSupportedException>(() => world.Client.PublishAsync(message).AsTask())).Option);
        Assert.Equal(option, Assert.Throws<MqttNotSupportedException>(() => world.Client.TryPublish(message)).Option);
        await ExpectNothingAsync(world, peer);
    }

    [Theory]
    [MemberData(nameof(Subscriptions))]
    public async Task A_subscription_that_the_version_does_not_have_is_named_and_nothing_is_sent(
        string option, MqttTopicFilter filter, MqttSubscribeOptions how)
    {
        await using var world = In(MqttVersion.Mqtt311);
        var peer = await world.OpenAsync();
        var missing = await Assert.ThrowsAsync<MqttNotSupportedException>(() => world.Client.SubscribeAsync([filter], how));
        Assert.Equal(option, missing.Option);
        await ExpectNothingAsync(world, peer);
    }

    [Fact]
    public async Task Requests_and_reasons_of_DISCONNECT_are_refused()
    {
        await using var world = In(MqttVersion.Mqtt311);
        var peer = await world.OpenAsync();
        var client = world.Client;
        Assert.Equal("Response Topic", (await Assert.ThrowsAsync<MqttNotSupportedException>(() => client.RequestAsync("a", "x"))).Option);
        Assert.Equal("Response Topic", (await Assert.ThrowsAsync<MqttNotSupportedException>(() => client.RespondAsync("a", (_, _) => Task.FromResult("")))).Option);
        Assert.Equal(
            "Session Expiry Interval",
            (await Assert.ThrowsAsync<MqttNotSupportedException>(() => client.DisconnectAsync(sessionExpiry: TimeSpan.Zero))).Option);
        Assert.Equal("Reason String", (await Assert.ThrowsAsync<MqttNotSupportedException>(() => client.DisconnectAsync(reasonString: "r"))).Option);
        Assert.Equal("User Property", (await Assert.ThrowsAsync<MqttNotSupportedException>(() => client.UnsubscribeAsync("a", Users))).Option);
        await ExpectNothingAsync(world, peer);
    }

    [Theory]
    [InlineData(MqttVersion.Mqtt311)]
    [InlineData(MqttVersion.Mqtt31)]
    public async Task Messages_of_every_QoS_go_both_ways(MqttVersion version)
    {
        await using var world = In(version);
        var peer = await world.OpenAsync();
        var client = world.Client;
        Assert.Equal(version, client.Version);
        var subscribing = client.SubscribeAsync("a/#", QoS.ExactlyOnce);
        var subscribe = await peer.GrantAsync();
        Assert.True(subscribe.Properties.SubscriptionIdentifier.IsNone);
        var subscription = await subscribing.Bounded();

        Assert.True(client.TryPublish("a/0", "direct"));
        var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        Assert.Equal(("a/0", "direct"), (Topic(publish), Text(publish)));

        // An expiry holds in the client, and text needs no indicator.
        var acknowledged = client.PublishAsync(new MqttMessage { Topic = "a/1", Text = "once", QoS = QoS.AtLeastOnce, Expiry = TimeSpan.FromMinutes(1) });
        publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        Assert.Equal(("a/1", "once"), (Topic(publish), Text(publish)));
        await peer.PubackAsync(publish.Delivery.PacketId.Value);
        Assert.Equal(ReasonCode.Success, (await acknowledged.Bounded()).Reason);

        var completed = client.PublishAsync("a/2", "exactly", QoS.ExactlyOnce);
        publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        await peer.PubrecAsync(publish.Delivery.PacketId.Value);
        var pubrel = (await peer.ExpectAsync<Packet.Pubrel>()).Acknowledgement;
        await peer.PubcompAsync(pubrel.PacketId);
        await completed.Bounded();

        await peer.PublishAsync("a/x", "0");
        await peer.PublishAsync("a/x", "1", 1, QoS.AtLeastOnce);
        await peer.PublishAsync("a/x", "2", 2, QoS.ExactlyOnce);
        var received = new List<string>();

        await foreach (var message in subscription)
        {
            received.Add(message.Text);

            if (received.Count == 3)
                break;

            message.Acknowledge();
        }

        Assert.Equal(["0", "1", "2"], received);
        Assert.Equal(1, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.PacketId.Value);

        var unsubscribing = subscription.UnsubscribeAsync();
        var unsubscribe = await ExpectAsync<Packet.Unsubscribe>(peer);
        await peer.SendAsync(Packet.NewUnsuback(new SubscriptionAcknowledgement(
            unsubscribe.Unsubscribe.PacketId, AcknowledgementProperties.Empty, ReasonCodeList.Empty)));
        Assert.Equal([ReasonCode.Success], (await unsubscribing.Bounded()).Select(result => result.Reason));

        var disconnecting = client.DisconnectAsync();
        await ExpectAsync<Packet.Disconnect>(peer);
        await peer.ExpectEndAsync();
        await disconnecting.Bounded();
    }

    [Fact]
    public async Task A_refused_filter_and_a_refused_connection_have_the_reasons_of_MQTT_5()
    {
        await using var world = In(MqttVersion.Mqtt311);
        var peer = await world.OpenAsync();
        var subscribing = world.Client.SubscribeAsync("a");
        await peer.GrantAsync(ReasonCode.UnspecifiedError);
        Assert.Equal(ReasonCode.UnspecifiedError, (await Assert.ThrowsAsync<MqttRefusedException>(() => subscribing.Bounded())).Reason);

        foreach (var (code, reason) in ((byte, ReasonCode)[])
            [
                (1, ReasonCode.UnsupportedProtocolVersion), (2, ReasonCode.ClientIdentifierNotValid), (3, ReasonCode.ServerUnavailable),
                (4, ReasonCode.BadUserNameOrPassword), (5, ReasonCode.NotAuthorized),
            ])
        {
            await using var other = In(MqttVersion.Mqtt311);
            var opening = other.Client.OpenAsync();
            var server = await other.NextPeerAsync();
            await server.ExpectAsync<Packet.Connect>();
            await server.SendAsync(new byte[] { 0x20, 2, 0, code });
            Assert.Equal(reason, (await Assert.ThrowsAsync<MqttConnectException>(() => opening.Bounded())).Reason);
        }
    }

    [Fact]
    public async Task With_a_Will_DISCONNECT_is_left_out()
    {
        await using var world = In(MqttVersion.Mqtt311, options => options.Will = Will(new MqttMessage { Topic = "w", Text = "gone" }));
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        var connect = await peer.AcceptAsync();
        await opening.Bounded();
        Assert.Equal("gone", System.Text.Encoding.UTF8.GetString(connect.Will.Value.Payload.Span));
        var disconnecting = world.Client.DisconnectAsync(ReasonCode.DisconnectWithWillMessage);
        await peer.ExpectEndAsync();
        await disconnecting.Bounded();
    }

    [Fact]
    public async Task A_session_that_is_kept_is_begun_with_two_connections_and_resumed_with_one()
    {
        await using var world = In(MqttVersion.Mqtt311, options => options.SessionExpiry = TimeSpan.FromHours(1));
        var opening = world.Client.OpenAsync();
        var first = await world.NextPeerAsync();
        Assert.True((await first.AcceptAsync()).CleanStart);
        await first.ExpectAsync<Packet.Disconnect>();
        await first.ExpectEndAsync();
        var second = await world.NextPeerAsync();
        Assert.False((await second.AcceptAsync()).CleanStart);
        await opening.Bounded();
        var publishing = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask();
        var id = (await second.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value;
        await world.Connection!.DisposeAsync();
        var third = await world.ReopenAsync(sessionPresent: true);
        var again = (await third.ExpectAsync<Packet.Publish>()).Publish;
        Assert.Equal((id.Value, true), (again.Delivery.PacketId.Value.Value, again.Delivery.IsDup));
        await third.PubackAsync(id);
        await publishing.Bounded();
    }

    [Theory]
    [InlineData("20020001")]
    [InlineData("2003008400")]
    [InlineData("")]
    public async Task A_server_that_does_not_take_MQTT_5_gets_3_1_1_and_again_on_reconnects(string answer)
    {
        await using var world = In(MqttVersion.Negotiate);
        var opening = world.Client.OpenAsync();
        var refusing = await world.NextPeerAsync();
        await refusing.ExpectAsync<Packet.Connect>();
        Assert.True(refusing.Version.IsV5);

        if (answer.Length > 0)
            await refusing.SendAsync(Convert.FromHexString(answer));

        await world.Connection!.DisposeAsync();
        var peer = await world.NextPeerAsync();
        await peer.AcceptAsync();
        await opening.Bounded();
        Assert.True(peer.Version.IsV311);
        Assert.Equal(MqttVersion.Mqtt311, world.Client.Version);
        await world.Connection.DisposeAsync();
        var next = await world.ReopenAsync();
        Assert.True(next.Version.IsV311);
    }

    [Fact]
    public async Task A_server_that_takes_MQTT_5_keeps_it()
    {
        await using var world = In(MqttVersion.Negotiate);
        var peer = await world.OpenAsync();
        Assert.True(peer.Version.IsV5);
        Assert.Equal(MqttVersion.Mqtt5, world.Client.Version);
        var publishing = world.Client.PublishAsync(new MqttMessage { Topic = "a", QoS = QoS.AtLeastOnce, UserProperties = Users }).AsTask();
        var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        Assert.False(publish.Properties.UserProperties.IsEmpty);
        await peer.PubackAsync(publish.Delivery.PacketId.Value);
        await publishing.Bounded();
    }

    [Fact]
    public async Task What_waited_for_a_version_is_refused_if_the_version_does_not_have_it()
    {
        await using var world = In(MqttVersion.Negotiate);
        var waiting = world.Client.PublishAsync(new MqttMessage { Topic = "a", QoS = QoS.AtLeastOnce, ContentType = "t" }).AsTask();
        var plain = world.Client.PublishAsync(new MqttMessage { Topic = "b", QoS = QoS.AtLeastOnce, Text = "x" }).AsTask();
        var opening = world.Client.OpenAsync();
        var refusing = await world.NextPeerAsync();
        await refusing.ExpectAsync<Packet.Connect>();
        await refusing.SendAsync(new byte[] { 0x20, 2, 0, 1 });
        var peer = await world.NextPeerAsync();
        await peer.AcceptAsync();
        await opening.Bounded();
        var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        Assert.Equal("b", Topic(publish));
        await peer.PubackAsync(publish.Delivery.PacketId.Value);
        await plain.Bounded();
        Assert.Equal("Content Type", (await Assert.ThrowsAsync<MqttNotSupportedException>(() => waiting.Bounded())).Option);
    }

    [Theory]
    [InlineData(MqttVersion.Mqtt5)]
    [InlineData(MqttVersion.Mqtt311)]
    public async Task A_server_that_refuses_the_only_version_is_told_as_such(MqttVersion version)
    {
        await using var world = In(version);
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        await peer.ExpectAsync<Packet.Connect>();
        await peer.SendAsync(version == MqttVersion.Mqtt5 ? new byte[] { 0x20, 2, 0, 1 } : [0x20, 3, 0, 0x84, 0]);
        Assert.Equal(ReasonCode.UnsupportedProtocolVersion, (await Assert.ThrowsAsync<MqttConnectException>(() => opening.Bounded())).Reason);
    }

    [Fact]
    public async Task The_scripted_peer_plays_the_version_of_the_client()
    {
        await using var world = In(MqttVersion.Mqtt311);
        var opening = world.Client.OpenAsync();
        await using var peer = await ScriptedPeer.AcceptAsync(world.Transport);
        Assert.Null(peer.Version);
        await peer.ExpectAsync("CONNECT ver=4 clean=1 keepalive=60 clientid=\"client\"");
        Assert.Equal(MqttVersion.Mqtt311, peer.Version);
        await peer.SendAsync("CONNACK");
        await opening.Bounded();
        Assert.True(world.Client.TryPublish("a", "x"));
        await peer.ExpectAsync("PUBLISH topic=\"a\" payload=\"x\"");
    }

    private static World In(MqttVersion version, Action<MqttClientOptions>? configure = null) =>
        new(options =>
        {
            options.Version = version;
            options.SessionExpiry = null;
            configure?.Invoke(options);
        });

    private static MqttWill Will(MqttMessage message, TimeSpan? delay = null) => new() { Message = message, Delay = delay };

    private static string Topic(Publish publish) => ((TopicReference.Name)publish.Topic).Name.Text;

    private static string Text(Publish publish) => System.Text.Encoding.UTF8.GetString(publish.Payload.Span);

    // The next packet of a type; others may come before it.
    private static async Task<T> ExpectAsync<T>(Peer peer)
        where T : Packet
    {
        while (true)
        {
            var packet = await peer.ReadAsync();
            Assert.NotNull(packet);

            if (packet is T found)
                return found;
        }
    }

    // The next packet of the client is the one that it sends now.
    private static async Task ExpectNothingAsync(World world, Peer peer)
    {
        Assert.True(world.Client.TryPublish("next", ""));
        Assert.Equal("next", Topic((await peer.ExpectAsync<Packet.Publish>()).Publish));
    }
}
