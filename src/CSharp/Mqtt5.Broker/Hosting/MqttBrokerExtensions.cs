using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Mqtt5.Hosting;
using Mqtt5.Serving;

namespace Mqtt5;

/// <summary>Adds a broker to an application of ASP.NET Core.</summary>
public static class MqttBrokerExtensions
{
    /// <summary>
    /// Adds a broker as a singleton <see cref="MqttBroker"/>, which starts and stops with the host. It listens where the
    /// options say, which is nowhere by default, and where it is mapped. Logger and clock come from the services unless the options have them.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddMqttBroker(this IServiceCollection services) =>
        services.AddMqttBroker((_, _) => { });

    /// <summary>As the other overload, with other options than those by default.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Fills the options.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddMqttBroker(this IServiceCollection services, Action<MqttBrokerOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        return services.AddMqttBroker((_, options) => configure(options));
    }

    /// <summary>As the other overloads, with other services at hand for the options.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Fills the options.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddMqttBroker(
        this IServiceCollection services, Action<IServiceProvider, MqttBrokerOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        services.AddSingleton(provider =>
        {
            var options = new MqttBrokerOptions
            {
                LoggerFactory = provider.GetService<ILoggerFactory>(),
                TimeProvider = provider.GetService<TimeProvider>() ?? TimeProvider.System,
            };
            configure(provider, options);
            return new MqttBroker(options);
        });
        services.AddSingleton<IHostedService>(provider => new MqttBrokerService(
            provider.GetRequiredService<MqttBroker>(), provider.GetRequiredService<IHostApplicationLifetime>()));
        return services;
    }

    /// <summary>Serves MQTT on an endpoint of Kestrel, after <c>UseHttps</c> over TLS.</summary>
    /// <param name="listen">The endpoint.</param>
    /// <returns>The endpoint.</returns>
    /// <exception cref="InvalidOperationException">It would listen to the world without knowing its clients.</exception>
    public static ListenOptions UseMqtt(this ListenOptions listen)
    {
        ArgumentNullException.ThrowIfNull(listen);
        var broker = listen.ApplicationServices.GetRequiredService<MqttBroker>();

        if (broker.IsForLoopbackOnly && listen.IPEndPoint is { } endPoint && !IPAddress.IsLoopback(endPoint.Address))
            throw MqttBrokerOptions.Unsafe(endPoint);

        // Kestrel would offer the HTTP protocols by ALPN, and refuse clients that offer only mqtt.
        listen.Protocols = HttpProtocols.None;
        listen.UseConnectionHandler<MqttConnectionHandler>();
        return listen;
    }

    /// <summary>
    /// Offers the protocol <c>mqtt</c> by ALPN, as in <c>UseHttps(https => https.OfferMqtt()).UseMqtt()</c>. Without it an
    /// endpoint of <see cref="UseMqtt"/> does not negotiate ALPN, which most clients accept.
    /// </summary>
    /// <param name="https">The options of TLS.</param>
    /// <returns>The options of TLS.</returns>
    public static HttpsConnectionAdapterOptions OfferMqtt(this HttpsConnectionAdapterOptions https)
    {
        ArgumentNullException.ThrowIfNull(https);
        var before = https.OnAuthenticate;
        https.OnAuthenticate = (connection, authentication) =>
        {
            before?.Invoke(connection, authentication);
            authentication.ApplicationProtocols = [ListenerTls.Mqtt];
        };
        return https;
    }

    /// <summary>
    /// Has a proxy in front of an endpoint of Kestrel tell the addresses of clients, by version 1 or 2 of the PROXY
    /// protocol; before <c>UseHttps</c> and <see cref="UseMqtt"/>. Every connection has to begin with its header, within
    /// <see cref="MqttBrokerLimits.ConnectTimeout"/>. Every peer that can connect to the endpoint can claim any address: let only the
    /// proxy reach it. Without an authenticator, clients from elsewhere are cut off unless
    /// <see cref="MqttBrokerOptions.AllowAnonymous"/> is set.
    /// </summary>
    /// <param name="listen">The endpoint.</param>
    /// <returns>The endpoint.</returns>
    public static ListenOptions UseProxyProtocol(this ListenOptions listen)
    {
        ArgumentNullException.ThrowIfNull(listen);
        var broker = listen.ApplicationServices.GetRequiredService<MqttBroker>();
        listen.Use(next => ProxyProtocol.Before(next, broker));
        return listen;
    }

    /// <summary>
    /// Serves MQTT over WebSocket at a path. Without an authenticator, clients from elsewhere are refused with 403
    /// unless <see cref="MqttBrokerOptions.AllowAnonymous"/> is set.
    /// </summary>
    /// <param name="endpoints">The endpoints of the application.</param>
    /// <param name="path">The path, such as <c>/mqtt</c>.</param>
    /// <returns>For conventions, such as authorization by ASP.NET Core.</returns>
    public static IEndpointConventionBuilder MapMqtt(this IEndpointRouteBuilder endpoints, string path)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var broker = endpoints.ServiceProvider.GetRequiredService<MqttBroker>();
        var pipeline = endpoints.CreateApplicationBuilder().UseWebSockets();
        pipeline.Run(context => WebSocketEndpoint.ServeAsync(context, broker));
        return endpoints.Map(path, pipeline.Build()).WithDisplayName("MQTT over WebSocket");
    }

    /// <summary>Adds a check of the broker: it is healthy from its start until it shuts down.</summary>
    /// <param name="builder">The health checks.</param>
    /// <param name="name">The name of the check.</param>
    /// <returns>The health checks.</returns>
    public static IHealthChecksBuilder AddMqttBrokerCheck(this IHealthChecksBuilder builder, string name = "mqtt")
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.Add(new Microsoft.Extensions.Diagnostics.HealthChecks.HealthCheckRegistration(
            name, provider => new MqttBrokerHealthCheck(provider.GetRequiredService<MqttBroker>()), null, null));
    }
}
