using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Mqtt5.Admin;

// Messages as they are published, as server-sent events: the last of each topic in an interval, and how many there were. So
// the cost of a reader does not grow with the rate of the messages beyond a subscriber of QoS 0 in this process.
internal static class LiveOperations
{
    // Beyond this, messages wait in the subscription no more; they are QoS 0 and dropped there.
    private const int QueueCapacity = 4_096;
    private const int QueueBytes = 4 << 20;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    public static Task StreamAsync(AdminCall call)
    {
        var filter = MessageOperations.Filter(call) ?? throw AdminProblem.Bad("filter", "it is missing");

        if (filter.StartsWith("$share/", StringComparison.Ordinal))
            throw AdminProblem.Bad("filter", "a shared subscription would take messages from its members");

        return EventStream.RunAsync(call, (response, cancellationToken) => WatchAsync(call, filter, response, cancellationToken));
    }

    private static async Task WatchAsync(AdminCall call, string filter, HttpResponse response, CancellationToken cancellationToken)
    {
        await using var client = await ConnectAsync(call, cancellationToken).ConfigureAwait(false);
        await using var subscription = await SubscribeAsync(client, filter, cancellationToken).ConfigureAwait(false);
        var batch = new LiveBatch(isWhole: !filter.Contains('#', StringComparison.Ordinal) && !filter.Contains('+', StringComparison.Ordinal));
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var reading = ReadAsync(subscription, batch, ending.Token);

        try
        {
            await EventStream.SendAsync(response, ": messages follow\n\n", cancellationToken).ConfigureAwait(false);
            using var timer = new PeriodicTimer(Interval);
            var silence = TimeSpan.Zero;

            while (!reading.IsCompleted && await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
            {
                silence += Interval;

                if (batch.Take() is { } answer)
                    await EventStream.SendAsync(response, $"data: {JsonSerializer.Serialize(answer, AdminJson.Default.LiveAnswer)}\n\n", cancellationToken).ConfigureAwait(false);
                else if (silence >= EventStream.Heartbeat)
                    await EventStream.SendAsync(response, ":\n\n", cancellationToken).ConfigureAwait(false);
                else
                    continue;

                silence = TimeSpan.Zero;
            }
        }
        finally
        {
            await ending.CancelAsync().ConfigureAwait(false);
            await reading.ConfigureAwait(false);
        }
    }

    private static async Task<MqttClient> ConnectAsync(AdminCall call, CancellationToken cancellationToken)
    {
        try
        {
            var clientId = $"mqtt5-admin-{RandomNumberGenerator.GetHexString(8, lowercase: true)}";
            return await call.Broker.ConnectInProcessAsync(options => (options.ClientId, options.Reconnect) = (clientId, null), cancellationToken).ConfigureAwait(false);
        }
        catch (MqttException exception)
        {
            throw new AdminProblem(StatusCodes.Status503ServiceUnavailable, null, $"the broker takes no subscriber now: {exception.Message}");
        }
    }

    // Retained messages have operations of their own.
    private static async Task<MqttSubscription> SubscribeAsync(MqttClient client, string filter, CancellationToken cancellationToken)
    {
        try
        {
            return await client.SubscribeAsync(
                [new MqttTopicFilter(filter, QoS.AtMostOnce) { RetainAsPublished = true, RetainHandling = RetainHandling.DoNotSend }],
                new MqttSubscribeOptions { QueueCapacity = QueueCapacity, QueueBytes = QueueBytes },
                cancellationToken).ConfigureAwait(false);
        }
        catch (MqttException exception)
        {
            throw new AdminProblem(StatusCodes.Status403Forbidden, "filter", exception.Message);
        }
    }

    private static async Task ReadAsync(MqttSubscription subscription, LiveBatch batch, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var message in subscription.WithCancellation(cancellationToken).ConfigureAwait(false))
                batch.Add(message);
        }
        catch (Exception exception) when (exception is OperationCanceledException or MqttException)
        {
            // The reader has gone, or the broker ends.
        }
    }
}

// The messages of an interval by their topics.
internal sealed class LiveBatch(bool isWhole)
{
    // Of a pattern, the beginning of a payload is enough for a line.
    public const int MostTopics = 500;
    public const int PreviewBytes = 512;

    private readonly Lock gate = new();
    private readonly int most = isWhole ? MqttBrokerInspection.MostPayloadBytes : PreviewBytes;
    private Dictionary<string, LiveMessage> topics = new(StringComparer.Ordinal);
    private long missed;

    public void Add(MqttReceivedMessage message)
    {
        lock (gate)
        {
            var count = 1L;

            if (topics.TryGetValue(message.Topic, out var before))
            {
                count += before.Count;
            }
            else if (topics.Count == MostTopics)
            {
                missed++;
                return;
            }

            var payload = message.Payload;
            topics[message.Topic] = new LiveMessage(
                message.Topic, count, (int)message.QoS, message.Retain, payload.Length, payload[..Math.Min(most, payload.Length)].ToArray());
        }
    }

    // Null: there was no message.
    public LiveAnswer? Take()
    {
        lock (gate)
        {
            if (topics.Count == 0)
                return null;

            var answer = new LiveAnswer([.. topics.Values], missed);
            (topics, missed) = (new(StringComparer.Ordinal), 0);
            return answer;
        }
    }
}
