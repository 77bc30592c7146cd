namespace Mqtt5;

/// <summary>Which clients to list.</summary>
public sealed class MqttClientQuery
{
    /// <summary>Only Client Identifiers that contain this, by code points; null: all.</summary>
    public string? Contains { get; init; }

    /// <summary>Only clients that are connected, or only those that are away; null: both.</summary>
    public bool? IsConnected { get; init; }

    /// <summary>Only clients that are connected with this version, <c>5</c>, <c>3.1.1</c> or <c>3.1</c>; null: all.</summary>
    public string? Version { get; init; }
}
