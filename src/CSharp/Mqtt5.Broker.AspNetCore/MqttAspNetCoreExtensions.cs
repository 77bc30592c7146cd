using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mqtt5.AspNetCore;

/// <summary>Has a broker take the authentication schemes and the policies of its application.</summary>
public static class MqttAspNetCoreExtensions
{
    /// <summary>
    /// Clients authenticate by a token, which a scheme of the application validates, such as that of <c>AddJwtBearer</c>: its
    /// parameters, keys and events apply. A client of any version gives the token as its Password; one of MQTT 5 may give it
    /// with the Authentication Method <see cref="MqttTokenOptions.Method"/>, and then a new one by re-authentication. Other
    /// clients are refused, with 0x86 or, where the method is another, with 0x8C. When the token expires, the client is
    /// disconnected with 0x87, Not authorized. If the scheme throws, the client is refused with 0x88.
    /// </summary>
    /// <param name="options">The options of the broker. Its clock decides when a token has expired.</param>
    /// <param name="services">The services of the application.</param>
    /// <param name="configure">Fills the options; null: as they are by default.</param>
    /// <returns>The options of the broker.</returns>
    /// <exception cref="InvalidOperationException">The application has no authentication.</exception>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public static MqttBrokerOptions AuthenticateByToken(
        this MqttBrokerOptions options, IServiceProvider services, Action<MqttTokenOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(services);
        Require<IAuthenticationSchemeProvider>(services, "AddAuthentication");
        var tokens = new MqttTokenOptions();
        configure?.Invoke(tokens);
        tokens.Check();
        options.Authenticator = new SchemeAuthenticator(services.GetRequiredService<IServiceScopeFactory>(), tokens, () => options.TimeProvider);
        return options;
    }

    /// <summary>
    /// Policies of the application decide what clients may publish and subscribe to. The resource is an
    /// <see cref="MqttResource"/>, the user the principal that the scheme of <see cref="AuthenticateByToken"/> gave, or one
    /// without an identity. Decisions are kept for the connection, up to <see cref="MqttPolicyOptions.CachedDecisions"/>, and
    /// dropped when the client authenticates again. Clients of the same process are not asked about.
    /// </summary>
    /// <param name="options">The options of the broker.</param>
    /// <param name="services">The services of the application.</param>
    /// <param name="configure">Names the policies.</param>
    /// <returns>The options of the broker.</returns>
    /// <exception cref="InvalidOperationException">The application has no authorization.</exception>
    /// <exception cref="ArgumentException">A policy is not named, or an option is out of its range.</exception>
    public static MqttBrokerOptions AuthorizeByPolicies(
        this MqttBrokerOptions options, IServiceProvider services, Action<MqttPolicyOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        Require<IAuthorizationPolicyProvider>(services, "AddAuthorization");
        var policies = new MqttPolicyOptions();
        configure(policies);
        policies.Check();
        var logger = services.GetService<ILoggerFactory>()?.CreateLogger<PolicyAuthorizer>();
        options.Authorizer = new PolicyAuthorizer(services.GetRequiredService<IServiceScopeFactory>(), policies, logger);
        return options;
    }

    private static void Require<T>(IServiceProvider services, string call)
        where T : class
    {
        if (services.GetService<T>() is null)
            throw new InvalidOperationException($"the application needs services.{call}()");
    }
}
