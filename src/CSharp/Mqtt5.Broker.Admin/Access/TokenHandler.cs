using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mqtt5.Admin;

// Authenticates by a token in the header Authorization, or by a cookie that a token was exchanged for.
internal sealed class TokenHandler(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, AdminTokens tokens, AdminCookies cookies)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "Mqtt5Admin";

    private const string Bearer = "Bearer ";

    private readonly ILogger audit = logger.CreateLogger(AdminService.LogCategory);

    public static string AddressOf(HttpContext context) => context.Connection.RemoteIpAddress?.ToString() ?? "";

    protected override Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var header = Request.Headers.Authorization.ToString();

        if (header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
        {
            return Task.FromResult(tokens.RoleOf(header[Bearer.Length..].Trim()) is { } role
                ? Accepted(role, "token")
                : AuthenticateResult.Fail("the token is not known"));
        }

        return Task.FromResult(Request.Cookies[AdminCookies.Name] is { } cookie && cookies.RoleOf(cookie, AddressOf(Context)) is { } known
            ? Accepted(known, "cookie")
            : AuthenticateResult.NoResult());
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = "Bearer";
        AdminService.Protect(Response);
        return AdminService.AnswerAsync(Context, new AdminProblem(401, "Authorization", "a token is needed: Authorization: Bearer TOKEN"));
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties)
    {
        var asked = Context.GetEndpoint()?.Metadata.GetMetadata<AdminRoute>()?.Role;
        var problem = new AdminProblem(403, null, $"it needs the role {asked?.ToString().ToLowerInvariant()}");
        AdminService.Protect(Response);
        AdminLog.Refused(audit, Context, $"{Request.Method} {Context.GetEndpoint()?.Metadata.GetMetadata<AdminRoute>()?.Pattern}", "", problem);
        return AdminService.AnswerAsync(Context, problem);
    }

    // Each role is a claim of its own, so that a policy names the least.
    private static AuthenticateResult Accepted(MqttAdminRole role, string way)
    {
        var claims = Enum.GetValues<MqttAdminRole>().Where(one => one <= role).Select(one => new System.Security.Claims.Claim(ClaimTypes.Role, one.ToString()))
            .Append(new System.Security.Claims.Claim(ClaimTypes.Name, $"{role.ToString().ToLowerInvariant()} by {way}"));
        return AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(new ClaimsIdentity(claims, SchemeName)), SchemeName));
    }
}
