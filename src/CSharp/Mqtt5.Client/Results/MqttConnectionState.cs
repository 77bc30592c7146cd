namespace Mqtt5;

/// <summary>The state of a connection, as <see cref="MqttClient.States"/> gives it.</summary>
public sealed record MqttConnectionState
{
    /// <summary>Where the connection stands.</summary>
    public required MqttConnectionStatus Status { get; init; }

    /// <summary>The number of the attempt in a row, from 1, while connecting.</summary>
    public int Attempt { get; init; }

    /// <summary>How long until the next attempt, while waiting.</summary>
    public TimeSpan Delay { get; init; }

    /// <summary>What the server answered, while connected.</summary>
    public MqttConnectResult? Result { get; init; }

    /// <summary>Why the connection ended, while waiting or closed; null: the application closed it.</summary>
    public MqttException? Cause { get; init; }
}
