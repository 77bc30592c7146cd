using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Admin;

/// <summary>Adds the HTTP API of a broker to an application of ASP.NET Core.</summary>
public static class MqttAdminExtensions
{
    /// <summary>
    /// Maps the HTTP API of the broker that <c>AddMqttBroker</c> added, as in
    /// <c>app.MapMqttAdmin("/admin").RequireAuthorization("operators")</c>. Without a requirement of authorization, and without
    /// <c>AllowAnonymous</c>, every request but those for health is refused with 403.
    /// </summary>
    /// <param name="endpoints">The endpoints of the application.</param>
    /// <param name="prefix">Where the paths begin, such as <c>/admin</c>.</param>
    /// <param name="configure">Fills the options; null: as they are by default.</param>
    /// <returns>For conventions of all endpoints, such as authorization.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public static IEndpointConventionBuilder MapMqttAdmin(
        this IEndpointRouteBuilder endpoints, string prefix, Action<MqttAdminOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentNullException.ThrowIfNull(prefix);
        var options = new MqttAdminOptions();
        configure?.Invoke(options);
        options.Check();
        var services = endpoints.ServiceProvider;
        var service = new AdminService(
            services.GetRequiredService<MqttBroker>(),
            options,
            services.GetService<ILoggerFactory>(),
            services.GetService<IHostApplicationLifetime>());
        var group = endpoints.MapGroup(prefix);

        foreach (var route in AdminRoutes.All)
        {
            var mapped = group.MapMethods(route.Pattern, [route.Method], context => service.RunAsync(context, route))
                .WithDisplayName($"MQTT administration: {route.Method} {route.Pattern}")
                .WithMetadata(route);

            if (route.IsHealth && options.AnonymousHealth)
                mapped.AllowAnonymous();
            else if (options.PolicyOf(route.Role) is { } policy)
                mapped.RequireAuthorization(policy);
        }

        foreach (var (name, file) in DashboardFiles.All)
        {
            var mapped = group.MapMethods(name == DashboardFiles.PageName ? "" : $"{DashboardFiles.Folder}/{name}", ["GET"], context => service.RunAsync(context, file))
                .WithDisplayName($"MQTT administration: the dashboard, {name}");

            if (options.HasOwnLogin)
                mapped.AllowAnonymous();
            else if (options.ViewerPolicy is { } policy)
                mapped.RequireAuthorization(policy);
        }

        return group;
    }

    internal static bool IsProtected(HttpContext context) =>
        context.GetEndpoint()?.Metadata is { } metadata
        && (metadata.GetMetadata<IAuthorizeData>() is not null
            || metadata.GetMetadata<IAllowAnonymous>() is not null
            || metadata.GetMetadata<AuthorizationPolicy>() is not null);
}
