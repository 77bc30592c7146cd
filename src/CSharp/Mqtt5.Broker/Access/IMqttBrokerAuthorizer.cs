namespace Mqtt5;

/// <summary>Says what clients may do. <see cref="MqttAccessRules"/> does it by rules from a file.</summary>
public interface IMqttBrokerAuthorizer
{
    /// <summary>
    /// The permissions of a client that was authenticated; called once for each connection, again after each re-authentication
    /// that succeeded, and for each session that comes from the store. An exception refuses the client with 0x88, Server
    /// unavailable.
    /// </summary>
    /// <param name="client">
    /// The client. Its user name was accepted by an authenticator or belongs to an in-process client; otherwise the client is
    /// anonymous, whatever User Name it sent.
    /// </param>
    /// <returns>
    /// The client's permissions; <see cref="MqttPermissions.All"/> allows everything. Null is treated as a mistake and
    /// refuses the client with 0x87, Not authorized.
    /// </returns>
    IMqttPermissions Authorize(MqttClientIdentity client);
}
