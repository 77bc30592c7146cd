namespace Aspire.Hosting.ApplicationModel;

/// <summary>An MQTT broker that runs as the command <c>mqtt5 broker</c>. Its connection string is <c>mqtt://host:port</c>.</summary>
/// <param name="name">The name of the resource.</param>
/// <param name="command">The command <c>mqtt5</c>: a name that is looked up in <c>PATH</c>, or a path.</param>
/// <param name="workingDirectory">The folder in which it runs.</param>
public sealed class MqttBrokerResource(string name, string command, string workingDirectory)
    : ExecutableResource(name, command, workingDirectory), IResourceWithConnectionString
{
    internal const string MqttEndpointName = "mqtt";

    internal const string ApiEndpointName = "http";

    /// <summary>Where clients connect to, by MQTT over TCP.</summary>
    public EndpointReference PrimaryEndpoint => field ??= new EndpointReference(this, MqttEndpointName);

    /// <summary>The URI of the broker, <c>mqtt://host:port</c>, which <c>MqttClientOptions.For</c> takes.</summary>
    public ReferenceExpression ConnectionStringExpression =>
        ReferenceExpression.Create($"mqtt://{PrimaryEndpoint.Property(EndpointProperty.HostAndPort)}");
}
