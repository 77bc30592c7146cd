using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;
using Mqtt5.AspNetCore;

namespace Mqtt5.BrokerTests.AspNetCore;

// An application with JwtBearer, policies and a broker that uses both. The clock of the broker is moved by the test; tokens
// are validated by that of the system.
internal sealed class TokenBroker : IAsyncDisposable
{
    private readonly WebApplication application;

    private TokenBroker(WebApplication application) => this.application = application;

    public TokenIssuer Issuer { get; } = new();

    public FakeTimeProvider Time { get; } = new(DateTimeOffset.UtcNow);

    public MqttBroker Broker => application.Services.GetRequiredService<MqttBroker>();

    public static async Task<TokenBroker> StartAsync(
        Action<AuthorizationOptions>? policies = null,
        Action<IServiceProvider, MqttBrokerOptions>? configure = null,
        Action<IServiceCollection>? addServices = null,
        Action<MqttTokenOptions>? tokens = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        TokenBroker? made = null;
        builder.Services.AddAuthentication().AddJwtBearer(bearer =>
        {
            bearer.Audience = TokenIssuer.Audience;
            bearer.TokenValidationParameters.ValidIssuer = TokenIssuer.Issuer;
            bearer.TokenValidationParameters.ClockSkew = TimeSpan.Zero;
            bearer.ConfigurationManager = new ConfigurationManager<OpenIdConnectConfiguration>(
                TokenIssuer.Issuer + "/.well-known/openid-configuration", new OpenIdConnectConfigurationRetriever(), made!.Issuer)
            {
                RefreshInterval = BaseConfigurationManager.MinimumRefreshInterval,
                // Keys that were withdrawn do not count any more.
                UseLastKnownGoodConfiguration = false,
            };
        });
        builder.Services.AddAuthorization(policies ?? (_ => { }));
        addServices?.Invoke(builder.Services);
        builder.Services.AddMqttBroker((services, options) =>
        {
            options.Listen(0);
            options.SystemTopicsInterval = TimeSpan.Zero;
            options.Limits.ConnectTimeout = Brokers.NoConnectTimeout;
            options.TimeProvider = made!.Time;
            // Its steps are large, and what a client was sent last has to arrive.
            options.CloseTimeout = TimeSpan.FromHours(1);
            options.AuthenticateByToken(services, tokens);
            configure?.Invoke(services, options);
        });
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0));
        made = new TokenBroker(builder.Build());
        await made.application.StartAsync().Bounded();
        return made;
    }

    // A client that shows its token as Password, or by the Authentication Method.
    public Task<RawClient> ConnectAsync(
        string token, string connack = "CONNACK rc=Success", string clientId = "c", string more = "", ProtocolVersion version = default) =>
        RawClient.ConnectAsync(Broker, $"CONNECT clean=1 clientid=\"{clientId}\" username=\"x\" password=\"{token}\"{more}", connack, version);

    public Task<RawClient> ConnectByMethodAsync(string token, string connack = "CONNACK rc=Success") =>
        RawClient.ConnectAsync(Broker, $"CONNECT clean=1 clientid=\"c\" {Method(token)}", connack);

    public static string Method(string token) => $"props{{AuthenticationMethod=\"OAUTH2-JWT\", AuthenticationData=\"{token}\"}}";

    public async ValueTask DisposeAsync()
    {
        await application.StopAsync().WaitAsync(TimeSpan.FromSeconds(30));
        await application.DisposeAsync();
        Issuer.Dispose();
    }
}
