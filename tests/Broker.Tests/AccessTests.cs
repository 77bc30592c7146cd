using System.Text;

namespace Mqtt5.BrokerTests;

public sealed class AccessTests
{
    [Fact]
    public async Task Without_an_authenticator_only_loopback_is_listened_at()
    {
        await Assert.ThrowsAsync<InvalidOperationException>(() => MqttBroker.StartAsync(options => options.Listen(0, System.Net.IPAddress.Any)));
    }

    [Theory]
    [InlineData("", -1)]
    [InlineData("password=\"\"", 0)]
    [InlineData("password=\"secret\"", 6)]
    public async Task An_authenticator_can_tell_no_password_from_an_empty_one(string given, int length)
    {
        MqttAuthenticationContext? asked = null;
        var asking = new Asking(context =>
        {
            asked = context;
            return MqttAuthenticationResult.Accepted;
        });
        await using var broker = await Brokers.StartAsync(options => options.Authenticator = asking);
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"a\" username=\"anna\" {given}");
        Assert.Equal(length, asked!.Password?.Length ?? -1);
        Assert.Null(asked.Data);
    }

    [Fact]
    public async Task Passwords_from_a_file()
    {
        var file = "# people\n" + MqttPasswordFile.Line("anna", "secret"u8) + "\n";
        Assert.DoesNotContain("secret", file, StringComparison.Ordinal);
        await using var broker = await Brokers.StartAsync(options => options.Authenticator = MqttPasswordFile.Parse(file));
        await using var right = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"a\" username=\"anna\" password=\"secret\"");
        await right.ExpectNothingAsync();

        foreach (var wrong in new[] { "username=\"anna\" password=\"Secret\"", "username=\"otto\" password=\"secret\"", "username=\"anna\"", "" })
        {
            await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"b\" {wrong}", "CONNACK rc=BadUserNameOrPassword");
            await client.ExpectEndAsync();
        }

        Assert.Single(broker.Sessions);
    }

    [Theory]
    [InlineData("anna")]
    [InlineData("anna:pbkdf2-sha512:0:AAAAAAAAAAAAAAAAAAAAAA==:AAAAAAAAAAAAAAAAAAAAAA==")]
    [InlineData("anna:plain:1:AAAAAAAAAAAAAAAAAAAAAA==:AAAAAAAAAAAAAAAAAAAAAA==")]
    [InlineData("anna:pbkdf2-sha512:1:short:AAAAAAAAAAAAAAAAAAAAAA==")]
    public void A_bad_line_of_a_password_file_is_named(string line)
    {
        var failure = Assert.Throws<FormatException>(() => MqttPasswordFile.Parse("# first\n" + line));
        Assert.StartsWith("line 2 ", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rules_for_publishing_subscribing_and_receiving()
    {
        await using var broker = await Brokers.StartAsync(options => options.Authorizer = MqttAccessRules.Parse(
            "everyone\n  allow subscribe news/#\n  deny subscribe news/secret\nclient boss\n  allow all news/#\n  allow publish %c/#\n"));
        await using var boss = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"boss\"");
        await using var other = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"other\"");
        await other.SendAsync("SUBSCRIBE id=1 filters[\"news/#\", \"boss/#\"]");
        await other.ExpectAsync("SUBACK id=1 codes[0x00, NotAuthorized]");
        await other.SendAsync("PUBLISH qos=1 topic=\"news/a\" id=1");
        await other.ExpectAsync("PUBACK id=1 rc=NotAuthorized");
        await other.SendAsync("PUBLISH topic=\"news/a\" payload=\"not allowed\"");
        await other.ExpectNothingAsync();

        foreach (var qos in new[] { "", " qos=1" })
        {
            var id = qos == "" ? "" : " id=1";
            await boss.SendAsync($"PUBLISH{qos} topic=\"news/secret\"{id} payload=\"secret\"");
            await boss.SendAsync($"PUBLISH{qos} topic=\"news/a\"{id.Replace('1', '2')} payload=\"open\"");
            await other.ExpectAsync("PUBLISH topic=\"news/a\" payload=\"open\"");
        }
    }

    [Fact]
    public async Task A_will_that_may_not_be_published_is_refused_with_its_client()
    {
        await using var broker = await Brokers.StartAsync(options => options.Authorizer = MqttAccessRules.Parse("everyone\nallow publish ok\n"));
        await using var allowed = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"a\" will[topic=\"ok\"]");
        await using var refused = await RawClient.ConnectAsync(
            broker, "CONNECT clean=1 clientid=\"b\" will[topic=\"not\"]", "CONNACK rc=NotAuthorized");
        await refused.ExpectEndAsync();
    }

    [Fact]
    public async Task Enhanced_authentication_in_steps_and_again()
    {
        await using var broker = await Brokers.StartAsync(options => options.Authenticator = new Asking(context =>
            context.Step % 2 == 0
                ? MqttAuthenticationResult.Continue("who?"u8.ToArray())
                : Encoding.UTF8.GetString(context.Data!.Value.Span) == "me"
                    ? MqttAuthenticationResult.AcceptedAs("me", "fine"u8.ToArray())
                    : MqttAuthenticationResult.Refused(ReasonCode.NotAuthorized)));
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\" props{AuthenticationMethod=\"ask\"}");
        await client.ExpectStartAsync("AUTH rc=ContinueAuthentication");
        await client.SendAsync("AUTH rc=ContinueAuthentication props{AuthenticationMethod=\"ask\", AuthenticationData=\"me\"}");
        await client.ExpectStartAsync("CONNACK rc=Success");
        await client.SendAsync("AUTH rc=ReAuthenticate props{AuthenticationMethod=\"ask\"}");
        await client.ExpectStartAsync("AUTH rc=ContinueAuthentication");
        await client.SendAsync("AUTH rc=ContinueAuthentication props{AuthenticationMethod=\"ask\", AuthenticationData=\"not me\"}");
        await client.ExpectDisconnectAsync(ReasonCode.NotAuthorized);
    }

    [Fact]
    public async Task An_authenticator_that_fails_refuses_the_client()
    {
        await using var broker = await Brokers.StartAsync(options =>
            options.Authenticator = new Asking(_ => throw new InvalidOperationException("broken")));
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"", "CONNACK rc=ServerUnavailable");
        await client.ExpectEndAsync();
    }
}
