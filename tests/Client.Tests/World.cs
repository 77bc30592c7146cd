using Microsoft.Extensions.Time.Testing;

namespace Mqtt5.Client.Tests;

// A client over the transport in memory with a clock that the test moves.
internal sealed class World : IAsyncDisposable
{
    private MqttClient? client;

    public World(Action<MqttClientOptions>? configure = null)
    {
        Options = MqttClientOptions.For("mqtt://server");
        Options.Transport = Transport;
        Options.TimeProvider = Time;
        Options.ClientId = "client";
        Options.Reconnect = new MqttReconnectOptions { Jitter = 0 };
        configure?.Invoke(Options);
    }

    public InMemoryTransport Transport { get; } = new();

    public FakeTimeProvider Time { get; } = new();

    public MqttClientOptions Options { get; }

    public InMemoryConnection? Connection { get; private set; }

    public MqttClient Client => client ??= new MqttClient(Options);

    // The next connection that the client opens.
    public async Task<Peer> NextPeerAsync()
    {
        using var deadline = new CancellationTokenSource(Peer.Patience);
        Connection = await Transport.AcceptAsync(deadline.Token);
        return new Peer(Connection.Stream);
    }

    // Opens the client.
    public async Task<Peer> OpenAsync(bool sessionPresent = false, ConnackProperties? properties = null)
    {
        var opening = Client.OpenAsync();
        var peer = await NextPeerAsync();
        await peer.AcceptAsync(sessionPresent, properties);
        await opening.Bounded();
        return peer;
    }

    // Waits until the client is in a state, then lets the backoff pass, and accepts the next connection.
    public async Task<Peer> ReopenAsync(bool sessionPresent = false, ConnackProperties? properties = null)
    {
        await UntilAsync(MqttConnectionStatus.Waiting);
        Time.Advance(TimeSpan.FromSeconds(40));
        var peer = await NextPeerAsync();
        await peer.AcceptAsync(sessionPresent, properties);
        return peer;
    }

    public async Task<MqttConnectionState> UntilAsync(MqttConnectionStatus status)
    {
        using var deadline = new CancellationTokenSource(Peer.Patience);

        await foreach (var state in Client.States(deadline.Token))
        {
            if (state.Status == status)
                return state;
        }

        throw new InvalidOperationException($"the client never was {status}");
    }

    public async ValueTask DisposeAsync()
    {
        if (client is null)
            return;

        var closing = client.DisposeAsync().AsTask();

        // Whatever waits for the clock gets its time.
        while (!closing.IsCompleted)
        {
            Time.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(closing, Task.Delay(5));
        }

        await closing.Bounded();
    }
}
