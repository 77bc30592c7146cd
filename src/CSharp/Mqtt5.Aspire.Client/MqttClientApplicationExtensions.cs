using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace Mqtt5;

/// <summary>Adds MQTT clients to an application by the names of their connections.</summary>
public static class MqttClientApplicationExtensions
{
    private const string Section = "Aspire:Mqtt5:Client";

    // The name of the meter and of the source of activities.
    private const string TelemetryName = "Mqtt5";

    /// <summary>
    /// Adds a client as a singleton <see cref="MqttClient"/>, which the host connects when it starts and disconnects when it
    /// stops. The server is the connection string of that name, which an Aspire application host gives by
    /// <c>WithReference</c>. The client has a health check, healthy while it is connected, and its metrics and traces are
    /// collected by OpenTelemetry, unless the settings say otherwise.
    /// </summary>
    /// <param name="builder">The builder of the application.</param>
    /// <param name="connectionName">The name of the connection string.</param>
    /// <param name="configureSettings">Changes the settings after they were read; called at once.</param>
    /// <param name="configureOptions">Changes the options of the client when it is made, such as its session and its Will.</param>
    /// <returns>The builder of the application.</returns>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    public static IHostApplicationBuilder AddMqttClient(
        this IHostApplicationBuilder builder,
        string connectionName,
        Action<MqttClientSettings>? configureSettings = null,
        Action<MqttClientOptions>? configureOptions = null)
    {
        var settings = Read(builder, connectionName, configureSettings);
        builder.Services.AddMqttClient((_, options) => Fill(options, settings, connectionName, configureOptions));
        return Watch(builder, settings, "mqtt5.client", static provider => provider.GetRequiredService<MqttClient>());
    }

    /// <summary>As the other method, for one of several clients, which is asked for by its key.</summary>
    /// <param name="builder">The builder of the application.</param>
    /// <param name="name">The name of the connection string, and the key of the service.</param>
    /// <param name="configureSettings">Changes the settings after they were read; called at once.</param>
    /// <param name="configureOptions">Changes the options of the client when it is made.</param>
    /// <returns>The builder of the application.</returns>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    public static IHostApplicationBuilder AddKeyedMqttClient(
        this IHostApplicationBuilder builder,
        string name,
        Action<MqttClientSettings>? configureSettings = null,
        Action<MqttClientOptions>? configureOptions = null)
    {
        var settings = Read(builder, name, configureSettings);
        builder.Services.AddKeyedMqttClient(name, (_, options) => Fill(options, settings, name, configureOptions));
        return Watch(builder, settings, $"mqtt5.client.{name}", provider => provider.GetRequiredKeyedService<MqttClient>(name));
    }

    private static MqttClientSettings Read(IHostApplicationBuilder builder, string name, Action<MqttClientSettings>? configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrEmpty(name);
        var settings = new MqttClientSettings();
        var section = builder.Configuration.GetSection(Section);
        section.Bind(settings);
        section.GetSection(name).Bind(settings);

        if (builder.Configuration.GetConnectionString(name) is { Length: > 0 } text)
            settings.ConnectionString = text;

        configure?.Invoke(settings);
        return settings;
    }

    private static void Fill(MqttClientOptions options, MqttClientSettings settings, string name, Action<MqttClientOptions>? configure)
    {
        if (string.IsNullOrEmpty(settings.ConnectionString))
            throw new InvalidOperationException($"there is no server for the MQTT client: the configuration has neither ConnectionStrings:{name} nor {Section}:{name}:ConnectionString");

        // The text may have a password, so that no message has it.
        if (!Uri.TryCreate(settings.ConnectionString, UriKind.Absolute, out var uri))
            throw new InvalidOperationException($"the connection string {name} is no URI, such as mqtt://localhost:1883");

        var given = MqttClientOptions.For(uri);
        options.Servers.Add(uri);
        options.Credentials = given.Credentials;
        options.ClientId = settings.ClientId;
        configure?.Invoke(options);
    }

    private static IHostApplicationBuilder Watch(
        IHostApplicationBuilder builder, MqttClientSettings settings, string checkName, Func<IServiceProvider, MqttClient> find)
    {
        if (!settings.DisableHealthChecks)
            builder.Services.AddHealthChecks().Add(new HealthCheckRegistration(checkName, provider => new ClientHealthCheck(find(provider)), null, null));

        if (!settings.DisableMetrics)
            builder.Services.AddOpenTelemetry().WithMetrics(metrics => metrics.AddMeter(TelemetryName));

        if (!settings.DisableTracing)
            builder.Services.AddOpenTelemetry().WithTracing(traces => traces.AddSource(TelemetryName));

        return builder;
    }
}
