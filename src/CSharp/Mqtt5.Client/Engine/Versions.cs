namespace Mqtt5.Engine;

// The versions of the core as those of the facade, and back.
internal static class Versions
{
    public static VersionPolicy ToPolicy(MqttVersion version, string name) =>
        version switch
        {
            MqttVersion.Mqtt5 => VersionPolicy.NewOnly(ProtocolVersion.V5),
            MqttVersion.Mqtt311 => VersionPolicy.NewOnly(ProtocolVersion.V311),
            MqttVersion.Mqtt31 => VersionPolicy.NewOnly(ProtocolVersion.V31),
            MqttVersion.Negotiate => VersionPolicy.Negotiated,
            _ => throw new ArgumentOutOfRangeException(name, version, "there is no such version"),
        };

    public static MqttVersion ToPublic(this ProtocolVersion version) =>
        version.IsV5 ? MqttVersion.Mqtt5 : version.IsV311 ? MqttVersion.Mqtt311 : MqttVersion.Mqtt31;
}
