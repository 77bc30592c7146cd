using System.Threading.Channels;

namespace Mqtt5.Cli;

/// <summary>The messages of a subscription, as they come.</summary>
internal sealed class Inbox
{
    // How long a message may take that has to come.
    private static readonly TimeSpan Due = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(5);

    private const long MostBytes = 256 * 1024 * 1024;
    private const int MessageOverheadBytes = 256;

    private readonly Channel<MqttReceivedMessage> messages = Channel.CreateUnbounded<MqttReceivedMessage>();
    private long bytes;

    private Inbox()
    {
    }

    /// <summary>Subscribes.</summary>
    /// <exception cref="MqttException">The server refuses.</exception>
    public static async Task<Inbox> OpenAsync(
        MqttClient client, MqttTopicFilter filter, CancellationToken cancellationToken, MqttSubscribeOptions? options = null)
    {
        var inbox = new Inbox();
        var subscription = await client.SubscribeAsync(
            [filter],
            (message, _) =>
            {
                // No probe requests this much; the limit protects memory from a misbehaving server.
                if (Interlocked.Add(ref inbox.bytes, message.Payload.Length + MessageOverheadBytes) <= MostBytes)
                    inbox.messages.Writer.TryWrite(message);

                return Task.CompletedTask;
            },
            options,
            cancellationToken);

        return subscription.Results[0] is { IsGranted: false } refused
            ? throw new MqttException($"the server refuses {filter.Filter}: {Spec.reasonTitle(PacketType.Suback, refused.Reason)}")
            : inbox;
    }

    /// <summary>Waits for the next message.</summary>
    public ValueTask<MqttReceivedMessage> NextAsync(CancellationToken cancellationToken) => messages.Reader.ReadAsync(cancellationToken);

    /// <summary>Waits until so many messages have come to some inboxes together, or do not come.</summary>
    public static async Task ComeAsync(int count, CancellationToken cancellationToken, params Inbox[] inboxes)
    {
        for (var left = Due / LookInterval; left > 0 && inboxes.Sum(inbox => inbox.messages.Reader.Count) < count; left--)
            await Task.Delay(LookInterval, cancellationToken);
    }

    /// <summary>The messages that come until nothing has come for a while.</summary>
    public async Task<IReadOnlyList<MqttReceivedMessage>> UntilQuietAsync(TimeSpan quiet, CancellationToken cancellationToken)
    {
        var all = new List<MqttReceivedMessage>();

        while (true)
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            patience.CancelAfter(quiet);

            try
            {
                all.Add(await messages.Reader.ReadAsync(patience.Token));
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                return all;
            }
        }
    }
}
