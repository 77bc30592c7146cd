using System.Collections.Concurrent;

namespace Mqtt5.Client.Tests;

// Handlers, loops and messages of subscriptions that end.
public sealed class EndedSubscriptionTests
{
    public enum Ending
    {
        Disconnected,
        Lost,
        Unsubscribed,
    }

    [Theory]
    [InlineData(Ending.Disconnected)]
    [InlineData(Ending.Lost)]
    [InlineData(Ending.Unsubscribed)]
    public async Task Disposal_stops_the_handler_of_a_subscription_that_has_ended_before(Ending ending)
    {
        await using var world = new World(options => options.Reconnect = null);
        var peer = await world.OpenAsync();
        var entered = new TaskCompletionSource();
        var stopped = new TaskCompletionSource();
        var subscribing = world.Client.SubscribeAsync("a", async (_, stopping) =>
        {
            entered.SetResult();
            await Task.Delay(-1, stopping).ContinueWith(_ => { }, TaskScheduler.Default);
            stopped.SetResult();
        });
        await peer.GrantAsync();
        var subscription = await subscribing.Bounded();
        await peer.PublishAsync("a", "x", 1, QoS.AtLeastOnce);
        await entered.Task.Bounded();

        switch (ending)
        {
            case Ending.Disconnected:
                await world.Client.DisconnectAsync().Bounded();
                break;
            case Ending.Lost:
                await world.Connection!.BreakAsync();
                await world.UntilAsync(MqttConnectionStatus.Closed);
                break;
            default:
                var unsubscribing = subscription.UnsubscribeAsync();
                await peer.ReleaseAsync();
                await unsubscribing.Bounded();
                break;
        }

        Assert.False(stopped.Task.IsCompleted);
        await world.Client.DisposeAsync().Bounded();
        Assert.True(stopped.Task.IsCompleted);
    }

    [Theory]
    [InlineData(MqttOrdering.InOrder)]
    [InlineData(MqttOrdering.ByKey)]
    [InlineData(MqttOrdering.Unordered)]
    public async Task No_handler_begins_after_it_was_told_to_stop(MqttOrdering ordering)
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var calls = 0;
        var release = new TaskCompletionSource();
        var subscription = await HoldAsync(world, peer, ordering, release.Task, () => Interlocked.Increment(ref calls));
        var disposing = subscription.DisposeAsync();
        await peer.ReleaseAsync();
        await Waits.UntilAsync(() =>
        {
            world.Time.Advance(world.Options.CloseTimeout);
            return disposing.IsCompleted;
        });
        await disposing.Bounded();
        release.SetResult();
        Assert.Equal(ReasonCode.Success, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.Outcome.Reason);
        Assert.Equal(ReasonCode.ImplementationSpecificError, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.Outcome.Reason);
        Assert.Equal(ReasonCode.ImplementationSpecificError, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.Outcome.Reason);
        Assert.Equal(1, calls);
        await Waits.UntilAsync(() => subscription.Waiting == 0);
    }

    [Theory]
    [InlineData(MqttOrdering.InOrder)]
    [InlineData(MqttOrdering.ByKey)]
    [InlineData(MqttOrdering.Unordered)]
    public async Task No_handler_begins_after_the_client_was_disposed_of(MqttOrdering ordering)
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var calls = 0;
        var release = new TaskCompletionSource();
        var subscription = await HoldAsync(world, peer, ordering, release.Task, () => Interlocked.Increment(ref calls));
        await world.DisposeAsync();
        release.SetResult();
        await Waits.UntilAsync(() => subscription.Waiting == 0);
        Assert.Equal(1, calls);
    }

    [Fact]
    public async Task Messages_for_a_call_that_gave_up_hold_back_no_others()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        using var cancellation = new CancellationTokenSource();
        var subscribing = world.Client.SubscribeAsync("a", cancellationToken: cancellation.Token);
        await peer.ExpectAsync<Packet.Subscribe>();
        // The server may send messages before it answers.
        await peer.PublishAsync("a", "x", 1, QoS.AtLeastOnce);
        await peer.PublishAsync("b", "x", 2, QoS.AtLeastOnce);
        await peer.SendAsync(Packet.Pingresp);
        // No subscription matches the second, so it has waited for the first since it came.
        await Waits.UntilAsync(() => Inbound(world) == 2);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => subscribing.Bounded());
        await peer.ExpectAsync<Packet.Unsubscribe>();
        var first = (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement;
        Assert.Equal(ReasonCode.ImplementationSpecificError, first.Outcome.Reason);
        Assert.Equal((ushort)2, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.PacketId.Value);
    }

    [Fact]
    public async Task A_message_that_a_loop_is_left_with_after_the_disposal_is_acknowledged()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeTests.SubscribeAsync(world, peer, "a");
        await peer.PublishAsync("a", "last", 1, QoS.AtLeastOnce);

        await foreach (var _ in subscription)
        {
            var disposing = subscription.DisposeAsync();
            await peer.ReleaseAsync();
            await disposing.Bounded();
            break;
        }

        Assert.Equal(ReasonCode.Success, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.Outcome.Reason);
    }

    [Fact]
    public async Task A_message_that_one_loop_is_left_with_goes_to_another_that_waits()
    {
        await using var world = new World(options => options.ReceiveMaximum = 1);
        var peer = await world.OpenAsync();
        var subscription = await SubscribeTests.SubscribeAsync(world, peer, "a");
        await peer.PublishAsync("a", "x", 1, QoS.AtLeastOnce);
        var first = subscription.GetAsyncEnumerator();
        Assert.True(await first.MoveNextAsync().Bounded());
        var second = subscription.GetAsyncEnumerator();
        var waiting = second.MoveNextAsync().AsTask();
        await Waits.StaysAsync(waiting);
        await first.DisposeAsync();
        Assert.True(await waiting.Bounded());
        Assert.Equal("x", second.Current.Text);
        var next = second.MoveNextAsync().AsTask();
        Assert.Equal((ushort)1, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.PacketId.Value);
        await peer.PublishAsync("a", "y", 1, QoS.AtLeastOnce);
        Assert.True(await next.Bounded());
        Assert.Equal("y", second.Current.Text);
        Assert.Equal(0, subscription.Waiting);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_message_whose_handler_is_cut_off_is_not_acknowledged_as_handled(bool endsClient)
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var entered = new TaskCompletionSource();
        var subscribing = world.Client.SubscribeAsync("a", async (_, stopping) =>
        {
            entered.SetResult();
            await Task.Delay(-1, stopping);
        });
        await peer.GrantAsync();
        var subscription = await subscribing.Bounded();
        await peer.PublishAsync("a", "x", 1, QoS.AtLeastOnce);
        await entered.Task.Bounded();

        if (endsClient)
        {
            var disposing = world.Client.DisposeAsync();
            await peer.ExpectAsync<Packet.Disconnect>();
            await disposing.Bounded();
            // The server keeps it for the session.
            await peer.ExpectEndAsync();
        }
        else
        {
            var disposing = subscription.DisposeAsync();
            await peer.ReleaseAsync();
            await disposing.Bounded();
            var rejected = (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement;
            Assert.Equal(ReasonCode.ImplementationSpecificError, rejected.Outcome.Reason);
        }
    }

    [Fact]
    public async Task A_handler_can_dispose_of_its_client()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var done = new TaskCompletionSource();
        var subscribing = world.Client.SubscribeAsync("a", async (_, stopping) =>
        {
            await world.Client.DisposeAsync();
            Assert.True(stopping.IsCancellationRequested);
            done.SetResult();
        });
        await peer.GrantAsync();
        await subscribing.Bounded();
        await peer.PublishAsync("a", "x", 1, QoS.AtLeastOnce);
        await peer.ExpectAsync<Packet.Disconnect>();
        await done.Task.Bounded();
        await peer.ExpectEndAsync();
    }

    [Fact]
    public async Task A_key_that_cannot_be_had_rejects_its_message_and_no_other()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var handled = new ConcurrentQueue<string>();
        var subscribing = world.Client.SubscribeAsync(
            "a",
            (message, _) =>
            {
                handled.Enqueue(message.Text);
                return Task.CompletedTask;
            },
            options: new MqttSubscribeOptions
            {
                Ordering = MqttOrdering.ByKey,
                KeySelector = message => message.Text == "bad" ? throw new FormatException("no key") : message.Text,
            });
        await peer.GrantAsync();
        var subscription = await subscribing.Bounded();
        await peer.PublishAsync("a", "bad", 1, QoS.AtLeastOnce);
        await peer.PublishAsync("a", "good", 2, QoS.AtLeastOnce);
        Assert.Equal(ReasonCode.UnspecifiedError, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.Outcome.Reason);
        Assert.Equal(ReasonCode.Success, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.Outcome.Reason);
        Assert.Equal(["good"], handled);
        await Waits.UntilAsync(() => subscription.Waiting == 0);
    }

    [Fact]
    public async Task A_handler_whose_code_fails_when_it_is_told_to_stop_does_not_keep_the_client_from_its_end()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var entered = new TaskCompletionSource();
        var subscribing = world.Client.SubscribeAsync("a", async (_, stopping) =>
        {
            var never = new TaskCompletionSource();
            never.SetResult();
            stopping.Register(never.SetCanceled);
            entered.SetResult();
            await Task.Delay(-1, stopping);
        });
        await peer.GrantAsync();
        await subscribing.Bounded();
        await peer.PublishAsync("a", "x");
        await entered.Task.Bounded();
        await world.Client.DisposeAsync().Bounded();
        using var deadline = new CancellationTokenSource(Peer.Patience);

        // It ends, because the client is disposed of.
        await foreach (var state in world.Client.States(deadline.Token))
            Assert.Equal(MqttConnectionStatus.Closed, state.Status);
    }

    [Fact]
    public async Task A_filter_that_is_given_up_before_its_grant_is_no_refusal()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscribing = world.Client.SubscribeAsync("a");
        var asked = (await peer.ExpectAsync<Packet.Subscribe>()).Subscribe;
        var unsubscribing = world.Client.UnsubscribeAsync("a");
        await peer.SendAsync(Packet.NewSuback(new SubscriptionAcknowledgement(
            asked.PacketId, AcknowledgementProperties.Empty, ReasonCodeList.Of([ReasonCode.GrantedQoS1]))));
        var subscription = await subscribing.Bounded();
        await peer.ReleaseAsync();
        await unsubscribing.Bounded();
        Assert.True(Assert.Single(subscription.Results).IsGranted);

        await foreach (var _ in subscription)
            Assert.Fail("no filter is left");
    }

    private static int Inbound(World world)
    {
        lock (world.Client.Engine.Gate)
            return world.Client.Engine.State.Inbound.Open;
    }

    // A subscription with three messages, whose handler is held up with the first of them.
    private static async Task<MqttSubscription> HoldAsync(World world, Peer peer, MqttOrdering ordering, Task release, Action called)
    {
        var entered = new TaskCompletionSource();
        var subscribing = world.Client.SubscribeAsync(
            "a",
            async (_, _) =>
            {
                called();
                entered.TrySetResult();
                await release;
            },
            options: new MqttSubscribeOptions { Ordering = ordering, MaximumConcurrency = 1 });
        await peer.GrantAsync();
        var subscription = await subscribing.Bounded();

        for (ushort id = 1; id <= 3; id++)
            await peer.PublishAsync("a", "x", id, QoS.AtLeastOnce);

        await entered.Task.Bounded();
        await Waits.UntilAsync(() => subscription.Waiting == 3);
        return subscription;
    }
}
