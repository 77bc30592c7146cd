using System.Net;
using System.Net.Sockets;

namespace Mqtt5.Client.Tests;

// What goes on after an awaited publish call shares a thread with others. It may block there, for as long as it likes.
public sealed class TurnTests
{
    public static TheoryData<bool> Transports => [false, true];

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_call_that_blocks_holds_up_no_other(bool overSocket)
    {
        await using var link = await Connected.OpenAsync(overSocket);
        using var release = new ManualResetEventSlim();
        var first = BlockAsync(link.Client, release);
        var others = Enumerable.Range(0, 20).Select(_ => link.Client.PublishAsync("b", "x", QoS.AtLeastOnce).AsTask()).ToArray();

        await link.AcknowledgeAsync(21);
        await Task.WhenAll(others).Bounded();

        // Neither do reading and writing stop.
        var after = link.Client.PublishAsync("c", "x", QoS.AtLeastOnce).AsTask();
        await link.AcknowledgeAsync(1);
        await after.Bounded();
        Assert.False(first.IsCompleted);
        release.Set();
        await first.Bounded();

        static async Task BlockAsync(MqttClient client, ManualResetEventSlim release)
        {
            await client.PublishAsync("a", "x", QoS.AtLeastOnce).ConfigureAwait(false);
            release.Wait(Peer.Patience);
        }
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task What_a_call_sends_goes_out_although_it_then_blocks(bool overSocket)
    {
        await using var link = await Connected.OpenAsync(overSocket);
        using var release = new ManualResetEventSlim();
        var sending = SendAsync(link.Client, release);
        await link.AcknowledgeAsync(1);
        var publish = (await link.Peer.ExpectAsync<Packet.Publish>()).Publish;
        Assert.Equal("sent"u8, publish.Payload.Span);
        Assert.False(sending.IsCompleted);
        release.Set();
        await sending.Bounded();

        static async Task SendAsync(MqttClient client, ManualResetEventSlim release)
        {
            await client.PublishAsync("a", "x", QoS.AtLeastOnce).ConfigureAwait(false);
            Assert.True(client.TryPublish("b", "sent"));
            release.Wait(Peer.Patience);
        }
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_call_may_wait_for_another_without_awaiting_it(bool overSocket)
    {
        await using var link = await Connected.OpenAsync(overSocket);
        var waiting = WaitAsync(link.Client);
        await link.AcknowledgeAsync(2);
        Assert.True(await waiting.Bounded());

        static async Task<bool> WaitAsync(MqttClient client)
        {
            await client.PublishAsync("a", "x", QoS.AtLeastOnce).ConfigureAwait(false);
            return client.PublishAsync("b", "x", QoS.AtLeastOnce).AsTask().Wait(Peer.Patience);
        }
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_call_goes_on_outside_of_the_gate(bool overSocket)
    {
        await using var link = await Connected.OpenAsync(overSocket);
        var asking = AskAsync(link.Client);
        await link.AcknowledgeAsync(1);
        Assert.True(await asking.Bounded());

        static async Task<bool> AskAsync(MqttClient client)
        {
            await client.PublishAsync("a", "x", QoS.AtLeastOnce).ConfigureAwait(false);
            // Another thread gets the gate while this one waits for it.
            return Task.Run(() => client.TryPublish("b", "x")).Wait(Peer.Patience);
        }
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Calls_that_fail_with_the_connection_go_on_as_well(bool overSocket)
    {
        await using var link = await Connected.OpenAsync(overSocket);
        using var release = new ManualResetEventSlim();
        var blocks = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var first = BlockAsync(link.Client, blocks, release);
        var second = link.Client.PublishAsync("b", "x", QoS.AtLeastOnce).AsTask();
        await link.AcknowledgeAsync(1);
        await blocks.Task.Bounded();
        await link.Peer.ExpectAsync<Packet.Publish>();
        await link.Client.DisconnectAsync().Bounded();
        await Assert.ThrowsAnyAsync<MqttException>(() => second.Bounded());
        Assert.False(first.IsCompleted);
        release.Set();
        await first.Bounded();

        static async Task BlockAsync(MqttClient client, TaskCompletionSource blocks, ManualResetEventSlim release)
        {
            await client.PublishAsync("a", "x", QoS.AtLeastOnce).ConfigureAwait(false);
            blocks.SetResult();
            release.Wait(Peer.Patience);
        }
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Calls_that_follow_each_other_keep_their_order_on_the_wire(bool overSocket)
    {
        const int calls = 8;
        const int messages = 200;
        await using var link = await Connected.OpenAsync(overSocket);
        var publishing = Enumerable.Range(0, calls).Select(call => PublishAsync(link.Client, call)).ToArray();
        var next = new int[calls];

        for (var received = 0; received < calls * messages; received++)
        {
            var publish = (await link.Peer.ExpectAsync<Packet.Publish>()).Publish;
            var text = System.Text.Encoding.UTF8.GetString(publish.Payload.Span).Split(' ').Select(int.Parse).ToArray();
            Assert.Equal(next[text[0]]++, text[1]);
            await link.Peer.PubackAsync(publish.Delivery.PacketId.Value);
        }

        await Task.WhenAll(publishing).Bounded();

        static async Task PublishAsync(MqttClient client, int call)
        {
            for (var message = 0; message < messages; message++)
                await client.PublishAsync("a", $"{call} {message}", QoS.AtLeastOnce).ConfigureAwait(false);
        }
    }

    // A client and its server, over the transport in memory or a socket.
    private sealed class Connected(MqttClient client, Peer peer, params IDisposable[] sockets) : IAsyncDisposable
    {
        public MqttClient Client => client;

        public Peer Peer => peer;

        public static async Task<Connected> OpenAsync(bool overSocket)
        {
            if (overSocket)
            {
                var listener = new TcpListener(IPAddress.Loopback, 0);
                listener.Start();
                var connecting = MqttClient.ConnectAsync($"mqtt://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
                var socket = await listener.AcceptSocketAsync().Bounded();
                socket.NoDelay = true;
                var peer = new Peer(new NetworkStream(socket));
                await peer.AcceptAsync();
                return new Connected(await connecting.Bounded(), peer, socket, listener);
            }
            else
            {
                var transport = new InMemoryTransport();
                var options = MqttClientOptions.For("mqtt://server");
                options.Transport = transport;
                var connecting = MqttClient.ConnectAsync(options);
                using var deadline = new CancellationTokenSource(Peer.Patience);
                var peer = new Peer((await transport.AcceptAsync(deadline.Token)).Stream);
                await peer.AcceptAsync();
                return new Connected(await connecting.Bounded(), peer);
            }
        }

        // Reads so many PUBLISH packets of QoS 1 as they come, and acknowledges each.
        public async Task AcknowledgeAsync(int count)
        {
            for (; count > 0; count--)
            {
                var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
                await peer.PubackAsync(publish.Delivery.PacketId.Value);
            }
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var socket in sockets)
                socket.Dispose();

            await client.DisposeAsync();
        }
    }
}
