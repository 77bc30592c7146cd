namespace Mqtt5.Client.Tests;

public sealed class RequestTests
{
    [Fact]
    public async Task An_answer_is_found_by_its_Correlation_Data_in_any_order()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var first = world.Client.RequestAsync("math", "1");
        var filter = (await peer.GrantAsync()).Subscriptions.Select(one => one.Filter.Text).Single();
        var one = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        var second = world.Client.RequestAsync("math", "2");
        var two = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        Assert.Equal(filter, one.Properties.ResponseTopic.Value.Text);
        Assert.Equal(filter, two.Properties.ResponseTopic.Value.Text);
        Assert.Equal(30u, one.Properties.MessageExpiryInterval.Value);
        await peer.PublishAsync(filter, "stray");
        await AnswerAsync(peer, two, "two");
        await AnswerAsync(peer, one, "one");
        Assert.Equal("one", (await first.Bounded()).Text);
        Assert.Equal("two", (await second.Bounded()).Text);
    }

    [Fact]
    public async Task The_Response_Information_of_the_server_says_where_answers_go()
    {
        await using var world = new World();
        var peer = await world.OpenAsync(properties: new ConnackBuilder { ResponseInformation = "private/7" }.Build());
        var request = world.Client.RequestAsync("math", "1");
        var filter = (await peer.GrantAsync()).Subscriptions.Select(one => one.Filter.Text).Single();
        Assert.StartsWith("private/7/", filter, StringComparison.Ordinal);
        await AnswerAsync(peer, (await peer.ExpectAsync<Packet.Publish>()).Publish, "x");
        await request.Bounded();
    }

    [Fact]
    public async Task A_request_survives_a_reconnect_with_a_lost_session()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var request = world.Client.RequestAsync("math", "1", TimeSpan.FromMinutes(5));
        await peer.GrantAsync();
        var sent = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        await peer.PubackAsync(sent.Delivery.PacketId.Value);
        await world.Connection!.BreakAsync();
        peer = await world.ReopenAsync();
        await peer.GrantAsync();
        await peer.PublishAsync(sent.Properties.ResponseTopic.Value.Text, "late", properties: Correlated(sent));
        Assert.Equal("late", (await request.Bounded()).Text);
    }

    [Fact]
    public async Task A_request_without_an_answer_times_out()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var request = world.Client.RequestAsync("math", "1", TimeSpan.FromSeconds(5));
        await peer.GrantAsync();
        await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value);
        await Task.Delay(50);
        world.Time.Advance(TimeSpan.FromSeconds(6));
        await Assert.ThrowsAsync<TimeoutException>(() => request.Bounded());
    }

    [Fact]
    public async Task A_request_can_be_cancelled()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        using var cancellation = new CancellationTokenSource();
        var request = world.Client.RequestAsync("math", "1", cancellationToken: cancellation.Token);
        await peer.GrantAsync();
        await peer.ExpectAsync<Packet.Publish>();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request.Bounded());
    }

    [Fact]
    public async Task A_responder_answers_where_the_request_says()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var responding = world.Client.RespondAsync("math/#", (request, _) => Task.FromResult($"{request.Text}!"));
        await peer.GrantAsync();
        await responding.Bounded();
        var properties = new PublishProperties(
            default, default, Peer.Some(TopicName.Of("answers/1")), Peer.Some(Bytes.OfText("id")), UserProperties.Empty, SubscriptionIdentifiers.Empty, default);
        await peer.PublishAsync("math/add", "no answer wanted");
        await peer.PublishAsync("math/add", "1", properties: properties);
        var answer = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        Assert.Equal("answers/1", ((TopicReference.Name)answer.Topic).Name.Text);
        Assert.Equal("1!", System.Text.Encoding.UTF8.GetString(answer.Payload.Span));
        Assert.Equal(Bytes.OfText("id"), answer.Properties.CorrelationData.Value);
    }

    private static async Task AnswerAsync(Peer peer, Publish request, string text)
    {
        await peer.PubackAsync(request.Delivery.PacketId.Value);
        await peer.PublishAsync(request.Properties.ResponseTopic.Value.Text, text, properties: Correlated(request));
    }

    private static PublishProperties Correlated(Publish request) =>
        new(default, default, default, request.Properties.CorrelationData, UserProperties.Empty, SubscriptionIdentifiers.Empty, default);
}
