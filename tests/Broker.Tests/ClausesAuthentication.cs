using System.Text;

namespace Mqtt5.BrokerTests;

// What the standard says of enhanced authentication, over a socket.
public sealed class ClausesAuthentication
{
    [Fact]
    [Clause("MQTT-4.12.0-2", "MQTT-4.12.0-5", "MQTT-3.2.0-1", "MQTT-3.15.2-1")]
    public Task Each_AUTH_and_the_CONNACK_have_the_method_of_CONNECT() => Script.RunAsync(
        """
        c > CONNECT clean=1 clientid="c" props{AuthenticationMethod="m", AuthenticationData="1"}
        c < AUTH rc=ContinueAuthentication props{AuthenticationMethod="m", AuthenticationData="more"}
        c > AUTH rc=ContinueAuthentication props{AuthenticationMethod="m", AuthenticationData="2"}
        c < AUTH rc=ContinueAuthentication props{AuthenticationMethod="m", AuthenticationData="more"}
        c > AUTH rc=ContinueAuthentication props{AuthenticationMethod="m", AuthenticationData="right"}
        c < CONNACK rc=Success props{AuthenticationMethod="m", AuthenticationData="fine"}
        c > AUTH rc=ReAuthenticate props{AuthenticationMethod="m", AuthenticationData="1"}
        c < AUTH rc=ContinueAuthentication props{AuthenticationMethod="m", AuthenticationData="more"}
        c > PUBLISH topic="a"
        c quiet
        c > AUTH rc=ContinueAuthentication props{AuthenticationMethod="m", AuthenticationData="right"}
        c < AUTH rc=Success props{AuthenticationMethod="m", AuthenticationData="fine"}
        c quiet
        """,
        Ask);

    [Fact]
    [Clause("MQTT-4.12.0-1")]
    public Task A_method_that_is_not_supported_is_a_bad_one() => Script.RunAsync("""
        c > CONNECT clean=1 clientid="c" props{AuthenticationMethod="m"}
        c <* CONNACK rc=BadAuthenticationMethod
        c closed
        sessions 0
        """);

    [Fact]
    [Clause("MQTT-4.12.0-4", "MQTT-4.13.2-1", "MQTT-3.14.0-1")]
    public Task Who_fails_is_refused() => Script.RunAsync(
        """
        c > CONNECT clean=1 clientid="c" props{AuthenticationMethod="m", AuthenticationData="wrong"}
        c <* CONNACK rc=NotAuthorized
        c closed
        sessions 0
        """,
        Ask);

    [Fact]
    [Clause("MQTT-4.12.1-2")]
    public Task Who_fails_later_is_disconnected() => Script.RunAsync(
        """
        c > CONNECT clean=1 clientid="c" props{AuthenticationMethod="m", AuthenticationData="right"}
        c <* CONNACK rc=Success
        c > AUTH rc=ReAuthenticate props{AuthenticationMethod="m", AuthenticationData="wrong"}
        c <* DISCONNECT rc=NotAuthorized
        c closed
        """,
        Ask);

    [Fact]
    [Clause("MQTT-4.12.0-6", "MQTT-3.15.2-1")]
    public Task Without_a_method_there_is_no_AUTH() => Script.RunAsync(
        """
        c > CONNECT clean=1 clientid="c"
        c < CONNACK rc=Success
        c > AUTH rc=ReAuthenticate props{AuthenticationMethod="m", AuthenticationData="right"}
        c <* DISCONNECT rc=ProtocolError
        c closed
        d > CONNECT clean=1 clientid="d"
        d < CONNACK rc=Success
        d >> F0 00
        d <* DISCONNECT rc=ProtocolError
        d closed
        """,
        Ask);

    [Theory]
    [Clause("MQTT-4.12.0-5")]
    [InlineData("AUTH rc=ContinueAuthentication props{AuthenticationMethod=\"other\", AuthenticationData=\"right\"}")]
    [InlineData("AUTH rc=ReAuthenticate props{AuthenticationMethod=\"m\", AuthenticationData=\"right\"}")]
    [InlineData("PINGREQ")]
    public async Task Before_CONNACK_only_an_AUTH_that_continues_is_taken(string packet)
    {
        await using var broker = await Brokers.StartAsync(Ask);
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\" props{AuthenticationMethod=\"m\", AuthenticationData=\"1\"}");
        await client.ExpectStartAsync("AUTH rc=ContinueAuthentication");
        await client.SendAsync(packet);

        // The CONNACK is optional, the end is not.
        if (await client.ReadPacketAsync() is { } answer)
        {
            Assert.True(Assert.IsType<Packet.Connack>(answer, exactMatch: false).Connack.Reason >= ReasonCode.UnspecifiedError);
            await client.ExpectEndAsync();
        }

        Assert.Empty(broker.Sessions);
    }

    [Fact]
    [Clause("MQTT-3.15.2-2", "MQTT-3.15.2-3")]
    public Task AUTH_has_nothing_that_the_client_has_no_room_for() => Script.RunAsync(
        """
        c > CONNECT clean=1 clientid="c" props{MaximumPacketSize=15, AuthenticationMethod="m", AuthenticationData="1"}
        c << F0 0D 18 0B 15 00 01 6D 16 00 04 6D 6F 72 65
        """,
        Ask);

    private static void Ask(MqttBrokerOptions options)
    {
        options.Limits.ReceiveMaximum = ushort.MaxValue;
        options.Limits.MaximumPacketBytes = Spec.MaximumPacketBytes;
        options.Limits.TopicAliasMaximum = 0;
        options.Authenticator = new Asking(context => context.Method is null ? MqttAuthenticationResult.Accepted : Text(context.Data) switch
        {
            "right" => MqttAuthenticationResult.AcceptedAs("c", "fine"u8.ToArray()),
            "wrong" => MqttAuthenticationResult.Refused(ReasonCode.NotAuthorized),
            _ => MqttAuthenticationResult.Continue("more"u8.ToArray()),
        });
    }

    private static string Text(ReadOnlyMemory<byte>? data) => Encoding.UTF8.GetString(data.GetValueOrDefault().Span);
}
