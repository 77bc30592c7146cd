using System.Text;
using Mqtt5.Signing;

namespace Mqtt5.BrokerTests;

// SCRAM-SHA-256 at the server, with the client of this project and step by step.
public sealed class ScramTests
{
    private const int Iterations = 4_096;

    [Fact]
    public async Task The_exchange_of_RFC_7677()
    {
        var credentials = MqttScramCredentials.Derive("pencil"u8, 4_096, Convert.FromBase64String("W22ZaJ0SNY7soEsUEjb6gQ=="));
        Assert.Equal("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=", Convert.ToBase64String(credentials.StoredKey.Span));
        Assert.Equal("wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", Convert.ToBase64String(credentials.ServerKey.Span));
        var context = Context("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        var challenge = await StepAsync(context, credentials, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        Assert.Equal(ReasonCode.ContinueAuthentication, challenge.Reason);
        Assert.Equal("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", Text(challenge));
        Answer(context, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        var accepted = await StepAsync(context, credentials);
        Assert.Equal(ReasonCode.Success, accepted.Reason);
        Assert.Equal("user", accepted.UserName);
        Assert.Equal("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", Text(accepted));
    }

    [Theory]
    [InlineData("")]
    [InlineData("n,,n=user")]
    [InlineData("n,,n=,r=abc")]
    [InlineData("n,,n=user,r=")]
    [InlineData("n,,n=us=er,r=abc")]
    [InlineData("n,,n=us=2cer,r=abc")]
    [InlineData("n,a=other,n=user,r=abc")]
    [InlineData("p=tls-exporter,,n=user,r=abc")]
    [InlineData("n,,m=ext,n=user,r=abc")]
    [InlineData("n,,n=user,r=a\u0001c")]
    public async Task A_first_message_that_is_wrong_is_refused(string first)
    {
        var credentials = MqttScramCredentials.Derive("pencil"u8, Iterations);
        Assert.Equal(ReasonCode.NotAuthorized, (await StepAsync(Context(first), credentials)).Reason);
    }

    [Theory]
    [InlineData("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVA=", ReasonCode.BadUserNameOrPassword)]
    [InlineData("c=eSws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", ReasonCode.NotAuthorized)]
    [InlineData("c=biws,r=rOprNGfwEbeRWgbNEkqO,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", ReasonCode.NotAuthorized)]
    [InlineData("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=AAAA", ReasonCode.NotAuthorized)]
    [InlineData("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", ReasonCode.NotAuthorized)]
    [InlineData("", ReasonCode.NotAuthorized)]
    public async Task A_last_message_that_is_wrong_is_refused(string last, ReasonCode reason)
    {
        var credentials = MqttScramCredentials.Derive("pencil"u8, 4_096, Convert.FromBase64String("W22ZaJ0SNY7soEsUEjb6gQ=="));
        var context = Context("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        await StepAsync(context, credentials, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        Answer(context, last);
        Assert.Equal(reason, (await StepAsync(context, credentials)).Reason);
        // What was begun is over: the same message again is no first one.
        Assert.Equal(ReasonCode.NotAuthorized, (await StepAsync(context, credentials)).Reason);
    }

    [Fact]
    public async Task Clause_MQTT_4_12_0_1_the_client_of_this_project_signs_in_and_again()
    {
        await using var broker = await StartAsync(("us,er=", "pencil"));
        var options = For(broker, "us,er=", "pencil");
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        await client.ReauthenticateAsync().Bounded();
        await client.ReauthenticateAsync().Bounded();
        await client.PublishAsync("us,er=/1", "mine", QoS.AtLeastOnce).Bounded();
        await Assert.ThrowsAsync<MqttRefusedException>(() => client.PublishAsync("other/1", "his", QoS.AtLeastOnce).Bounded());
    }

    [Theory]
    [InlineData("anna", "wrong")]
    [InlineData("nobody", "pencil")]
    public async Task A_wrong_name_or_password_is_refused_after_the_same_messages(string name, string password)
    {
        await using var broker = await StartAsync(("anna", "pencil"));
        var refused = await Assert.ThrowsAsync<MqttConnectException>(() => MqttClient.ConnectAsync(For(broker, name, password)).Bounded());
        Assert.Equal(ReasonCode.BadUserNameOrPassword, refused.Reason);
    }

    [Fact]
    public async Task An_unknown_name_gets_the_same_salt_each_time_and_as_many_iterations_as_others()
    {
        await using var broker = await StartAsync(("anna", "pencil"));
        var salts = new List<string>();

        for (var attempt = 0; attempt < 2; attempt++)
        {
            await using var client = await RawClient.OpenAsync(broker);
            await client.SendAsync($"CONNECT clean=1 clientid=\"c\" props{{AuthenticationMethod=\"SCRAM-SHA-256\", AuthenticationData=\"n,,n=nobody,r=abc\"}}");
            var parts = Encoding.UTF8.GetString((await ReadAuthAsync(client)).Span).Split(',');
            Assert.StartsWith("r=abc", parts[0], StringComparison.Ordinal);
            Assert.Equal($"i={Iterations}", parts[2]);
            salts.Add(parts[1]);
        }

        Assert.Equal(salts[0], salts[1]);
    }

    [Fact]
    public async Task Authenticating_again_under_another_name_ends_the_connection()
    {
        await using var broker = await StartAsync(("anna", "pencil"), ("otto", "paper"));
        var changing = new Changing { Name = "anna", Password = "pencil" };
        var options = For(broker, "anna", "pencil");
        options.Authenticator = changing;
        var gone = new TaskCompletionSource<ReasonCode?>();
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        client.Disconnected += (_, happened) => gone.TrySetResult(happened.Cause?.Reason);
        (changing.Name, changing.Password) = ("otto", "paper");
        await Assert.ThrowsAnyAsync<Exception>(() => client.ReauthenticateAsync().Bounded());
        Assert.Equal(ReasonCode.NotAuthorized, await gone.Task.Bounded());
    }

    [Fact]
    public async Task Clause_MQTT_4_12_1_2_a_wrong_password_the_second_time_ends_the_connection()
    {
        await using var broker = await StartAsync(("anna", "pencil"));
        var changing = new Changing { Name = "anna", Password = "pencil" };
        var options = For(broker, "anna", "pencil");
        options.Authenticator = changing;
        var gone = new TaskCompletionSource<ReasonCode?>();
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        client.Disconnected += (_, happened) => gone.TrySetResult(happened.Cause?.Reason);
        changing.Password = "wrong";
        await Assert.ThrowsAnyAsync<Exception>(() => client.ReauthenticateAsync().Bounded());
        // DISCONNECT has no Bad User Name or Password.
        Assert.Equal(ReasonCode.NotAuthorized, await gone.Task.Bounded());
    }

    [Fact]
    public async Task A_line_of_a_file_serves_plain_passwords_too_and_other_methods_are_refused()
    {
        await using var broker = await StartAsync(("anna", "pencil"));
        await using var plain = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"a\" username=\"anna\" password=\"pencil\"");
        await plain.ExpectNothingAsync();
        await using var wrong = await RawClient.ConnectAsync(
            broker, "CONNECT clean=1 clientid=\"b\" username=\"anna\" password=\"pen\"", "CONNACK rc=BadUserNameOrPassword");
        await using var other = await RawClient.ConnectAsync(
            broker, "CONNECT clean=1 clientid=\"b\" props{AuthenticationMethod=\"SCRAM-SHA-1\"}", "CONNACK rc=BadAuthenticationMethod");
    }

    [Fact]
    public async Task Credentials_of_the_application()
    {
        var credentials = MqttScramCredentials.Derive("pencil"u8, Iterations);
        await using var broker = await Brokers.StartAsync(options =>
            options.Authenticator = new MqttScramAuthenticator((name, _) => new(name == "anna" ? credentials : null)) { Iterations = Iterations });
        await using var client = await MqttClient.ConnectAsync(For(broker, "anna", "pencil")).Bounded();
        Assert.Equal(1, broker.ConnectionCount);
        await using var plain = await RawClient.ConnectAsync(
            broker, "CONNECT clean=1 clientid=\"a\" username=\"anna\" password=\"pencil\"", "CONNACK rc=BadAuthenticationMethod");
    }

    [Theory]
    [InlineData("anna:scram-sha-256:4096:AAAAAAAAAAAAAAAAAAAAAA==:AAAA:AAAA")]
    [InlineData("anna:scram-sha-256:1:AAAAAAAAAAAAAAAAAAAAAA==:WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")]
    [InlineData("anna:scram-sha-256:4096:AAAA:WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")]
    public void A_bad_line_is_named_and_not_shown(string line)
    {
        var failure = Assert.Throws<FormatException>(() => MqttPasswordFile.Parse("# first\n" + line));
        Assert.StartsWith("line 2 ", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("WG5d", failure.Message, StringComparison.Ordinal);
    }

    private static Task<MqttBroker> StartAsync(params (string Name, string Password)[] people) =>
        Brokers.StartAsync(options =>
        {
            options.Authenticator = MqttPasswordFile.Parse(string.Join('\n', people.Select(one =>
                MqttPasswordFile.Line(one.Name, MqttScramCredentials.Derive(Encoding.UTF8.GetBytes(one.Password), Iterations)))));
            options.Authorizer = MqttAccessRules.Parse("everyone\nallow all %u/#\n");
        });

    private static MqttClientOptions For(MqttBroker broker, string name, string password)
    {
        var options = Brokers.For(broker, "mqtt");
        options.Authenticator = new ScramSha256Authenticator(name, password);
        return options;
    }

    private static async Task<ReadOnlyMemory<byte>> ReadAuthAsync(RawClient client)
    {
        var auth = Assert.IsType<Packet.Auth>(await client.ReadPacketAsync(), exactMatch: false).Auth;
        return auth.Authentication.Data.Value.Reveal.Memory;
    }

    private static string Text(MqttAuthenticationResult result) => Encoding.UTF8.GetString(result.Data!.Value.Span);

    private static MqttAuthenticationContext Context(string first)
    {
        var parsed = Notation.Parse("CONNECT clean=1 clientid=\"c\" props{AuthenticationMethod=\"SCRAM-SHA-256\"}");
        var context = new MqttAuthenticationContext(((Packet.Connect)parsed.ResultValue).Connect, null, null, isInProcess: false);
        Answer(context, first);
        return context;
    }

    private static void Answer(MqttAuthenticationContext context, string data) =>
        context.Take(new Authentication(
            Utf8String.Of("SCRAM-SHA-256"), Microsoft.FSharp.Core.FSharpValueOption<Secret>.Some(new Secret(Bytes.OfText(data)))));

    private static Task<MqttAuthenticationResult> StepAsync(
        MqttAuthenticationContext context, MqttScramCredentials credentials, string? serverNonce = null) =>
        ScramExchange.StepAsync(context, (_, _) => new(credentials), new UnknownUserScram(Iterations), default, serverNonce).Bounded();

    // A client that signs in with whatever name it has now.
    private sealed class Changing : IMqttAuthenticator
    {
        public required string Name { get; set; }

        public required string Password { get; set; }

        public string Method => "SCRAM-SHA-256";

        public IMqttAuthenticationExchange Begin() => new ScramSha256Authenticator(Name, Password).Begin();
    }
}
