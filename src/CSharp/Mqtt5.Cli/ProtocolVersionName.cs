namespace Mqtt5.Cli;

/// <summary>The names of protocol versions on a command line, the same as in mosquitto's clients.</summary>
internal static class ProtocolVersionName
{
    /// <summary>The accepted names, the shortest first for each version.</summary>
    public static IReadOnlyList<string> All { get; } = ["5", "311", "31", "mqttv5", "mqttv311", "mqttv31"];

    /// <summary>A version as an option of the client.</summary>
    public static MqttVersion ToClientVersion(ProtocolVersion version) =>
        version.IsV5 ? MqttVersion.Mqtt5 : version.IsV311 ? MqttVersion.Mqtt311 : MqttVersion.Mqtt31;

    /// <summary>The version with a name, or null if the name is unknown.</summary>
    public static ProtocolVersion? Find(string name) => name switch
    {
        "5" or "mqttv5" => ProtocolVersion.V5,
        "311" or "mqttv311" => ProtocolVersion.V311,
        "31" or "mqttv31" => ProtocolVersion.V31,
        _ => null,
    };
}
