namespace Mqtt5;

/// <summary>Permissions that need no rules.</summary>
public static class MqttPermissions
{
    /// <summary>Allows the client to publish and subscribe to everything that the broker's options allow.</summary>
    public static IMqttPermissions All { get; } = new Everything();

    private sealed class Everything : IMqttPermissions
    {
        public bool MayPublish(TopicName topic) => true;

        public bool MaySubscribe(TopicFilter filter) => true;

        public bool MayReceive(TopicName topic) => true;
    }
}
