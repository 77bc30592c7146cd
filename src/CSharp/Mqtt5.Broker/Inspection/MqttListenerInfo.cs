namespace Mqtt5;

/// <summary>A place where a broker listens. Those of an application that maps the broker are not among them.</summary>
public sealed class MqttListenerInfo
{
    /// <summary>The address, as <c>mqtt://127.0.0.1:1883</c>.</summary>
    public required string Address { get; init; }

    /// <summary>The transport: <c>tcp</c>, <c>tls</c>, <c>websocket</c> or <c>unix</c>.</summary>
    public required string Transport { get; init; }

    /// <summary>Whether it is encrypted by TLS.</summary>
    public required bool IsEncrypted { get; init; }

    /// <summary>Whether clients need a certificate.</summary>
    public required bool NeedsCertificate { get; init; }

    /// <summary>Whether connections begin with the header of the PROXY protocol.</summary>
    public required bool IsBehindProxy { get; init; }

    /// <summary>The versions of MQTT that it takes, the newest first: <c>5</c>, <c>3.1.1</c>, <c>3.1</c>.</summary>
    public required IReadOnlyList<string> Versions { get; init; }
}
