using System.Net;
using System.Text;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Mqtt5.Admin;

namespace Mqtt5.BrokerTests;

// Who may what: roles, tokens, cookies, pages of other sites.
public sealed class AdminAccessTests
{
    public static TheoryData<string, string> Operations { get; } =
        [.. AdminRoutes.All.Select(route => (route.Method, route.Pattern))];

    [Fact]
    public void A_sign_in_is_good_for_its_time_and_at_its_address()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        var cookies = new AdminCookies(time);
        var cookie = cookies.Add(MqttAdminRole.Operator, "127.0.0.1");
        Assert.Null(cookies.RoleOf(cookie, "127.0.0.2"));
        time.Advance(AdminCookies.Lifetime - TimeSpan.FromTicks(1));
        Assert.Equal(MqttAdminRole.Operator, cookies.RoleOf(cookie, "127.0.0.1"));
        time.Advance(TimeSpan.FromTicks(1));
        Assert.Null(cookies.RoleOf(cookie, "127.0.0.1"));
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public async Task Each_operation_is_for_its_role_and_those_above(string method, string pattern)
    {
        await using var setup = await AdminSetup.StartAsync();
        var route = AdminRoutes.All.Single(one => one.Method == method && one.Pattern == pattern);
        var path = pattern.Replace("{client}", "absent", StringComparison.Ordinal);

        foreach (var role in (MqttAdminRole?[])[null, .. Enum.GetValues<MqttAdminRole>()])
        {
            using var client = setup.Client(role);
            using var request = new HttpRequestMessage(new HttpMethod(method), path);
            request.Headers.Add("Mqtt5-Admin", "1");
            using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);

            if (route.IsHealth)
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            else if (role is null)
                Assert.Equal("Authorization", await AdminSetup.ProblemAsync(answer, HttpStatusCode.Unauthorized));
            else if (role < route.Role)
                await AdminSetup.ProblemAsync(answer, HttpStatusCode.Forbidden);
            else
                Assert.True((int)answer.StatusCode is not (401 or 403), $"{role}: {answer.StatusCode}");

            Assert.Equal("no-store", answer.Headers.CacheControl?.ToString());
            Assert.Equal("nosniff", Assert.Single(answer.Headers.GetValues("X-Content-Type-Options")));
        }
    }

    [Fact]
    public async Task A_viewer_who_changes_is_refused_and_the_log_says_who_and_what()
    {
        await using var setup = await AdminSetup.StartAsync();
        await using var client = await setup.ConnectAsync("gauge-1", TimeSpan.FromHours(1));
        using var refused = await setup.ChangeAsync(MqttAdminRole.Viewer, HttpMethod.Delete, "clients/gauge-1");
        await AdminSetup.ProblemAsync(refused, HttpStatusCode.Forbidden);
        using var session = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Delete, "sessions/gauge-1");
        await AdminSetup.ProblemAsync(session, HttpStatusCode.Forbidden);
        Assert.True(setup.Broker.Inspection.Client("gauge-1")!.IsConnected);
        using var done = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Delete, "clients/gauge-1");
        Assert.Equal(
            [
                "Warning Mqtt5.Admin: viewer by token from 127.0.0.1: DELETE clients/{client}  is refused: 403 it needs the role operator",
                "Warning Mqtt5.Admin: operator by token from 127.0.0.1: DELETE sessions/{client}  is refused: 403 it needs the role administrator",
                "Information Mqtt5.Admin: operator by token from 127.0.0.1: DELETE clients/{client} gauge-1",
            ],
            setup.Audit.Lines);
        Assert.DoesNotContain(setup.Audit.Lines, line => line.Contains(setup.TokenOf(MqttAdminRole.Operator), StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_log_escapes_what_a_client_is_called()
    {
        await using var setup = await AdminSetup.StartAsync();
        using var gone = await setup.ChangeAsync(MqttAdminRole.Operator, HttpMethod.Delete, "clients/a%0AInformation%20forged");
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
        Assert.Contains(@"a\u000aInformation forged", Assert.Single(setup.Audit.Lines), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, null, "application/x-www-form-urlencoded", "Mqtt5-Admin")]
    [InlineData(null, null, "text/plain", "Mqtt5-Admin")]
    [InlineData("https://evil.example", null, "application/json", "Origin")]
    [InlineData("null", null, "application/json", "Origin")]
    [InlineData(null, "cross-site", "application/json", "Sec-Fetch-Site")]
    [InlineData(null, "same-site", "application/json", "Sec-Fetch-Site")]
    public async Task A_page_of_another_site_changes_nothing(string? origin, string? site, string contentType, string where)
    {
        await using var setup = await AdminSetup.StartAsync();
        using var client = setup.Client(MqttAdminRole.Administrator);
        using var request = new HttpRequestMessage(HttpMethod.Post, "publish");
        request.Content = new StringContent("""{"topic":"t","payload":"x","retain":true}""", Encoding.UTF8, contentType);

        if (origin is not null)
            request.Headers.Add("Origin", origin);

        if (site is not null)
            request.Headers.Add("Sec-Fetch-Site", site);

        using var answer = await client.SendAsync(request);
        Assert.Equal(where, await AdminSetup.ProblemAsync(answer, HttpStatusCode.Forbidden));
        Assert.Equal(0, setup.Broker.Inspection.Overview().Retained);
    }

    [Fact]
    public async Task A_page_of_its_own_site_may_change()
    {
        await using var setup = await AdminSetup.StartAsync();
        using var client = setup.Client(MqttAdminRole.Operator);
        using var request = new HttpRequestMessage(HttpMethod.Post, "publish");
        request.Content = new StringContent("""{"topic":"t","payload":"x","retain":true}""", Encoding.UTF8, "application/json");
        request.Headers.Add("Origin", setup.Server.Address.GetLeftPart(UriPartial.Authority));
        request.Headers.Add("Sec-Fetch-Site", "same-origin");
        using var answer = await client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(1, setup.Broker.Inspection.Overview().Retained);
    }

    [Theory]
    [InlineData("rebound.example", HttpStatusCode.Forbidden)]
    [InlineData("192.0.2.7", HttpStatusCode.Forbidden)]
    [InlineData("localhost", HttpStatusCode.OK)]
    [InlineData("127.0.0.1", HttpStatusCode.OK)]
    [InlineData("plant.example", HttpStatusCode.OK)]
    public async Task Only_its_own_names_are_answered(string host, HttpStatusCode status)
    {
        await using var setup = await AdminSetup.StartAsync(configureAdmin: options => options.HostNames.Add("plant.example"));
        using var client = setup.Client(MqttAdminRole.Viewer);
        using var request = new HttpRequestMessage(HttpMethod.Get, "overview");
        request.Headers.Host = $"{host}:{setup.Server.Address.Port}";
        using var answer = await client.SendAsync(request);
        Assert.Equal(status, answer.StatusCode);
    }

    [Fact]
    public async Task A_token_is_exchanged_for_a_cookie_that_is_good_from_one_address_until_it_is_given_back()
    {
        await using var setup = await AdminSetup.StartAsync();
        using var wrong = await setup.ChangeAsync(null, HttpMethod.Post, "login", """{"token":"0123456789012345678901234567890"}""");
        Assert.Equal("token", await AdminSetup.ProblemAsync(wrong, HttpStatusCode.Unauthorized));
        Assert.False(wrong.Headers.Contains("Set-Cookie"));
        using var signedIn = await setup.ChangeAsync(null, HttpMethod.Post, "login", $$"""{"token":"{{setup.TokenOf(MqttAdminRole.Operator)}}"}""");
        Assert.Equal(HttpStatusCode.NoContent, signedIn.StatusCode);
        var set = Assert.Single(signedIn.Headers.GetValues("Set-Cookie"));
        Assert.Contains("httponly", set, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=strict", set, StringComparison.OrdinalIgnoreCase);
        var cookie = set[..set.IndexOf(';', StringComparison.Ordinal)];
        Assert.DoesNotContain(setup.TokenOf(MqttAdminRole.Operator), cookie, StringComparison.Ordinal);

        Assert.Equal(HttpStatusCode.OK, await AskAsync(HttpMethod.Get, "overview"));
        Assert.Equal(HttpStatusCode.NotFound, await AskAsync(HttpMethod.Delete, "clients/absent"));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(HttpMethod.Delete, "sessions/absent"));

        // The same cookie from another address of this machine.
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux has all addresses of 127.0.0.0/8");
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(HttpMethod.Get, "overview", "127.0.0.2"));
        Assert.Equal(HttpStatusCode.NoContent, await AskAsync(HttpMethod.Post, "logout"));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(HttpMethod.Get, "overview"));

        async Task<HttpStatusCode> AskAsync(HttpMethod method, string path, string? from = null)
        {
            using var client = setup.Client(null, from);
            using var request = new HttpRequestMessage(method, path);
            request.Headers.Add("Cookie", cookie);
            request.Headers.Add("Mqtt5-Admin", "1");
            using var answer = await client.SendAsync(request);
            return answer.StatusCode;
        }
    }

    [Fact]
    public async Task Attempts_to_sign_in_are_limited()
    {
        await using var setup = await AdminSetup.StartAsync();
        var statuses = new List<HttpStatusCode>();

        foreach (var _ in Enumerable.Range(0, 40))
        {
            using var answer = await setup.ChangeAsync(null, HttpMethod.Post, "login", """{"token":"guess"}""");
            statuses.Add(answer.StatusCode);

            if (answer.StatusCode == HttpStatusCode.TooManyRequests)
                return;
        }

        // 40 attempts in five a second take longer than any machine needs for them.
        Assert.Fail(string.Join(' ', statuses));
    }

    [Fact]
    public async Task The_tokens_are_for_their_owner_and_stay_the_same()
    {
        await using var setup = await AdminSetup.StartAsync();
        Assert.Equal(setup.TokenOf(MqttAdminRole.Administrator), setup.Server.CreatedToken);
        var options = new MqttAdminServerOptions { Port = 0, TokenFile = setup.TokenFile };

        await using (var second = await MqttAdminServer.StartAsync(setup.Broker, options))
            Assert.Null(second.CreatedToken);

        if (OperatingSystem.IsWindows())
            return;

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(setup.TokenFile));
        File.SetUnixFileMode(setup.TokenFile, UnixFileMode.UserRead | UnixFileMode.GroupRead);
        var shared = await Assert.ThrowsAsync<IOException>(() => MqttAdminServer.StartAsync(setup.Broker, options));
        Assert.Contains("chmod 600", shared.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "there is no token")]
    [InlineData("guest 0123456789012345678901234567890", "line 1: it is no role")]
    [InlineData("viewer", "line 1: it is no role")]
    [InlineData("# mine\nviewer short", "line 2: the token has fewer than 20 characters")]
    public async Task A_file_of_tokens_that_cannot_be_used_is_told_without_the_token(string text, string complaint)
    {
        await using var setup = await AdminSetup.StartAsync();
        await File.WriteAllTextAsync(setup.TokenFile, text);
        var failure = await Assert.ThrowsAsync<IOException>(() => MqttAdminServer.StartAsync(setup.Broker, new MqttAdminServerOptions { Port = 0, TokenFile = setup.TokenFile }));
        Assert.Contains(complaint, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("0123456789", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("short", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task In_an_application_the_login_of_the_application_counts_and_without_one_nothing_is_told()
    {
        await using var application = await ApplicationAsync();
        using var client = new HttpClient { BaseAddress = new Uri(application.Urls.First()) };
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync("/open/overview"));
        Assert.Equal(HttpStatusCode.OK, await AskAsync("/open/health/ready"));
        Assert.Equal(HttpStatusCode.OK, await AskAsync("/anonymous/overview"));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync("/admin/overview"));
        client.DefaultRequestHeaders.Add("X-User", "anna");
        Assert.Equal(HttpStatusCode.OK, await AskAsync("/admin/overview"));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync("/open/overview"));
        client.DefaultRequestHeaders.Add("Mqtt5-Admin", "1");
        using var denied = await client.DeleteAsync("/admin/sessions/absent");
        Assert.Equal(HttpStatusCode.Forbidden, denied.StatusCode);

        async Task<HttpStatusCode> AskAsync(string path)
        {
            using var answer = await client.GetAsync(path);
            return answer.StatusCode;
        }
    }

    private static async Task<WebApplication> ApplicationAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.Services.AddRoutingCore();
        builder.Services.AddMqttBroker(options => options.SystemTopicsInterval = TimeSpan.Zero);
        builder.Services.AddAuthentication("header").AddScheme<AuthenticationSchemeOptions, HeaderHandler>("header", null);
        builder.Services.AddAuthorizationBuilder()
            .AddPolicy("operators", policy => policy.RequireAuthenticatedUser())
            .AddPolicy("chiefs", policy => policy.RequireRole("chief"));
        var application = builder.Build();
        application.UseAuthentication();
        application.UseAuthorization();
        application.MapMqttAdmin("/open");
        application.MapMqttAdmin("/anonymous").AllowAnonymous();
        application.MapMqttAdmin("/admin", options => options.AdministratorPolicy = "chiefs").RequireAuthorization("operators");
        await application.StartAsync().Bounded();
        return application;
    }

    private sealed class HeaderHandler(
        Microsoft.Extensions.Options.IOptionsMonitor<AuthenticationSchemeOptions> options,
        Microsoft.Extensions.Logging.ILoggerFactory logger,
        System.Text.Encodings.Web.UrlEncoder encoder) : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
    {
        protected override Task<AuthenticateResult> HandleAuthenticateAsync() =>
            Task.FromResult(Request.Headers["X-User"].ToString() is { Length: > 0 } name
                ? AuthenticateResult.Success(new AuthenticationTicket(
                    new System.Security.Claims.ClaimsPrincipal(new System.Security.Claims.ClaimsIdentity([new System.Security.Claims.Claim(System.Security.Claims.ClaimTypes.Name, name)], "header")), "header"))
                : AuthenticateResult.NoResult());
    }
}
