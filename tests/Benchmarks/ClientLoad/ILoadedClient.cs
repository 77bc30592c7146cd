namespace Mqtt5.Benchmarks;

/// <summary>A client under <see cref="ClientLoad"/>.</summary>
internal interface ILoadedClient
{
    string Name { get; }

    Task ConnectAsync(int port);

    /// <summary>Publishes all messages; at QoS 0 until the server has read the last, above until all are acknowledged.</summary>
    Task PublishAsync(int qos, ClientLoadOptions options);

    /// <summary>Receives all messages, which a bare socket floods the server with.</summary>
    Task ReceiveAsync(ClientLoadOptions options);

    Task DisconnectAsync();
}
