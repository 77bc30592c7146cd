namespace Mqtt5.Serving;

// The versions of MQTT as they are called in what operators read.
internal static class VersionNames
{
    public static string Of(ProtocolVersion version) => version switch
    {
        { IsV5: true } => "5",
        { IsV311: true } => "3.1.1",
        _ => "3.1",
    };
}
