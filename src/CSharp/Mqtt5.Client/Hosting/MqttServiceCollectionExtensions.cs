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
        services.AddSingleton(provider => Create(provider, configure));

        if (IsFirst(services, null))
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
        services.AddKeyedSingleton(key, (provider, _) => Create(provider, configure));

        if (IsFirst(services, key))
        {
            services.AddSingleton<IHostedService>(provider => new Hosting.MqttClientService(
                provider.GetRequiredKeyedService<MqttClient>(key), provider.GetService<ILoggerFactory>()));
        }

        return services;
    }

    // Whether the client of this key is not started by the host yet, which would else start the last one twice.
    private static bool IsFirst(IServiceCollection services, object? key)
    {
        var started = new Started(key);

        if (services.Any(service => !service.IsKeyedService && started.Equals(service.ImplementationInstance)))
            return false;

        services.AddSingleton(started);
        return true;
    }

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

    // Notes that the host starts the client of this key; null: the one without.
    private sealed record Started(object? Key);
}
