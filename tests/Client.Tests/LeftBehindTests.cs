using System.Runtime.CompilerServices;

namespace Mqtt5.Client.Tests;

// What is over is let go of, by tokens of the application and by the client itself.
public sealed class LeftBehindTests
{
    [Fact]
    public async Task A_call_that_nobody_awaits_leaves_nothing_with_its_token()
    {
        using var lasting = new CancellationTokenSource();
        var client = await PublishAsync(lasting.Token);
        await LetGoAsync([client]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<WeakReference> PublishAsync(CancellationToken lasting)
    {
        var world = new World();
        var peer = await world.OpenAsync();

        for (var i = 0; i < 10; i++)
        {
#pragma warning disable CA2012 // Applications do that.
            _ = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce, cancellationToken: lasting);
#pragma warning restore CA2012
            await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value);
        }

        var last = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce, cancellationToken: lasting).AsTask();
        await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value);
        await last.Bounded();
        await world.DisposeAsync();
        return new WeakReference(world.Client);
    }

    [Fact]
    public async Task Connections_that_were_lost_are_let_go_of()
    {
        await using var world = new World();
        await LetGoAsync(await ReconnectAsync(world));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<WeakReference[]> ReconnectAsync(World world)
    {
        var seen = new List<WeakReference>();
        world.Options.Transport = new WrappedTransport(world.Options.Transport!, connection =>
        {
            seen.Add(new WeakReference(connection));
            return connection;
        });
        await world.OpenAsync();

        for (var i = 0; i < 5; i++)
        {
            await world.Connection!.BreakAsync();
            await world.ReopenAsync();
            await world.UntilAsync(MqttConnectionStatus.Connected);
        }

        // The last one is in use.
        return [.. seen.SkipLast(1)];
    }

    [Fact]
    public async Task Subscriptions_that_were_disposed_of_are_let_go_of()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        await LetGoAsync(await SubscribeAsync(world, peer));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<WeakReference[]> SubscribeAsync(World world, Peer peer)
    {
        var seen = new List<WeakReference>();

        for (var i = 0; i < 5; i++)
        {
            var subscribing = world.Client.SubscribeAsync("a", (_, _) => Task.CompletedTask);
            await peer.GrantAsync();
            var subscription = await subscribing.Bounded();
            await peer.PublishAsync("a", "x", 1, QoS.AtLeastOnce);
            await peer.ExpectAsync<Packet.Puback>();
            var disposing = subscription.DisposeAsync();
            await peer.ReleaseAsync();
            await disposing.Bounded();
            seen.Add(new WeakReference(subscription));
        }

        return [.. seen];
    }

    private static Task LetGoAsync(WeakReference[] references) =>
        Waits.UntilAsync(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return references.All(reference => !reference.IsAlive);
        });
}
