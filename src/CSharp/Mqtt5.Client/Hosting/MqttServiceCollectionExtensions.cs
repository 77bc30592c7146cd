using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mqtt5;

/// <summary>Adds MQTT clients to the services of an application.</summary>
public static class MqttServiceCollectionExtensions
{
    /// <summary>
    /// Adds a client as a singleton <see cref="MqttClient"/>. The host connects it when it starts, without waiting for
    /// the server, and disconnects it when it stops. The first connection is retried like all others. Logger and clock
    /// come from the services unless the options have them. A client that is added again replaces the one before.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Fills the options.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddMqttClient(this IServiceCollection services, Action<MqttClientOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        return services.AddMqttClient((_, options) => configure(options));
    }

    /// <summary>As the other overload, with other services at hand for the options.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Fills the options.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddMqttClient(
        this IServiceCollection services, Action<IServiceProvider, MqttClientOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        var isNew = IsNew(services, null);
        services.AddSingleton(provider => Create(provider, configure));

        if (isNew)
        {
            services.AddSingleton<IHostedService>(provider => new Hosting.MqttClientService(
                provider.GetRequiredService<MqttClient>(), provider.GetService<ILoggerFactory>()));
        }

        return services;
    }

    /// <summary>As the other overloads, for one of several clients, which is asked for by its key.</summary>
    /// <param name="services">The services.</param>
    /// <param name="key">The key of the service.</param>
    /// <param name="configure">Fills the options.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddKeyedMqttClient(
        this IServiceCollection services, object key, Action<IServiceProvider, MqttClientOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        var isNew = IsNew(services, key);
        services.AddKeyedSingleton(key, (provider, _) => Create(provider, configure));

        if (isNew)
        {
            services.AddSingleton<IHostedService>(provider => new Hosting.MqttClientService(
                provider.GetRequiredKeyedService<MqttClient>(key), provider.GetService<ILoggerFactory>()));
        }

        return services;
    }

    // Else the host would start the same client twice.
    private static bool IsNew(IServiceCollection services, object? key) =>
        !services.Any(service => service.ServiceType == typeof(MqttClient) && Equals(service.ServiceKey, key));

    private static MqttClient Create(IServiceProvider provider, Action<IServiceProvider, MqttClientOptions> configure)
    {
        var options = new MqttClientOptions
        {
            LoggerFactory = provider.GetService<ILoggerFactory>(),
            TimeProvider = provider.GetService<TimeProvider>() ?? TimeProvider.System,
            Reconnect = new MqttReconnectOptions { RetryFirstConnection = true },
        };
        configure(provider, options);
        return new MqttClient(options);
    }
}
