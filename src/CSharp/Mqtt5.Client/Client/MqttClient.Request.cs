using Mqtt5.Engine;

namespace Mqtt5;

public sealed partial class MqttClient
{
    private readonly ResponseRouter responses;

    /// <summary>Sends a request as text and waits for the answer.</summary>
    /// <param name="topic">The topic that requests go to.</param>
    /// <param name="payload">The text, sent as UTF-8.</param>
    /// <param name="timeout">How long to wait, above 0; null: 30 seconds. The request expires with it.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The answer.</returns>
    /// <exception cref="TimeoutException">No answer came in time.</exception>
    /// <exception cref="MqttNotSupportedException">The version of the connection has no Response Topic.</exception>
    public Task<MqttReceivedMessage> RequestAsync(
        string topic, string payload, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
        RequestAsync(new MqttMessage { Topic = topic, Text = payload, QoS = QoS.AtLeastOnce }, timeout, cancellationToken);

    /// <summary>
    /// Sends a request and waits for the answer (section 4.10). All requests of a client share one subscription for
    /// their answers, which survives reconnects; Correlation Data tells them apart. Response Topic, Correlation Data
    /// and, if it has none, the expiry of the message are set by this call.
    /// </summary>
    /// <param name="request">The request.</param>
    /// <param name="timeout">How long to wait, above 0; null: 30 seconds. The request expires with it.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The answer.</returns>
    /// <exception cref="TimeoutException">No answer came in time.</exception>
    /// <exception cref="MqttNotSupportedException">The version of the connection has no Response Topic.</exception>
    public Task<MqttReceivedMessage> RequestAsync(
        MqttMessage request, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);

        if (ClientVersions.CheckRequest(engine.Version) is { IsSome: true } missing)
            return Task.FromException<MqttReceivedMessage>(Failures.Of(missing.Value));

        return responses.RequestAsync(request, timeout ?? TimeSpan.FromSeconds(30), options.TimeProvider, cancellationToken);
    }

    /// <summary>
    /// Answers requests. The answer goes to the Response Topic of the request with its Correlation Data and its QoS; a
    /// message without a Response Topic is acknowledged and not handled.
    /// </summary>
    /// <param name="filter">The Topic Filter of the requests.</param>
    /// <param name="handler">Gives the answer; its topic is replaced.</param>
    /// <param name="options">How messages are handed over; null: the defaults.</param>
    /// <param name="cancellationToken">Gives up subscribing.</param>
    /// <returns>The subscription to the requests.</returns>
    public Task<MqttSubscription> RespondAsync(
        string filter,
        Func<MqttReceivedMessage, CancellationToken, Task<MqttMessage>> handler,
        MqttSubscribeOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(handler);

        if (ClientVersions.CheckRequest(engine.Version) is { IsSome: true } missing)
            return Task.FromException<MqttSubscription>(Failures.Of(missing.Value));

        return SubscribeAsync(filter, AnswerAsync, QoS.AtLeastOnce, options, cancellationToken);

        async Task AnswerAsync(MqttReceivedMessage request, CancellationToken stopping)
        {
            if (request.ResponseTopic is not { } topic)
                return;

            var answer = await handler(request, stopping).ConfigureAwait(false);
            await PublishAsync(answer.AsResponse(topic, request), stopping).ConfigureAwait(false);
        }
    }

    /// <summary>Answers requests with text, as the other overload does with messages.</summary>
    /// <param name="filter">The Topic Filter of the requests.</param>
    /// <param name="handler">Gives the answer.</param>
    /// <param name="options">How messages are handed over; null: the defaults.</param>
    /// <param name="cancellationToken">Gives up subscribing.</param>
    /// <returns>The subscription to the requests.</returns>
    public Task<MqttSubscription> RespondAsync(
        string filter,
        Func<MqttReceivedMessage, CancellationToken, Task<string>> handler,
        MqttSubscribeOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(handler);
        return RespondAsync(filter, AnswerAsync, options, cancellationToken);

        async Task<MqttMessage> AnswerAsync(MqttReceivedMessage request, CancellationToken stopping) =>
            new() { Topic = request.ResponseTopic!, Text = await handler(request, stopping).ConfigureAwait(false) };
    }
}
