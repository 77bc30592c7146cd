namespace Mqtt5;

/// <summary>Says what clients may do. <see cref="MqttAccessRules"/> does it by rules from a file.</summary>
public interface IMqttBrokerAuthorizer
{
    /// <summary>
    /// The permissions of a client that was authenticated; called once for each connection. An exception refuses the
    /// client with 0x88, Server unavailable.
    /// </summary>
    /// <param name="client">The client.</param>
    /// <returns>Its permissions; null: it may do everything.</returns>
    IMqttPermissions? Authorize(MqttClientIdentity client);
}
