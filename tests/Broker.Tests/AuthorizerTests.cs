namespace Mqtt5.BrokerTests;

// The arguments of an authorizer and the effect of its results.
public sealed class AuthorizerTests
{
    [Fact]
    public async Task An_authorizer_that_returns_null_refuses_the_client()
    {
        await using var broker = await Brokers.StartAsync(options => options.Authorizer = new Returning(_ => null!));
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"", "CONNACK rc=NotAuthorized");
        await client.ExpectEndAsync();
        Assert.Empty(broker.Sessions);
    }

    [Fact]
    public async Task A_User_Name_that_nobody_verified_is_not_believed()
    {
        MqttClientIdentity? asked = null;
        await using var broker = await Brokers.StartAsync(options => options.Authorizer = new Returning(identity =>
        {
            asked = identity;
            return MqttAccessRules.Parse("user anna\nallow all #\nanonymous\nallow all open\n").Authorize(identity)!;
        }));
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" username=\"anna\" password=\"guess\"");
        Assert.Null(asked!.UserName);
        await client.SendAsync("SUBSCRIBE id=1 filters[\"secret\", \"open\"]");
        await client.ExpectAsync("SUBACK id=1 codes[NotAuthorized, 0x00]");
    }

    [Fact]
    public async Task A_client_of_the_same_process_is_believed()
    {
        MqttClientIdentity? asked = null;
        await using var broker = await Brokers.StartAsync(options => options.Authorizer = new Returning(identity =>
        {
            asked = identity;
            return MqttAccessRules.Parse("").Authorize(identity)!;
        }));
        await using var client = await broker.ConnectInProcessAsync(options => options.Credentials = MqttCredentials.Of("anna", "")).Bounded();
        Assert.Equal("anna", asked!.UserName);
        await client.PublishAsync("anything", "", QoS.AtLeastOnce).Bounded();
    }

    private sealed class Returning(Func<MqttClientIdentity, IMqttPermissions> permissions) : IMqttBrokerAuthorizer
    {
        public IMqttPermissions Authorize(MqttClientIdentity client) => permissions(client);
    }
}
