using System.Security.Claims;
using System.Security.Cryptography;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Mqtt5.AspNetCore;

namespace Mqtt5.BrokerTests.AspNetCore;

using Claim = System.Security.Claims.Claim;

// Clients that authenticate by tokens, which the scheme of JwtBearer validates.
public sealed class TokenTests
{
    private const string Refused = "CONNACK rc=BadUserNameOrPassword";

    [Fact]
    public async Task A_valid_token_is_accepted_as_Password_in_each_version_and_by_method()
    {
        await using var setup = await TokenBroker.StartAsync();
        await using var five = await setup.ConnectAsync(setup.Issuer.Token(), clientId: "five");
        await using var older = await setup.ConnectAsync(setup.Issuer.Token(), clientId: "older", version: ProtocolVersion.V311);
        await using var byMethod = await setup.ConnectByMethodAsync(setup.Issuer.Token());
        Assert.Equal(["anna", "anna", "anna"], setup.Broker.Inspection.Clients(10).Items.Select(client => client.Owner));
    }

    [Fact]
    public async Task A_token_of_eight_kilobytes_fits_the_default_limits()
    {
        await using var setup = await TokenBroker.StartAsync();
        var token = setup.Issuer.Token(claims: new Claim("groups", new string('g', 6_000)));
        Assert.InRange(token.Length, 8_000, 10_000);
        await using var client = await setup.ConnectAsync(token);
        await using var byMethod = await setup.ConnectByMethodAsync(token);
    }

    [Fact]
    public async Task A_token_that_is_not_valid_is_refused()
    {
        await using var setup = await TokenBroker.StartAsync(tokens: options => options.MaximumTokenBytes = 4_096);
        using var other = RSA.Create(2048);
        var issuer = setup.Issuer;
        var tokens = new Dictionary<string, string>
        {
            ["expired"] = issuer.Token(expires: DateTime.UtcNow.AddMinutes(-1)),
            ["audience"] = issuer.Token(audience: "another"),
            ["signature"] = issuer.Token(signedBy: other),
            ["changed"] = issuer.Token()[..^4] + "AAAA",
            ["none"] = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm5hIn0.",
            ["text"] = "secret",
            ["empty"] = "",
            ["two headers"] = issuer.Token() + " x",
            ["long"] = issuer.Token(claims: new Claim("long", new string('x', 5_000))),
        };

        foreach (var (_, token) in tokens)
        {
            await using var plain = await setup.ConnectAsync(token, Refused);
            await using var byMethod = await setup.ConnectByMethodAsync(token, "CONNACK rc=NotAuthorized");
        }

        await using var without = await RawClient.ConnectAsync(setup.Broker, "CONNECT clean=1 clientid=\"c\"", Refused);
        await using var noName = await setup.ConnectAsync(issuer.Token(user: null), "CONNACK rc=NotAuthorized");
        await using var method = await RawClient.ConnectAsync(
            setup.Broker, "CONNECT clean=1 clientid=\"c\" props{AuthenticationMethod=\"SCRAM-SHA-256\"}", "CONNACK rc=BadAuthenticationMethod");
        await using var right = await setup.ConnectAsync(issuer.Token());
    }

    [Fact]
    public async Task Keys_that_were_rotated_are_fetched()
    {
        await using var setup = await TokenBroker.StartAsync();
        await using var before = await setup.ConnectAsync(setup.Issuer.Token(), clientId: "before");
        var old = setup.Issuer.Token();
        setup.Issuer.RotateKey();
        var accepted = false;

        // The scheme fetches the keys after a token has named one that it does not know, at most once a second.
        for (var attempt = 0; attempt < 100 && !accepted; attempt++)
        {
            await using var after = await setup.ConnectAsync(setup.Issuer.Token(), "CONNACK", clientId: "after");
            accepted = setup.Broker.Sessions.Any(session => session.ClientId == "after");
            await Task.Delay(accepted ? 0 : 100);
        }

        Assert.True(accepted, "a token of the new key is accepted");
        await using var withdrawn = await setup.ConnectAsync(old, Refused, clientId: "old");
    }

    [Fact]
    public async Task While_the_keys_cannot_be_fetched_no_token_is_accepted()
    {
        await using var setup = await TokenBroker.StartAsync();
        setup.Issuer.IsDown = true;
        await using var client = await setup.ConnectAsync(setup.Issuer.Token(), Refused);
    }

    [Fact]
    public async Task A_token_that_expires_ends_the_connection_with_0x87()
    {
        await using var setup = await TokenBroker.StartAsync();
        await using var five = await setup.ConnectAsync(setup.Issuer.Token(), clientId: "five");
        await using var older = await setup.ConnectAsync(setup.Issuer.Token(), clientId: "older", version: ProtocolVersion.V311);
        setup.Time.Advance(TimeSpan.FromMinutes(59));
        await five.ExpectNothingAsync();
        await older.ExpectNothingAsync();
        await MoveAsync(setup, TimeSpan.FromMinutes(2));
        await five.ExpectDisconnectAsync(ReasonCode.NotAuthorized);
        await older.ExpectCutAsync();
        // The token would still be valid by the clock of the scheme.
        await using var late = await setup.ConnectAsync(setup.Issuer.Token(), "CONNACK rc=NotAuthorized");
    }

    [Fact]
    public async Task Tolerance_of_expiry_is_added()
    {
        await using var setup = await TokenBroker.StartAsync(tokens: options => options.ExpiryTolerance = TimeSpan.FromMinutes(5));
        await using var client = await setup.ConnectAsync(setup.Issuer.Token());
        await MoveAsync(setup, TimeSpan.FromMinutes(62));
        await client.ExpectNothingAsync();
        await MoveAsync(setup, TimeSpan.FromMinutes(4));
        await client.ExpectDisconnectAsync(ReasonCode.NotAuthorized);
    }

    [Fact]
    public async Task A_new_token_by_re_authentication_keeps_the_connection()
    {
        await using var setup = await TokenBroker.StartAsync();
        await using var client = await setup.ConnectByMethodAsync(setup.Issuer.Token());
        await MoveAsync(setup, TimeSpan.FromMinutes(50));
        await client.SendAsync($"AUTH rc=ReAuthenticate {TokenBroker.Method(setup.Issuer.Token(expires: DateTime.UtcNow.AddHours(2)))}");
        await client.ExpectStartAsync("AUTH rc=Success");
        await MoveAsync(setup, TimeSpan.FromMinutes(60));
        await client.ExpectNothingAsync();
        await MoveAsync(setup, TimeSpan.FromMinutes(15));
        await client.ExpectDisconnectAsync(ReasonCode.NotAuthorized);
    }

    [Theory]
    [InlineData("otto", 60)]
    [InlineData("anna", -60)]
    public async Task Another_user_or_an_expired_token_at_re_authentication_ends_the_connection(string user, int minutes)
    {
        await using var setup = await TokenBroker.StartAsync();
        await using var client = await setup.ConnectByMethodAsync(setup.Issuer.Token());
        await client.SendAsync($"AUTH rc=ReAuthenticate {TokenBroker.Method(setup.Issuer.Token(user, DateTime.UtcNow.AddMinutes(minutes)))}");
        await client.ExpectDisconnectAsync(ReasonCode.NotAuthorized);
    }

    [Fact]
    public async Task The_client_of_this_project_shows_its_tokens()
    {
        await using var setup = await TokenBroker.StartAsync();
        var shown = 0;
        var options = Brokers.For(setup.Broker, "mqtt", "c");
        options.Authenticator = new TokenAuthenticator("OAUTH2-JWT", _ => new(setup.Issuer.Token(expires: DateTime.UtcNow.AddHours(++shown))));
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        await client.ReauthenticateAsync().Bounded();
        Assert.Equal(2, shown);
        Assert.Equal("anna", Assert.Single(setup.Broker.Inspection.Clients(10).Items).Owner);
    }

    [Fact]
    public async Task The_claim_with_the_name_can_be_chosen()
    {
        await using var setup = await TokenBroker.StartAsync(tokens: options => options.NameClaim = "client_id");
        await using var client = await setup.ConnectAsync(setup.Issuer.Token(claims: new Claim("client_id", "gauge-7")));
        Assert.Equal("gauge-7", Assert.Single(setup.Broker.Inspection.Clients(10).Items).Owner);
    }

    [Fact]
    public async Task A_client_certificate_goes_to_its_scheme()
    {
        await using var application = new ServiceCollection().AddLogging().AddAuthentication()
            .AddScheme<AuthenticationSchemeOptions, CertificateScheme>("Certificate", null).Services.BuildServiceProvider();
        var options = new MqttBrokerOptions();
        options.AuthenticateByToken(application, tokens => tokens.CertificateScheme = "Certificate");
        using var certificates = new TestCertificates();
        var connect = ((Packet.Connect)Notation.Parse("CONNECT clientid=\"c\"").ResultValue).Connect;
        var shown = new MqttAuthenticationContext(connect, "127.0.0.1:7", certificates.Client, false);
        var accepted = await options.Authenticator!.AuthenticateAsync(shown, CancellationToken.None);
        Assert.Equal((ReasonCode.Success, "CN=client"), (accepted.Reason, accepted.UserName));
        var without = new MqttAuthenticationContext(connect, null, null, false);
        Assert.Equal(ReasonCode.BadUserNameOrPassword, (await options.Authenticator.AuthenticateAsync(without, CancellationToken.None)).Reason);
    }

    [Fact]
    public void What_is_missing_is_named()
    {
        using var empty = new ServiceCollection().BuildServiceProvider();
        var options = new MqttBrokerOptions();
        Assert.Contains("AddAuthentication", Assert.Throws<InvalidOperationException>(() => options.AuthenticateByToken(empty)).Message, StringComparison.Ordinal);
        Assert.Contains("AddAuthorization", Assert.Throws<InvalidOperationException>(() => options.AuthorizeByPolicies(empty, _ => { })).Message, StringComparison.Ordinal);
        using var filled = new ServiceCollection().AddLogging().AddAuthorization().AddAuthentication().Services.BuildServiceProvider();
        Assert.Throws<ArgumentException>(() => options.AuthorizeByPolicies(filled, _ => { }));
        Assert.Throws<ArgumentOutOfRangeException>(() => options.AuthenticateByToken(filled, tokens => tokens.MaximumTokenBytes = 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => options.AuthenticateByToken(filled, tokens => tokens.ExpiryTolerance = TimeSpan.FromTicks(-1)));
    }

    // After the pause that the broker sees in a large step, it looks at what is due once a few sweeps have passed.
    private static async Task MoveAsync(TokenBroker setup, TimeSpan by)
    {
        setup.Time.Advance(by);

        for (var sweep = 0; sweep < 10; sweep++)
        {
            setup.Time.Advance(TimeSpan.FromMilliseconds(250));
            await Task.Delay(5);
        }
    }

    private sealed class CertificateScheme(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers, UrlEncoder encoder)
        : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
    {
        protected override Task<AuthenticateResult> HandleAuthenticateAsync()
        {
            var identity = new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, Context.Connection.ClientCertificate!.Subject)], Scheme.Name);
            return Task.FromResult(AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), Scheme.Name)));
        }
    }
}
