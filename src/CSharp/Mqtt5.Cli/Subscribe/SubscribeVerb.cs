namespace Mqtt5.Cli;

/// <summary>Subscribes as a request asks for, prints what comes, and disconnects.</summary>
internal static class SubscribeVerb
{
    // The limits of queued messages of QoS 0 for the reader of the output, in number and bytes.
    private const int WaitingMessages = 100_000;
    private const long WaitingBytes = 32 * 1024 * 1024;

    /// <summary>Runs the request.</summary>
    /// <exception cref="MqttException">The connection failed for good, or the server refused.</exception>
    public static async Task<int> RunAsync(SubscribeRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        using var prepared = PreparedConnection.ForPrinting(request.Connection, terminal);
        var client = new MqttClient(prepared.Options);
        await using var disposal = client.ConfigureAwait(false);
        ClientVerb.TellReconnects(client, request.Connection, terminal);

        // Before the connection, so that what a session held back finds the subscription.
        var subscribing = request.Filters.Count == 0 ? null : client.SubscribeAsync(request.Filters, OptionsOf(request), cancellationToken);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);

        try
        {
            await client.OpenAsync(cancellationToken).ConfigureAwait(false);

            if (request.Timeout is { } timeout)
                stop.CancelAfter(timeout);

            var subscription = subscribing is null ? null : await subscribing.WaitAsync(stop.Token).ConfigureAwait(false);
            TellRefusals(subscription, request, terminal);

            if (request.Unsubscriptions.Count > 0)
                await client.UnsubscribeAsync(request.Unsubscriptions, cancellationToken: stop.Token).ConfigureAwait(false);

            if (subscription is not null && !request.EndsWhenSubscribed)
                await PrintAsync(client, subscription, request, terminal, stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            await ClientVerb.DisconnectAsync(client, request.Connection, publishesWill: true).ConfigureAwait(false);

            if (cancellationToken.IsCancellationRequested)
                return ExitCode.WellFormed;

            throw new TimeoutException();
        }
        finally
        {
            // It fails with the connection, which is told already.
            _ = subscribing?.ContinueWith(static failed => _ = failed.Exception, TaskScheduler.Default);
        }

        await ClientVerb.DisconnectAsync(client, request.Connection).ConfigureAwait(false);
        return ExitCode.WellFormed;
    }

    private static MqttSubscribeOptions OptionsOf(SubscribeRequest request) =>
        new()
        {
            ManualAcknowledgement = true,
            QueueCapacity = WaitingMessages,
            SubscriptionIdentifier = request.Connection.Properties.Number(Scope.Subscribe, PropertyId.SubscriptionIdentifier),
            UserProperties = request.Connection.Properties.UserProperties(Scope.Subscribe),
        };

    private static void TellRefusals(MqttSubscription? subscription, SubscribeRequest request, Terminal terminal)
    {
        if (request.Connection.IsQuiet || subscription is null)
            return;

        foreach (var refused in subscription.Results.Where(result => !result.IsGranted))
            terminal.Error.WriteLine($"mqtt5: {refused.Filter}: the server refused: {Notation.PrintReason(refused.Reason)}");
    }

    private static async Task PrintAsync(
        MqttClient client, MqttSubscription subscription, SubscribeRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        var output = terminal.OpenOutput();
        await using var disposal = output.ConfigureAwait(false);
        var printer = new MessagePrinter(request.Output, output, terminal.Error, request.Connection.IsQuiet);
        var selection = new MessageSelection(request);
        var removals = new List<Task>();
        var backlog = new Backlog(WaitingMessages, WaitingBytes);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);

        // Writing blocks while the output is not read, and the subscription's own queue is bounded by number only.
        var filling = Task.Run(() => backlog.FillAsync(subscription, ended.Token), CancellationToken.None);

        try
        {
            while (await backlog.NextAsync(cancellationToken).ConfigureAwait(false) is { } message)
            {
                var verdict = selection.Decide(message);

                if (verdict.HasFlag(MessageVerdict.Remove))
                    removals.Add(RemoveAsync(client, message.Topic, cancellationToken));

                if (verdict.HasFlag(MessageVerdict.Print))
                    printer.Print(message);

                // Acknowledged after the output was flushed to its reader.
                printer.Acknowledge(message);

                if (verdict.HasFlag(MessageVerdict.End))
                    break;

                if (backlog.IsEmpty)
                    printer.Flush();
            }
        }
        finally
        {
            printer.Flush();
            await ended.CancelAsync().ConfigureAwait(false);
            await StopAsync(filling, ended.Token).ConfigureAwait(false);

            if (backlog.Dropped + subscription.Dropped is > 0 and var dropped && !request.Connection.IsQuiet)
                await terminal.Error.WriteLineAsync($"mqtt5: {Figures.Count(dropped, "message")} of QoS 0 {(dropped == 1 ? "was" : "were")} dropped, because the output was not read fast enough").ConfigureAwait(false);
        }

        await Task.WhenAll(removals).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    private static async Task StopAsync(Task filling, CancellationToken ended)
    {
        try
        {
            await filling.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            // Stopped on request.
        }
    }

    private static async Task RemoveAsync(MqttClient client, string topic, CancellationToken cancellationToken) =>
        await client.PublishAsync(topic, ReadOnlyMemory<byte>.Empty, QoS.AtLeastOnce, retain: true, cancellationToken).ConfigureAwait(false);
}
