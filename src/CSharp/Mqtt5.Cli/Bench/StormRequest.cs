namespace Mqtt5.Cli;

/// <summary>Connections to open at a server.</summary>
internal sealed record StormRequest
{
    /// <summary>Makes the options of a client; asked once for each.</summary>
    public required Func<MqttClientOptions> Options { get; init; }

    /// <summary>How many.</summary>
    public required int Connections { get; init; }

    /// <summary>How many are being opened at a time, at most.</summary>
    public required int Concurrency { get; init; }

    /// <summary>How many are begun in a second; null: as many as it goes.</summary>
    public double? Rate { get; init; }
}
