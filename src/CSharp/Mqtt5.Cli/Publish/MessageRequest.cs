using System.Text;

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
                return Encoding.UTF8.GetBytes(Text);
            case PayloadSource.File:
                try
                {
                    return await File.ReadAllBytesAsync(Text, cancellationToken).ConfigureAwait(false);
                }
                catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
                {
                    throw new UsageException($"--file: {Text}: {exception.Message}");
                }

            case PayloadSource.Input:
                using (var all = new MemoryStream())
                {
                    await terminal.OpenInput().CopyToAsync(all, cancellationToken).ConfigureAwait(false);
                    return all.ToArray();
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
