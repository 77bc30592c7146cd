namespace Mqtt5.Cli;

/// <summary>Publishes what a request asks for, and disconnects.</summary>
internal static class PublishVerb
{
    /// <summary>Runs the request.</summary>
    /// <exception cref="MqttException">The connection or a message failed.</exception>
    public static async Task<int> RunAsync(PublishRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        var isLines = request.Message.Source == PayloadSource.Lines;
        var payload = await request.Message.ReadPayloadAsync(terminal, cancellationToken).ConfigureAwait(false);
        using var prepared = PreparedConnection.Of(request.Connection, terminal);

        // A single message either arrives or the exit code tells; a stream of lines outlives its connection.
        if (!isLines)
            prepared.Options.Reconnect = null;

        var client = new MqttClient(prepared.Options);
        await using var disposal = client.ConfigureAwait(false);
        ClientVerb.TellReconnects(client, request.Connection, terminal);
        await client.OpenAsync(cancellationToken).ConfigureAwait(false);

        if (isLines)
            await PublishLinesAsync(client, request, terminal, cancellationToken).ConfigureAwait(false);
        else
            await PublishRepeatedlyAsync(client, request, payload, cancellationToken).ConfigureAwait(false);

        await ClientVerb.DisconnectAsync(client, request.Connection).ConfigureAwait(false);
        return ExitCode.WellFormed;
    }

    private static async Task PublishRepeatedlyAsync(
        MqttClient client, PublishRequest request, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        var message = request.Message.ToMessage(payload);

        for (var count = 1; ; count++)
        {
            await client.PublishAsync(message, cancellationToken).ConfigureAwait(false);

            if (count >= request.Repeat)
                return;

            if (request.RepeatDelay > TimeSpan.Zero)
                await Task.Delay(request.RepeatDelay, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task PublishLinesAsync(
        MqttClient client, PublishRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        var window = new PublishWindow(client, request.MaximumInFlight);
        var input = terminal.OpenInput();
        await using var disposal = input.ConfigureAwait(false);

        await foreach (var line in InputLines.ReadAsync(input, cancellationToken).ConfigureAwait(false))
            await window.PublishAsync(request.Message.ToMessage(line), cancellationToken).ConfigureAwait(false);

        await window.CompleteAsync(cancellationToken).ConfigureAwait(false);
    }
}
