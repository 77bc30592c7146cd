namespace Mqtt5.Cli;

/// <summary>The messages that a command line asks to publish.</summary>
internal sealed record MessageRequest
{
    /// <summary>The Topic Name.</summary>
    public required string Topic { get; init; }

    /// <summary>Where the payload comes from.</summary>
    public required PayloadSource Source { get; init; }

    /// <summary>The payload or the path of the file, as the source says.</summary>
    public string Text { get; init; } = "";

    /// <summary>The QoS.</summary>
    public QoS QoS { get; init; }

    /// <summary>Whether the server keeps the message.</summary>
    public bool Retain { get; init; }

    /// <summary>The properties of <c>-D</c>.</summary>
    public required PropertyArguments Properties { get; init; }

    /// <summary>The whole payload. Not for lines.</summary>
    /// <exception cref="UsageException">The file cannot be read.</exception>
    public async Task<ReadOnlyMemory<byte>> ReadPayloadAsync(Terminal terminal, CancellationToken cancellationToken)
    {
        switch (Source)
        {
            case PayloadSource.Text:
                return ByteText.ToBytes(Text);
            case PayloadSource.File:
                try
                {
                    var file = new FileStream(Text, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0, useAsync: true);
                    await using (file.ConfigureAwait(false))
                        return await BoundedInput.ReadAsync(file, $"--file: {Text}", cancellationToken).ConfigureAwait(false);
                }
                catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
                {
                    throw new UsageException($"--file: {Text}: {exception.Message}");
                }

            case PayloadSource.Input:
                var input = terminal.OpenInput();
                await using (input.ConfigureAwait(false))
                {
                    var payload = await BoundedInput.ReadAsync(input, "standard input", cancellationToken).ConfigureAwait(false);

                    // Otherwise a failed command in front of the pipe, with empty output, would delete the retained message.
                    return payload.Length > 0
                        ? payload
                        : throw new UsageException("-s: standard input is empty; -n publishes an empty message");
                }

            default:
                return ReadOnlyMemory<byte>.Empty;
        }
    }

    /// <summary>The message with a payload.</summary>
    /// <param name="payload">The payload.</param>
    /// <param name="responseTopic">Where an answer should go; null: what the properties say.</param>
    public MqttMessage ToMessage(ReadOnlyMemory<byte> payload, string? responseTopic = null) =>
        new()
        {
            Topic = Topic,
            Payload = payload,
            QoS = QoS,
            Retain = Retain,
            IsText = Properties.Switch(Scope.Publish, PropertyId.PayloadFormatIndicator),
            Expiry = Properties.Seconds(Scope.Publish, PropertyId.MessageExpiryInterval),
            ContentType = Properties.Text(Scope.Publish, PropertyId.ContentType),
            ResponseTopic = responseTopic ?? Properties.Text(Scope.Publish, PropertyId.ResponseTopic),
            CorrelationData = Properties.Binary(Scope.Publish, PropertyId.CorrelationData),
            UserProperties = Properties.UserProperties(Scope.Publish),
        };
}
