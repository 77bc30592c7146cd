using Mqtt5.Engine;

namespace Mqtt5;

public sealed partial class MqttClient
{
    /// <summary>
    /// Publishes text. At QoS 0 it completes when the message is in the send buffer, or waits there for a connection; at
    /// QoS 1 with PUBACK, at QoS 2 with PUBCOMP, across any number of reconnects.
    /// </summary>
    /// <param name="topic">The Topic Name.</param>
    /// <param name="payload">The text, sent as UTF-8.</param>
    /// <param name="qos">The QoS.</param>
    /// <param name="retain">Whether the server keeps the message for later subscribers.</param>
    /// <param name="cancellationToken">Ends the wait; a message that was sent already may still arrive.</param>
    /// <returns>What the server said.</returns>
    /// <exception cref="MqttRefusedException">The server refused the message.</exception>
    /// <exception cref="MqttRejectedException">The message breaks a limit of the server, or the client is closed.</exception>
    /// <exception cref="MqttDisconnectedException">The connection ended for good.</exception>
    public ValueTask<MqttPublishResult> PublishAsync(
        string topic,
        string payload,
        QoS qos = QoS.AtMostOnce,
        bool retain = false,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(payload);
        var name = topics.Get(topic);

        return qos == QoS.AtMostOnce && IsPlain && !cancellationToken.IsCancellationRequested
            && engine.Publisher.TryWrite(name, payload, retain) == Publisher.Direct.Written
            ? PublishedDirectly()
            : SendAsync(name, Bytes.OfText(payload), qos, retain, PublishProperties.Empty, cancellationToken);
    }

    /// <summary>Publishes bytes, as <see cref="PublishAsync(string, string, QoS, bool, CancellationToken)"/> does text.</summary>
    /// <param name="topic">The Topic Name.</param>
    /// <param name="payload">The payload. It is copied unless it goes out at once.</param>
    /// <param name="qos">The QoS.</param>
    /// <param name="retain">Whether the server keeps the message for later subscribers.</param>
    /// <param name="cancellationToken">Ends the wait; a message that was sent already may still arrive.</param>
    /// <returns>What the server said.</returns>
    public ValueTask<MqttPublishResult> PublishAsync(
        string topic,
        ReadOnlyMemory<byte> payload,
        QoS qos = QoS.AtMostOnce,
        bool retain = false,
        CancellationToken cancellationToken = default)
    {
        var name = topics.Get(topic);

        return qos == QoS.AtMostOnce && IsPlain && !cancellationToken.IsCancellationRequested
            && engine.Publisher.TryWrite(name, payload.Span, retain) == Publisher.Direct.Written
            ? PublishedDirectly()
            : SendAsync(name, Bytes.Copy(payload.Span), qos, retain, PublishProperties.Empty, cancellationToken);
    }

    /// <summary>Publishes bytes, as <see cref="PublishAsync(string, string, QoS, bool, CancellationToken)"/> does text.</summary>
    /// <param name="topic">The Topic Name.</param>
    /// <param name="payload">The payload. It is copied unless it goes out at once.</param>
    /// <param name="qos">The QoS.</param>
    /// <param name="retain">Whether the server keeps the message for later subscribers.</param>
    /// <param name="cancellationToken">Ends the wait; a message that was sent already may still arrive.</param>
    /// <returns>What the server said.</returns>
    public ValueTask<MqttPublishResult> PublishAsync(
        string topic,
        byte[] payload,
        QoS qos = QoS.AtMostOnce,
        bool retain = false,
        CancellationToken cancellationToken = default) =>
        PublishAsync(topic, payload.AsMemory(), qos, retain, cancellationToken);

    /// <summary>Publishes a message with all its properties, as the other overloads do.</summary>
    /// <param name="message">The message. Its payload is copied unless it goes out at once.</param>
    /// <param name="cancellationToken">Ends the wait; a message that was sent already may still arrive.</param>
    /// <returns>What the server said.</returns>
    /// <exception cref="MqttNotSupportedException">
    /// The version of the connection does not have a property of the message. Before a version was negotiated the message
    /// waits, and the call fails with this if the version turns out not to have it.
    /// </exception>
    public ValueTask<MqttPublishResult> PublishAsync(MqttMessage message, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(message);
        var name = topics.Get(message.Topic);
        var properties = message.ToProperties();

        if (message.QoS == QoS.AtMostOnce && IsPlain && !cancellationToken.IsCancellationRequested
            && ReferenceEquals(properties, PublishProperties.Empty)
            && engine.Publisher.TryWrite(name, message.Payload.Span, message.Retain) == Publisher.Direct.Written)
        {
            return PublishedDirectly();
        }

        Check(name, message, properties);
        return SendAsync(name, Bytes.Copy(message.Payload.Span), message.QoS, message.Retain, properties, cancellationToken);
    }

    /// <summary>
    /// Publishes at QoS 0 without waiting and without allocating: false when there is no connection, the send buffer is
    /// full, or earlier messages wait; then nothing was sent.
    /// </summary>
    /// <param name="topic">The Topic Name.</param>
    /// <param name="payload">The payload, copied to the send buffer.</param>
    /// <param name="retain">Whether the server keeps the message for later subscribers.</param>
    /// <returns>Whether it is in the send buffer.</returns>
    public bool TryPublish(string topic, ReadOnlySpan<byte> payload, bool retain = false) =>
        Counted(engine.Publisher.TryWrite(topics.Get(topic), payload, retain) == Publisher.Direct.Written);

    /// <summary>As <see cref="TryPublish(string, ReadOnlySpan{byte}, bool)"/>, for text.</summary>
    /// <param name="topic">The Topic Name.</param>
    /// <param name="payload">The text, sent as UTF-8.</param>
    /// <param name="retain">Whether the server keeps the message for later subscribers.</param>
    /// <returns>Whether it is in the send buffer.</returns>
    public bool TryPublish(string topic, string payload, bool retain = false) =>
        Counted(engine.Publisher.TryWrite(topics.Get(topic), payload, retain) == Publisher.Direct.Written);

    /// <summary>As <see cref="TryPublish(string, ReadOnlySpan{byte}, bool)"/>, for a message of QoS 0 with properties.</summary>
    /// <param name="message">The message.</param>
    /// <returns>Whether it is in the send buffer.</returns>
    public bool TryPublish(MqttMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);

        if (message.QoS != QoS.AtMostOnce)
            throw new ArgumentException("only messages of QoS 0 can be published without waiting", nameof(message));

        var name = topics.Get(message.Topic);
        var properties = message.ToProperties();
        Check(name, message, properties);
        return Counted(engine.Publisher.TryPublish(name, new Bytes(message.Payload), message.Retain, properties));
    }

    // No trace context has to be added, and no listener records activities.
    private bool IsPlain => !options.PropagateTraceContext && !Telemetry.Source.HasListeners();

    private static bool Counted(bool published)
    {
        if (published)
            Telemetry.Published(QoS.AtMostOnce);

        return published;
    }

    private static ValueTask<MqttPublishResult> PublishedDirectly()
    {
        Telemetry.Published(QoS.AtMostOnce);
        return default;
    }

    // Checks what the types do not, such as the length of the Correlation Data.
    private void Check(TopicName name, MqttMessage message, PublishProperties properties)
    {
        var id = PacketId.Of(1);
        var delivery = message.QoS switch
        {
            QoS.AtMostOnce => Delivery.AtMostOnce,
            QoS.AtLeastOnce => Delivery.NewAtLeastOnce(id, false),
            QoS.ExactlyOnce => Delivery.NewExactlyOnce(id, false),
            _ => throw new ArgumentOutOfRangeException(nameof(message), message.QoS, "the QoS is 0, 1 or 2"),
        };
        var publish = new Publish(delivery, message.Retain, TopicReference.NewName(name), properties, new Bytes(message.Payload));

        if (Encode.Check(Direction.ClientToServer, Packet.NewPublish(publish)) is { IsSome: true } fault)
            throw Failures.Of(fault.Value);

        if (!ReferenceEquals(properties, PublishProperties.Empty)
            && ClientVersions.CheckPublish(engine.Version, message.AsksForFormat, publish) is { IsSome: true } missing)
        {
            throw Failures.Of(missing.Value);
        }
    }

    private ValueTask<MqttPublishResult> SendAsync(
        TopicName name, Bytes payload, QoS qos, bool retain, PublishProperties properties, CancellationToken cancellationToken)
    {
        if (qos > QoS.ExactlyOnce)
            throw new ArgumentOutOfRangeException(nameof(qos), qos, "the QoS is 0, 1 or 2");

        Telemetry.Published(qos);

        return IsPlain
            ? engine.Publisher.PublishAsync(name, payload, qos, retain, properties, cancellationToken)
            : TraceAsync(name, payload, qos, retain, properties, cancellationToken);
    }

    private async ValueTask<MqttPublishResult> TraceAsync(
        TopicName name, Bytes payload, QoS qos, bool retain, PublishProperties properties, CancellationToken cancellationToken)
    {
        using var activity = TraceContext.StartPublishing(name.Text);

        if (options.PropagateTraceContext && engine.HasUserProperties)
            properties = properties.WithUserProperties(TraceContext.Add(properties.UserProperties));

        return await engine.Publisher.PublishAsync(name, payload, qos, retain, properties, cancellationToken).ConfigureAwait(false);
    }
}
