using System.Collections.Concurrent;

namespace Mqtt5.Cli;

/// <summary>
/// What the checks of a probe share: the server, topics of their own, and what has to be cleaned up. It leaves neither
/// retained messages nor sessions behind.
/// </summary>
internal sealed class ProbeWorld(Target target, string prefix) : IAsyncDisposable
{
    private static readonly TimeSpan CleaningTime = TimeSpan.FromSeconds(20);

    private readonly string run = Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(5));
    private readonly ConcurrentBag<MqttClient> clients = [];
    private readonly ConcurrentDictionary<string, bool> retained = new();
    private readonly ConcurrentDictionary<string, bool> sessions = new();
    private MqttClient? publisher;
    private MqttClient? subscriber;
    private int names;

    /// <summary>How long a check waits for something that must not come.</summary>
    public static TimeSpan Quiet => TimeSpan.FromMilliseconds(300);

    /// <summary>The version of the protocol.</summary>
    public ProtocolVersion Version => target.Version;

    /// <summary>What the server answered first.</summary>
    public MqttConnectResult Server { get; private set; } = null!;

    /// <summary>The greatest QoS that both sides have, up to 1.</summary>
    public QoS Acknowledged => Server.MaximumQoS == QoS.AtMostOnce ? QoS.AtMostOnce : QoS.AtLeastOnce;

    /// <summary>Connects for the first time.</summary>
    /// <exception cref="MqttException">It cannot.</exception>
    public async Task OpenAsync(CancellationToken cancellationToken) =>
        Server = (await PublisherAsync(cancellationToken)).Server!;

    /// <summary>A topic that no other client uses.</summary>
    public string Topic() => $"{prefix}/{run}/{Interlocked.Increment(ref names)}";

    /// <summary>A Client Identifier that no other client uses.</summary>
    public string ClientId() => $"probe{run}{Interlocked.Increment(ref names)}";

    /// <summary>A client that publishes; a new one if the server has cut the last off.</summary>
    public async Task<MqttClient> PublisherAsync(CancellationToken cancellationToken) =>
        publisher = await UsableAsync(publisher, cancellationToken);

    /// <summary>A client that subscribes; a new one if the server has cut the last off.</summary>
    public async Task<MqttClient> SubscriberAsync(CancellationToken cancellationToken) =>
        subscriber = await UsableAsync(subscriber, cancellationToken);

    /// <summary>A client for one check.</summary>
    /// <param name="change">Changes its options; null: it has no session beyond its connection.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task<MqttClient> ConnectAsync(Action<MqttClientOptions>? change, CancellationToken cancellationToken)
    {
        var options = target.Options();
        options.SessionExpiry = null;
        options.CleanStart = true;
        options.Will = null;
        change?.Invoke(options);

        if (options.SessionExpiry is { } expiry && expiry != TimeSpan.Zero)
            sessions[options.ClientId ?? throw new InvalidOperationException("a session to clean up needs a Client Identifier")] = true;

        var client = new MqttClient(options);
        clients.Add(client);
        await client.OpenAsync(cancellationToken);
        return client;
    }

    /// <summary>
    /// Sends a message to a client by way of the server and back, so that what the server had sent to it before is there.
    /// </summary>
    public async Task PassAsync(MqttClient client, CancellationToken cancellationToken)
    {
        var topic = Topic();
        var inbox = await Inbox.OpenAsync(client, new MqttTopicFilter(topic, Acknowledged), cancellationToken);
        await client.PublishAsync(topic, "probe", Acknowledged, cancellationToken: cancellationToken);
        await inbox.NextAsync(cancellationToken);
    }

    /// <summary>Publishes a message that the server keeps until the probe ends.</summary>
    public async Task RetainAsync(MqttMessage message, CancellationToken cancellationToken)
    {
        retained[message.Topic] = true;
        var client = await PublisherAsync(cancellationToken);
        await client.PublishAsync(message, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(CleaningTime);

        try
        {
            if (!retained.IsEmpty)
            {
                var cleaner = await PublisherAsync(limit.Token);

                foreach (var topic in retained.Keys)
                    await cleaner.PublishAsync(topic, ReadOnlyMemory<byte>.Empty, Acknowledged, retain: true, limit.Token);
            }

            foreach (var id in sessions.Keys)
            {
                // A clean start without an expiry ends whatever was there.
                await using var last = await ConnectAsync(options => options.ClientId = id, limit.Token);
            }
        }
        catch (Exception failure) when (failure is MqttException or OperationCanceledException)
        {
            // The server has gone, and what it forgot with its sessions and messages is its own affair.
        }

        await Task.WhenAll(clients.Select(client => client.DisposeAsync().AsTask()));
    }

    private async Task<MqttClient> UsableAsync(MqttClient? client, CancellationToken cancellationToken) =>
        client is { State.Status: MqttConnectionStatus.Connected } ? client : await ConnectAsync(null, cancellationToken);
}
