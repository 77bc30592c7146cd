namespace Mqtt5;

/// <summary>
/// How an application gets its MQTT client. Read from the configuration, the section <c>Aspire:Mqtt5:Client</c> and then that
/// of the connection's name below it; the connection string of that name wins over both.
/// </summary>
public sealed class MqttClientSettings
{
    /// <summary>
    /// The URI of the server, such as <c>mqtt://localhost:1883</c> or <c>mqtts://user:password@broker.example</c>; null: the
    /// configuration has none, which is an error when the client is made.
    /// </summary>
    public string? ConnectionString { get; set; }

    /// <summary>The Client Identifier; null, the default: the server assigns one.</summary>
    public string? ClientId { get; set; }

    /// <summary>Whether there is no health check. Default: false.</summary>
    public bool DisableHealthChecks { get; set; }

    /// <summary>Whether the meter <c>Mqtt5</c> is not collected. Default: false.</summary>
    public bool DisableMetrics { get; set; }

    /// <summary>Whether the activities of the source <c>Mqtt5</c> are not collected. Default: false.</summary>
    public bool DisableTracing { get; set; }
}
