using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting;

/// <summary>Adds an MQTT broker to the application model.</summary>
public static class MqttBrokerBuilderExtensions
{
    /// <summary>
    /// Adds a broker, which runs as <c>mqtt5 broker</c> on a loopback address of this machine. Install the command with
    /// <c>dotnet tool install -g Mqtt5.Cli</c>, or say where it is. Its health check opens a connection to it; resources that
    /// wait for the broker (<c>WaitFor</c>) start when it serves. Further options of the command are added by <c>WithArgs</c>.
    /// </summary>
    /// <param name="builder">The builder of the application model.</param>
    /// <param name="name">The name of the resource, and of its connection string.</param>
    /// <param name="port">The port that clients connect to, 1 to 65,535; null: one that is free.</param>
    /// <param name="command">The command <c>mqtt5</c>: a name that is looked up in <c>PATH</c>, or a path from the folder of the application host.</param>
    /// <returns>The builder of the resource.</returns>
    /// <exception cref="ArgumentException">The name or the command is empty.</exception>
    public static IResourceBuilder<MqttBrokerResource> AddMqttBroker(
        this IDistributedApplicationBuilder builder, string name, int? port = null, string command = "mqtt5")
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentException.ThrowIfNullOrEmpty(command);
        var resource = new MqttBrokerResource(name, command, builder.AppHostDirectory);
        var key = $"{name}_check";
        builder.Services.AddHealthChecks().Add(new HealthCheckRegistration(key, _ => new BrokerHealthCheck(resource.PrimaryEndpoint), null, null));
        return builder.AddResource(resource)
            .WithEndpoint(port: port, scheme: "mqtt", name: MqttBrokerResource.MqttEndpointName)
            .WithArgs(context =>
            {
                context.Args.Add("broker");
                context.Args.Add("--port");
                context.Args.Add(resource.PrimaryEndpoint.Property(EndpointProperty.TargetPort));
            })
            .WithHealthCheck(key);
    }

    /// <summary>
    /// Keeps sessions, their messages, subscriptions, retained messages and Wills in a folder, so that they outlive the
    /// application (<c>--store</c>).
    /// </summary>
    /// <param name="builder">The builder of the resource.</param>
    /// <param name="path">The folder, from that of the application host; it is made if there is none.</param>
    /// <returns>The builder of the resource.</returns>
    /// <exception cref="ArgumentException">The path is empty.</exception>
    public static IResourceBuilder<MqttBrokerResource> WithDataFolder(this IResourceBuilder<MqttBrokerResource> builder, string path) =>
        builder.WithPath("--store", path);

    /// <summary>Reads options from a configuration file of the command (<c>--config</c>), such as passwords, rules and limits.</summary>
    /// <param name="builder">The builder of the resource.</param>
    /// <param name="path">The file, from the folder of the application host.</param>
    /// <returns>The builder of the resource.</returns>
    /// <exception cref="ArgumentException">The path is empty.</exception>
    public static IResourceBuilder<MqttBrokerResource> WithConfigurationFile(this IResourceBuilder<MqttBrokerResource> builder, string path) =>
        builder.WithPath("--config", path);

    /// <summary>
    /// Serves the HTTP API and the dashboard of the broker below <c>/admin</c> (<c>--admin-port</c>); at the first start the
    /// command prints a token to its log.
    /// </summary>
    /// <param name="builder">The builder of the resource.</param>
    /// <param name="port">The port, 1 to 65,535; null: one that is free.</param>
    /// <returns>The builder of the resource.</returns>
    public static IResourceBuilder<MqttBrokerResource> WithHttpApi(this IResourceBuilder<MqttBrokerResource> builder, int? port = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder
            .WithHttpEndpoint(port: port, name: MqttBrokerResource.ApiEndpointName)
            .WithArgs(context =>
            {
                context.Args.Add("--admin-port");
                context.Args.Add(builder.GetEndpoint(MqttBrokerResource.ApiEndpointName).Property(EndpointProperty.TargetPort));
            })
            .WithHttpHealthCheck("/admin/health/ready", endpointName: MqttBrokerResource.ApiEndpointName);
    }

    private static IResourceBuilder<MqttBrokerResource> WithPath(this IResourceBuilder<MqttBrokerResource> builder, string option, string path)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrEmpty(path);
        return builder.WithArgs(option, Path.GetFullPath(path, builder.ApplicationBuilder.AppHostDirectory));
    }
}
