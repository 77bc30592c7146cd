using System.Net;
using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mqtt5.Admin;

/// <summary>
/// Serves the HTTP API of a broker by itself, below <c>/admin</c>, for processes that are no application of ASP.NET Core. Who
/// has a token of the file may what its role may. Dispose it before the broker.
/// </summary>
public sealed class MqttAdminServer : IAsyncDisposable
{
    private const string Prefix = "/admin";
    private const int MostConnections = 200;
    private const int SignInsPerSecond = 5;
    private const int MostSignInBytes = 1_024;

    private readonly WebApplication application;
    private readonly FixedWindowRateLimiter signIns;

    private MqttAdminServer(WebApplication application, FixedWindowRateLimiter signIns, string? createdToken)
    {
        this.application = application;
        this.signIns = signIns;
        CreatedToken = createdToken;
        Address = new Uri(application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First() + Prefix);
    }

    /// <summary>Where the API is, as <c>http://127.0.0.1:18830/admin</c>.</summary>
    public Uri Address { get; }

    /// <summary>The token of the administrator, if the file of tokens was made at this start; null: there was one.</summary>
    public string? CreatedToken { get; }

    /// <summary>Starts it.</summary>
    /// <param name="broker">The broker.</param>
    /// <param name="options">The options; not looked at later.</param>
    /// <param name="cancellationToken">Gives up starting.</param>
    /// <returns>The server; dispose it to stop it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    /// <exception cref="IOException">The file of tokens cannot be used, or the address cannot be bound; the message says why.</exception>
    public static async Task<MqttAdminServer> StartAsync(MqttBroker broker, MqttAdminServerOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(broker);
        ArgumentNullException.ThrowIfNull(options);
        options.Api.Check();
        var tokens = AdminTokens.Open(options.TokenFile);
        var cookies = new AdminCookies(TimeProvider.System);
        var signIns = new FixedWindowRateLimiter(new FixedWindowRateLimiterOptions { PermitLimit = SignInsPerSecond, Window = TimeSpan.FromSeconds(1), QueueLimit = 0 });
        var application = Build(broker, options, tokens, cookies);
        Map(application, options, tokens, cookies, signIns);

        try
        {
            await application.StartAsync(cancellationToken).ConfigureAwait(false);
            return new MqttAdminServer(application, signIns, tokens.Created);
        }
        catch
        {
            await application.DisposeAsync().ConfigureAwait(false);
            await signIns.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Checks a file of tokens as a start would, without a start.</summary>
    /// <param name="path">The file, which exists.</param>
    /// <exception cref="IOException">It cannot be used; the message says why, without the tokens.</exception>
    public static void CheckTokenFile(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        AdminTokens.Check(path);
    }

    /// <summary>Stops it.</summary>
    /// <returns>When it is done.</returns>
    public async ValueTask DisposeAsync()
    {
        await application.StopAsync().ConfigureAwait(false);
        await application.DisposeAsync().ConfigureAwait(false);
        await signIns.DisposeAsync().ConfigureAwait(false);
    }

    private static WebApplication Build(MqttBroker broker, MqttAdminServerOptions options, AdminTokens tokens, AdminCookies cookies)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton<IHostLifetime, NoSignals>();
        builder.Services.AddSingleton(broker);
        builder.Services.AddSingleton(tokens);
        builder.Services.AddSingleton(cookies);
        builder.Services.AddSingleton<ILoggerFactory>(new QuietLoggers(options.LoggerFactory ?? NullLoggerFactory.Instance));
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(2));
        builder.Services.AddRoutingCore();
        builder.Services.AddAuthentication(TokenHandler.SchemeName)
            .AddScheme<AuthenticationSchemeOptions, TokenHandler>(TokenHandler.SchemeName, null);
        var authorization = builder.Services.AddAuthorizationBuilder();

        foreach (var role in Enum.GetValues<MqttAdminRole>())
            authorization.AddPolicy(role.ToString(), policy => policy.RequireRole(role.ToString()));

        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxConcurrentConnections = MostConnections;
            kestrel.Limits.MaxRequestBodySize = options.Api.MaximumBodyBytes;
            kestrel.Listen(options.Address, options.Port, listen => Use(listen, options.Tls));
        });
        return builder.Build();
    }

    private static void Use(ListenOptions listen, MqttServerTlsOptions? tls)
    {
        listen.Protocols = HttpProtocols.Http1;

        if (tls is null)
            return;

        listen.UseHttps(https =>
        {
            https.ServerCertificateSelector = (_, _) => (tls.Current?.Invoke() ?? tls).Certificate;
            https.ServerCertificateChain = tls.Intermediates;
        });
    }

    private static void Map(
        WebApplication application, MqttAdminServerOptions options, AdminTokens tokens, AdminCookies cookies, FixedWindowRateLimiter signIns)
    {
        application.Use((context, next) => IsOwnName(context.Request.Host.Host, options)
            ? next(context)
            : AdminService.AnswerAsync(context, new AdminProblem(403, "Host", "this server is not called by this name")));
        application.UseRouting();
        application.UseAuthentication();
        application.UseAuthorization();
        application.MapMethods(Prefix + "/login", ["POST"], context => SignInAsync(context, tokens, cookies, signIns));
        application.MapMethods(Prefix + "/logout", ["POST"], context => SignOutAsync(context, cookies));
        application.MapMqttAdmin(Prefix, api =>
        {
            api.ViewerPolicy = nameof(MqttAdminRole.Viewer);
            api.OperatorPolicy = nameof(MqttAdminRole.Operator);
            api.AdministratorPolicy = nameof(MqttAdminRole.Administrator);
            api.HasOwnLogin = true;
            api.Reload = options.Api.Reload;
            api.AnonymousHealth = options.Api.AnonymousHealth;
            api.RequestsPerSecond = options.Api.RequestsPerSecond;
            api.EventStreams = options.Api.EventStreams;
            api.MaximumBodyBytes = options.Api.MaximumBodyBytes;
        });
    }

    // A name of DNS can lead a page of another site here; an address cannot.
    private static bool IsOwnName(string host, MqttAdminServerOptions options)
    {
        if (IPAddress.TryParse(host.Trim('[', ']'), out var address))
            return !IPAddress.IsLoopback(options.Address) || IPAddress.IsLoopback(address);

        return host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || options.HostNames.Contains(host, StringComparer.OrdinalIgnoreCase);
    }

    private static async Task SignInAsync(HttpContext context, AdminTokens tokens, AdminCookies cookies, FixedWindowRateLimiter signIns)
    {
        AdminService.Protect(context.Response);

        try
        {
            AdminService.CheckSite(context);
            using var lease = signIns.AttemptAcquire();

            if (!lease.IsAcquired)
                throw new AdminProblem(429, null, "there are more attempts to sign in than are answered");

            if (context.Request.ContentLength is not (> 0 and <= MostSignInBytes))
                throw new AdminProblem(413, "body", $"it has to have a length of at most {MostSignInBytes} bytes");

            var token = await TokenOf(context).ConfigureAwait(false);

            if (tokens.RoleOf(token) is not { } role)
                throw new AdminProblem(401, "token", "the token is not known");

            context.Response.Cookies.Append(AdminCookies.Name, cookies.Add(role, TokenHandler.AddressOf(context)), new CookieOptions
            {
                HttpOnly = true,
                SameSite = SameSiteMode.Strict,
                Secure = context.Request.IsHttps,
                MaxAge = AdminCookies.Lifetime,
                Path = Prefix,
            });
            context.Response.StatusCode = StatusCodes.Status204NoContent;
        }
        catch (AdminProblem problem)
        {
            await AdminService.AnswerAsync(context, problem).ConfigureAwait(false);
        }
    }

    private static async Task<string> TokenOf(HttpContext context)
    {
        try
        {
            var request = await System.Text.Json.JsonSerializer.DeserializeAsync(context.Request.Body, AdminJson.Default.LoginRequest, context.RequestAborted).ConfigureAwait(false);
            return request?.Token ?? throw AdminProblem.Bad("token", "it is missing");
        }
        catch (System.Text.Json.JsonException)
        {
            throw AdminProblem.Bad("body", "it is no JSON with a token");
        }
    }

    private static async Task SignOutAsync(HttpContext context, AdminCookies cookies)
    {
        AdminService.Protect(context.Response);

        try
        {
            AdminService.CheckSite(context);

            if (context.Request.Cookies[AdminCookies.Name] is { } cookie)
                cookies.Remove(cookie);

            context.Response.Cookies.Delete(AdminCookies.Name, new CookieOptions { Path = Prefix });
            context.Response.StatusCode = StatusCodes.Status204NoContent;
        }
        catch (AdminProblem problem)
        {
            await AdminService.AnswerAsync(context, problem).ConfigureAwait(false);
        }
    }

    // Signals are for the process that it runs in.
    private sealed class NoSignals : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    // The web host and the authentication tell of each request what the audit log says better; only their errors are passed on.
    // The owner of the factory disposes it.
    private sealed class QuietLoggers(ILoggerFactory inner) : ILoggerFactory
    {
        public ILogger CreateLogger(string categoryName) =>
            categoryName == AdminService.LogCategory ? inner.CreateLogger(categoryName) : new Errors(inner.CreateLogger(categoryName));

        public void AddProvider(ILoggerProvider provider) => inner.AddProvider(provider);

        public void Dispose()
        {
        }
    }

    private sealed class Errors(ILogger inner) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error && inner.IsEnabled(logLevel);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                inner.Log(logLevel, eventId, state, exception, formatter);
        }
    }
}
