using System.Security.Cryptography;
using System.Text;
using Mqtt5.Authentications;

namespace Mqtt5.Client.Tests;

public sealed class AuthenticationTests
{
    private const string Scram = "SCRAM-SHA-256";

    [Fact]
    public async Task SCRAM_gives_the_messages_of_RFC_7677()
    {
        var exchange = new ScramExchange("user", "pencil", 4096, 4096, "rOprNGfwEbeRWgbNEkqO");
        Assert.Equal("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", Text(await exchange.StartAsync(default)));
        var serverFirst = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"u8.ToArray();
        Assert.Equal(
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            Text(await exchange.ContinueAsync(serverFirst, default)));
        await exchange.CompleteAsync("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="u8.ToArray(), default);
    }

    [Theory]
    [InlineData("r=other,s=AAAA,i=4096")]
    [InlineData("r=nonce,s=AAAA,i=4096")]
    [InlineData("r=nonceX,s=AAAA,i=1")]
    [InlineData("r=nonceX,s=AAAA,i=999999999")]
    [InlineData("r=nonceX,s=!,i=4096")]
    [InlineData("m=ext,r=nonceX,s=AAAA,i=4096")]
    [InlineData("")]
    public async Task SCRAM_refuses_a_first_message_that_is_wrong(string serverFirst)
    {
        var exchange = new ScramExchange("user", "pencil", 4096, 10_000, "nonce");
        await exchange.StartAsync(default);
        await Assert.ThrowsAnyAsync<Exception>(async () => await exchange.ContinueAsync(Encoding.UTF8.GetBytes(serverFirst), default));
        await Assert.ThrowsAnyAsync<Exception>(async () => await exchange.CompleteAsync("v=AAAA"u8.ToArray(), default));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task SCRAM_connects_and_authenticates_again(bool finalInAuth)
    {
        await using var world = new World(options => options.Authenticator = new ScramSha256Authenticator("us,er", "pencil"));
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        var connect = (await peer.ExpectAsync<Packet.Connect>()).Connect;
        Assert.Equal(Scram, connect.Properties.Authentication.Value.Method.Text);
        var final = await ChallengeAsync(peer, connect.Properties.Authentication.Value);

        if (finalInAuth)
        {
            await peer.SendAsync(AuthOf(ReasonCode.ContinueAuthentication, final));
            Assert.True((await peer.ExpectAsync<Packet.Auth>()).Auth.Authentication.Data.IsNone);
        }

        await peer.SendAsync(Packet.NewConnack(new Connack(
            false, ReasonCode.Success, new ConnackBuilder { Authentication = (Scram, finalInAuth ? null : final) }.Build())));
        await opening.Bounded();

        var again = world.Client.ReauthenticateAsync();
        var auth = (await peer.ExpectAsync<Packet.Auth>()).Auth;
        Assert.Equal(ReasonCode.ReAuthenticate, auth.Reason);
        final = await ChallengeAsync(peer, auth.Authentication);
        await Waits.StaysAsync(again);
        await peer.SendAsync(AuthOf(ReasonCode.Success, final));
        await again.Bounded();
    }

    [Fact]
    public async Task A_server_that_does_not_prove_itself_is_not_trusted()
    {
        await using var world = new World(options => options.Authenticator = new ScramSha256Authenticator("user", "pencil"));
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        var connect = (await peer.ExpectAsync<Packet.Connect>()).Connect;
        await ChallengeAsync(peer, connect.Properties.Authentication.Value);
        await peer.SendAsync(Packet.NewConnack(new Connack(
            false, ReasonCode.Success, new ConnackBuilder { Authentication = (Scram, "v=AAAA"u8.ToArray()) }.Build())));
        await peer.ExpectAsync<Packet.Disconnect>();
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => opening.Bounded());
        Assert.Equal(ReasonCode.NotAuthorized, failed.Reason);
        Assert.DoesNotContain("pencil", failed.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_is_asked_for_at_each_connection_and_re_authentication()
    {
        var number = 0;
        await using var world = new World(options => options.Authenticator =
            new TokenAuthenticator("OAUTH2-JWT", _ => ValueTask.FromResult($"token {++number}")));
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        var connect = await peer.AcceptAsync(properties: new ConnackBuilder { Authentication = ("OAUTH2-JWT", null) }.Build());
        Assert.Equal("token 1", Text(connect.Properties.Authentication.Value.Data.Value.Reveal.Memory));
        await opening.Bounded();
        var again = world.Client.ReauthenticateAsync();
        var auth = (await peer.ExpectAsync<Packet.Auth>()).Auth;
        Assert.Equal("token 2", Text(auth.Authentication.Data.Value.Reveal.Memory));
        await peer.SendAsync(Packet.NewAuth(new Auth(
            ReasonCode.Success, ConnackBuilder.AuthenticationOf("OAUTH2-JWT", null), default, UserProperties.Empty)));
        await again.Bounded();
    }

    [Fact]
    public async Task A_re_authentication_can_be_cancelled_and_needs_an_authenticator()
    {
        await using var world = new World();
        await world.OpenAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(() => world.Client.ReauthenticateAsync());

        await using var other = new World(options => options.Authenticator =
            new TokenAuthenticator("T", _ => ValueTask.FromResult("token")));
        var opening = other.Client.OpenAsync();
        var peer = await other.NextPeerAsync();
        await peer.AcceptAsync(properties: new ConnackBuilder { Authentication = ("T", null) }.Build());
        await opening.Bounded();
        using var cancellation = new CancellationTokenSource();
        var again = other.Client.ReauthenticateAsync(cancellation.Token);
        await peer.ExpectAsync<Packet.Auth>();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => again.Bounded());
    }

    // Plays the server of RFC 5802 for the password pencil, and gives its last message.
    private static async Task<byte[]> ChallengeAsync(Peer peer, Authentication first)
    {
        var clientFirstBare = Text(first.Data.Value.Reveal.Memory)[3..];
        var nonce = clientFirstBare[(clientFirstBare.IndexOf("r=", StringComparison.Ordinal) + 2)..] + "server";
        byte[] salt = [1, 2, 3, 4];
        var serverFirst = $"r={nonce},s={Convert.ToBase64String(salt)},i=4096";
        await peer.SendAsync(AuthOf(ReasonCode.ContinueAuthentication, Encoding.UTF8.GetBytes(serverFirst)));
        var clientFinal = Text((await peer.ExpectAsync<Packet.Auth>()).Auth.Authentication.Data.Value.Reveal.Memory);
        var split = clientFinal.LastIndexOf(",p=", StringComparison.Ordinal);
        var salted = Rfc2898DeriveBytes.Pbkdf2("pencil"u8, salt, 4096, HashAlgorithmName.SHA256, 32);
        var message = Encoding.UTF8.GetBytes($"{clientFirstBare},{serverFirst},{clientFinal[..split]}");
        var stored = SHA256.HashData(HMACSHA256.HashData(salted, "Client Key"u8));
        var signature = HMACSHA256.HashData(stored, message);
        var proof = Convert.FromBase64String(clientFinal[(split + 3)..]);
        Assert.Equal(stored, SHA256.HashData(proof.Select((b, i) => (byte)(b ^ signature[i])).ToArray()));
        var verifier = HMACSHA256.HashData(HMACSHA256.HashData(salted, "Server Key"u8), message);
        return Encoding.UTF8.GetBytes("v=" + Convert.ToBase64String(verifier));
    }

    private static Packet AuthOf(ReasonCode reason, byte[] data) =>
        Packet.NewAuth(new Auth(reason, ConnackBuilder.AuthenticationOf(Scram, data), default, UserProperties.Empty));

    private static string Text(ReadOnlyMemory<byte>? data) => Encoding.UTF8.GetString(data!.Value.Span);
}
