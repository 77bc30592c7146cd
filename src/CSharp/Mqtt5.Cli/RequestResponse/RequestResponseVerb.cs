namespace Mqtt5.Cli;

/// <summary>Sends a request and prints its answer.</summary>
internal static class RequestResponseVerb
{
    // Without a practical limit; timers take no longer time.
    private static readonly TimeSpan Longest = TimeSpan.FromDays(40);

    /// <summary>Runs the request.</summary>
    /// <exception cref="MqttException">The connection failed, or the server refused.</exception>
    /// <exception cref="TimeoutException">No answer came in time.</exception>
    public static async Task<int> RunAsync(RequestResponseRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        var payload = await request.Message.ReadPayloadAsync(terminal, cancellationToken).ConfigureAwait(false);
        using var prepared = PreparedConnection.Of(request.Connection, terminal);
        prepared.Options.Reconnect = null;
        var client = new MqttClient(prepared.Options);
        await using var disposal = client.ConfigureAwait(false);
        await client.OpenAsync(cancellationToken).ConfigureAwait(false);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);

        if (request.Timeout is { } timeout)
            stop.CancelAfter(timeout);

        try
        {
            var answer = request.ResponseTopic is { } topic
                ? await AskAsync(client, request, topic, payload, stop.Token).ConfigureAwait(false)
                : await client.RequestAsync(request.Message.ToMessage(payload), Longest, stop.Token).ConfigureAwait(false);
            Print(answer, request, terminal);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            await ClientVerb.DisconnectAsync(client, request.Connection, publishesWill: true).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            throw new TimeoutException();
        }

        await ClientVerb.DisconnectAsync(client, request.Connection).ConfigureAwait(false);
        return ExitCode.WellFormed;
    }

    private static async Task<MqttReceivedMessage> AskAsync(
        MqttClient client, RequestResponseRequest request, string topic, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        var options = new MqttSubscribeOptions
        {
            UserProperties = request.Connection.Properties.UserProperties(Scope.Subscribe),
            SubscriptionIdentifier = request.Connection.Properties.Number(Scope.Subscribe, PropertyId.SubscriptionIdentifier),
        };
        var answers = await client.SubscribeAsync(topic, request.Message.QoS, options, cancellationToken).ConfigureAwait(false);
        // Before MQTT 5 the other side has to know the topic.
        var asked = request.Message.ToMessage(payload, request.Connection.Version.IsV5 ? topic : null);
        await client.PublishAsync(asked, cancellationToken).ConfigureAwait(false);

        await foreach (var answer in answers.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            if (answer.Retain && request.SkipsRetained)
                continue;

            answer.Acknowledge();
            return answer;
        }

        throw new MqttDisconnectedException("the connection ended before the answer came");
    }

    private static void Print(MqttReceivedMessage answer, RequestResponseRequest request, Terminal terminal)
    {
        using var output = terminal.OpenOutput();
        var printer = new MessagePrinter(request.Output, output, terminal.Error, request.Connection.IsQuiet);
        printer.Print(answer);
        printer.Flush();
    }
}
