using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Mqtt5.Engine;

// The answers to the requests of a client: one subscription for all, found by their Correlation Data.
[SuppressMessage("Reliability", "CA1001", Justification = "The semaphore has no handle.")]
internal sealed class ResponseRouter(MqttClient client)
{
    private readonly ConcurrentDictionary<Bytes, Answer> waiting = new();
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

        try
        {
            var answer = new Answer(await SubscribeAsync(either.Token).ConfigureAwait(false));
            waiting[key] = answer;

            // A request after the end of the subscription would otherwise wait until its timeout.
            if (answer.Subscription.HasEnded)
                throw Failures.Closed();

            var publishing = client.PublishAsync(request.AsRequest(topic, key.Memory, timeout), either.Token).AsTask();

            // An answer may be here before the acknowledgement of the request; then that no longer matters.
            if (await Task.WhenAny(publishing, answer.Task).ConfigureAwait(false) == publishing)
                await publishing.ConfigureAwait(false);
            else
                publishing.Forget();

            return await answer.Task.WaitAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException failure) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException("the request was cancelled; it may still be answered", failure, cancellationToken);
        }
        catch (Exception failure) when (
            failure is MqttMessageExpiredException || (failure is OperationCanceledException && deadline.IsCancellationRequested))
        {
            throw new TimeoutException($"no answer came within {timeout}", failure);
        }
        finally
        {
            waiting.TryRemove(key, out _);
        }
    }

    private async Task<MqttSubscription> SubscribeAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref subscription) is { HasEnded: false } ready)
            return ready;

        await subscribing.WaitAsync(cancellationToken).ConfigureAwait(false);

        try
        {
            if (subscription is { HasEnded: false } other)
                return other;

            // The Response Information of the server says where answers may go (section 4.10.2).
            var prefix = client.Server?.ResponseInformation is { Length: > 0 } information ? information.TrimEnd('/') : "mqtt5/responses";
            topic = $"{prefix}/{name}";
            var subscribed = await client.SubscribeAsync(topic, cancellationToken: cancellationToken).ConfigureAwait(false);
            Volatile.Write(ref subscription, subscribed);
            _ = Task.Run(() => ReceiveAsync(subscribed), CancellationToken.None);
            return subscribed;
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

        // The client has ended. Later requests of one that was opened again have subscribed anew.
        foreach (var (key, answer) in waiting)
        {
            if (answer.Subscription == subscribed && waiting.TryRemove(key, out _))
                answer.TrySetException(cause);
        }
    }

    // An answer that is due, by way of the subscription that stood when its request was sent.
    private sealed class Answer : TaskCompletionSource<MqttReceivedMessage>
    {
        public Answer(MqttSubscription subscription)
            : base(TaskCreationOptions.RunContinuationsAsynchronously)
        {
            Subscription = subscription;
            // The request may fail in another way first.
            Task.Forget();
        }

        public MqttSubscription Subscription { get; }
    }
}
