namespace Mqtt5;

/// <summary>Says what clients may do. <see cref="MqttAccessRules"/> does it by rules from a file.</summary>
public interface IMqttBrokerAuthorizer
{
    /// <summary>
    /// The permissions of a client that was authenticated; called once for each connection. An exception refuses the
    /// client with 0x88, Server unavailable.
    /// </summary>
    /// <param name="client">
    /// The client. Its name is one that an authenticator accepted, or that of a client of the same process; otherwise it is
    /// anonymous, whatever User Name it sent.
    /// </param>
    /// <returns>
    /// Its permissions; <see cref="MqttPermissions.All"/>: it may do everything. Null, which only an oversight returns,
    /// refuses the client with 0x87, Not authorized.
    /// </returns>
    IMqttPermissions Authorize(MqttClientIdentity client);
}
