using Mqtt5.Engine;

namespace Mqtt5;

public sealed partial class MqttClient
{
    /// <summary>Subscribes to a filter; the messages are read from the subscription with <c>await foreach</c>.</summary>
    /// <param name="filter">The Topic Filter; <c>$share/{ShareName}/</c> before it makes the subscription shared.</param>
    /// <param name="qos">The greatest QoS that the server may use.</param>
    /// <param name="options">How messages are handed over; null: the defaults.</param>
    /// <param name="cancellationToken">Gives up; what the server grants later is given back to it.</param>
    /// <returns>The subscription, once the server has granted it. Dispose it to unsubscribe.</returns>
    /// <exception cref="MqttRefusedException">The server refuses.</exception>
    public Task<MqttSubscription> SubscribeAsync(
        string filter,
        QoS qos = QoS.AtLeastOnce,
        MqttSubscribeOptions? options = null,
        CancellationToken cancellationToken = default) =>
        SubscribeCoreAsync([new MqttTopicFilter(filter, qos)], null, options, cancellationToken);

    /// <summary>Subscribes to several filters at once; each has a result of its own.</summary>
    /// <param name="filters">The Topic Filters, at least one.</param>
    /// <param name="options">How messages are handed over; null: the defaults.</param>
    /// <param name="cancellationToken">Gives up; what the server grants later is given back to it.</param>
    /// <returns>The subscription, once the server has granted a filter at least.</returns>
    /// <exception cref="MqttRefusedException">The server refuses all of them.</exception>
    public Task<MqttSubscription> SubscribeAsync(
        IEnumerable<MqttTopicFilter> filters,
        MqttSubscribeOptions? options = null,
        CancellationToken cancellationToken = default) =>
        SubscribeCoreAsync([.. filters], null, options, cancellationToken);

    /// <summary>Subscribes to a filter with a handler. A message is acknowledged when the handler completes.</summary>
    /// <param name="filter">The Topic Filter; <c>$share/{ShareName}/</c> before it makes the subscription shared.</param>
    /// <param name="handler">Called for each message; its token is set when the subscription or the client is disposed of. A message whose handler throws is rejected.</param>
    /// <param name="qos">The greatest QoS that the server may use.</param>
    /// <param name="options">How messages are handed over; null: the defaults.</param>
    /// <param name="cancellationToken">Gives up; what the server grants later is given back to it.</param>
    /// <returns>The subscription, once the server has granted it. Dispose it to unsubscribe.</returns>
    /// <exception cref="MqttRefusedException">The server refuses.</exception>
    public Task<MqttSubscription> SubscribeAsync(
        string filter,
        Func<MqttReceivedMessage, CancellationToken, Task> handler,
        QoS qos = QoS.AtLeastOnce,
        MqttSubscribeOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(handler);
        return SubscribeCoreAsync([new MqttTopicFilter(filter, qos)], handler, options, cancellationToken);
    }

    /// <summary>Subscribes to several filters at once with a handler; each filter has a result of its own.</summary>
    /// <param name="filters">The Topic Filters, at least one.</param>
    /// <param name="handler">Called for each message; its token is set when the subscription or the client is disposed of. A message whose handler throws is rejected.</param>
    /// <param name="options">How messages are handed over; null: the defaults.</param>
    /// <param name="cancellationToken">Gives up; what the server grants later is given back to it.</param>
    /// <returns>The subscription, once the server has granted a filter at least.</returns>
    /// <exception cref="MqttRefusedException">The server refuses all of them.</exception>
    public Task<MqttSubscription> SubscribeAsync(
        IEnumerable<MqttTopicFilter> filters,
        Func<MqttReceivedMessage, CancellationToken, Task> handler,
        MqttSubscribeOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(handler);
        return SubscribeCoreAsync([.. filters], handler, options, cancellationToken);
    }

    /// <summary>
    /// Gives filters up, whichever subscriptions of this client have them; those without a filter left end. The server
    /// is asked about filters that no subscription has as well.
    /// </summary>
    /// <param name="filters">The Topic Filters, at least one.</param>
    /// <param name="userProperties">User Properties for the UNSUBSCRIBE, in order; null: none.</param>
    /// <param name="cancellationToken">Ends the wait; the filters are given up all the same.</param>
    /// <returns>What the server answered, in the order of the filters.</returns>
    public async Task<IReadOnlyList<MqttUnsubscribeResult>> UnsubscribeAsync(
        IEnumerable<string> filters, UserProperties? userProperties = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(filters);
        var left = filters.Select(TopicFilter.Of).ToList();
        var order = left.Select(filter => filter.Text).ToArray();
        ArgumentOutOfRangeException.ThrowIfZero(order.Length, nameof(filters));
        var asked = new List<Task<IReadOnlyList<MqttUnsubscribeResult>>>();
        var unknown = left.ToHashSet();

        foreach (var subscription in engine.Subscriptions.All())
        {
            var own = subscription.Filters().Where(left.Contains).ToArray();
            unknown.ExceptWith(own);
            asked.Add(subscription.UnsubscribeAsync(own, userProperties, cancellationToken));
        }

        if (unknown.Count > 0)
            asked.Add(UnsubscribeUnknownAsync([.. unknown], userProperties, cancellationToken));

        var answers = await Task.WhenAll(asked).ConfigureAwait(false);
        // The last subscription that gives a filter up is the one whose answer comes from the server.
        var results = answers.SelectMany(answer => answer).ToLookup(result => result.Filter);
        return [.. order.Select(filter => results[filter].Last())];
    }

    /// <summary>Gives one filter up, as <see cref="UnsubscribeAsync(IEnumerable{string}, UserProperties, CancellationToken)"/> does several.</summary>
    /// <param name="filter">The Topic Filter.</param>
    /// <param name="userProperties">User Properties for the UNSUBSCRIBE, in order; null: none.</param>
    /// <param name="cancellationToken">Ends the wait; the filter is given up all the same.</param>
    /// <returns>What the server answered.</returns>
    public async Task<MqttUnsubscribeResult> UnsubscribeAsync(
        string filter, UserProperties? userProperties = null, CancellationToken cancellationToken = default)
    {
        var results = await UnsubscribeAsync([filter], userProperties, cancellationToken).ConfigureAwait(false);
        return results[0];
    }

    private async Task<IReadOnlyList<MqttUnsubscribeResult>> UnsubscribeUnknownAsync(
        TopicFilter[] filters, UserProperties? userProperties, CancellationToken cancellationToken)
    {
        var request = new UnsubscribeRequest(TopicFilterList.Of(filters), Ticket.None, userProperties ?? UserProperties.Empty);
        var asked = engine.Ask(ticket => ClientEvent.NewUnsubscribe(request, ticket));
        var settlement = await engine.WaitAsync(asked, cancellationToken).ConfigureAwait(false);
        return Answers.ToUnsubscribeResults(filters, settlement, cancellationToken);
    }

    private async Task<MqttSubscription> SubscribeCoreAsync(
        IReadOnlyList<MqttTopicFilter> filters,
        Func<MqttReceivedMessage, CancellationToken, Task>? handler,
        MqttSubscribeOptions? subscribeOptions,
        CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var how = subscribeOptions ?? new MqttSubscribeOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(how.MaximumConcurrency, 1, nameof(how.MaximumConcurrency));
        ArgumentOutOfRangeException.ThrowIfNegative(how.QueueCapacity, nameof(how.QueueCapacity));
        ArgumentOutOfRangeException.ThrowIfNegative(how.QueueBytes, nameof(how.QueueBytes));
        var asked = filters.Select(filter => filter.ToSubscription()).ToArray();
        var list = SubscriptionList.Of(asked);
        var identifier = how.SubscriptionIdentifier.ToOption();
        var packet = Packet.NewSubscribe(new Subscribe(PacketId.Of(1), new SubscribeProperties(identifier, how.UserProperties), list));

        if (Encode.Check(Direction.ClientToServer, packet) is { IsSome: true } fault)
            throw Failures.Of(fault.Value);

        var subscription = new MqttSubscription(engine, asked.Select(one => one.Filter), how, options.PropagateTraceContext);

        if (handler is not null)
            subscription.StartWorkers(handler);

        try
        {
            var request = engine.Subscriptions.Subscribe(subscription, new SubscribeRequest(list, identifier, how.UserProperties));
            var settlement = await engine.WaitAsync(request, cancellationToken).ConfigureAwait(false);

            if (settlement is not Settlement.Answered { Answer: var answer })
                throw Failures.Of(settlement!, cancellationToken);

            subscription.Results = Answers.ToSubscribeResults(filters, answer);
            subscription.RemoveRefused();

            if (subscription.Results.All(result => !result.IsGranted))
                throw Failures.Refused(subscription.Results[0].Reason, PacketType.Suback, answer.Properties);

            return subscription;
        }
        catch
        {
            engine.Subscriptions.Forget(subscription);
            subscription.Complete(null);
            await subscription.StopWorkersAsync().ConfigureAwait(false);
            // Messages may have come before the answer of the server.
            subscription.DiscardQueue();
            throw;
        }
    }
}
