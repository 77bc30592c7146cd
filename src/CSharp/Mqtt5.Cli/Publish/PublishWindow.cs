namespace Mqtt5.Cli;

/// <summary>Publishes with a number of messages under way at a time. For one caller.</summary>
internal sealed class PublishWindow(MqttClient client, int size)
{
    private readonly Queue<Task> underWay = new();

    /// <summary>Publishes a message as soon as there is room. Its payload may be used again afterwards.</summary>
    /// <exception cref="MqttException">An earlier message or this one failed.</exception>
    public async Task PublishAsync(MqttMessage message, CancellationToken cancellationToken)
    {
        while (underWay.TryPeek(out var oldest) && (oldest.IsCompleted || underWay.Count >= size))
        {
            await oldest.ConfigureAwait(false);
            _ = underWay.Dequeue();
        }

        var publishing = client.PublishAsync(message, cancellationToken);

        if (publishing.IsCompletedSuccessfully)
            publishing.GetAwaiter().GetResult();
        else
            underWay.Enqueue(publishing.AsTask());
    }

    /// <summary>Waits until all have arrived.</summary>
    /// <exception cref="MqttException">One of them failed.</exception>
    public Task CompleteAsync(CancellationToken cancellationToken) => Task.WhenAll(underWay).WaitAsync(cancellationToken);
}
