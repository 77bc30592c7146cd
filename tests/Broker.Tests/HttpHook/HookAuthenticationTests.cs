using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Mqtt5.BrokerTests.HttpHook;

// What the server of an HTTP hook is asked about a client that connects, and what its answers do.
public sealed class HookAuthenticationTests
{
    [Fact]
    public async Task The_question_has_what_the_client_sent_and_the_headers()
    {
        await using var setup = await HookBroker.StartAsync(hook => hook.Headers["Authorization"] = "Bearer for-the-hook");
        await setup.TryAsync(password: "p\\\"ä");
        var request = Assert.Single(setup.Server.Requests);
        Assert.Equal(("POST", "/connect", "Bearer for-the-hook", "application/json"), (request.Method, request.Path, request.Authorization, request.ContentType));
        var body = JsonDocument.Parse(request.Body).RootElement;
        Assert.Equal(
            ["clientId", "userName", "password", "certificate", "address", "listener"], body.EnumerateObject().Select(member => member.Name));
        Assert.Equal("c", body.GetProperty("clientId").GetString());
        Assert.Equal("anna", body.GetProperty("userName").GetString());
        Assert.Equal("p\"ä", body.GetProperty("password").GetString());
        Assert.Equal(JsonValueKind.Null, body.GetProperty("certificate").ValueKind);
        // Without the port, so that the answer is found when the client connects again.
        Assert.Equal("127.0.0.1", body.GetProperty("address").GetString());
        Assert.Equal(JsonValueKind.Null, body.GetProperty("listener").ValueKind);
    }

    [Fact]
    public async Task A_password_that_is_no_text_is_sent_in_base_64()
    {
        await using var setup = await HookBroker.StartAsync();
        await using var client = await RawClient.OpenAsync(setup.Broker);
        // CONNECT with the user name "a" and the password FF FE.
        await client.SendAsync(Convert.FromHexString("10150004" + "4D515454" + "05C20000" + "00" + "000163" + "000161" + "0002FFFE"));
        await client.ExpectStartAsync("CONNACK rc=Success");
        var body = JsonDocument.Parse(Assert.Single(setup.Server.Requests).Body).RootElement;
        Assert.Equal("//4=", body.GetProperty("passwordBase64").GetString());
        Assert.False(body.TryGetProperty("password", out _));
    }

    [Fact]
    public async Task The_certificate_and_the_listener_are_told()
    {
        using var certificates = new TestCertificates();
        await using var setup = await HookBroker.StartAsync(configure: options => options.ListenTls(
            0, new MqttServerTlsOptions { Certificate = certificates.Server, ClientAuthorities = [certificates.Authority] }, name: "devices"));
        var client = Brokers.For(setup.Broker, "mqtts", "c");
        client.Tls.CertificateAuthorities.Add(certificates.Authority);
        client.Tls.ClientCertificates.Add(certificates.Client);
        await using var connected = await MqttClient.ConnectAsync(client).Bounded();
        var body = JsonDocument.Parse(Assert.Single(setup.Server.Requests).Body).RootElement;
        Assert.Equal("devices", body.GetProperty("listener").GetString());
        Assert.Equal(certificates.Client.Subject, body.GetProperty("certificate").GetProperty("subject").GetString());
        Assert.Equal(certificates.Client.GetCertHashString(HashAlgorithmName.SHA256), body.GetProperty("certificate").GetProperty("thumbprint").GetString());
    }

    [Theory]
    [InlineData("""{"allow":true}""", "anna")]
    [InlineData("""{"allow":true,"userName":"Anna Berg","more":[1,{}]}""", "Anna Berg")]
    public async Task An_answer_that_allows_names_the_user(string answer, string owner)
    {
        await using var setup = await HookBroker.StartAsync();
        setup.Server.Say(answer);
        await using var five = await setup.ConnectAsync(clientId: "five");
        await using var older = await setup.ConnectAsync(clientId: "older", version: ProtocolVersion.V311);
        Assert.Equal([owner, owner], setup.Broker.Inspection.Clients(10).Items.Select(client => client.Owner));
    }

    [Fact]
    public async Task A_client_without_a_name_is_anonymous()
    {
        await using var setup = await HookBroker.StartAsync();
        await using var client = await RawClient.ConnectAsync(setup.Broker, "CONNECT clean=1 clientid=\"c\"", "CONNACK rc=Success");
        Assert.Null(Assert.Single(setup.Broker.Inspection.Clients(10).Items).Owner);
        // A time needs a name that has to authenticate again.
        setup.Server.Say($$"""{"allow":true,"expiresAt":"{{setup.Time.GetUtcNow().AddHours(1):O}}"}""");
        await using var timed = await RawClient.ConnectAsync(setup.Broker, "CONNECT clean=1 clientid=\"d\"", "CONNACK rc=ServerUnavailable");
    }

    [Fact]
    public async Task An_answer_that_denies_refuses()
    {
        await using var setup = await HookBroker.StartAsync();
        setup.Server.Say("""{"allow":false,"userName":"anna"}""");
        await setup.TryAsync("CONNACK rc=BadUserNameOrPassword");
    }

    [Fact]
    public async Task A_client_is_disconnected_when_its_answer_expires()
    {
        await using var setup = await HookBroker.StartAsync();
        setup.Server.Say($$"""{"allow":true,"expiresAt":"{{setup.Time.GetUtcNow().AddSeconds(40):O}}"}""");
        await using var client = await setup.ConnectAsync();
        setup.Time.Advance(TimeSpan.FromSeconds(30));
        await client.ExpectNothingAsync();
        setup.Time.Advance(TimeSpan.FromSeconds(15));
        setup.Time.Advance(TimeSpan.FromSeconds(1));
        await client.ExpectDisconnectAsync(ReasonCode.NotAuthorized);
        // It is not taken from the cache any more; the server says the same, which is over.
        await setup.TryAsync("CONNACK rc=NotAuthorized");
        Assert.Equal(2, setup.Server.Requests.Count);
    }

    [Fact]
    public async Task Enhanced_authentication_is_refused_without_a_question()
    {
        await using var setup = await HookBroker.StartAsync();
        await using var client = await RawClient.ConnectAsync(
            setup.Broker, "CONNECT clean=1 clientid=\"c\" props{AuthenticationMethod=\"SCRAM-SHA-256\"}", "CONNACK rc=BadAuthenticationMethod");
        Assert.Empty(setup.Server.Requests);
    }

    [Theory]
    [InlineData(404, """{"allow":true}""")]
    [InlineData(500, """{"allow":true}""")]
    [InlineData(201, """{"allow":true}""")]
    [InlineData(200, "")]
    [InlineData(200, "null")]
    [InlineData(200, "{}")]
    [InlineData(200, """{"allow":"yes"}""")]
    [InlineData(200, """{"allow":true,"allow":true}""")]
    [InlineData(200, """{"allow":true""")]
    [InlineData(200, """{"allow":true,"userName":"a\u0000b"}""")]
    [InlineData(200, """{"allow":true,"expiresAt":"soon"}""")]
    [InlineData(200, """{"allow":true,"rules":["allow all a/#\nuser otto"]}""")]
    [InlineData(200, """{"allow":true,"rules":["user otto"]}""")]
    [InlineData(200, """{"allow":true,"rules":["allow all a/%z"]}""")]
    [InlineData(200, """{"allow":true,"rules":[null]}""")]
    public async Task What_is_no_answer_refuses_with_0x88_and_is_asked_again(int status, string text)
    {
        await using var setup = await HookBroker.StartAsync();
        setup.Server.Answer = (context, _) =>
        {
            context.Response.StatusCode = status;
            return context.Response.WriteAsync(text);
        };
        await setup.TryAsync("CONNACK rc=ServerUnavailable");
        await setup.TryAsync("CONNACK rc=ServerUnavailable");
        Assert.Equal(2, setup.Server.Requests.Count);
    }

    [Fact]
    public async Task A_redirect_is_not_followed()
    {
        await using var setup = await HookBroker.StartAsync();
        setup.Server.Answer = (context, _) =>
        {
            context.Response.Redirect("/elsewhere", permanent: false, preserveMethod: true);
            return Task.CompletedTask;
        };
        await setup.TryAsync("CONNACK rc=ServerUnavailable");
        Assert.Equal("/connect", Assert.Single(setup.Server.Requests).Path);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_answer_has_a_maximum_of_bytes(bool isAnnounced)
    {
        await using var setup = await HookBroker.StartAsync(hook => hook.MaximumAnswerBytes = 100);

        async Task AnswerAsync(HttpContext context, int bytes)
        {
            var text = """{"allow":true}""".PadRight(bytes);
            context.Response.ContentLength = isAnnounced ? bytes : null;
            await context.Response.WriteAsync(text[..50]);
            await context.Response.WriteAsync(text[50..]);
        }

        setup.Server.Answer = (context, _) => AnswerAsync(context, 101);
        await setup.TryAsync("CONNACK rc=ServerUnavailable");
        setup.Server.Answer = (context, _) => AnswerAsync(context, 100);
        await setup.TryAsync();
    }

    [Fact]
    public async Task A_server_that_is_late_or_away_refuses_with_0x88()
    {
        await using var setup = await HookBroker.StartAsync();
        var asked = new TaskCompletionSource();
        setup.Server.Answer = async (context, _) =>
        {
            asked.SetResult();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        };
        await using var client = await RawClient.OpenAsync(setup.Broker);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\" username=\"anna\" password=\"secret\"");
        await asked.Task.Bounded();
        setup.Time.Advance(TimeSpan.FromSeconds(61));
        await client.ExpectStartAsync("CONNACK rc=ServerUnavailable");
        await setup.Server.DisposeAsync();
        await setup.TryAsync("CONNACK rc=ServerUnavailable");
    }

    [Fact]
    public async Task No_password_and_no_token_is_logged()
    {
        await using var setup = await HookBroker.StartAsync(hook => hook.Headers["Authorization"] = "Bearer 0p3n-s3sam3");
        setup.Server.Answer = (context, body) => context.Response.WriteAsync(body.GetProperty("password").GetString() + " " + context.Request.Headers.Authorization);
        await setup.TryAsync("CONNACK rc=ServerUnavailable", password: "very-s3cret");
        setup.Server.Answer = (context, body) => context.Response.WriteAsJsonAsync(new { allow = true, rules = new[] { body.GetProperty("password").GetString() } });
        await setup.TryAsync("CONNACK rc=ServerUnavailable", password: "very-s3cret");
        await setup.Server.DisposeAsync();
        await setup.TryAsync("CONNACK rc=ServerUnavailable", password: "very-s3cret");
        await Waits.UntilAsync(() => setup.Log.Entries.Count(entry => entry.Contains("the HTTP hook gave no answer", StringComparison.Ordinal)) == 3);
        Assert.DoesNotContain(setup.Log.Entries, entry => entry.Contains("s3cret", StringComparison.Ordinal) || entry.Contains("s3sam3", StringComparison.Ordinal));
    }
}
