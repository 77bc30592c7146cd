namespace Mqtt5.BrokerTests;

// An authenticator made of a function.
internal sealed class Asking(Func<MqttAuthenticationContext, MqttAuthenticationResult> judge) : IMqttBrokerAuthenticator
{
    public ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken) =>
        new(judge(context));
}
