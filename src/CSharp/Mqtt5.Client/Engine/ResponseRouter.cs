using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Mqtt5.Engine;

// The answers to the requests of a client: one subscription for all, found by their Correlation Data.
[SuppressMessage("Reliability", "CA1001", Justification = "The semaphore has no handle.")]
internal sealed class ResponseRouter(MqttClient client)
{
    private readonly ConcurrentDictionary<Bytes, TaskCompletionSource<MqttReceivedMessage>> waiting = new();
    private readonly SemaphoreSlim subscribing = new(1, 1);
    private readonly string name = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12));
    private MqttSubscription? subscription;
    private string topic = "";

    public async Task<MqttReceivedMessage> RequestAsync(
        MqttMessage request, TimeSpan timeout, TimeProvider time, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var key = Bytes.OfArray(Guid.NewGuid().ToByteArray());
        var answer = new TaskCompletionSource<MqttReceivedMessage>(TaskCreationOptions.RunContinuationsAsynchronously);

        try
        {
            await SubscribeAsync(either.Token).ConfigureAwait(false);
            waiting[key] = answer;

            // Otherwise nobody would tell a request that came after the end.
            if (client.State.Status == MqttConnectionStatus.Closed)
                throw Failures.Closed();

            var publishing = client.PublishAsync(request.AsRequest(topic, key.Memory, timeout), either.Token).AsTask();

            // An answer may be here before the acknowledgement of the request; then that no longer matters.
            if (await Task.WhenAny(publishing, answer.Task).ConfigureAwait(false) == publishing)
                await publishing.ConfigureAwait(false);
            else
                publishing.Forget();

            return await answer.Task.WaitAsync(either.Token).ConfigureAwait(false);
        }
        catch (Exception failure) when (
            failure is OperationCanceledException or MqttMessageExpiredException && !cancellationToken.IsCancellationRequested
            && (deadline.IsCancellationRequested || failure is MqttMessageExpiredException))
        {
            throw new TimeoutException($"no answer came within {timeout}", failure);
        }
        finally
        {
            waiting.TryRemove(key, out _);
        }
    }

    private async Task SubscribeAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref subscription) is not null)
            return;

        await subscribing.WaitAsync(cancellationToken).ConfigureAwait(false);

        try
        {
            if (subscription is not null)
                return;

            // The Response Information of the server says where answers may go (section 4.10.2).
            var prefix = client.Server?.ResponseInformation is { Length: > 0 } information ? information.TrimEnd('/') : "mqtt5/responses";
            topic = $"{prefix}/{name}";
            var subscribed = await client.SubscribeAsync(topic, cancellationToken: cancellationToken).ConfigureAwait(false);
            Volatile.Write(ref subscription, subscribed);
            _ = Task.Run(() => ReceiveAsync(subscribed), CancellationToken.None);
        }
        finally
        {
            subscribing.Release();
        }
    }

    private async Task ReceiveAsync(MqttSubscription subscribed)
    {
        Exception cause = Failures.Closed();

        try
        {
            await foreach (var message in ((IAsyncEnumerable<MqttReceivedMessage>)subscribed).ConfigureAwait(false))
            {
                if (message.CorrelationData is { } data && waiting.TryRemove(new Bytes(data), out var answer))
                    answer.TrySetResult(message);
            }
        }
        catch (Exception failure)
        {
            cause = failure;
        }

        // The client has ended; a later request of one that is opened again subscribes anew.
        Volatile.Write(ref subscription, null);

        foreach (var key in waiting.Keys)
        {
            if (waiting.TryRemove(key, out var answer))
                answer.TrySetException(cause);
        }
    }
}
